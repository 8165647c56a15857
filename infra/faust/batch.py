"""Runs of records -> commands acknowledged -> changelog acknowledged -> table put; only then may Faust commit.

Nothing of this is atomic, so the order is everything: what is in a changelog has had its commands sent, what is in the
local table is in the changelog, what is committed is in both. After a crash the same events come again; each state
knows how far it has come, refuses what it has seen and is written once more, should anything have lost it.
"""

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from domain.kernel.messages import Heard, Issued, Observed, OwnershipTaken, Recorded, Unreadable
from domain.market_data.marks import Mark, follow
from infra import telemetry, tracing
from infra.avro.codec import Codec, Undecodable
from infra.commands import TRACE, outgoing
from infra.faust.agent import Agent, Next, Reached, Step
from infra.faust.inbox import Inbox, Run
from infra.faust.pulse import Pulse
from infra.faust.table import Changed, KeptTable, Partition, States
from infra.kafka import chain
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.sender import murmur2_partition
from infra.settings import PARTITIONS

S = TypeVar("S")
Write = Callable[[str, int, Sequence[Outgoing]], Awaitable[int]]
"""Writes records to a partition of a topic, in order; returns when all are acknowledged."""

BATCH_EVENTS_MAX = 5_000
"""One put a key and batch: the more events share it, the cheaper they are. A batch of so many takes a quarter second,
and is never waited for: an agent takes what is there."""
NEWER_WRITER = "UNKNOWN_SCHEMA"
EXIT_CODE = 70  # EX_SOFTWARE; the supervisor starts the process again, which reads what was not committed.

