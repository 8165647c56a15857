"""An account is seen as it was: at a time, or at a place on the tape, in every context alike."""

from typing import Any

from domain.audit.replay import Until, replay
from domain.kernel.ids import Micros
from domain.kernel.messages import Event, Recorded
from domain.orders.decide import orders
from domain.orders.state import Book
from tests.kit.orders import credited, dollars, opened, placed

ACCOUNT = "acc-1"


def recorded(event: Event, sequence: int, *, at: int, account: str = ACCOUNT) -> Recorded[Any]:
    return Recorded(
        event=event,
        event_id="",
        tenant="acme",
        stream_id=account,
        version=sequence,
        sequence=sequence,
        previous=b"",
        term=1,
        command_position=sequence,
        command_id="",
        digest=b"",
        causation_id="",
        correlation_id="",
        actor="",
        at=Micros(at),
        recorded_at=Micros(at),
    )


LOG = [
    recorded(opened(), 0, at=10),
    recorded(opened(), 1, at=15, account="acc-2"),
    recorded(credited(1000), 2, at=20),
    recorded(placed(quantity=1), 3, at=30),
]


def book(until: Until) -> Any:
    past = replay(ACCOUNT, until, lambda _context, _account: LOG, {"orders": orders, "mirror": orders})
    return past["orders"].state, past["orders"].events, past["mirror"].events


def test_before_its_first_event_an_account_is_as_it_begins() -> None:
    assert book(Until(Micros(9))) == (Book(), 0, 0)


def test_a_time_includes_what_was_recorded_at_it() -> None:
    state, events, _ = book(Until(Micros(20)))
    assert (state.cash, len(state.working), events) == (dollars(1000), 0, 2)


def test_a_place_cuts_its_own_context_by_sequence_and_the_others_by_time() -> None:
    state, events, others = book(Until(Micros(20), "orders", 3))
    assert (len(state.working), events, others) == (1, 3, 2)


def test_the_same_moment_is_the_same_twice() -> None:
    assert book(Until(Micros(99))) == book(Until(Micros(99)))
