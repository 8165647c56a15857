"""Record values -> what they say, by the published schema texts alone: Confluent's frame, then Avro over fastavro.

The head of an event, its `meta` up to the command's id, is read here byte by byte: it is all that most judgements need,
and ten million of them must be read in a minute.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import msgspec

PROJECT_SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"
FRAME_BYTES = 5
HEAD = ("event_id", "tenant", "stream_id", "version", "sequence", "previous", "term", "command_position", "command_id")
"""Fields of `meta` that `head` reads; the contract adds new ones behind them."""
COMMAND_HEAD = ("command_id", "tenant", "stream_id")


class Garbage(ValueError):
    """The bytes are no record of the contracts."""


class Head(NamedTuple):
    """Where an event stands and where it comes from."""

    kind: str
    event_id: bytes
    tenant: bytes
    stream: bytes
    version: int
    sequence: int
    previous: bytes
    term: int
    command_position: int
    command: bytes


class Schema(NamedTuple):
    """One published schema: the record's short name, its parsed text, and whether its head is where we expect it."""

    name: str
    parsed: Any
    has_head: bool


class Schemas:
    """Every schema that was ever locked."""

    def __init__(self, root: Path = PROJECT_SCHEMAS) -> None:
        self._by_id: dict[int, Schema] = {}
        for line in (root / "ids.lock").read_text().splitlines():
            entry = json.loads(line)
            text = _stripped(json.loads((root / "published" / f"{entry['id']}.avsc").read_text()))
            name = entry["name"].rsplit(".", 1)[-1]
            self._by_id[entry["id"]] = Schema(name, fastavro.parse_schema(text), _begins_with(text, HEAD))

    def name(self, value: bytes) -> str:
        """The name of the record. Raises Garbage."""
        return self._schema(value).name

    def read(self, value: bytes) -> tuple[str, dict[str, Any]]:
        """The name and the fields of a record. Raises Garbage."""
        schema = self._schema(value)
        body = io.BytesIO(value)
        body.seek(FRAME_BYTES)
        try:
            fields = fastavro.schemaless_reader(body, schema.parsed, None)
        except Exception as error:
            raise Garbage(f"{schema.name}: {error!r}") from error
        if body.read(1) or not isinstance(fields, dict):
            raise Garbage(f"{schema.name}: bytes are left over after the record")
        return schema.name, fields

    def head(self, value: bytes) -> Head:
        """The head of an event. Raises Garbage."""
        schema = self._by_id.get(int.from_bytes(value[1:5])) if value[:1] == b"\0" else None
        if schema is None or not schema.has_head:
            raise Garbage(f"{value[:5].hex()} is no frame of an event")
        try:
            return Head(schema.name, *_head(value))
        except IndexError as error:
            raise Garbage(f"{schema.name}: cut off in its head") from error

    def _schema(self, value: bytes) -> Schema:
        schema = self._by_id.get(int.from_bytes(value[1:5])) if len(value) > FRAME_BYTES and not value[0] else None
        if schema is None:
            raise Garbage(f"{value[:5].hex()} is no frame, or a schema that was never locked")
        return schema


def _head(v: bytes) -> tuple[bytes, bytes, bytes, int, int, bytes, int, int, bytes]:
    """Lengths below 64 take one byte and numbers few: each is read on the spot, the rest by `_number`."""
    at = FRAME_BYTES
    n, at = (v[at] >> 1, at + 1) if v[at] < 128 else _number(v, at)
    event_id = v[at : (at := at + n)]
    n, at = (v[at] >> 1, at + 1) if v[at] < 128 else _number(v, at)
    tenant = v[at : (at := at + n)]
    n, at = (v[at] >> 1, at + 1) if v[at] < 128 else _number(v, at)
    stream = v[at : (at := at + n)]
    version, at = _number(v, at)
    sequence, at = _number(v, at)
    n, at = (v[at] >> 1, at + 1) if v[at] < 128 else _number(v, at)
    previous = v[at : (at := at + n)]
    term, at = (v[at] >> 1, at + 1) if v[at] < 128 and not v[at] & 1 else _number(v, at)
    position, at = _number(v, at)
    n, at = (v[at] >> 1, at + 1) if v[at] < 128 else _number(v, at)
    return event_id, tenant, stream, version, sequence, previous, term, position, v[at : at + n]


def _number(v: bytes, at: int) -> tuple[int, int]:
    """A zigzag number and the place behind it."""
    byte = v[at]
    raw, shift = byte & 127, 7
    while byte > 127:
        at += 1
        byte = v[at]
        raw |= (byte & 127) << shift
        shift += 7
    return (raw >> 1) ^ -(raw & 1), at + 1


def command_of(value: bytes) -> tuple[bytes, bytes, bytes]:
    """Id, tenant and stream of a command: its contract begins with them. Raises Garbage."""
    found: list[bytes] = []
    at = FRAME_BYTES
    try:
        for _ in COMMAND_HEAD:
            n, at = _number(value, at)
            found.append(value[at : (at := at + n)])
    except IndexError as error:
        raise Garbage("a command cut off in its head") from error
    return found[0], found[1], found[2]


def headers_of(raw: msgspec.Raw) -> dict[str, bytes]:
    """The headers of a record."""
    return _headers(bytes(raw))


_headers: Callable[[bytes], dict[str, bytes]] = msgspec.json.Decoder(dict[str, bytes]).decode


def _stripped(node: Any) -> Any:
    """The text without logical types: numbers stay numbers."""
    if isinstance(node, dict):
        return {name: _stripped(value) for name, value in node.items() if name != "logicalType"}
    return [_stripped(each) for each in node] if isinstance(node, list) else node


def _begins_with(text: Any, names: tuple[str, ...]) -> bool:
    first = text["fields"][0] if text.get("fields") else {}
    meta = first.get("type") if first.get("name") == "meta" else None
    if not isinstance(meta, dict):
        return False
    return tuple(field["name"] for field in meta["fields"][: len(names)]) == names
