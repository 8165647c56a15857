"""A running worker -> /metrics, /healthz, /readyz: ready is recovered, not rebalancing, and caught up.

How far behind a worker is shows in the consumer's position, not in what is committed: the committed offset stops at the
last record of ours, and transaction markers or aborted records may follow it for ever.
"""

from collections.abc import Iterable
from typing import Any

import faust
from aiohttp import web
from mode import Service

from infra import clock, telemetry
from infra.faust.agent import Agent

LAG_READY_MAX = 10_000  # A batch in work and one that waits, less than a second: beyond it what is told is old.
SILENT_MS_MAX = 10_000  # A fetch that finds nothing is answered in a tenth of a second.
MEASURE_SECONDS = 1.0


class Health(Service):
    """Started before the app, so that it answers while tables are recovered."""

    def __init__(self, app: faust.App, agents: Iterable[Agent[Any]], port: int) -> None:
        super().__init__()
        self._app: Any = app  # Its consumer is ours, with more to tell than Faust's interface has.
        self._sources = {source for agent in agents for source in agent.sources}
        self._port = port
        self._told_at_ms = 0
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Open the probes."""
        self._runner = await telemetry.serve_probes(self._port, self.ready)

    async def on_stop(self) -> None:
        """Close the probes."""
        if self._runner is not None:
            await self._runner.cleanup()

    def ready(self) -> tuple[bool, str]:
        """Whether what this worker knows is of now, and if not, why not."""
        app = self._app
        if not app.tables.actives_ready or app.in_recovery:
            return False, "tables are being recovered"
        if app.rebalancing:
            return False, "partitions are being moved"
        lag = self._lag()
        if lag is None:
            return False, "positions are not known yet"
        if clock.wall() // 1_000 - self._told_at_ms > SILENT_MS_MAX:
            return False, f"the broker has not answered for {SILENT_MS_MAX} ms"
        behind = sum(lag.values())
        return (True, "") if behind <= LAG_READY_MAX else (False, f"{behind} records behind")

    def _lag(self) -> dict[str, int] | None:
        """Records of each source that were not fetched, markers included, and those that are not done."""
        consumer = self._app.consumer._thread._consumer  # noqa: SLF001  # Faust tells the committed offset only.
        subscription = consumer._subscription.subscription if consumer else None  # noqa: SLF001
        if subscription is None or subscription.assignment is None:
            return None
        behind = {source: self._app.consumer.undone(source) for source in self._sources}
        if not subscription.assignment.tps:
            self._told_at_ms = clock.wall() // 1_000  # Nothing is ours, so nothing is fetched.
        for place in subscription.assignment.tps:
            if place.topic not in behind:
                continue
            state = subscription.assignment.state_value(place)
            if state is None or state._position is None or state.lso is None:  # noqa: SLF001
                return None
            self._told_at_ms = max(self._told_at_ms, state.timestamp or 0)
            behind[place.topic] += max(0, state.lso - state._position)  # noqa: SLF001
        return behind

    @Service.task
    async def _measure(self) -> None:
        while not self.should_stop:
            for topic, records in (self._lag() or {}).items():
                telemetry.LAG.labels("agents", topic).set(records)
            await self.sleep(MEASURE_SECONDS)
