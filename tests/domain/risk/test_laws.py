"""Laws of a risk file, over any history of commands."""

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.kernel.ids import BreachId
from domain.kernel.money import Money
from domain.kernel.snapshots import decode, encode
from domain.risk import commands as c
from domain.risk import events as e
from domain.risk.commands import Measure, RiskCommand
from domain.risk.decide import risk
from domain.risk.state import RiskFile

actors = st.sampled_from(["agent:test", "agent:test", "sub:ann"])
measures = st.sampled_from(Measure)
numbers = st.integers(0, 9)
reasons = st.sampled_from(["why", ""])
commands: st.SearchStrategy[RiskCommand] = st.one_of(
    st.builds(
        c.SetLimits,
        order_notional_max=st.integers(-1, 5).map(Money),
        gross_exposure_max=st.integers(-1, 5).map(Money),
        orders_per_minute_max=st.integers(-1, 5),
        reason=reasons,
    ),
    st.builds(
        c.ReportBreach,
        actor=actors,
        breach_id=st.integers(0, 5).map(lambda n: BreachId(f"b-{n}")),
        measure=measures,
        observed=numbers,
        allowed=numbers,
        mark_sequence=numbers,
        book_version=numbers,
    ),
    st.builds(
        c.ReportRecovery,
        actor=actors,
        measure=measures,
        observed=numbers,
        allowed=numbers,
        mark_sequence=numbers,
        book_version=numbers,
    ),
    st.builds(c.OrderHalt, reason=reasons),
    st.builds(c.LiftHalt, reason=reasons),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(commands, max_size=30))
def test_a_breach_opens_once_and_is_cleared_once(history: list[RiskCommand]) -> None:
    file = risk.initial
    events = []
    for command in history:
        event = risk.decide(file, command)
        after = risk.evolve(file, event)
        restored = decode(encode(file), RiskFile)
        assert (restored, risk.decide(restored, command)) == (file, event)
        if isinstance(event, e.RiskRefused):
            assert after == file, command
        assert set(after.breached.values()) <= set(after.known), command
        file = after
        events.append(event)
    assert risk.fold(events) == file
    risk.fold(reversed(events))
    opened = [event.breach_id for event in events if isinstance(event, e.LimitBreached)]
    cleared = [event.breach_id for event in events if isinstance(event, e.BreachCleared)]
    assert len(opened) == len(set(opened))
    assert len(cleared) == len(set(cleared))
    assert set(opened) - set(cleared) == set(file.breached.values())
