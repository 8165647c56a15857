"""Figures from the probes of real processes' metrics: Prometheus' own arithmetic, and no process waited for."""

import math

import pytest

from deploy.local import ports
from infra import probes, telemetry
from infra.probes import Probes, quantile


@pytest.mark.parametrize(("q", "seconds"), [(0.45, 0.005), (0.9, 0.01), (0.95, 0.015), (1.0, 0.02)])
def test_a_quantile_lies_evenly_within_its_bucket(q: float, seconds: float) -> None:
    assert quantile(q, {0.01: 90.0, 0.02: 100.0, math.inf: 100.0}) == pytest.approx(seconds)


def test_beyond_the_last_bound_is_the_last_bound() -> None:
    assert quantile(0.99, {5.0: 1.0, math.inf: 100.0}) == 5.0


def test_no_observations_have_no_quantile() -> None:
    assert quantile(0.5, {}) is None
    assert quantile(0.5, {0.01: 0.0, math.inf: 0.0}) is None


async def test_reads_lags_answers_and_readiness_from_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "LOOK_EVERY_S", -1.0)
    port = ports.one()
    runner = await telemetry.serve_probes(port, lambda: (False, "catching up"))
    assert runner is not None
    try:
        telemetry.LAG.labels("a reader of this test", "orders.events").set(17)
        looking = Probes(f"mine=127.0.0.1:{port},gone=127.0.0.1:{ports.one()}")
        first = await looking.look()
        told = {process.name: (process.is_ready, process.why) for process in first.processes}
        assert told["mine"] == (False, "catching up")
        assert told["gone"][0] is False
        assert "does not answer" in told["gone"][1]
        assert [each.records for each in first.readers if each.reader == "a reader of this test"] == [17]
        for _ in range(100):
            telemetry.ACKNOWLEDGE_SECONDS.labels("of this test").observe(0.004)
        second = await looking.look()
        assert second.acknowledged.p50_ms is not None
        assert 3.0 < second.acknowledged.p50_ms <= second.acknowledged.p99_ms <= 5.0  # type: ignore[operator]  # both or none
        assert second.acknowledged.per_second > 0
    finally:
        await runner.cleanup()


async def test_whoever_looks_at_once_gets_one_answer() -> None:
    looking = Probes("")
    assert await looking.look() is await looking.look()
