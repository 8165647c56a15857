"""No order of events opens trading before a passed check: three contexts and two sagas, interleaved at will.

Sagas may be late by as much as they like, each keeps the order of what it read; a step may be told twice, as after a
crash. What is asked of the file of checks is anything at all, by anybody.
"""

from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.accounts.commands import OpenAccount
from domain.kernel.messages import Command
from domain.onboarding import events as e
from domain.onboarding.commands import Outcome
from domain.onboarding.state import KycFile, Standing
from domain.orders.commands import Side
from domain.orders.decide import orders
from domain.orders.events import OrderPlaced, Refusal
from infra.avro.codec import Codec
from streams.accounts.opening import opening
from streams.onboarding.trading import CAUSE, trading
from streams.sagas import Saga, steps
from tests.kit import kyc
from tests.kit import orders as o
from tests.kit.tape import Tape

ANN = "ann"
SAGAS: tuple[Saga, ...] = (opening, trading)
CHECKS = ("first", "second")
OPENING, TRADING = opening.name, trading.name
AGAIN = "again"
HONEST: tuple[Command | str, ...] = (
    OpenAccount(actor="sub:ann", owner=ANN, currency="USD"),
    *(kyc.request(check) for check in CHECKS),
    *(kyc.report(outcome, check) for check in CHECKS for outcome in (Outcome.PASSED, Outcome.FAILED)),
    *(kyc.report(Outcome.REFERRED, check) for check in CHECKS),
    *(kyc.expire(check) for check in CHECKS),
    *(OPENING, OPENING, OPENING, TRADING, TRADING, TRADING, AGAIN),
)
FORGED: tuple[Command, ...] = (
    *(kyc.report(Outcome.PASSED, check, actor=actor) for check in CHECKS for actor in ("sub:ann", "saga:test", "")),
    *(o.approve_trading(check, actor=actor) for check in CHECKS for actor in ("sub:ann", kyc.EFFECT, "agent:a")),
)
# Every other move is a delivery or likely to matter; whatever is out of turn is refused, as in life.
histories = st.lists(st.sampled_from((*HONEST, *HONEST, *FORGED)), min_size=12, max_size=40)

thorough = settings(max_examples=120, deadline=None)


class World:
    """One account in three contexts, and sagas that lag."""

    def __init__(self, codec: Codec) -> None:
        self.tape = Tape(codec, partitions=1)
        self._seen = 0
        self._due: dict[str, deque[tuple[str, Command]]] = {saga.name: deque() for saga in SAGAS}
        self._last: tuple[str, Command] | None = None

    def ask(self, command: Command) -> None:
        """Anybody asks for anything."""
        self._decide(_context_of(command), command)

    def deliver(self, name: str) -> None:
        """The next step of a saga reaches its context."""
        if self._due[name]:
            self._last = self._due[name].popleft()
            self._decide(*self._last)

    def deliver_again(self) -> None:
        """The newest step of all is told once more: a crash came between it and its commit."""
        if self._last is not None:
            self._decide(*self._last)

    def settle(self) -> None:
        """Everything that is due arrives."""
        while any(self._due.values()):
            for name in self._due:
                self.deliver(name)

    def passed(self) -> set[str]:
        """The checks that were ever passed."""
        return {each.event.check_id for each in self.tape.recorded("onboarding") if _is_pass(each.event)}

    def places(self) -> Any:
        """What a trader is told now; nothing is kept of it."""
        book = self.tape.states.get(("orders", ANN), orders.initial)
        # With shares to sell nothing but the gate stands in an order's way.
        stocked = orders.evolve(book, o.filled(10, side=Side.BUY, late=True))
        return orders.decide(stocked, o.place(side=Side.SELL, quantity=1))

    def _decide(self, context: str, command: Command) -> None:
        self.tape.decide(context, ANN, command)
        for recorded in self.tape.recorded()[self._seen :]:
            self._seen += 1
            for saga in SAGAS:
                if recorded.event.__class__.__module__ == f"domain.{saga.sources[0]}.events":
                    self._due[saga.name] += [(where, issued.command) for where, issued in steps(saga, recorded)]


def _is_pass(event: object) -> bool:
    return isinstance(event, e.KycCheckPassed)


def _context_of(command: Command) -> str:
    return type(command).__module__.split(".")[1]


@thorough
@given(histories)
def test_no_order_of_events_opens_trading_before_a_passed_check(codec: Codec, history: list[Any]) -> None:
    world = World(codec)
    for step in history:
        if isinstance(step, Command):
            world.ask(step)
        elif step == AGAIN:
            world.deliver_again()
        else:
            world.deliver(step)
        if isinstance(world.places(), OrderPlaced):
            assert world.passed(), "an order was taken although no check was ever passed"
            assert world.tape.states["orders", ANN].check_id in world.passed()


@thorough
@given(histories)
def test_a_book_trades_in_the_end_exactly_when_it_is_open_and_stands_good(codec: Codec, history: list[Any]) -> None:
    world = World(codec)
    for step in history:
        if isinstance(step, Command):
            world.ask(step)
        elif step != AGAIN:
            world.deliver(step)
    world.settle()
    file: KycFile = world.tape.states.get(("onboarding", ANN), KycFile())
    book = world.tape.states.get(("orders", ANN))
    is_open = book is not None and book.is_open
    answer = world.places()
    assert isinstance(answer, OrderPlaced) == (is_open and file.standing is Standing.GOOD)
    if is_open and file.standing is not Standing.GOOD:
        assert answer.reason is (Refusal.KYC_PENDING if file.standing is Standing.NONE else Refusal.HALTED)
        assert (CAUSE in world.tape.states["orders", ANN].halts) == (file.standing is Standing.LOST)
