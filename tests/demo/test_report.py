"""The judge of the demo: what does not agree is named, and what agrees is not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from demo import report
from demo.report import Ending
from domain.accounts.commands import DepositCash, OpenAccount
from domain.billing.commands import AccrueCommission, Fill, IssueInvoice, PublishPriceList
from domain.billing.rates import PriceRow, Rates
from domain.kernel.ids import CheckId, DepositId, ExecutionId, Micros, OrderId, Symbol
from domain.kernel.market import Market, Phase
from domain.kernel.money import SCALE, BasisPoints, Money, Price, Quantity
from domain.orders.commands import (
    ApproveTrading,
    CreditCash,
    Kind,
    OpenTrading,
    PlaceOrder,
    RecordExecution,
    Side,
    TimeInForce,
)
from domain.orders.events import OrderFilled
from gateways import cursor
from infra.avro.codec import Codec
from tests.kit.tape import Tape

ROOT = Path(report.__file__).resolve().parents[1]
ACCOUNT, TENANT = "a1", "t"
FILL = {"execution_id": "x1", "side": "BUY", "quantity": "10", "price": "100.25"}
GOOD = {"holdings": {"AAPL": "10"}, "executions": [FILL]}


@pytest.fixture
def ending(codec: Codec) -> Ending:
    """A tape on which ten shares were bought for 1002.50 out of a deposit of 5000.00."""
    tape = Tape(codec)
    at: Any = {"at": Micros(10), "actor": "sub:x"}
    saga: Any = {"at": Micros(10), "actor": "saga:test"}
    market = Market(
        sequence=1, market_time=Micros(1), observed_at=Micros(9), phase=Phase.OPEN, price=Price(100 * SCALE)
    )
    tape.decide("accounts", ACCOUNT, OpenAccount(owner="x", currency="USD", **at))
    tape.decide("accounts", ACCOUNT, DepositCash(deposit_id=DepositId("d"), amount=Money(500_000), **at))
    tape.decide("orders", ACCOUNT, OpenTrading(currency="USD", **saga))
    tape.decide("orders", ACCOUNT, ApproveTrading(check_id=CheckId("c"), **saga))
    tape.decide("orders", ACCOUNT, CreditCash(deposit_id=DepositId("d"), amount=Money(500_000), **saga))
    order = PlaceOrder(
        order_id=OrderId("o1"),
        symbol=Symbol("AAPL"),
        side=Side.BUY,
        kind=Kind.MARKET,
        quantity=Quantity(10 * SCALE),
        limit_price=None,
        time_in_force=TimeInForce.DAY,
        market=market,
        **at,
    )
    tape.decide("orders", ACCOUNT, order)
    fill = RecordExecution(
        order_id=OrderId("o1"),
        execution_id=ExecutionId("x1"),
        symbol=Symbol("AAPL"),
        side=Side.BUY,
        quantity=Quantity(10 * SCALE),
        price=Price(100 * SCALE + SCALE // 4),
        venue_time_ns=1,
        at=Micros(11),
        actor="effect:test",
    )
    tape.decide("orders", ACCOUNT, fill)
    bill(tape, codec)
    made = Ending()
    for arrived in tape.arrived:
        made.take((arrived.topic, arrived.partition), codec.decode_event(arrived.value))
    made.tenants[ACCOUNT] = TENANT
    return made


def bill(tape: Tape, codec: Codec) -> None:
    """Charge the fill one cent a share, at least a dollar, and invoice it."""
    events = map(codec.decode_event, (each.value for each in tape.arrived))
    filled, event = next((each, each.event) for each in events if isinstance(each.event, OrderFilled))
    rates = Rates(per_share=Price(SCALE // 100), basis_points=BasisPoints(0), minimum=Money(100), maximum=None)
    agent: Any = {"at": Micros(12), "actor": "agent:test"}
    rows = (PriceRow(begins_on="2012-01-01", ends_on=None, rates=rates),)
    tape.decide("billing", f"prices/{TENANT}", PublishPriceList(rows=rows, reason="first", **agent))
    counted = Fill(
        event_id=filled.event_id,
        sequence=filled.sequence,
        order_id=event.order_id,
        execution_id=event.execution_id,
        symbol=event.symbol,
        session_date="2012-06-04",
        quantity=event.quantity,
        price=event.price,
    )
    tape.decide("billing", ACCOUNT, AccrueCommission(fill=counted, list_version=1, rates=rates, **agent))
    tape.decide("billing", ACCOUNT, IssueInvoice(invoice_id="i", month="2012-06", **agent))


async def faults(ending: Ending, statement: dict[str, Any], acknowledged: list[tuple[str, str, str]]) -> list[str]:
    """What the judge says when the venue says this."""
    app = web.Application()

    async def said(_: web.Request) -> web.Response:
        return web.json_response(statement)

    app.router.add_get("/statement", said)
    async with TestServer(app) as server:
        figures = await report.settled(ending, str(server.make_url("")).rstrip("/"), acknowledged)
    return figures.faults


async def test_a_book_that_agrees_with_the_venue_balances(ending: Ending) -> None:
    assert await faults(ending, GOOD, []) == []


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ({"holdings": {"AAPL": "9"}, "executions": [FILL]}, "holds"),
        ({"holdings": {"AAPL": "10"}, "executions": []}, "unknown there ['x1']"),
        ({"holdings": {"AAPL": "10"}, "executions": [FILL, {**FILL, "execution_id": "x2"}]}, "missing here ['x2']"),
        ({"holdings": {"AAPL": "10"}, "executions": [{**FILL, "price": "100.26"}]}, "make 3997.40"),
    ],
    ids=["holding", "execution of ours alone", "execution of theirs alone", "price"],
)
async def test_a_difference_is_named(ending: Ending, statement: dict[str, Any], named: str) -> None:
    found = await faults(ending, statement, [])
    assert any(named in fault for fault in found), found


async def test_an_acknowledged_command_that_is_not_on_the_tape_is_named(ending: Ending) -> None:
    place = next(place for place in ending.places if place[0] == "orders.events")
    there = cursor.encode({place: max(ending.places[place])})
    beyond = cursor.encode({place: max(ending.places[place]) + 1})
    assert await faults(ending, GOOD, [(ACCOUNT, "POST orders", there)]) == []
    (fault,) = await faults(ending, GOOD, [(ACCOUNT, "POST orders", beyond)])
    assert "which is not there" in fault
    (fault,) = await faults(ending, GOOD, [("somebody else", "POST orders", there)])
    assert "somebody else" in fault


def test_a_proof_that_cannot_be_made_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TAPELINE_KAFKA", "127.0.0.1:1")
    is_proved, said = asyncio.run(asyncio.to_thread(report.prove, "o1", tmp_path, ROOT))
    assert not is_proved
    assert "no proof" in said


async def test_a_bill_that_is_not_what_the_venue_s_executions_cost_is_named(ending: Ending) -> None:
    ending.bills.credited[ACCOUNT] -= 1
    (fault,) = await faults(ending, GOOD, [])
    assert fault == f"{ACCOUNT}: owes 0.99, the venue's executions cost 1.00"


async def test_a_fill_on_no_invoice_is_named(ending: Ending) -> None:
    ending.fills[ACCOUNT].append("another")
    (fault,) = await faults(ending, GOOD, [])
    assert fault == f"{ACCOUNT}: its invoices count 1 fills, the tape has 2"


def test_a_lost_copy_that_no_break_names_is_named(ending: Ending) -> None:
    assert ending.breaks.differences(["x1"]) == ["execution x1 was lost by the venue and no break names it"]
