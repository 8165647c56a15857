"""Traces cost nothing where nobody asked for them, and a receiver that is away costs spans alone."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from deploy.local import ports
from infra import otlp, tracing
from infra.tracing import NOTHING, Kind

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OFF = """
import sys
import main
from infra import tracing
tracing.configure("gateway", "")
assert not tracing.is_on()
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


@pytest.fixture
def traced() -> Iterator[None]:
    """This process traces to an address where nobody listens."""
    tracing.configure("test", f"http://127.0.0.1:{ports.one()}")
    yield
    tracing.close()


def spans(outcome: str) -> float:
    return REGISTRY.get_sample_value("tapeline_spans_total", {"outcome": outcome}) or 0.0


def test_without_a_receiver_no_library_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_receiver_every_span_is_the_same_nothing() -> None:
    assert tracing.root("POST /", PARENT) is NOTHING
    assert tracing.child("decide", PARENT.encode()) is NOTHING
    with tracing.child("decide", PARENT) as span:
        assert span.traceparent == ""


@pytest.mark.usefixtures("traced")
def test_what_nobody_traced_is_not_traced_further() -> None:
    assert tracing.child("decide", b"") is NOTHING
    assert tracing.child("decide", PARENT) is not NOTHING


@pytest.mark.usefixtures("traced")
def test_a_span_goes_on_with_the_trace_of_its_parent_under_its_own_id() -> None:
    with tracing.child("decide", PARENT.encode(), kind=Kind.CONSUMER) as span:
        version, trace, own, flags = span.traceparent.split("-")
    assert (version, trace, flags) == ("00", PARENT.split("-")[1], "01")
    assert own != PARENT.split("-")[2]


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("given", ["garbage", "00-0-0-01", "\udcff", b"\xff\xfe"])
def test_a_header_that_is_none_begins_a_trace_of_its_own(given: str | bytes) -> None:
    with tracing.child("decide", given) as span:
        assert len(span.traceparent) == len(PARENT)
        assert span.traceparent.split("-")[1] != PARENT.split("-")[1]


def test_a_receiver_that_is_away_costs_spans_and_a_bounded_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "QUEUE_SPANS_MAX", 600)
    monkeypatch.setattr(otlp, "EXPORT_SECONDS_MAX", 0.5)
    lost = spans("lost")
    tracing.configure("test", f"http://127.0.0.1:{ports.one()}")
    for _ in range(5_000):
        tracing.root("POST /", "").end()
    began = time.monotonic()
    tracing.close()
    assert time.monotonic() - began < 10  # A batch that is under way and one more; the rest is given up at once.
    assert spans("lost") > lost
    assert not tracing.is_on()
