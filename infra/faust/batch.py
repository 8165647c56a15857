"""A batch of Faust events -> commands acknowledged -> table put -> changelog acknowledged; only then does Faust commit.

Nothing of this is atomic, so the order is everything: what is in a table has had its commands sent, what is committed
is in the changelog. After a crash the same events come again; each state knows how far it has come, refuses what it
has seen and puts its value once more, which heals a changelog that fell behind the local store.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from domain.kernel.messages import Heard, Issued, Observed, OwnershipTaken, Recorded, Unreadable
from domain.market_data.marks import Mark, follow
from infra import telemetry, tracing
from infra.avro.codec import Codec, Undecodable
from infra.commands import TRACE, outgoing
from infra.faust.agent import Agent, Next, Reached, Step
from infra.faust.pulse import Pulse
from infra.faust.table import KeptTable, Partition, States
from infra.kafka import chain
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.records import Arrived

S = TypeVar("S")
Send = Callable[..., Awaitable[Awaitable[Any]]]

BATCH_EVENTS_MAX = 1_000  # One put a key and batch: the more events share it, the cheaper they are.
BATCH_WAIT_SECONDS = 0.02  # How long Faust gathers; it is what an idle agent adds to an answer.
NEWER_WRITER = "UNKNOWN_SCHEMA"
EXIT_CODE = 70  # EX_SOFTWARE; the supervisor starts the process again, which reads what was not committed.

log = telemetry.logger("agents")


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker lends to each of its agents."""

    codec: Codec
    send: Send
    dead: DeadLetters
    pulse: Pulse
    reached: Reached


