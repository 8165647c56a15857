"""Offsets of a group, with a note beside each: read and committed by loops that join no group."""

from collections.abc import Iterable, Mapping

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from infra.kafka import codes
from infra.kafka.private_thread import PrivateThread
from infra.kafka.records import Partition

ANSWER_SECONDS_MAX = 15.0  # Longer than the move of a group's coordinator to another broker.
MOVING_SECONDS = 0.1  # Pause before a coordinator that has just come back, or moved, is asked again.
MOVING_TRIES_MAX = 150  # As long as ANSWER_SECONDS_MAX, but counted: a first try may have waited long for its broker.


class Groups:
    """One client per group, made when the group is first named."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._clients: dict[str, Consumer] = {}
        self._thread = PrivateThread("groups")

    async def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, str]]:
        """Offset and note of each partition that has one; the others are left out."""
        places = [TopicPartition(*each) for each in partitions]
        client = self._client(group)
        answers = await self._thread.call(lambda: _UNTIL_THERE(lambda: client.committed(places, ANSWER_SECONDS_MAX)))
        found: dict[Partition, tuple[int, str]] = {}
        for answer in answers:
            if answer.error is not None:
                raise RuntimeError(f"group {group}: {answer.topic}[{answer.partition}]: {answer.error}")
            if answer.offset != OFFSET_INVALID:
                found[answer.topic, answer.partition] = (answer.offset, answer.metadata or "")
        return found

    async def commit(self, group: str, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """Keep the offset of the next record to take, with a note; returns when the cluster has it."""
        places = [TopicPartition(*each, offset, metadata=note) for each, (offset, note) in offsets.items()]
        client = self._client(group)
        answers = await self._thread.call(
            lambda: _UNTIL_THERE(lambda: client.commit(offsets=places, asynchronous=False))
        )
        for answer in answers or ():
            if answer.error is not None:
                raise RuntimeError(f"group {group}: {answer.topic}[{answer.partition}]: {answer.error}")

    async def close(self) -> None:
        """Let all clients go."""
        for client in self._clients.values():
            await self._thread.call(client.close)
        self._thread.stop()

    def _client(self, group: str) -> Consumer:
        if group not in self._clients:
            self._clients[group] = Consumer(
                {"bootstrap.servers": self._bootstrap, "group.id": group, "enable.auto.commit": False},
                logger=codes.LOG,
            )
        return self._clients[group]


def _is_passing(failure: BaseException) -> bool:
    return isinstance(failure, KafkaException) and failure.args[0].code() in codes.MOVING


# Both calls may be repeated: one only asks, the other says the same again, and nobody else commits for the group.
_UNTIL_THERE = Retrying(
    retry=retry_if_exception(_is_passing),
    stop=stop_after_attempt(MOVING_TRIES_MAX),
    wait=wait_fixed(MOVING_SECONDS),
    reraise=True,
)
