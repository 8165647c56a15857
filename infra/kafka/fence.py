"""A partition -> ours: no earlier owner can write any more, what it left open is ended, the end is known. About 7 ms.

InitProducerId is repeated every few milliseconds by hand: librdkafka waits half a second between its tries.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from aiokafka.protocol.transaction import InitProducerIdRequest

from infra.kafka import codes
from infra.kafka.cluster import READ_COMMITTED, READ_UNCOMMITTED, Cluster, NoAnswer
from infra.kafka.hanging import abort_hanging
from infra.kafka.writer import TRANSACTION_TIMEOUT_MS, UnclearEnd
from infra.settings import TAKE_OVER_TIMEOUT_MS

AGAIN_MS = 3  # Between two tries of the fence: markers of a small transaction are written in about two.
HANGING_MS = 500  # After a fence the markers are written; what stays open longer, its coordinator has forgotten.
GO_ON_MS_MAX = 1_000  # A broker that is well answers in a few; a restart is for the take-over, which waits longer.

_WAIT = {codes.CONCURRENT_TRANSACTIONS, codes.COORDINATOR_LOADING}  # The first: the old transaction is being ended.
_MOVED = {codes.COORDINATOR_NOT_AVAILABLE, codes.NOT_COORDINATOR}


async def take(
    cluster: Cluster, topic: str, partition: int, transactional_ids: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Fence every id, then wait until nothing is undecided. Producer id and epoch of each transactional id."""
    doing = "looking for the brokers"
    try:
        async with asyncio.timeout(TAKE_OVER_TIMEOUT_MS / 1000):
            while True:
                cluster.forget()
                try:
                    for each in transactional_ids:
                        await cluster.know(topic, partition, each)
                    # A connection lost from here on ends this round: a broker that was stopped has forgotten markers,
                    # and what hangs is aborted only by whoever has fenced every id since.
                    cluster.hold()
                    doing = "fencing"
                    # The first id decides between two who take over at once: whoever fenced it last writes first with
                    # it, and the other's first batch is refused. Were all fenced side by side, each could keep one.
                    first = await fence(cluster, transactional_ids[0])
                    fenced = [first, *await asyncio.gather(*(fence(cluster, each) for each in transactional_ids[1:]))]
                    doing = "waiting until the last stable offset is the end; does a stranger write here?"
                    await until_quiet(cluster, topic, partition, dict(fenced))
                except NoAnswer as silence:
                    doing = str(silence)
                    await asyncio.sleep(AGAIN_MS / 1000)
                else:
                    return dict(zip(transactional_ids, fenced, strict=True))
    except TimeoutError as late:
        raise UnclearEnd(
            f"{topic}[{partition}]: not ours after {TAKE_OVER_TIMEOUT_MS} ms ({doing}); take over again"
        ) from late


async def go_on(cluster: Cluster, topic: str, partition: int, transactional_ids: Sequence[str]) -> None:
    """Connect again after a loss between two batches, if the last one stands; UnclearEnd if not.

    A broker that found us idle has hung up, and nothing is wrong. A broker that was stopped may have lost the marker of
    the last end: then nothing must be written behind it.
    """
    cluster.forget()
    try:
        async with asyncio.timeout(GO_ON_MS_MAX / 1000):
            for each in transactional_ids:
                await cluster.know(topic, partition, each)
            await until_quiet(cluster, topic, partition)
    except (NoAnswer, TimeoutError) as doubt:
        raise UnclearEnd(f"{topic}[{partition}]: connection lost since the last end ({doubt}); take over") from doubt


async def fence(cluster: Cluster, transactional_id: str) -> tuple[int, int]:
    """Take the id from whoever had it; its open transaction is aborted. Producer id and epoch. Raises NoAnswer."""
    request = InitProducerIdRequest(transactional_id, TRANSACTION_TIMEOUT_MS)
    while True:
        answer = await cluster.ask_coordinator(transactional_id, request)
        if answer.error_code == codes.NONE:
            return int(answer.producer_id), int(answer.producer_epoch)
        if answer.error_code in _MOVED:
            raise NoAnswer(f"transactional id {transactional_id}: its coordinator moved")
        if answer.error_code not in _WAIT:
            raise UnclearEnd(f"transactional id {transactional_id} was not fenced: Kafka error {answer.error_code}")
        await asyncio.sleep(AGAIN_MS / 1000)


async def until_quiet(
    cluster: Cluster, topic: str, partition: int, ours: Mapping[int, int] = MappingProxyType({})
) -> None:
    """Wait until the last stable offset is the end. `ours` are the epochs of producer ids that we fenced."""
    began = time.monotonic()
    while True:
        end = await cluster.end_of(topic, partition, READ_UNCOMMITTED)
        if await cluster.end_of(topic, partition, READ_COMMITTED) >= end:
            return
        if ours and (time.monotonic() - began) * 1000 > HANGING_MS:
            await abort_hanging(cluster, topic, partition, ours)
        await asyncio.sleep(AGAIN_MS / 1000)
