"""The contract of the tape's writer, held against both arms on a real broker and against both tapes without one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import pytest

from deploy.local.kafka import LocalKafka
from infra.kafka.cluster import READ_COMMITTED, READ_UNCOMMITTED, Cluster, NoAnswer
from infra.kafka.guarded import GuardedWriter
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import BEGINNING, Reader
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.writer import BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Fenced, TapeWriter, UnclearEnd
from tests.kit.memory_tape import MemoryLog, MemoryTape
from tests.simulation.network import Connection
from tests.simulation.wall import SimulatedTape

TOPIC_IN_MEMORY = "events"
PARTITION = 1


class Tape(Protocol):
    """One partition of a fresh tape, as a test wants to use it."""

    def writer(self) -> TapeWriter: ...

    async def visible(self) -> list[Arrived]: ...

    async def ends(self) -> tuple[int, int]: ...

    async def close(self) -> None: ...


class KafkaTape:
    """A topic of its own on the real broker, written to by one of the arms."""

    def __init__(self, arm: type[Protocol2Writer | GuardedWriter], bootstrap: str, topic: str) -> None:
        self._arm = arm
        self.bootstrap = bootstrap
        self.topic = topic
        self._cluster = Cluster(bootstrap, "test")
        self._writers: list[TapeWriter] = []

    def writer(self) -> TapeWriter:
        writer = self._arm(self.bootstrap, self.topic, PARTITION)
        self._writers.append(writer)
        return writer

    async def visible(self) -> list[Arrived]:
        stable, _ = await self.ends()
        reader = Reader(self.bootstrap)
        await reader.assign({(self.topic, PARTITION): BEGINNING})
        records: list[Arrived] = []
        async with asyncio.timeout(15):
            while reader.position().get((self.topic, PARTITION), 0) < stable:
                records += await reader.take(1_000, 500)
        await reader.close()
        return records

    async def ends(self) -> tuple[int, int]:
        """The last stable offset and the high watermark; a broker that came back leads a moment later."""
        async with asyncio.timeout(15):
            while True:
                try:
                    stable = await self._cluster.end_of(self.topic, PARTITION, READ_COMMITTED)
                    return stable, await self._cluster.end_of(self.topic, PARTITION, READ_UNCOMMITTED)
                except NoAnswer:
                    await asyncio.sleep(0.05)

    async def close(self) -> None:
        for writer in self._writers:
            await writer.close()
        await self._cluster.close()


class TapeInMemory:
    """The same, without a broker."""

    def __init__(self) -> None:
        self.log = MemoryLog()

    def writer(self) -> TapeWriter:
        return MemoryTape(self.log, TOPIC_IN_MEMORY, PARTITION)

    async def visible(self) -> list[Arrived]:
        return self.log.visible(TOPIC_IN_MEMORY, PARTITION)

    async def ends(self) -> tuple[int, int]:
        return self.log.stable_end(TOPIC_IN_MEMORY, PARTITION), self.log.end(TOPIC_IN_MEMORY, PARTITION)

    async def close(self) -> None:
        pass


ARMS: dict[str, type[Protocol2Writer | GuardedWriter]] = {"own": Protocol2Writer, "guarded": GuardedWriter}


@pytest.fixture(
    params=[
        pytest.param("own", marks=pytest.mark.kafka),
        pytest.param("guarded", marks=pytest.mark.kafka),
        "memory",
        "simulated",
    ]
)
async def tape(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tape]:
    if request.param == "memory":
        made: Tape = TapeInMemory()
    elif request.param == "simulated":
        monkeypatch.setattr("infra.kafka.cluster.AIOKafkaConnection", Connection)
        made = SimulatedTape()
    else:
        kafka: LocalKafka = request.getfixturevalue("kafka")
        made = KafkaTape(ARMS[request.param], kafka.bootstrap, request.getfixturevalue("fresh_topic")())
    yield made
    await made.close()


def numbered(count: int, prefix: bytes = b"") -> list[Outgoing]:
    return [Outgoing(b"account-%d" % (n % 7), prefix + b"%d" % n, {"command-id": b"c-%d" % n}) for n in range(count)]


def values(records: list[Arrived]) -> list[bytes]:
    return [record.value for record in records]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # What is waited for happens in another process.
            await asyncio.sleep(0.01)


async def settled(tape: Tape) -> None:
    """An end is clear a moment before its marker is written."""

    async def is_stable() -> bool:
        stable, end = await tape.ends()
        return stable == end

    await until(is_stable)


@pytest.mark.parametrize("count", [1, 1_000, BATCH_RECORDS_MAX])
async def test_a_batch_is_visible_whole_and_in_order(tape: Tape, count: int) -> None:
    writer = tape.writer()
    await writer.take_over()
    await writer.append(numbered(count))
    await settled(tape)
    assert values(await tape.visible()) == [b"%d" % n for n in range(count)]


async def test_batches_keep_the_order_in_which_they_were_appended(tape: Tape) -> None:
    writer = tape.writer()
    await writer.take_over()
    for batch in range(10):
        await writer.append(numbered(3, b"%d." % batch))
    await settled(tape)
    assert values(await tape.visible()) == [b"%d.%d" % (batch, n) for batch in range(10) for n in range(3)]


async def test_nothing_is_visible_before_its_end(tape: Tape) -> None:
    writer = tape.writer()
    await writer.take_over()
    await writer.send(numbered(5))
    stable, end = await tape.ends()
    assert (stable, end) == (0, 5)
    assert await tape.visible() == []
    await writer.end()
    await settled(tape)
    assert len(await tape.visible()) == 5


async def test_keys_and_headers_survive(tape: Tape) -> None:
    headers = {"command-id": b"c-1", "digest": bytes(range(32)), "ce_type": "Ordre passé".encode(), "empty": b""}
    writer = tape.writer()
    await writer.take_over()
    await writer.append([Outgoing(b"account-1", b"value", headers), Outgoing(b"account-2", b"", {})])
    await settled(tape)
    first, second = await tape.visible()
    assert (first.key, first.value, first.headers) == (b"account-1", b"value", headers)
    assert (second.key, second.value, second.headers) == (b"account-2", b"", {})


async def test_a_batch_of_the_largest_size_fits_a_declared_topic(tape: Tape) -> None:
    writer = tape.writer()
    await writer.take_over()
    big = [Outgoing(b"account-1", bytes([n]) * ((BATCH_BYTES_MAX - 200) // 3), {}) for n in range(3)]
    await writer.append(big)
    await settled(tape)
    assert values(await tape.visible()) == [record.value for record in big]


@pytest.mark.parametrize("count", [0, BATCH_RECORDS_MAX + 1])
async def test_a_batch_over_the_limits_is_refused_before_anything_is_sent(tape: Tape, count: int) -> None:
    writer = tape.writer()
    await writer.take_over()
    with pytest.raises(AssertionError, match="a batch has 1 to"):
        await writer.append(numbered(count))
    await writer.append(numbered(1))
    await settled(tape)
    assert len(await tape.visible()) == 1


async def test_a_second_owner_fences_the_first(tape: Tape) -> None:
    first, second = tape.writer(), tape.writer()
    await first.take_over()
    await first.append(numbered(1, b"first."))
    await first.send(numbered(3, b"lost."))
    await second.take_over()
    with pytest.raises(Fenced):
        await first.end()
    await second.append(numbered(1, b"second."))
    with pytest.raises(Fenced):
        await first.append(numbered(1, b"late."))
    with pytest.raises(Fenced):
        await first.take_over()
    await settled(tape)
    assert values(await tape.visible()) == [b"first.0", b"second.0"]


async def test_of_two_that_take_over_at_once_only_one_writes(tape: Tape) -> None:
    """Fenced side by side, each could keep the newest epoch of one id, and both would append the same sequence."""
    for reign in range(5):
        rivals = [tape.writer() for _ in range(2)]
        await asyncio.gather(*(each.take_over() for each in rivals))
        for number, rival in enumerate(rivals):
            with contextlib.suppress(Fenced):  # Of the winner's batches too: the other may hold the second id.
                for _ in range(2):
                    await rival.append(numbered(BATCH, b"%d-%d-" % (reign, number)))
    await settled(tape)
    writers = {tuple(value.split(b"-")[:2]) for value in values(await tape.visible())}
    assert len({reign for reign, _ in writers}) == len(writers), "two wrote in one reign"


BATCH = 3


async def test_a_batch_says_where_it_begins(tape: Tape) -> None:
    writer = tape.writer()
    await writer.take_over()
    assert writer.begun_at == -1
    for prefix in (b"a", b"b"):
        await writer.append(numbered(4, prefix))
        await settled(tape)
        first = next(each for each in await tape.visible() if each.value == prefix + b"0")
        assert writer.begun_at == first.offset


async def test_an_owner_that_sends_nothing_until_it_is_fenced_learns_it_at_its_next_batch(tape: Tape) -> None:
    first, second = tape.writer(), tape.writer()
    await first.take_over()
    for n in range(3):
        await first.append(numbered(1, b"%d." % n))
    await second.take_over()
    with pytest.raises(Fenced):
        await first.append(numbered(1, b"late."))
    await settled(tape)
    assert values(await tape.visible()) == [b"0.0", b"1.0", b"2.0"]


async def test_a_take_over_ends_an_open_transaction_within_a_second(tape: Tape) -> None:
    dead, heir = tape.writer(), tape.writer()
    await dead.take_over()
    await dead.send(numbered(10, b"dead."))
    assert await tape.ends() == (0, 10)
    began = time.monotonic()
    taking = asyncio.create_task(heir.take_over())

    async def is_ended() -> bool:
        stable, end = await tape.ends()
        return stable == end == 11

    await until(is_ended, seconds=1)
    assert time.monotonic() - began < 1
    await taking
    stable, end = await tape.ends()
    assert stable == end
    assert await tape.visible() == []


async def test_nothing_is_sent_before_the_first_take_over(tape: Tape) -> None:
    with pytest.raises(AssertionError, match="take_over"):
        await tape.writer().append(numbered(1))


async def test_a_second_batch_is_not_sent_before_the_first_has_ended(tape: Tape) -> None:
    writer = tape.writer()
    await writer.take_over()
    await writer.send(numbered(1))
    with pytest.raises(AssertionError, match="send while SENT"):
        await writer.send(numbered(1))


async def test_after_a_cancelled_end_only_a_take_over_is_legal(tape: Tape) -> None:
    writer = tape.writer()
    await writer.take_over()
    await writer.send(numbered(1))
    ending = asyncio.create_task(writer.end())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    with pytest.raises(AssertionError, match="take_over"):
        await writer.append(numbered(1, b"illegal."))
    await writer.take_over()
    stable, end = await tape.ends()
    assert stable == end
    seen = values(await tape.visible())
    assert seen in ([], [b"0"])
    await writer.append(numbered(1, b"after."))
    await settled(tape)
    assert values(await tape.visible()) == [*seen, b"after.0"]


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("step", ["send", "end"])
async def test_the_tape_in_memory_loses_answers_on_demand(step: Any, *, applied: bool) -> None:
    tape = TapeInMemory()
    writer = tape.writer()
    await writer.take_over()
    tape.log.lose_next(step, applied=applied)
    with pytest.raises(UnclearEnd):
        await writer.append(numbered(1))
    with pytest.raises(AssertionError, match="take_over"):
        await writer.append(numbered(1, b"illegal."))
    await writer.take_over()
    assert values(await tape.visible()) == ([b"0"] if step == "end" and applied else [])
