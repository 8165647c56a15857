"""When a mismatch is a break, what the break says, and what ends it."""

from typing import Any

import msgspec
import pytest

from domain.kernel.ids import BreakId, Symbol
from domain.kernel.messages import Issued, Unreadable
from domain.orders.commands import Side
from domain.reconciliation.commands import CloseBreak, Kind, OpenBreak
from domain.reconciliation.events import BreakOpened, ReconciliationRefused
from tests.domain.reconciliation.world import Execution, World

ONE = Execution(1)
TWO = Execution(2, side=Side.SELL, shares=4)


def test_no_break_opens_before_five_seconds_of_market_time_have_passed() -> None:
    world = World().mark().ours(ONE).mark().mark(5.0)
    assert not world.open
    assert len(world.mark(0.001).open) == 1


def test_the_clock_starts_with_the_first_mark_after_the_message() -> None:
    world = World().ours(ONE)
    world.mark(0).mark(5.0)
    assert not world.open
    world = World().mark().ours(ONE).mark(86_400.0)
    assert not world.open, "a night between two marks is no wait"


def test_a_market_that_is_set_back_begins_the_wait_anew() -> None:
    world = World().mark().ours(ONE).mark(1.0).mark(-3_600.0).mark(5.0)
    assert not world.open
    assert len(world.mark(1.0).open) == 1


def test_two_sides_that_differ_are_one_break_with_both_their_messages() -> None:
    world = World().ours(ONE, dollars=99).copied(ONE).copied(ONE).patience()
    (found,) = world.open
    assert found.kind is Kind.DIFFERENT
    (difference,) = found.differences
    assert (difference.our_price, difference.their_price) == (99_00000000, 100_00000000)
    assert [(each.origin, each.id, each.topic, each.place) for each in found.evidence] == [
        ("OURS", "e1", "orders.events", 1),
        ("VENUE", "copy-x1", "reconciliation.messages", 0),
    ]


def test_a_copy_of_an_order_that_nobody_knows_is_a_break() -> None:
    body = {
        "type": "copy",
        "client_order_id": "never heard of it",
        "execution_id": "x9",
        "symbol": "ZZZ",
        "side": "SELL",
        "quantity": "1",
        "price": "1",
        "time_ns": "5",
    }
    (found,) = World().heard("copy-x9", msgspec.json.encode(body)).patience().open
    assert (found.kind, found.order_id) == (Kind.MISSING_HERE, "never heard of it")
    assert found.differences[0].theirs == -100_000_000


def test_a_copy_of_what_a_statement_has_counted_changes_nothing() -> None:
    world = World().ours(ONE).copied(ONE).stated([ONE]).patience()
    before = world.state
    assert len(world.matched) == 1
    assert world.copied(ONE).stated([ONE]).state == before
    assert not world.patience().open


def test_holdings_go_on_from_one_statement_to_the_next() -> None:
    world = World().ours(ONE).copied(ONE).stated([ONE], as_of=ONE.time_ns).patience()
    world.ours(TWO).copied(TWO).stated([ONE, TWO], name="s2").patience()
    assert [match.statement_id for match in world.matched] == ["statement-s1", "statement-s2"]
    assert world.state.held[Symbol("AAPL")] == 6_00000000


def test_a_newer_statement_that_agrees_ends_the_break_of_an_older_one() -> None:
    world = World().ours(ONE).copied(ONE).stated([ONE, TWO], as_of=TWO.time_ns).patience()
    (found,) = world.open
    assert found.kind is Kind.STATEMENT
    assert [each.id for each in found.evidence] == ["statement-s1", "e1", "copy-x1"]
    assert not world.stated([ONE], name="s2").patience().open


def test_what_a_newer_statement_does_not_settle_is_a_break_of_its_own() -> None:
    world = World().ours(ONE).copied(ONE).stated([ONE, TWO], as_of=TWO.time_ns).patience()
    (first,) = world.open
    (second,) = world.stated([ONE, TWO], name="s2").patience().open
    assert (first.reference, second.reference) == ("statement-s1", "statement-s2")
    assert [(each.symbol, each.theirs - each.ours) for each in second.differences] == [("AAPL", TWO.signed)]


def test_a_break_that_a_person_closed_is_not_opened_again() -> None:
    world = World().copied(ONE).patience()
    (found,) = world.open
    world.decided(_issued_by_hand(world, found))
    world.answered().copied(ONE).patience()
    assert not world.open
    assert len(world.all(BreakOpened)) == 1
    world.ours(ONE).patience()
    assert not world.open


def test_what_is_not_answered_is_asked_again_and_opens_nothing_twice() -> None:
    world = World().copied(ONE)
    world.mark().mark(6.0)
    assert len(world.commands) == 1
    world.lost().mark().answered()
    first, again = world.commands
    assert isinstance(first.command, OpenBreak)
    assert isinstance(again.command, OpenBreak)
    assert first.command.break_id == again.command.break_id
    assert first.command_id != again.command_id
    assert [type(event) for event in world.events] == [BreakOpened, ReconciliationRefused]
    world.lost().mark()
    assert len(world.commands) == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "truncated"),
        (b'{"type":"gossip"}', "neither copy nor statement"),
        (b'{"type":"copy","side":"BUY"}', "client_order_id is missing"),
        (b'{"type":"copy","client_order_id":"o-1","side":"HOLD"}', "side"),
        (b'{"type":"statement","executions":1,"date":"d","as_of_ns":"-1"}', "as_of_ns"),
        (b'{"type":"statement","executions":1,"date":"d","as_of_ns":"1","holdings":{"A":"x"}}', r"holdings\.A"),
        (b'{"type":"statement","date":"d","as_of_ns":"1"}', "executions"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_field(body: bytes, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        World().heard("r1", body)


def test_a_record_that_names_another_tenant_than_the_account_s_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="is not of evil"):
        World().ours(ONE).heard("r1", b'{"type":"statement","date":"d","as_of_ns":"1","executions":0}', tenant="evil")


def _issued_by_hand(world: World, found: BreakOpened) -> Issued[Any]:
    close = CloseBreak(break_id=BreakId(found.break_id), reason="agreed by telephone", evidence=(), actor="sub:ann")
    return msgspec.structs.replace(world.commands[0], command=close)
