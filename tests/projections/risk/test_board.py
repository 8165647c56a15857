"""The risk board: limits, breaches open and cleared, halts by cause."""

import pytest

from domain.kernel.ids import BreachId
from domain.risk import events as e
from domain.risk.commands import Measure
from infra.postgres import Database
from projections.risk import board as file
from projections.risk.board import BreachRow, board
from tests.kit import orders as o
from tests.kit.histories import ACCOUNTS, choices_from, play
from tests.kit.tape import Tape
from tests.projections.folding import ANN, FIRST_AT, row_after, rows_after, table_of
from tests.projections.hosting import projector_of

LIMITS = table_of(board, "risk_limits")
BREACHES = table_of(board, "risk_breaches")
HALTS = table_of(board, "trading_halts")


def limits(order_max: int) -> e.LimitsSet:
    return e.LimitsSet(
        order_notional_max=o.dollars(order_max),
        gross_exposure_max=o.dollars(order_max * 10),
        orders_per_minute_max=60,
        reason="review",
    )


def breached(observed: int = 120) -> e.LimitBreached:
    return e.LimitBreached(
        breach_id=BreachId("b-1"),
        measure=Measure.GROSS_EXPOSURE,
        observed=observed,
        allowed=100,
        mark_sequence=7,
        book_version=3,
    )


def cleared(observed: int = 90) -> e.BreachCleared:
    return e.BreachCleared(
        breach_id=BreachId("b-1"),
        measure=Measure.GROSS_EXPOSURE,
        observed=observed,
        allowed=100,
        mark_sequence=8,
        book_version=4,
    )


def test_the_last_limits_hold_with_their_reason_and_who_set_them() -> None:
    row = row_after(LIMITS, limits(1000), limits(2000))
    assert (row.order_notional_max, row.reason, row.set_by) == (o.dollars(2000), "review", ANN)


def test_a_breach_is_open_until_it_is_cleared() -> None:
    assert row_after(BREACHES, breached()).cleared_at is None
    row = row_after(BREACHES, breached(), cleared(90))
    assert (row.observed, row.cleared_observed, row.cleared_at) == (120, 90, FIRST_AT + 1_000_000)


def test_each_cause_halts_by_itself() -> None:
    rows = rows_after(HALTS, o.halted("exposure"), o.halted("hand"), o.resumed("hand"))
    assert [(row.cause, row.resumed_at is None) for row in rows] == [("exposure", True), ("hand", False)]


def test_a_cause_that_halts_again_holds_again() -> None:
    assert row_after(HALTS, o.halted(), o.resumed(), o.halted()).resumed_at is None


@pytest.mark.postgres
async def test_what_is_open_on_the_board_is_open_for_the_deciders(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=21, count=600))
    await (await projector_of(db, tape.codec, [board])).apply(tape.arrived)
    open_now: dict[str, set[str]] = {}
    found: list[BreachRow] = []
    while page := await file.open_breaches(
        db, tenant="acme", limit=2, after=(found[-1].account_id, found[-1].breach_id) if found else ("", "")
    ):
        found += page
    for row in found:
        open_now.setdefault(row.account_id, set()).add(row.breach_id)
    for account_id in ACCOUNTS:
        risk_file = tape.states.get(("risk", account_id))
        assert open_now.get(account_id, set()) == (set(risk_file.breached.values()) if risk_file else set())
        halts = await file.halts(db, tenant="acme", account_id=account_id, limit=10)
        assert {row.cause for row in halts if row.resumed_at is None} == tape.states["orders", account_id].halts
        assert await breaches(db, account_id, 1) == await breaches(db, account_id, 100)
    assert found
    assert await file.open_breaches(db, tenant="rival", limit=10) == []
    assert await file.limits(db, tenant="rival", account_id=ACCOUNTS[0]) is None


async def breaches(db: Database, account_id: str, page_size: int) -> list[BreachRow]:
    """All breaches of an account, read in pages."""
    found: list[BreachRow] = []
    while page := await file.breaches(
        db,
        tenant="acme",
        account_id=account_id,
        limit=page_size,
        before=found[-1].opened_version if found else None,
    ):
        found += page
    return found
