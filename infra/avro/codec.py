"""Messages to bytes and back: Avro in Confluent's frame (0, four bytes of schema id, record), over fastavro.

Schemas are read once at start-up; records are written and read with the logical types stripped. A reader takes every
version that was ever locked: fields that came later have defaults in the message class.
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
from infra.avro import contracts

_FRAME = struct.Struct(">bI")
MAGIC = 0

O = TypeVar("O", bound=Observed)  # noqa: E741  (one letter like every type variable here)


class Undecodable(ValueError):
    """The bytes are no message of ours: `kind` says why in one word, for the dead-letter record."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Codec:
    """One codec for all messages of the system; safe to share, since it holds nothing that changes."""

    def __init__(self, messages: Iterable[type], root: Path = contracts.SCHEMAS) -> None:
        classes = {contracts.name_of(message): message for message in messages}
        self._writers: dict[type, tuple[bytes, AvroSchema]] = {}
        self._readers: dict[int, tuple[type, AvroSchema]] = {}
        self._edge_fields: dict[type, frozenset[str]] = {}
        for entry in contracts.locked(root):
            message = classes.get(entry.name)
            if message is None:
                continue
            text = contracts.published(entry, root)
            schema = fastavro.parse_schema(contracts.stripped(text))
            self._readers[entry.id] = (message, schema)
            self._writers[message] = (_FRAME.pack(MAGIC, entry.id), schema)
            self._edge_fields[message] = frozenset(field["name"] for field in text["fields"] if field.get("edge"))
        missing = sorted(contracts.name_of(message) for message in classes.values() if message not in self._writers)
        if missing:
            raise contracts.ContractError(f"not published: {', '.join(missing)}; run `tapeline schemas lock`")

    def encode_event(self, recorded: Recorded[Event]) -> bytes:
        """The record value of an event."""
        payload = msgspec.to_builtins(recorded.event, builtin_types=(bytes,))
        payload["meta"] = {name: getattr(recorded, name) for name in _EVENT_META}
        return self._write(type(recorded.event), payload)

    def decode_event(self, value: bytes) -> Recorded[Event]:
        """The event in a record value; raises Undecodable."""
        message, payload = self._read(value, Event)
        meta = payload.pop("meta")
        return Recorded(event=_convert(message, payload), **meta)

    def encode_command(self, issued: Issued[Command]) -> bytes:
        """The record value of a command."""
        command = issued.command
        payload = msgspec.to_builtins(command, builtin_types=(bytes,))
        meta = {name: getattr(issued, name) for name in _COMMAND_META}
        meta["at"], meta["actor"] = payload.pop("at"), payload.pop("actor")
        payload["meta"] = meta
        return self._write(type(command), payload)

    def decode_command(self, value: bytes) -> Issued[Command]:
        """The command in a record value; raises Undecodable."""
        message, payload = self._read(value, Command)
        meta = payload.pop("meta")
        payload["at"], payload["actor"] = meta.pop("at"), meta.pop("actor")
        return Issued(command=_convert(message, payload), **meta)

    def encode_observed(self, observed: Observed) -> bytes:
        """The record value of a feed's message."""
        return self._write(type(observed), msgspec.to_builtins(observed, builtin_types=(bytes,)))

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
        payload = msgspec.to_builtins(command, builtin_types=(bytes,))
        for name in ("at", "actor", *self._edge_fields[type(command)]):
            payload.pop(name, None)
        asked = [contracts.name_of(type(command)), issued.tenant, issued.stream_id, payload]
        return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).digest()

    def _write(self, message: type, payload: dict[str, Any]) -> bytes:
        frame, schema = self._writers[message]
        out = io.BytesIO()
        out.write(frame)
        fastavro.schemaless_writer(out, schema, payload)
        return out.getvalue()

    def _read(self, value: bytes, kind: type) -> tuple[type, dict[str, Any]]:
        if len(value) < _FRAME.size:
            raise Undecodable("TRUNCATED", f"{len(value)} bytes are less than a frame")
        magic, schema_id = _FRAME.unpack_from(value)
        if magic != MAGIC:
            raise Undecodable("NO_FRAME", f"first byte is {magic}, not {MAGIC}")
        reader = self._readers.get(schema_id)
        if reader is None:
            raise Undecodable("UNKNOWN_SCHEMA", f"schema id {schema_id} is not in schemas/ids.lock")
        message, schema = reader
        if not issubclass(message, kind):
            raise Undecodable("WRONG_TYPE", f"{message.__name__} is not a {kind.__name__}")
        body = io.BytesIO(value)
        body.seek(_FRAME.size)
        try:
            payload = fastavro.schemaless_reader(body, schema, None)
        except Exception as error:  # fastavro raises whatever its reader stumbles on: any of it means garbage
            raise Undecodable("GARBAGE", f"{message.__name__}: {error!r}") from error
        if body.read(1):
            raise Undecodable("GARBAGE", f"{message.__name__}: bytes are left over after the record")
        assert isinstance(payload, dict)
        return message, payload


_EVENT_META = tuple(field for field in Recorded.__struct_fields__ if field != "event")
_COMMAND_META = tuple(field for field in Issued.__struct_fields__ if field != "command")


def _convert(message: type, payload: dict[str, Any]) -> Any:
    try:
        return msgspec.convert(payload, message)
    except (msgspec.ValidationError, ValueError) as error:
        raise Undecodable("GARBAGE", f"{message.__name__}: {error}") from error
