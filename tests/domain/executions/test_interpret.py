"""What each message of the venue means, and what is wrong with the ones that mean nothing."""

import json

import pytest

from domain.executions.messages import EFFECT, VenueMessage, client_order_id, command_id, interpret, split
from domain.kernel.ids import AccountId, ExecutionId, Micros, OrderId, Symbol
from domain.kernel.messages import Unreadable
from domain.kernel.money import Price, Quantity
from domain.orders import commands as c
from domain.orders.commands import OrderCommand, Side

AT = Micros(5)
FILLED = {
    "type": "filled",
    "seq": 9,
    "message_id": "m-9",
    "account": "ann-1",
    "client_order_id": "wal-nut-2",
    "time_ns": "1330966800000000001",
    "execution_id": "x-1",
    "symbol": "AAPL",
    "side": "SELL",
    "quantity": "0.5",
    "price": "101.25",
    "leaves": "99.5",
}
WALNUT = OrderId("wal-nut")


def message(body: object, source_id: str = "m-9") -> VenueMessage:
    return VenueMessage(
        source_id=source_id,
        venue="paper",
        tenant="acme",
        account_id=AccountId("ann-1"),
        sequence=9,
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        received_at=AT,
    )


def said(kind: str, **more: str) -> VenueMessage:
    return message({"type": kind, "client_order_id": "wal-nut-2", "time_ns": "7", **more})


MEANINGS = [
    (
        message(FILLED),
        c.RecordExecution(
            at=AT,
            actor=EFFECT,
            order_id=WALNUT,
            execution_id=ExecutionId("x-1"),
            symbol=Symbol("AAPL"),
            side=Side.SELL,
            quantity=Quantity(50_000_000),
            price=Price(10_125_000_000),
            venue_time_ns=1330966800000000001,
        ),
    ),
    (
        said("accepted", venue_order_id="v-1"),
        c.RecordAcceptance(at=AT, actor=EFFECT, order_id=WALNUT, venue_order_id="v-1"),
    ),
    (
        said("rejected", reason="duplicate_id"),
        c.RecordAcceptance(at=AT, actor=EFFECT, order_id=WALNUT, venue_order_id=""),
    ),
    (said("rejected", reason="closed"), c.RecordRejection(at=AT, actor=EFFECT, order_id=WALNUT, reason="closed")),
    (said("cancelled", leaves="3"), c.RecordCancel(at=AT, actor=EFFECT, order_id=WALNUT)),
    (
        said("cancel_rejected", reason="late"),
        c.RecordCancelRejection(at=AT, actor=EFFECT, order_id=WALNUT, reason="late"),
    ),
    (
        said("replaced", new_client_order_id="wal-nut-3", leaves="3"),
        c.RecordReplace(at=AT, actor=EFFECT, order_id=WALNUT, order_version=3),
    ),
    (
        said("replace_rejected", new_client_order_id="wal-nut-3", reason="late"),
        c.RecordReplaceRejection(at=AT, actor=EFFECT, order_id=WALNUT, order_version=3, reason="late"),
    ),
    (said("expired", leaves="3"), c.RecordExpiry(at=AT, actor=EFFECT, order_id=WALNUT)),
]


@pytest.mark.parametrize(("heard", "meant"), MEANINGS, ids=[json.loads(heard.body)["type"] for heard, _ in MEANINGS])
def test_each_message_means_one_command(heard: VenueMessage, meant: OrderCommand) -> None:
    assert interpret(heard) == meant


BROKEN = [
    ({**FILLED, "quantity": "ten"}, "quantity must be a decimal"),
    ({**FILLED, "quantity": "0"}, "quantity must be greater than zero"),
    ({**FILLED, "quantity": 10}, r"\$.quantity"),
    ({**FILLED, "price": "-1"}, "price must be greater than zero"),
    ({**FILLED, "price": "1.123456789"}, "price must have at most 8"),
    ({**FILLED, "side": "LEFT"}, "side 'LEFT'"),
    ({**FILLED, "symbol": ""}, "symbol is missing"),
    ({**FILLED, "execution_id": ""}, "execution_id is missing"),
    ({**FILLED, "time_ns": "noon"}, "time_ns 'noon'"),
    ({**FILLED, "time_ns": str(2**63)}, "time_ns '9223372036854775808'"),
    ({**FILLED, "client_order_id": "walnut"}, "client_order_id 'walnut'"),
    ({**FILLED, "client_order_id": "walnut-"}, "client_order_id ''"),
    ({**FILLED, "client_order_id": "walnut-²"}, "client_order_id '²'"),
    ({**FILLED, "client_order_id": "walnut-99999999999999999999"}, "client_order_id '9{20}'"),
    ({**FILLED, "client_order_id": ""}, "client_order_id is missing"),
    ({**FILLED, "type": "smiled"}, "type 'smiled'"),
    ({**FILLED, "type": "accepted"}, "venue_order_id is missing"),
    ({**FILLED, "type": "replaced"}, "new_client_order_id is missing"),
    ({**FILLED, "type": "replace_rejected", "new_client_order_id": "x"}, "new_client_order_id 'x'"),
    (b"", "truncated"),
    (b"{", "truncated"),
    (b"\xff\xfe", "malformed"),
    (b"[]", "object"),
]


@pytest.mark.parametrize(("body", "told"), BROKEN, ids=[told for _, told in BROKEN])
def test_a_broken_message_is_told_with_its_id_and_the_field(body: object, told: str) -> None:
    with pytest.raises(Unreadable, match=told) as raised:
        interpret(message(body, source_id="m-13"))
    assert "venue message m-13" in str(raised.value)


REQUIRED = {
    "filled": ["execution_id", "symbol", "side", "quantity", "price", "time_ns", "client_order_id", "type"],
    "cancelled": ["time_ns", "client_order_id", "type"],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in REQUIRED.items() for name in names])
def test_a_missing_field_is_named(kind: str, name: str) -> None:
    body = {key: value for key, value in {**FILLED, "type": kind}.items() if key != name}
    with pytest.raises(Unreadable, match=rf"\b{name}\b"):
        interpret(message(body))


def test_a_repeat_is_the_same_command() -> None:
    assert command_id(message(FILLED)) == command_id(said("cancelled"))
    assert command_id(message(FILLED)) != command_id(message(FILLED, source_id="m-10"))


def test_names_at_the_venue_are_read_back_whatever_the_id() -> None:
    assert split(client_order_id(OrderId("a-b-7"), 12)) == ("a-b-7", 12)
