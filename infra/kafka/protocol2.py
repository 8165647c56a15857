"""Decided events -> the tape through a small transactional producer of our own: the first arm of the port.

It speaks Kafka's second transaction protocol: a Produce adds its partition by itself, an EndTxn answers with the next
epoch. A late copy of either carries an old epoch and is refused. No thread, no retry in the background, no timer: a
request is sent once and its answer is the end of it.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from infra.kafka import codes, fence
from infra.kafka.cluster import REQUEST_MS_MAX, Cluster, NoAnswer
from infra.kafka.protocol2_wire import CommitTxn, Produce, produce_outcome, record_batch
from infra.kafka.records import Outgoing
from infra.kafka.writer import Fenced, LawfulWriter, UnclearEnd

MARKERS_MS_MAX = 3_000  # With three ids in turn the markers of an id's last transaction are long written.
MARKERS_AGAIN_MS = 1  # Between two tries of a produce: nothing was appended, and markers take about that long.


class Protocol2Writer(LawfulWriter):
    """One connection to each broker it needs, three transactional ids with their epochs."""

    def __init__(self, bootstrap: str, topic: str, partition: int, security: Mapping[str, Any] | None = None) -> None:
        super().__init__(topic, partition)
        self._cluster = Cluster(bootstrap, f"{topic}-{partition}", security)
        self._epochs: dict[str, tuple[int, int]] = {}

    async def _take_over(self) -> None:
        self._epochs = await fence.take(self._cluster, self._topic, self._partition, self._ids)
        self._cluster.hold()

    async def _send(self, transactional_id: str, records: Sequence[Outgoing]) -> int:
        """CONCURRENT_TRANSACTIONS is the one answer after which we send again: it says that nothing was appended."""
        if not self._cluster.is_whole():
            await fence.go_on(self._cluster, self._topic, self._partition, self._ids)
            self._cluster.hold()
        batch = record_batch(records, *self._epochs[transactional_id])
        request = Produce(transactional_id, self._topic, self._partition, batch, REQUEST_MS_MAX)
        until = time.monotonic() + MARKERS_MS_MAX / 1000
        while True:
            try:
                answer = await self._cluster.ask_leader(self._topic, self._partition, request)
            except NoAnswer as silence:
                raise UnclearEnd(f"{self._name()}: records: {silence}; take over") from silence
            code, base_offset, message = produce_outcome(answer)
            if code != codes.CONCURRENT_TRANSACTIONS or time.monotonic() > until:
                break
            await asyncio.sleep(MARKERS_AGAIN_MS / 1000)
        self._judge("records", code, message)
        if base_offset < 0:
            raise UnclearEnd(f"{self._name()}: records accepted without a place on the log; take over")
        return base_offset

    async def _end(self, transactional_id: str) -> None:
        request = CommitTxn(transactional_id, *self._epochs[transactional_id])
        try:
            answer = await self._cluster.ask_coordinator(transactional_id, request)
        except NoAnswer as silence:
            raise UnclearEnd(f"{self._name()}: end: {silence}; take over") from silence
        self._judge("end", answer.error_code, "")
        self._epochs[transactional_id] = (answer.producer_id, answer.producer_epoch)

    async def _close(self) -> None:
        await self._cluster.close()

    def _judge(self, step: str, code: int, message: str) -> None:
        """Good, fenced or unclear. A leader or coordinator that moved is unclear too: a take-over looks anew."""
        if code in codes.FENCED:
            raise Fenced(f"{self._name()}: {step}: Kafka error {code}; a later owner is at work, end this process")
        if code != codes.NONE:
            raise UnclearEnd(f"{self._name()}: {step}: Kafka error {code} {message}; take over")