class Batches(Generic[S]):
    """Runs one agent over the batches of its stream."""

    def __init__(self, agent: Agent[S], table: KeptTable, host: Host) -> None:
        self._agent = agent
        self._table = table
        self._states: States[S] = States(agent, table)
        self._codec = host.codec
        self._send = host.send
        self._dead = host.dead
        self._pulse = host.pulse
        self._reached = host.reached
        self._issued: list[tuple[Issued[Any], bytes]] = []
        self._changed: dict[int, _Changed] = {}

    async def follow(self, stream: Any) -> None:
        """The agent's body: it ends with the worker, or the worker with it."""
        async for events in stream.take_events(BATCH_EVENTS_MAX, within=BATCH_WAIT_SECONDS):
            try:
                await self.take(events)
            except BaseException as failure:  # noqa: BLE001  # A cancelled batch too would be acknowledged by Faust.
                die(self._agent.name, failure)

    async def take(self, events: Iterable[Any]) -> None:
        """One batch through all its steps."""
        self._issued, self._changed = [], {}
        for event in events:
            await self._apply(event)
        await self._send_commands()
        self._reached(Step.COMMANDS)
        self._pulse.check()
        self._put()
        await self._table.acknowledged()
        self._reached(Step.CHANGELOG)

    async def _apply(self, event: Any) -> None:
        message = event.message
        number = message.partition
        partition = self._states.of(number)
        changed = self._changed.setdefault(number, _Changed(event))
        value = message.value or b""
        try:
            if message.topic == self._agent.marks:
                self._apply_mark(partition, changed, message, self._codec.decode_observed(value, Mark))
            elif message.topic in self._agent.broadcasts:
                self._apply_broadcast(partition, changed, message, self._codec.decode_observed(value, Observed))
            elif message.topic in self._agent.feeds:
                self._apply_feed(partition, changed, message, self._codec.decode_observed(value, Observed))
            else:
                self._apply_event(partition, changed, message, self._codec.decode_event(value))
            self._dead.used()
        except Undecodable as poison:
            if poison.kind == NEWER_WRITER:
                raise  # Skipping what a newer writer said would make the state wrong: readers are deployed first.
            await self._dead.bury(_arrived(message), poison.kind, str(poison))
        except Unreadable as poison:
            await self._dead.bury(_arrived(message), "UNREADABLE", str(poison))

    def _apply_event(self, partition: Partition[S], changed: "_Changed", message: Any, recorded: Recorded[Any]) -> None:
        self._check(partition, changed, message, recorded)
        if isinstance(recorded.event, OwnershipTaken):
            return
        self._apply_keyed(partition, changed, message, self._agent.on_event, recorded)

    def _apply_feed(self, partition: Partition[S], changed: "_Changed", message: Any, observed: Observed) -> None:
        assert self._agent.on_feed is not None  # App.add looked.
        heard = Heard(message=observed, topic=message.topic, offset=message.offset)
        self._apply_keyed(partition, changed, message, self._agent.on_feed, heard)

    def _apply_keyed(
        self, partition: Partition[S], changed: "_Changed", message: Any, step: Callable[..., Next[S]], what: Any
    ) -> None:
        if not message.key:
            raise Undecodable("NO_KEY", "a record without a key belongs to no account")
        account = self._states.account(partition, message.key)
        changed.keys[message.key] = None
        if message.offset <= account.seen.get(message.topic, -1):
            return
        account.state, issued = step(account.state, what, partition.board, *self._shared(partition))
        account.seen[message.topic] = message.offset
        if issued:
            trace = dict(message.headers or ()).get(TRACE, b"")
            self._issued += [(each, trace) for each in issued]

    def _apply_broadcast(self, partition: Partition[S], changed: "_Changed", message: Any, observed: Observed) -> None:
        changed.shared = True
        if message.offset <= partition.shared_seen.get(message.topic, -1):
            return
        assert self._agent.fold_broadcast is not None  # App.add looked.
        partition.shared = self._agent.fold_broadcast(partition.shared, observed)
        partition.shared_seen[message.topic] = message.offset

    def _shared(self, partition: Partition[S]) -> tuple[Any, ...]:
        """What the agent's functions are given besides the board: nothing, for an agent without broadcasts."""
        return (partition.shared,) if self._agent.broadcasts else ()

    def _apply_mark(self, partition: Partition[S], changed: "_Changed", message: Any, mark: Mark) -> None:
        topic, offset = message.topic, message.offset
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

    def _check(self, partition: Partition[S], changed: "_Changed", message: Any, recorded: Recorded[Any]) -> None:
        """Law 6. What is not newer than the link was checked before: Faust reads again what was not committed."""
        link = partition.links.get(message.topic)
        if link is not None and recorded.sequence <= link.sequence:
            return
        place = f"{message.topic}[{message.partition}]@{message.offset}"
        partition.links[message.topic] = chain.follow(link, recorded, message.value, place=place)
        changed.links = True

    async def _send_commands(self) -> None:
        name, kind = f"agent {self._agent.name}", tracing.Kind.PRODUCER
        spans = [tracing.child(name, trace, kind=kind) for _, trace in self._issued]
        records = [
            outgoing(self._codec, issued, traceparent=span.traceparent.encode() or trace)
            for (issued, trace), span in zip(self._issued, spans, strict=True)
        ]
        waiting = [
            await self._send(self._agent.commands, record.key, record.value, None, None, list(record.headers.items()))
            for record in records
        ]
        await asyncio.gather(*waiting)
        for span in spans:
            span.end()
        telemetry.COMMANDS_SENT.labels(f"agent:{self._agent.name}").inc(len(waiting))

    def _put(self) -> None:
        for number, changed in self._changed.items():
            partition = self._states.of(number)
            for key in changed.keys:
                self._states.put_account(changed.event, partition, key)
                self._reached(Step.PUT)
            if changed.board:
                self._states.put_board(changed.event, partition)
            if changed.shared:
                self._states.put_shared(changed.event, partition)
            if changed.links:
                self._states.put_links(changed.event, partition)


class _Changed:
    """What a batch changed in one partition; `event` is one of its events there, for Faust's sake."""

    def __init__(self, event: Any) -> None:
        self.event = event
        self.keys: dict[bytes, None] = {}
        self.board = False
        self.shared = False
        self.links = False


def die(agent: str, failure: BaseException) -> NoReturn:
    """End the process before Faust can acknowledge what was not done."""
    if isinstance(failure, chain.ChainBroken):
        telemetry.CHAIN_BREAKS.labels(agent).inc()
    log.critical("agent failed; the process ends and reads again", agent=agent, exc_info=failure)
    logging.shutdown()
    os._exit(EXIT_CODE)


def _arrived(message: Any) -> Arrived:
    return Arrived(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key or b"",
        value=message.value or b"",
        headers=dict(message.headers or {}),
    )
