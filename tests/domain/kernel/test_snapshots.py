"""Snapshots: what is put away comes back, and another shape is recognised."""

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from immutables import Map

from domain.kernel.ids import BreachId, ExecutionId, Micros, OrderId, Symbol
from domain.kernel.money import Money, Price, Quantity
from domain.kernel.snapshots import NoForm, SnapshotUnreadable, _shape, decode, encode, state_schema
from domain.kernel.stream import Stream, advanced
from domain.orders.commands import Kind, Side, TimeInForce
from domain.orders.state import Book, Limits, Replacement, Working
from domain.risk.commands import Measure
from domain.risk.state import RiskFile

ROOT = Path(__file__).parents[3]
BOOK = Book(
    currency="USD",
    cash=Money(1_000_00),
    reserved=Money(500_00),
    holdings=Map({Symbol("AAPL"): Quantity(30), Symbol("MSFT"): Quantity(-1)}),
    working=Map(
        {
            OrderId("walnut"): Working(
                symbol=Symbol("AAPL"),
                side=Side.BUY,
                kind=Kind.LIMIT,
                time_in_force=TimeInForce.GTC,
                quantity=Quantity(100),
                unfilled=Quantity(70),
                reserve_price=Price(10),
                reserved=Money(500_00),
                replacement=Replacement(2, Quantity(200), Price(11)),
            )
        }
    ),
    closed=Map({OrderId("oak"): 1}),
    executions=Map({ExecutionId("e-1"): 7}),
    halts=frozenset({"risk:GROSS_EXPOSURE", "officer"}),
    limits=Limits(order_notional_max=Money(9)),
)


def test_a_book_comes_back_as_it_was() -> None:
    assert decode(encode(BOOK), Book) == BOOK


def test_maps_come_back_as_maps_of_structs_and_enums() -> None:
    book = decode(encode(BOOK), Book)
    assert isinstance(book.working[OrderId("walnut")], Working)
    file = RiskFile(breached=Map({Measure.ORDER_RATE: BreachId("b")}))
    assert list(decode(encode(file), RiskFile).breached) == [Measure.ORDER_RATE]


def test_a_stream_of_books_comes_back_with_the_commands_it_knows() -> None:
    stream = advanced(advanced(Stream(BOOK), BOOK, "t", "first", Micros(1), 2), BOOK, "t", "second", Micros(2), 2)
    assert decode(encode(stream), Stream[Book]) == stream


def test_the_schema_of_a_stream_covers_the_stream_and_what_it_holds() -> None:
    assert len({state_schema(kind) for kind in (Stream[Book], Stream[RiskFile], Book)}) == 3
    assert "known: Map[bytes, int]" in _shape(Stream[Book])


def test_equal_states_give_equal_bytes_whatever_the_order_they_grew_in() -> None:
    names = [OrderId(f"order-{n}") for n in range(50)]
    forward, backward = Book(), Book()
    for first, last in zip(names, reversed(names), strict=True):
        forward = msgspec.structs.replace(forward, closed=forward.closed.set(first, 1), halts=forward.halts | {first})
        backward = msgspec.structs.replace(backward, closed=backward.closed.set(last, 1), halts=backward.halts | {last})
    assert encode(forward) == encode(backward)


@pytest.mark.parametrize("data", [b"", b"\xc1", encode(["a", "list"]), encode({"cash": "much"}), encode(BOOK)[:-3]])
def test_bytes_of_another_shape_are_named_unreadable(data: bytes) -> None:
    with pytest.raises(SnapshotUnreadable, match="no snapshot of Book"):
        decode(data, Book)


def test_a_value_without_a_form_is_refused_with_the_place_to_add_it() -> None:
    with pytest.raises(NoForm, match=r"domain/kernel/snapshots\.py"):
        encode(object())


class _Inner(msgspec.Struct):
    size: int


class _State(msgspec.Struct):
    inner: Map[str, _Inner]


def _shapes() -> list[type]:
    renamed = msgspec.defstruct("_State", [("other", Map[str, _Inner])])
    retyped = msgspec.defstruct("_State", [("inner", Map[str, int])])
    longer = msgspec.defstruct("_State", [("inner", Map[str, _Inner]), ("more", int, 0)])
    deeper = msgspec.defstruct("_State", [("inner", Map[str, msgspec.defstruct("_Inner", [("size", str)])])])  # type: ignore[misc]  # a type made at run time
    optional = msgspec.defstruct("_State", [("inner", Map[str, _Inner] | None)])

    class Revised(_State):
        revision: ClassVar[int] = 2

    return [renamed, retyped, longer, deeper, optional, Revised]


@pytest.mark.parametrize("other", _shapes())
def test_every_change_of_shape_changes_the_schema(other: type) -> None:
    assert state_schema(other) != state_schema(_State)


def test_schema_and_bytes_are_the_same_in_every_process() -> None:
    program = (
        "from tests.domain.kernel.test_snapshots import BOOK; from domain.kernel.snapshots import *;"
        "print(state_schema(type(BOOK)), encode(BOOK).hex())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert said == {f"{state_schema(Book)} {encode(BOOK).hex()}\n".encode()}
