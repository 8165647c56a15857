"""What customers saw, counted: acknowledgements with their latencies, refusals, and every answer that must be kept."""

from collections import Counter

from hdrh.histogram import HdrHistogram

LATENCY_US_MAX = 60_000_000
"""Largest latency the histogram tells apart: a minute, longer than any wait of a client."""
SIGNIFICANT_DIGITS = 3


class Numbers:
    """Shared by all customers of one demo; everything runs on one loop."""

    def __init__(self) -> None:
        self.acknowledged: list[tuple[str, str, str]] = []
        """Account, route and tape position of every command that was answered with success."""
        self.answers: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.orders = 0
        self.frames = 0
        self._latency_us = HdrHistogram(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)

    def answered(self, account: str, route: str, status: int, position: str, took_us: int) -> None:
        """Count one answer to a command."""
        self.answers[f"{status // 100}xx"] += 1
        self._latency_us.record_value(max(1, took_us))
        if status in {200, 201} and position:
            self.acknowledged.append((account, route, position))

    def refused(self, reason: str) -> None:
        """Count one refusal."""
        self.refusals[reason] += 1

    def latency_ms(self, percentile: str) -> str:
        """A percentile of POST to answer, in milliseconds with one place."""
        tenths = self._latency_us.get_value_at_percentile({"p50": 50, "p90": 90, "p99": 99}[percentile]) // 100
        return f"{tenths // 10}.{tenths % 10}"