log = telemetry.logger("agents")


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker lends to each of its agents."""

    codec: Codec
    write: Write
    dead: DeadLetters
    pulse: Pulse
    reached: Reached
    batch_events_max: int = BATCH_EVENTS_MAX


class Batches(Generic[S]):
    """Runs one agent over the batches of its inbox."""

    def __init__(self, agent: Agent[S], table: KeptTable, host: Host) -> None:
        self._agent = agent
        self._table = table
        self._states: States[S] = States(agent, table)
        self._codec = host.codec
        self._write = host.write
        self._dead = host.dead
        self._pulse = host.pulse
        self._reached = host.reached
        self._batch_events_max = host.batch_events_max
        self._issued: list[tuple[Issued[Any], bytes]] = []

    async def follow(self, inbox: Inbox) -> None:
        """The agent's body: it ends with the worker, or the worker with it."""
        while True:
            runs = await inbox.take(self._batch_events_max)
            try:
                await self.take(runs)
            except BaseException as failure:  # noqa: BLE001  # A batch that was cut short must never be committed.
                die(self._agent.name, failure)
            inbox.done(runs)

    async def take(self, runs: Iterable[Run]) -> None:
        """One batch through all its steps."""
        self._issued = []
        changed: dict[int, Changed] = {}
        for run in runs:
            number = run.place.partition
            await self._apply(run, self._states.of(number), changed.setdefault(number, Changed()))
            await asyncio.sleep(0)  # Probes and acknowledgements get their turn.
        await self._send_commands()
        self._reached(Step.COMMANDS)
        self._pulse.check()
        await asyncio.gather(*(self._keep(number, what) for number, what in changed.items()))

    async def _apply(self, run: Run, partition: Partition[S], changed: Changed) -> None:
        apply = self._reader(run.place.topic)
        for record in run.records:
            try:
                apply(partition, changed, record)
            except Undecodable as poison:
                if poison.kind == NEWER_WRITER:
                    raise  # Skipping what a newer writer said would make the state wrong: readers are deployed first.
                await self._dead.bury(_arrived(record), poison.kind, str(poison))
            except Unreadable as poison:
                await self._dead.bury(_arrived(record), "UNREADABLE", str(poison))
            else:
                self._dead.used()

    def _reader(self, topic: str) -> Callable[[Partition[S], Changed, Any], None]:
        """What is done with a record of this topic."""
        if topic == self._agent.marks:
            return self._apply_mark
        if topic in self._agent.broadcasts:
            return self._apply_broadcast
        if topic in self._agent.feeds:
            return self._apply_feed
        return self._apply_event

    def _apply_event(self, partition: Partition[S], changed: Changed, record: Any) -> None:
        recorded = self._codec.decode_event(record.value or b"")
        self._check(partition, changed, record, recorded)
        if isinstance(recorded.event, OwnershipTaken):
            return
        self._apply_keyed(partition, changed, record, self._agent.on_event, recorded)

    def _apply_feed(self, partition: Partition[S], changed: Changed, record: Any) -> None:
        assert self._agent.on_feed is not None  # App.add looked.
        observed = self._codec.decode_observed(record.value or b"", Observed)
        heard = Heard(message=observed, topic=record.topic, offset=record.offset)
        self._apply_keyed(partition, changed, record, self._agent.on_feed, heard)

    def _apply_keyed(
        self, partition: Partition[S], changed: Changed, record: Any, step: Callable[..., Next[S]], what: Any
    ) -> None:
        key, topic, offset = record.key, record.topic, record.offset
        if not key:
            raise Undecodable("NO_KEY", "a record without a key belongs to no account")
        account = self._states.account(partition, key)
        changed.keys[key] = None
        if offset <= account.seen.get(topic, -1):
            return
        account.state, issued = step(account.state, what, partition.board, *self._shared(partition))
        account.seen[topic] = offset
        if issued:
            trace = dict(record.headers).get(TRACE, b"")
            self._issued += [(each, trace) for each in issued]

    def _apply_broadcast(self, partition: Partition[S], changed: Changed, record: Any) -> None:
        observed = self._codec.decode_observed(record.value or b"", Observed)
        changed.shared = True
        if record.offset <= partition.shared_seen.get(record.topic, -1):
            return
        assert self._agent.fold_broadcast is not None  # App.add looked.
        partition.shared = self._agent.fold_broadcast(partition.shared, observed)
        partition.shared_seen[record.topic] = record.offset

    def _shared(self, partition: Partition[S]) -> tuple[Any, ...]:
        """What the agent's functions are given besides the board: nothing, for an agent without broadcasts."""
        return (partition.shared,) if self._agent.broadcasts else ()

    def _apply_mark(self, partition: Partition[S], changed: Changed, record: Any) -> None:
        mark = self._codec.decode_observed(record.value or b"", Mark)
        topic, offset = record.topic, record.offset
        changed.board = True
        if self._agent.fold_mark is not None:
            shared = self._agent.fold_mark(partition.shared, mark)
            changed.shared = changed.shared or shared is not partition.shared
            partition.shared = shared
        if offset <= partition.board_seen.get(topic, -1):
            changed.keys |= dict.fromkeys(
                key for key, account in partition.accounts.items() if account.seen.get(topic, -1) >= offset
            )
            return
        partition.board = follow(partition.board, mark)
        partition.board_seen = {topic: offset}
        for key, account in partition.accounts.items():
            if offset <= account.seen.get(topic, -1):
                changed.keys[key] = None
                continue
            state, issued = self._agent.on_mark(account.state, partition.board, *self._shared(partition))
            if state is not account.state or issued:
                account.state = state
                changed.keys[key] = None
                self._issued += [(each, b"") for each in issued]

    def _check(self, partition: Partition[S], changed: Changed, record: Any, recorded: Recorded[Any]) -> None:
        """Law 6. What is not newer than the link was checked before: Faust reads again what was not committed."""
        link = partition.links.get(record.topic)
        if link is not None and recorded.sequence <= link.sequence:
            return
        place = f"{record.topic}[{record.partition}]@{record.offset}"
        partition.links[record.topic] = chain.follow(link, recorded, record.value, place=place)
        changed.links = True

    async def _send_commands(self) -> None:
        if not self._issued:
            return
        name, kind = f"agent {self._agent.name}", tracing.Kind.PRODUCER
        spans = [tracing.child(name, trace, kind=kind) for _, trace in self._issued]
        records: defaultdict[int, list[Outgoing]] = defaultdict(list)
        for (issued, trace), span in zip(self._issued, spans, strict=True):
            record = outgoing(self._codec, issued, traceparent=span.traceparent.encode() or trace)
            records[murmur2_partition(record.key, PARTITIONS)].append(record)
        await asyncio.gather(*(self._write(self._agent.commands, number, each) for number, each in records.items()))
        for span in spans:
            span.end()
        telemetry.COMMANDS_SENT.labels(f"agent:{self._agent.name}").inc(len(spans))

    async def _keep(self, number: int, changed: Changed) -> None:
        """What changed in one partition: to its changelog, and when that has it all, to the local table."""
        records = self._states.records(number, changed)
        if not records:
            return
        newest = await self._write(self._table.changelog_topic_name, number, records)
        self._reached(Step.CHANGELOG)
        self._table.put(number, records, newest)
        self._reached(Step.PUT)


def die(agent: str, failure: BaseException) -> NoReturn:
    """End the process before Faust can acknowledge what was not done."""
    if isinstance(failure, chain.ChainBroken):
        telemetry.CHAIN_BREAKS.labels(agent).inc()
    log.critical("agent failed; the process ends and reads again", agent=agent, exc_info=failure)
    logging.shutdown()
    os._exit(EXIT_CODE)


def _arrived(record: Any) -> Arrived:
    return Arrived(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key or b"",
        value=record.value or b"",
        headers=dict(record.headers),
    )
