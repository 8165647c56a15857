"""A real receiver of traces (Rotel, an OpenTelemetry collector in a wheel) and what it says it received."""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import msgspec

from deploy.local import children, ports

READY_S = 20.0
"""Longest start of the receiver on a busy machine."""


class ReceivedSpan(msgspec.Struct, kw_only=True):
    """One span as the receiver decoded it."""

    service: str
    trace_id: str = ""
    parent_id: str = ""
    span_id: str = ""
    name: str = ""
    kind: str = ""
    attributes: dict[str, str] = {}


class Receiver:
    """A collector on a free port that writes down every span it is given."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "receiver.log"
        self._folder = folder
        self.port = ports.one()
        self.url = f"http://127.0.0.1:{self.port}"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it listens."""
        program = str(files("rotel").joinpath("rotel-agent"))
        names = {"--pid-file": "receiver.pid", "--log-file": "receiver.out"}
        argv = [program, "start", "--exporter", "blackhole", "--debug-log", "traces"]
        argv += ["--debug-log-verbosity", "detailed", "--otlp-http-endpoint", f"127.0.0.1:{self.port}"]
        argv += ["--otlp-grpc-endpoint", f"127.0.0.1:{ports.one()}"]
        argv += [part for option, name in names.items() for part in (option, str(self._folder / name))]
        self._child = children.spawn(argv, log=self._log)
        child = self._child
        children.await_ready(
            child, lambda: children.owns(child.pid, self.port), name="receiver", log=self._log, limit_s=READY_S
        )

    def stop(self) -> None:
        """End it."""
        if self._child is not None:
            children.kill(self._child)

    def spans(self) -> list[ReceivedSpan]:
        """Every span so far."""
        return list(_spans(self._log.read_text(errors="replace").splitlines()))

    async def trace(self, trace_id: str, *names: str) -> list[ReceivedSpan]:
        """The spans of one trace, once it has all of these."""
        found: list[ReceivedSpan] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                while not set(names) <= {span.name for span in found}:
                    await asyncio.sleep(0.1)
                    found = [span for span in self.spans() if span.trace_id == trace_id]
        await asyncio.sleep(0.1)  # The attributes of the last one may still be on their way to the log.
        found = [span for span in self.spans() if span.trace_id == trace_id]
        missing = set(names) - {span.name for span in found}
        assert not missing, f"the receiver has not seen {sorted(missing)}, only {sorted({each.name for each in found})}"
        return found


def _spans(lines: list[str]) -> Iterator[ReceivedSpan]:
    """What its log shows of each span."""
    service = ""
    span: ReceivedSpan | None = None
    for line in lines:
        label, _, value = line.partition(":")
        label, value = label.strip(), value.strip()
        match label:
            case "-> service.name":  # Of a resource, with which its spans begin.
                service = value.removeprefix("Str(").removesuffix(")")
            case "Trace ID":
                if span:
                    yield span
                span = ReceivedSpan(service=service, trace_id=value)
            case "Parent ID" if span:
                span.parent_id = value
            case "ID" if span:
                span.span_id = value
            case "Name" if span:
                span.name = value
            case "Kind" if span:
                span.kind = value
            case _ if span and label.startswith("-> "):
                span.attributes[label[3:]] = value.partition("(")[2].removesuffix(")")
    if span:
        yield span
