"""Spans of one request on its way over the tape, joined by the `traceparent` header that travels with every record.

Off unless `configure` was given the address of an OTLP receiver: then no library of OpenTelemetry is loaded, and a span
is one shared object that does nothing. No record's value ever depends on it; only headers do.
"""

from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self


class Kind(StrEnum):
    """What a span is on the road, in OpenTelemetry's words."""

    SERVER = "SERVER"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


class Span(Protocol):
    """One piece of the way. `traceparent` is what its children name as their parent; empty when nothing is traced."""

    traceparent: str

    def note(self, **attributes: str | int) -> None:
        """Say more of it."""
        ...

    def end(self) -> None:
        """It is over; a span used with `with` ends by itself."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, what: BaseException | None, at: TracebackType | None
    ) -> None: ...


class Tracer(Protocol):
    """What begins spans: `infra/otlp.py`, or nothing."""

    def begin(self, name: str, parent: str, kind: Kind, began_ns: int | None, attributes: dict[str, str | int]) -> Span:
        """A span that has begun, now or at this wall time."""
        ...

    def close(self) -> None:
        """Send what is waiting, no longer than its own limit."""
        ...


class _Nothing:
    """The span of a process that traces nothing."""

    traceparent = ""

    def note(self, **attributes: str | int) -> None:
        pass

    def end(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, what: BaseException | None, at: TracebackType | None) -> None:
        pass


NOTHING: Span = _Nothing()
_tracer: Tracer | None = None


def configure(process: str, url: str) -> None:
    """Trace this process to that receiver; an empty address changes nothing."""
    global _tracer
    if url:
        from infra import otlp  # noqa: PLC0415  Loaded where it is asked for: it costs a tenth of a second.

        _tracer = otlp.Exported(process, url)


def close() -> None:
    """Send what is waiting and trace no more."""
    global _tracer
    tracer, _tracer = _tracer, None
    if tracer is not None:
        tracer.close()


def is_on() -> bool:
    """Whether anything is traced: a loop asks it once a batch."""
    return _tracer is not None


def root(name: str, parent: str, *, kind: Kind = Kind.SERVER, **attributes: str | int) -> Span:
    """A span at a door: a child where the caller sent a trace along, else the first of a new one."""
    return NOTHING if _tracer is None else _tracer.begin(name, parent, kind, None, attributes)


def child(
    name: str,
    parent: bytes | str,
    *,
    kind: Kind = Kind.INTERNAL,
    began_ns: int | None = None,
    **attributes: str | int,
) -> Span:
    """A span below the one that a header names; without a header nothing: what nobody asked about is not traced."""
    if _tracer is None or not parent:
        return NOTHING
    named = parent.decode("ascii", "replace") if isinstance(parent, bytes) else parent
    return _tracer.begin(name, named, kind, began_ns, attributes)
