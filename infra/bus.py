"""A command -> <context>.commands -> its event, read back from <context>.events: how a door asks for a decision.

A caller is answered only with what stands on the tape. The last answers are kept, so that a repeated command finds its
first answer; older ones are asked of the journal. When the journal cannot be asked the command is sent all the same:
the decider knows the newest ids of its stream and the aggregate knows its own for ever, so that a repeat is never done
twice, it is only told DUPLICATE instead of its first answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec

from domain.kernel.messages import Command, Issued, Recorded
from infra import commands, tracing
from infra.avro.codec import Codec
from infra.commands import Sends
from infra.kafka.sender import SendFailed, murmur2_partition
from infra.readback import Seen
from infra.settings import ANSWER_WAIT_MS, ANSWERS_KEPT_MAX, PARTITIONS
from infra.telemetry import logger

JOURNAL_WAIT_S = 0.5
"""Longest look into the journal before a command is sent without it."""
WAITING_MAX = 20_000
"""Commands that wait for their decisions in one gateway: seconds of the deciders' work, some tens of megabytes."""
RETRY_AFTER_S = 1
"""What a caller is told to wait before it repeats."""

log = logger("bus")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided, and where it stands on the tape."""

    topic: str
    partition: int
    recorded: Recorded[Any]


class NoDecision(Exception):
    """There is no answer yet; the subclass says what may have become of the command."""


class Pending(NoDecision):
    """The command stands on its topic and its decision was not read back in time: ask for it by the same id.

    `sent` is where it stands: topic, partition, offset.
    """

    def __init__(self, command_id: str, sent: tuple[str, int, int]) -> None:
        super().__init__(command_id)
        self.command_id = command_id
        self.sent = sent


class OutcomeUnknown(NoDecision):
    """The command may or may not stand on its topic: repeat it with the same id."""


class Busy(NoDecision):
    """Too many commands wait already; nothing was sent."""


class Stopped(NoDecision):
    """The tape is not read back any more; nothing was sent."""


class DifferentRequest(Exception):
    """Another command was sent under this id before."""


class CommandBus(Protocol):
    """What a gateway needs of the bus."""

    async def send(
        self, context: str, issued: Issued[Any], wait_ms: int = ANSWER_WAIT_MS, *, traceparent: str = ""
    ) -> Answer:
        """The decision. Raises NoDecision or DifferentRequest."""
        ...

    async def find(self, command_id: str) -> Answer | None:
        """The decision on a command that was sent before, None when there is none yet."""
        ...


Journal = Callable[[str], Awaitable[Answer | None]]
"""Finds the decision on a command id in the journal of all events."""


class _Waiting(msgspec.Struct):
    digest: bytes
    answer: "asyncio.Future[Answer]"
    callers: int = 0
    sent: tuple[str, int, int] | None = None


class _Kept(msgspec.Struct, frozen=True, gc=False):
    topic: str
    partition: int
    value: bytes


class Bus:
    """Sends commands and waits for their events; `seen` is called by the read-back for every event of the tape."""

    def __init__(self, sender: Sends, codec: Codec, journal: Journal | None = None) -> None:
        self._sender = sender
        self._codec = codec
        self._journal = journal
        self._waiting: dict[str, _Waiting] = {}
        self._kept: dict[str, _Kept] = {}
        self._stopped = ""

    def stop(self, reason: str) -> None:
        """Send nothing from here on: what was decided could not be told."""
        self._stopped = reason

    async def send(
        self, context: str, issued: Issued[Command], wait_ms: int = ANSWER_WAIT_MS, *, traceparent: str = ""
    ) -> Answer:
        """The decision. Raises NoDecision or DifferentRequest."""
        if self._stopped:
            raise Stopped(self._stopped)
        until = time.monotonic() + wait_ms / 1000
        digest = self._codec.digest(issued)
        waiting = self._waiting.get(issued.command_id)
        if waiting is None:
            if len(self._waiting) >= WAITING_MAX:
                raise Busy(f"{WAITING_MAX} commands wait for their decisions")
            waiting = _Waiting(digest, asyncio.get_running_loop().create_future())
            self._waiting[issued.command_id] = waiting
        elif waiting.digest != digest:
            raise DifferentRequest(issued.command_id)
        waiting.callers += 1
        try:
            if waiting.callers > 1:
                answer = await self._wait(issued.command_id, waiting, until)
            else:
                known = await self._known(issued.command_id)
                if known is None:
                    await self._produce(context, issued, waiting, traceparent)
                    known = await self._wait(issued.command_id, waiting, until)
                answer = known
                _settle(waiting.answer, answer)
        finally:
            waiting.callers -= 1
            if not waiting.callers:
                self._waiting.pop(issued.command_id, None)
        if answer.recorded.digest != digest:
            raise DifferentRequest(issued.command_id)
        return answer

    async def find(self, command_id: str) -> Answer | None:
        """The decision on an earlier command, from memory or the journal; raises what the journal raises."""
        kept = self._kept.get(command_id)
        if kept is not None:
            return Answer(topic=kept.topic, partition=kept.partition, recorded=self._codec.decode_event(kept.value))
        return None if self._journal is None else await self._journal(command_id)

    def seen(self, seen: Seen) -> None:
        """An event was read back: keep it as an answer, and give it to whoever waits for it."""
        command_id = seen.command_id
        if not command_id:
            return
        self._kept[command_id] = _Kept(seen.topic, seen.partition, seen.value)
        if len(self._kept) > ANSWERS_KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        waiting = self._waiting.get(command_id)
        if waiting is not None and not waiting.answer.done():
            waiting.answer.set_result(Answer(topic=seen.topic, partition=seen.partition, recorded=seen.recorded))

    async def _known(self, command_id: str) -> Answer | None:
        try:
            async with asyncio.timeout(JOURNAL_WAIT_S):
                return await self.find(command_id)
        except Exception as failure:  # noqa: BLE001  (whatever it is: here the journal is a help, not a need)
            log.warning("the journal cannot be asked", error=repr(failure), command_id=command_id)
            return None

    async def _wait(self, command_id: str, waiting: _Waiting, until: float) -> Answer:
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                return await asyncio.shield(waiting.answer)
        except TimeoutError:
            pass
        # A repeat whose event is older than our memory adds nothing to the tape; by now the journal may have it.
        known = await self._known(command_id)
        if known is None:
            if waiting.sent is None:  # Another caller's try to deliver it is still under way.
                raise OutcomeUnknown(command_id)
            raise Pending(command_id, waiting.sent)
        return known

    async def _produce(self, context: str, issued: Issued[Command], waiting: _Waiting, traceparent: str) -> None:
        produced = tracing.root(f"produce {commands.topic_of(context)}", traceparent, kind=tracing.Kind.PRODUCER)
        trace = (produced.traceparent or traceparent).encode()
        try:
            with produced:
                offset = await commands.send(
                    self._sender, self._codec, context, issued, digest=waiting.digest, traceparent=trace
                )
                partition = murmur2_partition(issued.stream_id.encode(), PARTITIONS)
                waiting.sent = (commands.topic_of(context), partition, offset)
        except SendFailed as failure:
            unknown = OutcomeUnknown(str(failure))
            if not waiting.answer.done():  # Those who wait for the same command learn it too.
                waiting.answer.set_exception(unknown)
                waiting.answer.exception()
            raise unknown from failure


def _settle(future: "asyncio.Future[Answer]", answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
