"""Transactional ids -> no earlier owner can write any more, and what it left open is ended. About 7 ms.

InitProducerId is repeated every few milliseconds by hand: librdkafka waits half a second between its tries.
"""

import asyncio
import time
from collections.abc import Sequence

from aiokafka.protocol.transaction import InitProducerIdRequest

from infra.kafka import codes
from infra.kafka.cluster import READ_COMMITTED, READ_UNCOMMITTED, Cluster, NoAnswer
from infra.kafka.writer import TRANSACTION_TIMEOUT_MS, UnclearEnd

FENCE_MS_MAX = 20_000  # Covers the restart of a broker; beyond it the take-over fails and its caller decides.
FENCE_AGAIN_MS = 3
QUIET_MS_MAX = 10_000  # Markers are written in milliseconds once the ids are fenced.
QUIET_AGAIN_MS = 1

_WAIT = {codes.CONCURRENT_TRANSACTIONS, codes.COORDINATOR_LOADING}  # The first: the old transaction is being ended.
_MOVED = {codes.COORDINATOR_NOT_AVAILABLE, codes.NOT_COORDINATOR}


async def fence(cluster: Cluster, transactional_id: str) -> tuple[int, int]:
    """Take the id from whoever had it; its open transaction is aborted. Returns producer id and epoch."""
    request = InitProducerIdRequest(transactional_id, TRANSACTION_TIMEOUT_MS)
    until = time.monotonic() + FENCE_MS_MAX / 1000
    last = "no answer yet"
    while time.monotonic() < until:
        try:
            answer = await cluster.ask_coordinator(transactional_id, request)
        except NoAnswer as silence:
            last = str(silence)
            cluster.forget()
        else:
            if answer.error_code == codes.NONE:
                return int(answer.producer_id), int(answer.producer_epoch)
            last = f"Kafka error {answer.error_code}"
            if answer.error_code in _MOVED:
                cluster.forget()
            elif answer.error_code not in _WAIT:
                break
        await asyncio.sleep(FENCE_AGAIN_MS / 1000)
    raise UnclearEnd(f"transactional id {transactional_id} was not fenced: {last}; take over again")


async def fence_all(cluster: Cluster, transactional_ids: Sequence[str]) -> list[tuple[int, int]]:
    """Fence every id at once; an id left out could still commit behind the new owner's back."""
    return list(await asyncio.gather(*(fence(cluster, each) for each in transactional_ids)))


async def wait_until_quiet(cluster: Cluster, topic: str, partition: int) -> int:
    """Wait until nothing of the partition is undecided any more, and give its end."""
    until = time.monotonic() + QUIET_MS_MAX / 1000
    stable = end = -1
    while time.monotonic() < until:
        try:
            end = await cluster.end_of(topic, partition, READ_UNCOMMITTED)
            stable = await cluster.end_of(topic, partition, READ_COMMITTED)
        except NoAnswer:
            cluster.forget()
        else:
            if stable >= end:
                return end
        await asyncio.sleep(QUIET_AGAIN_MS / 1000)
    raise UnclearEnd(
        f"{topic}[{partition}]: last stable offset {stable} stayed below the end {end} for {QUIET_MS_MAX} ms; "
        "is another transactional id writing to it? Take over again"
    )
