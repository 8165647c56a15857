"""Decimal text of a request -> exact integers. A JSON number is refused: what is read as a float is already rounded."""

import re
from typing import Annotated, TypeAlias

from pydantic import PlainValidator
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from domain.kernel.money import BasisPoints, Money, Price, Quantity, parse_money, parse_price, parse_quantity

DIGITS_MAX = 18
"""Digits before the point: more than any amount that can be held."""
PLACES_READ_MAX = 30
"""Digits after the point that are looked at to say that they are too many."""
_PLAIN = re.compile(rf"-?[0-9]{{1,{DIGITS_MAX}}}(\.([0-9]{{1,{PLACES_READ_MAX}}}))?")


def _exactly(value: object, *, places: int) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("decimal_text", "must be a decimal number written as text, such as '101.25'")
    match = _PLAIN.fullmatch(value)
    if match is None:
        raise ValueError("must be a plain decimal number, such as '101.25'")
    if len((match[2] or "").rstrip("0")) > places:
        raise ValueError(f"must have at most {places} decimal places")
    return value


def _price(value: object) -> Price:
    return parse_price(_exactly(value, places=8))


def _quantity(value: object) -> Quantity:
    return parse_quantity(_exactly(value, places=8))


def _money(value: object) -> Money:
    return parse_money(_exactly(value, places=2))


def _money_or_zero(value: object) -> Money:
    text = _exactly(value, places=2)
    if not text.strip("0."):
        return Money(0)
    return parse_money(text)


def _price_or_zero(value: object) -> Price:
    text = _exactly(value, places=8)
    return parse_price(text) if text.strip("0.") else Price(0)


def _basis_points(value: object) -> BasisPoints:
    return BasisPoints(_price_or_zero(value))


def _schema(places: int, example: str, what: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^[0-9]{{1,{DIGITS_MAX}}}(\.[0-9]{{1,{places}}})?$",
            "examples": [example],
            "description": what,
        }
    )


PriceText: TypeAlias = Annotated[Price, PlainValidator(_price), _schema(8, "101.25", "A price, as decimal text.")]
QuantityText: TypeAlias = Annotated[
    Quantity, PlainValidator(_quantity), _schema(8, "10", "A number of shares, as decimal text.")
]
MoneyText: TypeAlias = Annotated[Money, PlainValidator(_money), _schema(2, "2500.00", "Cash, as decimal text.")]
LimitText: TypeAlias = Annotated[
    Money, PlainValidator(_money_or_zero), _schema(2, "100000.00", "A limit in cash, as decimal text; zero is allowed.")
]
RateText: TypeAlias = Annotated[
    Price,
    PlainValidator(_price_or_zero),
    _schema(8, "0.005", "A price of one share, as decimal text; zero is allowed."),
]
BasisPointsText: TypeAlias = Annotated[
    BasisPoints, PlainValidator(_basis_points), _schema(8, "2.5", "Basis points, as decimal text; zero is allowed.")
]
