"""Every event with all that it says: what its envelope claims, and what clients were told of it.

A client is told amounts as decimal text and times as ISO 8601; a number may be told in any of these forms, and in no
other value.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tests.faults.checker import ids
from tests.faults.checker.avro import headers_of
from tests.faults.checker.evidence import Answer
from tests.faults.checker.frames import Told
from tests.faults.checker.tape import OWNERSHIP, Event, Tape
from tests.faults.checker.verdict import Findings

Place = tuple[str, int, int]
OWNERS = "tapeline"
"""The tenant of the streams in which owners say that they took over."""


class Content:
    """Give it every event; `names` are then all ids that appear, with their tenants, if there are several."""

    def __init__(self, tape: Tape, told: Told, refusals: dict[Place, Answer], findings: Findings) -> None:
        tenants = {stream.tenant for partition in tape.partitions() for stream in partition.streams.values()}
        self._is_shared = len(tenants - {OWNERS}) > 1
        self.names: dict[str, str] = {}
        self._told = told
        self._refusals = refusals
        self._findings = findings
        self._recorded: dict[tuple[str, int], int] = {}

    def take(self, event: Event) -> None:
        """The next event."""
        meta, place = event.meta, (event.topic, event.partition, event.meta["sequence"])
        if meta["event_id"] != ids.event_id(*place):
            self._findings.add("chain", f"its id {meta['event_id']} is not that of its place", **event.place)
        if len(bytes(event.record.headers)) > len(b"{}"):
            self._headers(event)
        if meta["recorded_at"] < self._recorded.get(event[:2], 0):
            self._findings.add("reordered", "it was recorded before the event in front of it", **event.place)
        self._recorded[event[:2]] = meta["recorded_at"]
        if event.kind == OWNERSHIP:
            return
        if self._is_shared:
            self._name(event)
        refusal = self._refusals.get(place)
        if refusal is not None and refusal.reason and refusal.reason != event.says.get("reason"):
            says = f"{refusal.client} was told {refusal.reason}, {event.says.get('reason')} stands there"
            self._findings.add("never-written", says, **event.place)
        shown = self._told.events.get(place)
        if shown is not None:
            self._compare(event, shown)

    def _name(self, event: Event) -> None:
        meta = event.meta
        for name in (meta["stream_id"], meta["command_id"], meta["event_id"], *_ids(event.says)):
            if self.names.setdefault(name, meta["tenant"]) != meta["tenant"]:
                self.names[name] = ""  # Two tenants have it: it gives neither away.

    def _headers(self, event: Event) -> None:
        """What gateways match before they decode anything says the same as the event."""
        headers = headers_of(event.record.headers)
        for header, claimed in (("command-id", event.meta["command_id"].encode()), ("digest", event.meta["digest"])):
            if header in headers and headers[header] != claimed:
                self._findings.add("chain", f"its header {header} is of another command", **event.place)

    def _compare(self, event: Event, shown: dict[str, Any]) -> None:
        """What a client was told is what the event says."""
        meta = {name: event.meta[name] for name in ("event_id", "version", "command_id", "correlation_id")}
        meta |= {name: event.meta[name] for name in ("at", "recorded_at")}
        for name, value in {**meta, **event.says}.items():
            if not _is_told(value, shown.get(name)):
                says = f"{name} was told as {shown.get(name)!r}, the tape has {value!r}"
                self._findings.add("projection", says, **event.place)


def _is_told(value: Any, shown: Any) -> bool:
    if isinstance(value, dict) and isinstance(shown, dict):
        return all(_is_told(each, shown.get(name)) for name, each in value.items())
    if isinstance(value, list) and isinstance(shown, list):
        return len(value) == len(shown) and all(map(_is_told, value, shown))
    if isinstance(value, int) and not isinstance(value, bool):
        return shown == value or (isinstance(shown, str) and shown in _texts(value))
    return isinstance(value, bytes) or bool(value == shown)


def _texts(value: int) -> Iterable[str]:
    """A number as money, as a price or quantity, as a time, as it is."""
    yield str(value)
    sign, size = "-" * (value < 0), abs(value)
    yield f"{sign}{size // 100}.{size % 100:02d}"
    whole, rest = divmod(size, 10**8)
    places = f"{rest:08d}".rstrip("0")
    yield f"{sign}{whole}.{places}" if places else f"{sign}{whole}"
    yield f"{sign}{whole}.{places.ljust(2, '0')}"
    if value >= 0:
        seconds, micros = divmod(value, 1_000_000)
        try:
            yield f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"
        except (ValueError, OverflowError, OSError):
            return


def _ids(says: dict[str, Any]) -> Iterable[str]:
    return (value for name, value in says.items() if name.endswith("_id") and isinstance(value, str) and value)
