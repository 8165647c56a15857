"""<context>.commands -> <context>.events: one loop for all deciders, exactly once above the protocol.

Every partition has its own pace: decide what waits for it in memory, send the batch, end it, and again; while one waits
for the brokers the others decide. The consumed position travels in the events; an end that is not clear is followed by
a take-over, a reading back, and deciding again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec

from infra import telemetry, tracing
from infra.avro.codec import Codec
from infra.clock import Clock
from infra.commands import TRACE
from infra.kafka.chain import ChainBroken
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.reader import Reader
from infra.kafka.records import Arrived
from infra.kafka.writer import Fenced, TapeWriter, UnclearEnd
from infra.settings import BATCH_COMMANDS_MAX, POLL_WAIT_MS, SNAPSHOT_EVERY_EVENTS
from streams import snapshots
from streams.partition import Batch, Deciding, Knowledge, OwnedPartition
from streams.replay import MemoryAhead, Replay

UNCLEAR_IN_A_ROW_MAX = 20
"""Take-overs in a row before the process gives up: by then the broker is gone for minutes, and a restart is clearer."""
BACKLOG_MAX = 20 * BATCH_COMMANDS_MAX
"""Commands held in memory before no more are taken; the topic keeps the rest."""
ROOM_SECONDS = 0.005
"""How often a full backlog is looked at again; a batch leaves it in about that time."""


WriterFor = Callable[[str, int], TapeWriter]
ReaderFor = Callable[[str], Reader]
log = telemetry.logger("deciders")


class Owner:
    """One partition under one reign: it holds the writers, the backlog and the knowledge."""

    def __init__(self, deciding: Deciding, number: int, codec: Codec, clock: Clock, writer_for: WriterFor) -> None:
        self.partition = OwnedPartition(deciding, number, codec, clock)
        self.commands_topic = f"{deciding.context}.commands"
        self.backlog: deque[Arrived] = deque()
        self.has_work = asyncio.Event()
        self._initial = deciding.decider.initial
        self._writer = writer_for(self.partition.topic, number)
        self._snapshots = writer_for(f"{deciding.context}.snapshots", number)
        self._events_offset = 0
        self._tape_sequence = -1
        self._changed: set[str] = set()
        self._since_snapshot = 0
        self._snapshot_above = -1
        self._is_snapshot_unclear = False
        self._term = 0
        self._readers: ReaderFor | None = None
        self._spans: dict[int, tracing.Span] = {}

    async def take_over(self, name: str, readers: ReaderFor) -> None:
        """Fence everybody, learn what the tape holds, then write the first record of the new term."""
        self._readers = readers
        await self._snapshots.take_over()
        await self._writer.take_over()
        await self._rebuild()
        self._term = term = self.partition.knowledge.link.term + 1
        await self._append(self.partition.ownership(name, term))
        telemetry.TERM.labels(self.partition.context, self.partition.number).set(term)
        for counter in (telemetry.DECISIONS, telemetry.UNCLEAR_ENDS):
            counter.labels(self.partition.context)  # Seen at zero: of a series that begins at one no rate is known.
        log.info("owned", topic=self.partition.topic, partition=self.partition.number, term=term)

    def take(self, arrived: Arrived) -> None:
        """A command for the backlog; where it is traced its event will name this decision as its parent."""
        if tracing.is_on() and (parent := arrived.headers.get(TRACE)):
            span = tracing.child(f"decide {arrived.topic}", parent, kind=tracing.Kind.CONSUMER, offset=arrived.offset)
            self._spans[arrived.offset] = span
            headers = arrived.headers | {TRACE: span.traceparent.encode()}
            arrived = msgspec.structs.replace(arrived, headers=headers)
        self.backlog.append(arrived)
        self.has_work.set()

    def next_command(self, begin: int) -> int:
        """The offset of the first command that no event names yet."""
        return max(begin, self.partition.knowledge.command_position + 1)

    def decide(self) -> Batch:
        """Decide the front of the backlog; nothing counts until `settle`."""
        return self.partition.decide(list(islice(self.backlog, BATCH_COMMANDS_MAX)))

    async def append(self, batch: Batch) -> None:
        """The batch's records in a transaction; returns when its end is clear."""
        await self._writer.append(batch.records)

    def settle(self, batch: Batch, began_ns: int) -> None:
        """The batch is on the tape since now, its append began then: its commands leave the backlog."""
        self._keep(batch)
        for record in batch.records:
            if self._spans and (parent := record.headers.get(TRACE)):
                name, size = f"append {self.partition.topic}", len(batch.records)
                tracing.child(name, parent, kind=tracing.Kind.PRODUCER, began_ns=began_ns, batch=size).end()
        self._since_snapshot += len(batch.records)
        self.drop(batch.taken)
        _count(self.partition.context, batch)

    def _keep(self, batch: Batch) -> None:
        """Reading back begins at the newest batch that ended clearly: what is known must be found there."""
        self.partition.keep(batch)
        self._events_offset = self._writer.begun_at
        self._changed.update(record.key.decode() for record in batch.records)

    def drop(self, taken: int) -> None:
        """Commands that need no record any more leave the backlog."""
        for _ in range(taken):
            arrived = self.backlog.popleft()
            if self._spans and (span := self._spans.pop(arrived.offset, None)):
                span.end()

    async def recover(self) -> None:
        """After an unclear end: fence, read back what is there. The backlog is decided again; what stands is known.

        Raises Fenced when somebody reigned in between, and MemoryAhead when an end that was clear is not on the tape.
        """
        telemetry.UNCLEAR_ENDS.labels(self.partition.context).inc()
        await self._writer.take_over()
        await self._read_back()
        place, link = f"{self.partition.topic}[{self.partition.number}]", self.partition.knowledge.link
        if link.term > self._term > 0:
            raise Fenced(f"{place}: term {link.term} reigns, ours was {self._term}; end this process")
        if link.sequence > self._tape_sequence:
            raise MemoryAhead(
                f"{place}: decided up to {link.sequence}, the tape ends at {self._tape_sequence}; start again"
            )

    async def snapshot(self, *, is_forced: bool = False) -> None:
        """Write what changed, when enough has changed or the owner leaves."""
        if not self._changed or not (is_forced or self._since_snapshot >= SNAPSHOT_EVERY_EVENTS):
            return
        if self._is_snapshot_unclear:
            # Whoever fences the snapshots again must first prove by a clear end of events that it is still the owner.
            await self._snapshots.take_over()
            self._is_snapshot_unclear, self._snapshot_above = False, self.partition.knowledge.link.sequence
        if self.partition.knowledge.link.sequence <= self._snapshot_above:
            return
        try:
            await snapshots.write(
                self._snapshots, self.partition.knowledge, self._changed, self._initial, self._events_offset
            )
        except UnclearEnd as unclear:
            log.warning(
                "snapshot put off", topic=self.partition.topic, partition=self.partition.number, why=str(unclear)
            )
            self._is_snapshot_unclear = True
            return
        self._changed.clear()
        self._since_snapshot = 0

    async def close(self) -> None:
        """Let the writers go."""
        await self._writer.close()
        await self._snapshots.close()

    async def _rebuild(self) -> None:
        assert self._readers is not None
        reader = self._readers(f"{self.partition.topic}-{self.partition.number}-rebuild")
        try:
            kept = await snapshots.read(
                reader, f"{self.partition.context}.snapshots", self.partition.number, self._initial
            )
        finally:
            await reader.close()
        if kept is None or not await self._follows(*kept):
            self.partition.knowledge, self._events_offset = Knowledge(), 0
            await self._read_back()

    async def _follows(self, knowledge: Knowledge, events_offset: int) -> bool:
        """Whether the tape holds what a snapshot stands for; if so it is known, and whatever follows it."""
        self.partition.knowledge, self._events_offset = knowledge, events_offset
        try:
            await self._read_back()
        except (ChainBroken, MemoryAhead) as apart:
            why = str(apart)
        else:
            if self._tape_sequence >= knowledge.link.sequence:
                return True
            why = f"it stands for sequence {knowledge.link.sequence}, the tape ends at {self._tape_sequence}"
        place = {"topic": self.partition.topic, "partition": self.partition.number}
        log.warning("a snapshot does not stand for this tape and is left aside", **place, why=why)
        self._changed.clear()
        return False

    async def _read_back(self) -> None:
        """Fold the partition from the last known offset to its end, which stands still: everybody else is fenced."""
        assert self._readers is not None
        topic, number = self.partition.topic, self.partition.number
        reader = self._readers(f"{topic}-{number}-read-back")
        try:
            end = (await reader.ends(topic))[number]
            begin = max((await reader.begins(topic))[number], self._events_offset)
            await reader.assign({(topic, number): begin})
            replay = Replay(self.partition)
            while reader.position().get((topic, number), begin) < end:
                replay.read(await reader.take(BATCH_COMMANDS_MAX, POLL_WAIT_MS))
            self._changed |= replay.settle()
            self._tape_sequence = -1 if replay.sequence is None else replay.sequence
            self._events_offset = max(self._events_offset, replay.offset)
        finally:
            await reader.close()

    async def _append(self, batch: Batch) -> None:
        """One batch outside the rounds, repeated until it stands on the tape."""
        for _ in range(UNCLEAR_IN_A_ROW_MAX):
            try:
                await self._writer.append(batch.records)
            except UnclearEnd as unclear:
                log.warning(
                    "unclear end", topic=self.partition.topic, partition=self.partition.number, why=str(unclear)
                )
                await self.recover()
                link = self.partition.knowledge.link
                if link == batch.knowledge.link:
                    return
                if link.sequence >= batch.knowledge.link.sequence:
                    place = f"{self.partition.topic}[{self.partition.number}]"
                    raise Fenced(f"{place}: term {link.term} is a rival's; end this process") from unclear
            else:
                self._keep(batch)
                return
        raise UnclearEnd(
            f"{self.partition.topic}[{self.partition.number}]: no clear end in {UNCLEAR_IN_A_ROW_MAX} tries"
        )


