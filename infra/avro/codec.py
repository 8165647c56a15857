"""Messages to bytes and back: Avro in Confluent's frame (0, four bytes of schema id, record).

Schemas are read once at start-up, with the logical types stripped; fastavro reads by them, functions made from them
write. A reader takes every version that was ever locked: fields that came later have defaults in the message class.
"""

import hashlib
import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import fastavro
import msgspec
from fastavro.types import Schema as AvroSchema

from domain.kernel.messages import Command, Event, Issued, Observed, Recorded
from infra.avro import contracts, straightline

_FRAME = struct.Struct(">bI")
MAGIC = 0

O = TypeVar("O", bound=Observed)  # noqa: E741  (one letter like every type variable here)


class Undecodable(ValueError):
    """The bytes are no message of ours: `kind` says why in one word, for the dead-letter record."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Codec:
    """One codec for all messages of the system; safe to share."""

    def __init__(self, messages: Iterable[type], root: Path = contracts.SCHEMAS) -> None:
        classes = {contracts.name_of(message): message for message in messages}
        self._published: dict[int, tuple[type, contracts.Schema]] = {}
        self._newest: dict[type, int] = {}
        self._readers: dict[int, AvroSchema] = {}  # Each made when first used, as the writers are: 0.5 ms a schema.
        self._writers: dict[type, straightline.Write] = {}
        self._asked: dict[type, tuple[str, ...]] = {}
        for entry in contracts.locked(root):
            message = classes.get(entry.name)
            if message is None:
                continue
            text = contracts.published(entry, root)
            self._published[entry.id] = (message, text)
            self._newest[message] = entry.id
            self._asked[message] = tuple(
                field["name"] for field in text["fields"] if not field.get("edge") and field["name"] != "meta"
            )
        missing = sorted(contracts.name_of(message) for message in classes.values() if message not in self._newest)
        if missing:
            raise contracts.ContractError(f"not published: {', '.join(missing)}; run `tapeline schemas lock`")

    def encode_event(self, recorded: Recorded[Event]) -> bytes:
        """The record value of an event."""
        return self._writer(type(recorded.event))(recorded, recorded.event)

    def decode_event(self, value: bytes) -> Recorded[Event]:
        """The event in a record value; raises Undecodable."""
        message, payload = self._read(value, Event)
        meta = payload.pop("meta")
        return Recorded(event=_convert(message, payload), **meta)

    def encode_command(self, issued: Issued[Command]) -> bytes:
        """The record value of a command."""
        return self._writer(type(issued.command))(issued, issued.command)

    def decode_command(self, value: bytes) -> Issued[Command]:
        """The command in a record value; raises Undecodable."""
        message, payload = self._read(value, Command)
        meta = payload.pop("meta")
        for name in _CARRIED:
            payload[name] = meta.pop(name)
        return Issued(command=_convert(message, payload), **meta)

    def encode_observed(self, observed: Observed) -> bytes:
        """The record value of a feed's message."""
        return self._writer(type(observed))(None, observed)

    def decode_observed(self, value: bytes, kind: type[O]) -> O:
        """The feed message in a record value; raises Undecodable."""
        message, payload = self._read(value, kind)
        decoded = _convert(message, payload)
        assert isinstance(decoded, kind)
        return decoded

    def digest(self, issued: Issued[Command]) -> bytes:
        """SHA-256 of what was asked: name, stream and fields, less `at`, `actor` and what the edge filled in.

        The same request sent again has the same digest although the market has moved on.
        """
        command = issued.command
        payload = {name: getattr(command, name) for name in self._asked[type(command)]}
        asked = (contracts.name_of(type(command)), issued.tenant, issued.stream_id, payload)
        return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).digest()

    def _read(self, value: bytes, kind: type) -> tuple[type, dict[str, Any]]:
        if len(value) < _FRAME.size:
            raise Undecodable("TRUNCATED", f"{len(value)} bytes are less than a frame")
        magic, schema_id = _FRAME.unpack_from(value)
        if magic != MAGIC:
            raise Undecodable("NO_FRAME", f"first byte is {magic}, not {MAGIC}")
        if schema_id not in self._published:
            raise Undecodable("UNKNOWN_SCHEMA", f"schema id {schema_id} is not in schemas/ids.lock")
        message, text = self._published[schema_id]
        if not issubclass(message, kind):
            raise Undecodable("WRONG_TYPE", f"{message.__name__} is not a {kind.__name__}")
        schema = self._readers.get(schema_id)
        if schema is None:
            self._readers[schema_id] = schema = fastavro.parse_schema(contracts.stripped(text))
        body = io.BytesIO(value)
        body.seek(_FRAME.size)
        try:
            payload = fastavro.schemaless_reader(body, schema, None)
        except Exception as error:  # fastavro raises whatever its reader stumbles on: any of it means garbage
            raise Undecodable("GARBAGE", f"{message.__name__}: {error!r}") from error
        if body.tell() != len(value):
            raise Undecodable("GARBAGE", f"{message.__name__}: bytes are left over after the record")
        assert isinstance(payload, dict)
        return message, payload

    def _writer(self, message: type) -> straightline.Write:
        writer = self._writers.get(message)
        if writer is None:
            schema_id = self._newest[message]
            frame, (_, text) = _FRAME.pack(MAGIC, schema_id), self._published[schema_id]
            self._writers[message] = writer = straightline.writer(text, frame, _carried_by(message))
        return writer


_CARRIED = frozenset({"at", "actor"})
"""Fields of a command's envelope that the command carries, so that `decide` needs no envelope."""


def _carried_by(message: type) -> frozenset[str]:
    return _CARRIED if issubclass(message, Command) else frozenset()


def _convert(message: type, payload: dict[str, Any]) -> Any:
    try:
        return msgspec.convert(payload, message)
    except (msgspec.ValidationError, ValueError) as error:
        raise Undecodable("GARBAGE", f"{message.__name__}: {error}") from error
