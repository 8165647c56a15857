"""Messages -> Parquet files of exact columns: decimals of a stated scale, times in UTC, nothing rounded.

A column's type follows from the annotation of its field, as it does at every door. The bytes of a file follow from its
rows alone: compression, row groups and metadata hold no clock, so the same rows give the same file.
"""

import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, NewType, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from domain.kernel.ids import Micros
from domain.kernel.messages import Recorded
from domain.kernel.money import BasisPoints, Money, Price, Quantity
from infra.files import DRAFT

DIGITS_MAX = 19
"""Digits of the largest long that Avro holds."""
PLACES: dict[Any, int] = {Price: 8, Quantity: 8, BasisPoints: 8, Money: 2}
"""Decimal places of the integers on the tape, by their type."""
ZSTD_LEVEL = 3
_PLAIN: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), bytes: pa.binary()}

_Told: TypeAlias = Callable[[Any], Any]


class Column(NamedTuple):
    """A column's type, and how a value of the domain becomes one of it."""

    type: pa.DataType
    told: _Told


class Shape(NamedTuple):
    """The columns of a message: its place or envelope first, then its own fields by name."""

    schema: pa.Schema
    told: tuple[tuple[str, _Told], ...]


def shape_of(message: type, *, is_event: bool) -> Shape:
    """The columns of this message: `meta` holds an event's envelope, `tape_offset` the place of anything else."""
    hints = get_type_hints(message)
    columns = {name: column(hints[name]) for name in message.__struct_fields__}  # type: ignore[attr-defined]  # a Struct
    first = pa.field("meta", _META.type) if is_event else pa.field("tape_offset", pa.int64())
    schema = pa.schema([first, *(pa.field(name, each.type) for name, each in columns.items())])
    return Shape(schema, tuple((name, each.told) for name, each in columns.items()))


def event_row(shape: Shape, recorded: Recorded[Any]) -> dict[str, Any]:
    """The event as a row."""
    return {"meta": _META.told(recorded), **{name: told(getattr(recorded.event, name)) for name, told in shape.told}}


def feed_row(shape: Shape, message: msgspec.Struct, offset: int) -> dict[str, Any]:
    """What a feed said, as a row."""
    return {"tape_offset": offset, **{name: told(getattr(message, name)) for name, told in shape.told}}


def column(kind: Any) -> Column:
    """The column of a type as annotations name it."""
    if kind in PLACES:
        places = PLACES[kind]
        return Column(pa.decimal128(DIGITS_MAX, places), lambda value: Decimal(value).scaleb(-places))
    if kind is Micros:
        return Column(pa.timestamp("us", tz="UTC"), _same)
    if isinstance(kind, NewType):
        return column(kind.__supertype__)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Column(pa.string(), lambda member: member.value)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(kind, kind.__struct_fields__)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = column(next(arg for arg in args if arg is not type(None)))
        return Column(inner.type, lambda value: None if value is None else inner.told(value))
    if origin in (list, tuple):
        item = column(args[0])
        return Column(pa.list_(item.type), lambda values: [item.told(value) for value in values])
    if origin is dict:
        value_of = column(args[1])
        return Column(
            pa.map_(pa.string(), value_of.type),
            lambda values: [(name, value_of.told(value)) for name, value in sorted(values.items())],
        )
    return Column(_PLAIN[kind], _same)


def _struct(kind: type, names: tuple[str, ...]) -> Column:
    hints = get_type_hints(kind)
    columns = {name: column(hints[name]) for name in names}
    made = pa.struct([pa.field(name, each.type) for name, each in columns.items()])
    return Column(made, lambda value: {name: each.told(getattr(value, name)) for name, each in columns.items()})


def _same(value: Any) -> Any:
    return value


_META = _struct(Recorded, tuple(name for name in Recorded.__struct_fields__ if name != "event"))


class File:
    """One file under way: row groups go to a draft beside it, `finish` gives it its name."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self._schema = schema
        self._draft = path.with_name(f"{path.name}{DRAFT}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(
            self._draft, schema, compression="zstd", compression_level=ZSTD_LEVEL, version="2.6"
        )

    def write(self, rows: list[dict[str, Any]]) -> None:
        """One row group."""
        self._writer.write_table(pa.Table.from_pylist(rows, schema=self._schema))

    def finish(self, told: Mapping[str, str]) -> None:
        """Say in the file what it was made from, and give it its name."""
        self._writer.add_key_value_metadata(dict(told))
        self._writer.close()
        self._draft.replace(self.path)

    def drop(self) -> None:
        """Leave nothing of it."""
        self._writer.close()
        self._draft.unlink(missing_ok=True)
