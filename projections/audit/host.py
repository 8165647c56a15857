"""The process `audit`: opens the audit's files and the tape, and grows the forest until it is told to stop."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from domain.kernel.messages import Recorded
from infra import audit_key, telemetry
from infra.audit_files import AuditWriter
from infra.clock import Clock
from infra.kafka.chain import ChainBroken
from infra.kafka.reader import Reader
from projections.audit import forest
from projections.audit.forest import Forest, Progress


class Audit:
    """One process at a time may be it; the lock on its files says so to a second one."""

    def __init__(
        self,
        topics: Iterable[str],
        decode: Callable[[bytes], Recorded[Any]],
        reader: Reader,
        clock: Clock,
        state_dir: Path,
    ) -> None:
        """`topics` are every `*.events` and `executions.messages`; `decode` is the codec's `decode_event`."""
        self._topics = tuple(topics)
        self._decode = decode
        self._reader = reader
        self._clock = clock
        self._state_dir = state_dir
        self._progress: Progress | None = None

    def ready(self) -> tuple[bool, str]:
        """Whether every record that was there at the last look is in its tree."""
        return self._progress.ready() if self._progress else (False, "the trees are not opened yet")

    async def run(self, stop: asyncio.Event) -> None:
        """Fold and sign until told to stop."""
        try:
            with AuditWriter(self._state_dir, audit_key.signer(self._state_dir)) as files:
                partitions = await forest.partitions_of(self._reader, self._topics)
                trees = await asyncio.to_thread(Forest, files, partitions, self._decode)
                await forest.run(trees, self._reader, clock=self._clock, stopping=stop, report=self._report)
        except ChainBroken:
            telemetry.CHAIN_BREAKS.labels("audit").inc()
            raise
        finally:
            await self._reader.close()

    def _report(self, progress: Progress) -> None:
        self._progress = progress
        for topic, lag in progress.lag.items():
            telemetry.LAG.labels("audit", topic).set(lag)
        telemetry.AUDIT_LEAVES.set(sum(progress.sizes.values()))
