"""Spans -> an OTLP/HTTP receiver, in batches from a thread of their own: the one place that knows OpenTelemetry.

A receiver that is away or slow costs spans, never requests: the queue has an end, and what does not fit is dropped and
counted.
"""

import math
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from infra.telemetry import SPANS
from infra.tracing import Kind

QUEUE_SPANS_MAX = 8_192
"""Spans that wait for the exporter: some megabytes, eight seconds of a thousand orders a second in one process."""
BATCH_SPANS_MAX = 512
"""Spans of one request to the receiver."""
EXPORT_EVERY_MS = 500
"""Longest wait of a span that is over; a trace is whole about a second after its last step."""
EXPORT_SECONDS_MAX = 2.0
"""How long a receiver may take for one batch, tries included; it also bounds the end of a process."""
PATH = "/v1/traces"
_HEADER = "traceparent"
_PROPAGATOR = TraceContextTextMapPropagator()
_KINDS = {kind: SpanKind[kind.value] for kind in Kind}


class Exported:
    """Begins spans of one process and sends those that are sampled: all, unless the caller's header says not to."""

    def __init__(self, process: str, url: str) -> None:
        self._exporter = _Counted(OTLPSpanExporter(url.rstrip("/") + PATH, timeout=EXPORT_SECONDS_MAX))
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": f"tapeline-{process}", "service.namespace": "tapeline"}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=QUEUE_SPANS_MAX,
                max_export_batch_size=BATCH_SPANS_MAX,
                schedule_delay_millis=EXPORT_EVERY_MS,
                export_timeout_millis=EXPORT_SECONDS_MAX * 1_000,
            )
        )
        self._tracer = self._provider.get_tracer("tapeline")

    def begin(
        self, name: str, parent: str, kind: Kind, began_ns: int | None, attributes: Mapping[str, str | int]
    ) -> "OtlpSpan":
        """A span that has begun, now or at this wall time."""
        # Given explicitly, never taken from a context variable: what a span belongs to is what its header says.
        context = _PROPAGATOR.extract({_HEADER: parent}, context=Context()) if parent else Context()
        named = {f"tapeline.{key}": value for key, value in attributes.items()}
        return OtlpSpan(
            self._tracer.start_span(name, context=context, kind=_KINDS[kind], attributes=named, start_time=began_ns)
        )

    def close(self) -> None:
        """Send what is waiting, for as long as one batch may take; the rest is lost."""
        self._exporter.ends_at = time.monotonic() + EXPORT_SECONDS_MAX
        self._provider.shutdown()


class OtlpSpan:
    """A span of OpenTelemetry under the port's small interface."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, context=trace.set_span_in_context(span, Context()))
        self.traceparent = carrier.get(_HEADER, "")

    def note(self, **attributes: str | int) -> None:
        """Say more of it."""
        self._span.set_attributes({f"tapeline.{key}": value for key, value in attributes.items()})

    def end(self) -> None:
        """It is over."""
        self._span.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, what: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._span.set_status(Status(StatusCode.ERROR, kind.__name__))
        self._span.end()


class _Counted(SpanExporter):
    """Counts what the receiver took and what it did not."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.ends_at = math.inf

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """One batch, unless the process has waited long enough for its end."""
        is_late = time.monotonic() > self.ends_at
        result = SpanExportResult.FAILURE if is_late else self._exporter.export(spans)
        SPANS.labels("sent" if result is SpanExportResult.SUCCESS else "lost").inc(len(spans))
        return result

    def shutdown(self) -> None:
        """No more."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """What was given is sent already."""
        return self._exporter.force_flush(timeout_millis)
