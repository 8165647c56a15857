"""Whatever the order, the delay and the repetition: what agrees in the end is no break, what is lost is exactly one."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.orders.commands import Side
from domain.reconciliation.commands import Kind
from domain.reconciliation.events import BreakOpened
from domain.reconciliation.matching import against
from tests.domain.reconciliation.world import Execution, World

SYMBOLS = ("AAPL", "IBM")
executions = st.lists(
    st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(Side), st.integers(1, 3), st.integers(1, 3)),
    min_size=1,
    max_size=6,
).map(lambda found: [Execution(number, *each) for number, each in enumerate(found)])
Saying = tuple[str, Any]


@st.composite
def told(draw: st.DrawFn, happened: list[Execution], lost: frozenset[Saying] = frozenset()) -> list[Saying]:
    """Both sides in any order, the venue's repeated, marks and answers in between, statements of any moment."""
    sayings: list[Saying] = [("ours", each) for each in happened]
    for each in happened:
        sayings += [("copied", each)] * draw(st.integers(1, 3))
    cuts = draw(st.lists(st.integers(0, len(happened)), max_size=2))
    sayings += [("stated", cut) for cut in cuts for _ in range(draw(st.integers(1, 2)))]
    sayings = [saying for saying in sayings if saying not in lost]
    sayings += [("mark", seconds) for seconds in draw(st.lists(st.integers(-4, 9), max_size=8))]
    sayings += [("answered", 0)] * draw(st.integers(0, 3))
    return draw(st.permutations(sayings))


def played(happened: list[Execution], sayings: list[Saying]) -> World:
    """All is said, then the statement of the day, and so much time passes that nothing can be on its way."""
    world = World()
    for verb, what in [*sayings, ("stated", len(happened))]:
        match verb:
            case "ours":
                world.ours(what)
            case "copied":
                world.copied(what)
            case "stated":
                world.stated(happened, name=f"s{what}", as_of=1_000 * what + 500)
            case "mark":
                world.mark(what)
            case "answered":
                world.answered()
    return world.patience()


@given(st.data())
@settings(max_examples=80)
def test_what_agrees_in_the_end_leaves_no_break_open(data: st.DataObject) -> None:
    happened = data.draw(executions)
    world = played(happened, data.draw(told(happened)))
    assert not world.open
    assert {event.break_id for event in world.all(BreakOpened)} == {event.break_id for event in world.closed}
    assert world.matched[-1].executions == len(happened)
    state = world.state
    assert not any((state.waiting, state.agreed, state.opening, state.closing, state.recording))
    held = {symbol: sum(each.signed for each in happened if each.symbol == symbol) for symbol in SYMBOLS}
    assert {symbol: quantity for symbol, quantity in state.held.items() if quantity} == {
        symbol: quantity for symbol, quantity in held.items() if quantity
    }


@given(st.data())
@settings(max_examples=80)
def test_a_message_that_is_lost_is_exactly_one_break_that_names_it(data: st.DataObject) -> None:
    happened = data.draw(executions)
    victim, side = data.draw(st.sampled_from(happened)), data.draw(st.sampled_from(("ours", "copied")))
    world = played(happened, data.draw(told(happened, frozenset({(side, victim)}))))
    (found,) = world.open
    kind = Kind.MISSING_HERE if side == "ours" else Kind.MISSING_AT_VENUE
    assert (found.reference, found.order_id, found.kind) == (victim.id, f"o{victim.number}", kind)
    (evidence,) = found.evidence
    assert evidence.topic == ("reconciliation.messages" if side == "ours" else "orders.events")
    (world.ours if side == "ours" else world.copied)(victim).patience()
    assert not world.open
    assert [(each.origin, bool(each.id)) for each in world.closed[-1].evidence] == [("OURS", True), ("VENUE", True)]
    assert world.matched[-1].executions == len(happened)


@given(st.data())
@settings(max_examples=40)
def test_an_execution_that_both_lines_lose_is_found_by_the_statement(data: st.DataObject) -> None:
    happened = data.draw(executions)
    victim = data.draw(st.sampled_from(happened))
    lost = frozenset({("ours", victim), ("copied", victim)})
    world = played(happened, data.draw(told(happened, lost)))
    (found,) = world.open
    assert found.kind is Kind.STATEMENT
    assert world.state.stated is not None
    # The break says what differed when it opened; what differs in the end is the execution that nobody told of.
    ((difference,), known) = against(world.state, world.state.stated)
    assert (difference.symbol, difference.theirs - difference.ours) == (victim.symbol, victim.signed)
    assert known == len(happened) - 1
    world.ours(victim).copied(victim).patience()
    assert not world.open
