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


Head = tuple[str, bytes, bytes, bytes, int, int, bytes, int, int, bytes]
"""The record's name, then the fields of `HEAD` in their order."""


class Schema(NamedTuple):
    """One published schema: the record's short name and its parsed text."""

    name: str
    parsed: Any


class Schemas:
    """Every schema that was ever locked."""

    def __init__(self, root: Path = PROJECT_SCHEMAS) -> None:
        self._by_id: dict[int, Schema] = {}
        self._events: dict[bytes, str] = {}
        """Names of the records whose head is where it is read, by their frames."""
        for line in (root / "ids.lock").read_text().splitlines():
            entry = json.loads(line)
            text = _stripped(json.loads((root / "published" / f"{entry['id']}.avsc").read_text()))
            name = entry["name"].rsplit(".", 1)[-1]
            self._by_id[entry["id"]] = Schema(name, fastavro.parse_schema(text))
            if _begins_with(text, HEAD):
                self._events[b"\0" + entry["id"].to_bytes(4)] = name

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

    def head(self, v: bytes) -> Head:
        """The head of an event. Raises Garbage.

        A length below 64 takes one byte, and all but strange texts are shorter: those are read on the spot.
        """
        name = self._events.get(v[:FRAME_BYTES])
        if name is None:
            raise Garbage(f"{v[:FRAME_BYTES].hex()} is no frame of an event")
        try:
            size, begin = _number(v, FRAME_BYTES) if (size := v[FRAME_BYTES]) > 127 else (size >> 1, FRAME_BYTES + 1)
            event_id = v[begin : (at := begin + size)]
            size, begin = _number(v, at) if (size := v[at]) > 127 else (size >> 1, at + 1)
            tenant = v[begin : (at := begin + size)]
            size, begin = _number(v, at) if (size := v[at]) > 127 else (size >> 1, at + 1)
            stream = v[begin : (at := begin + size)]
            version, at = _number(v, at)
            sequence, at = _number(v, at)
            size, begin = _number(v, at) if (size := v[at]) > 127 else (size >> 1, at + 1)
            previous = v[begin : (at := begin + size)]
            term, at = _number(v, at)
            position, at = _number(v, at)
            size, begin = _number(v, at) if (size := v[at]) > 127 else (size >> 1, at + 1)
        except IndexError as error:
            raise Garbage(f"{name}: cut off in its head") from error
        return name, event_id, tenant, stream, version, sequence, previous, term, position, v[begin : begin + size]

    def _schema(self, value: bytes) -> Schema:
        schema = self._by_id.get(int.from_bytes(value[1:5])) if len(value) > FRAME_BYTES and not value[0] else None
        if schema is None:
            raise Garbage(f"{value[:5].hex()} is no frame, or a schema that was never locked")
        return schema


def _number(v: bytes, at: int) -> tuple[int, int]:
    """A zigzag number and the place behind it."""
    raw = v[at]
    if raw > 127:
        raw &= 127
        shift = 7
        while (byte := v[at := at + 1]) > 127:
            raw |= (byte & 127) << shift
            shift += 7
        raw |= byte << shift
    return (~(raw >> 1) if raw & 1 else raw >> 1), at + 1


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


def text(raw: bytes) -> str:
    """The text of a head, which is kept as bytes; what a flipped bit made of it is shown as it is."""
    return raw.decode(errors="backslashreplace")


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
