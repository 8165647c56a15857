"""The ledger: every movement twice, and everything sums to zero."""

from collections import defaultdict
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import contexts
from domain.orders.commands import Side
from infra.avro.codec import Codec
from infra.postgres import Database
from projections.accounts import ledger as ledger_file
from projections.accounts.ledger import LedgerLine, Place, ledger
from tests.kit import orders as o
from tests.kit.histories import ACCOUNTS, WHATS, choices_from, play
from tests.kit.tape import Tape
from tests.projections.folding import row_after, rows_after, table_of
from tests.projections.hosting import folded, projector_of

BALANCES = table_of(ledger, "ledger_balances")
HOLDINGS = table_of(ledger, "ledger_holdings")
CHOICES = st.lists(st.tuples(st.sampled_from(WHATS), st.integers(0, 2), st.integers(1, 997)), max_size=60)


@cache
def shared_codec() -> Codec:
    """Hypothesis runs a law many times; the schemas are read once."""
    return Codec(contexts.messages())


def test_a_purchase_moves_cash_to_the_market_and_shares_to_the_customer() -> None:
    row = row_after(BALANCES, o.filled(30, amount=3000))
    assert (row.cash, row.market) == (-o.dollars(3000), o.dollars(3000))
    (held,) = rows_after(HOLDINGS, o.filled(30, amount=3000))
    assert (held.symbol, held.held, held.market) == ("AAPL", o.shares(30), -o.shares(30))


def test_a_sale_moves_both_back() -> None:
    row = row_after(BALANCES, o.filled(30, amount=3000), o.filled(30, amount=3300, side=Side.SELL))
    assert (row.cash, row.market) == (o.dollars(300), -o.dollars(300))


def test_a_withdrawal_is_set_aside_and_then_in_clearing_until_the_bank_has_it() -> None:
    asked = row_after(BALANCES, o.credited(1000), o.reserved(400))
    assert (asked.cash, asked.reserved) == (o.dollars(600), o.dollars(400))
    paid = row_after(BALANCES, o.credited(1000), o.reserved(400), o.spent(400, cash=600))
    assert (paid.cash, paid.reserved, paid.clearing) == (o.dollars(600), 0, o.dollars(400) - o.dollars(1000))
    back = row_after(BALANCES, o.credited(1000), o.reserved(400), o.released(400))
    assert (back.cash, back.reserved) == (o.dollars(1000), 0)


@settings(max_examples=60, deadline=None)
@given(CHOICES)
def test_everything_sums_to_zero_and_agrees_with_the_books(choices: list[tuple[str, int, int]]) -> None:
    tape = Tape(shared_codec())
    play(tape, choices)
    rows = folded(tape, ledger)
    by_event: dict[Any, int] = defaultdict(int)
    by_place: dict[Any, int] = defaultdict(int)
    for line in rows["ledger_lines"]:
        by_event[line.topic, line.partition, line.sequence, line.symbol] += line.amount
        by_place[line.account_id, line.place, line.symbol] += line.amount
    assert set(by_event.values()) <= {0}
    for row in rows["ledger_balances"]:
        assert row.cash + row.reserved + row.clearing + row.bank + row.market == 0
        lines = {place: by_place[row.account_id, place, ""] for place in Place}
        assert lines == {**{place: getattr(row, place.lower(), 0) for place in Place}, Place.HELD: 0}
        book = tape.states["orders", row.account_id]
        assert row.cash + row.reserved == book.cash
        assert row.reserved == sum(book.withdrawals.values())
        assert row.clearing == 0, "every saga of this history is through"
    for row in rows["ledger_holdings"]:
        assert row.held == by_place[row.account_id, Place.HELD, row.symbol] == -row.market
        assert row.held == tape.states["orders", row.account_id].holdings.get(row.symbol, 0)


@pytest.mark.postgres
async def test_the_query_sums_to_zero_and_pages_hold_every_line_once(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=18, count=300))
    await (await projector_of(db, tape.codec, [ledger])).apply(tape.arrived)
    who = {"tenant": "acme", "account_id": ACCOUNTS[0]}
    sums = await ledger_file.sums(db, **who)
    assert {each.symbol for each in sums} >= {"", "AAPL"}
    assert {each.amount for each in sums} == {0}
    paged: list[LedgerLine] = []
    while page := await ledger_file.lines(db, **who, limit=7, after=paged[-1] if paged else None):
        paged += page
    assert len(paged) == len(set(paged))
    assert set(paged) == {row for row in folded(tape, ledger)["ledger_lines"] if row.account_id == ACCOUNTS[0]}
    book = tape.states["orders", ACCOUNTS[0]]
    balances = await ledger_file.balances(db, **who)
    assert balances.cash + balances.reserved == book.cash
    held = await ledger_file.holdings(db, **who, limit=10)
    assert {row.symbol: row.held for row in held if row.held} == dict(book.holdings)
    assert await ledger_file.lines(db, tenant="rival", account_id=ACCOUNTS[0], limit=7) == []
    assert (await ledger_file.balances(db, tenant="rival", account_id=ACCOUNTS[0])).cash == 0


@pytest.mark.postgres
async def test_the_database_refuses_a_balance_that_does_not_sum_to_zero(db: Database, tape: Tape) -> None:
    play(tape, choices_from(seed=19, count=20))
    await (await projector_of(db, tape.codec, [ledger])).apply(tape.arrived)
    with pytest.raises(Exception, match="cash_sums_to_zero"):
        await db.execute("UPDATE ledger_balances SET cash = cash + 1")