class Deciders:
    """The loop over all owned partitions of one process."""

    def __init__(self, owners: Sequence[Owner], reader: Reader, dead_letters: DeadLetters) -> None:
        self._owners = {(owner.commands_topic, owner.partition.number): owner for owner in owners}
        self._reader = reader
        self._dead_letters = dead_letters
        self._is_owner = False

    def owners(self) -> list[Owner]:
        """What this process owns, or is about to."""
        return list(self._owners.values())

    def ready(self) -> tuple[bool, str]:
        """Ready when every partition is owned and the backlog is a batch at most."""
        if not self._is_owner:
            return False, "taking partitions over"
        backlog = self._waiting()
        return backlog <= BATCH_COMMANDS_MAX, f"{backlog} commands wait"

    async def run(self, name: str, readers: ReaderFor, stop: asyncio.Event) -> None:
        """Take everything over, then decide until asked to stop; on leaving, a snapshot of what changed."""
        owners = self.owners()
        await asyncio.gather(*(owner.take_over(name, readers) for owner in owners))
        begins = {
            topic: await self._reader.begins(topic) for topic in dict.fromkeys(topic for topic, _ in self._owners)
        }
        await self._reader.assign(
            {
                (topic, number): owner.next_command(begins[topic][number])
                for (topic, number), owner in self._owners.items()
            }
        )
        self._is_owner = True
        loops = [asyncio.create_task(self._feed(stop))]
        loops += [asyncio.create_task(self._decide_for(owner, stop)) for owner in owners]
        try:
            # Whatever ends one partition for good ends the process: its supervisor starts all of them from the tape.
            ended, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_EXCEPTION)
            for loop in ended:
                loop.result()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
        for owner in owners:
            await owner.snapshot(is_forced=True)

    def _waiting(self) -> int:
        return sum(len(owner.backlog) for owner in self._owners.values())

    async def _feed(self, stop: asyncio.Event) -> None:
        """Commands from their topics to the owners of their partitions, until asked to stop."""
        while not stop.is_set():
            waiting = self._waiting()
            telemetry.LAG.labels("deciders", "commands").set(waiting)
            if waiting >= BACKLOG_MAX:
                await asyncio.sleep(ROOM_SECONDS)
                continue
            for arrived in await self._reader.take(BACKLOG_MAX - waiting, POLL_WAIT_MS):
                self._owners[arrived.topic, arrived.partition].take(arrived)
        for owner in self._owners.values():
            owner.has_work.set()  # So that each sees that it must stop.

    async def _decide_for(self, owner: Owner, stop: asyncio.Event) -> None:
        """One partition at its own pace: what comes while a batch is under way is the next batch."""
        unclear_in_a_row = 0
        while not stop.is_set():
            if not owner.backlog:
                owner.has_work.clear()
                await owner.has_work.wait()
                continue
            try:
                await self._turn(owner)
                unclear_in_a_row = 0
            except UnclearEnd as unclear:
                unclear_in_a_row += 1
                place = {"topic": owner.partition.topic, "partition": owner.partition.number}
                log.warning("unclear end", **place, why=str(unclear))
                if unclear_in_a_row > UNCLEAR_IN_A_ROW_MAX:
                    raise
                await owner.recover()
            await owner.snapshot()

    async def _turn(self, owner: Owner) -> None:
        """One batch onto the tape. Raises UnclearEnd: then the backlog is as it was."""
        batch = owner.decide()
        for dead in batch.dead:
            with telemetry.concerning(correlation_id=dead.correlation_id):
                await self._dead_letters.bury(dead.arrived, dead.cause, dead.detail)
        if not batch.records:
            owner.drop(batch.taken)
            await asyncio.sleep(0)  # The others' turn: a backlog of nothing but repeats waits for nobody.
            return
        began, began_ns = time.perf_counter(), time.time_ns()
        try:
            await owner.append(batch)
        finally:
            telemetry.APPEND_SECONDS.labels(owner.partition.context).observe(time.perf_counter() - began)
        owner.settle(batch, began_ns)
        self._dead_letters.used()


def _count(context: str, batch: Batch) -> None:
    telemetry.DECISIONS.labels(context).inc(len(batch.records))
    for event in batch.events:
        reason = getattr(event, "reason", None) if type(event).__name__.endswith("Refused") else None
        if reason is not None:
            telemetry.REFUSALS.labels(context, str(reason)).inc()
