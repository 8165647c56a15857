"""<context>.events -> <context>.commands: one loop for all sagas, each a pure function from an event to steps.

A step is a command for some context; its id follows from the event, the saga and its place, so that a replay after a
crash sends the same commands, which change nothing the second time. Offsets are committed after every step is
acknowledged.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from domain.kernel.ids import derived
from domain.kernel.messages import Command, Issued, Recorded
from infra import commands, telemetry, tracing
from infra.avro.codec import Codec
from infra.kafka.sender import Sender
from streams.following import Followed, Follower

BATCH_EVENTS_MAX = 500
"""Events whose steps are under way together; it bounds what a crash sends again."""
COMMIT_EVERY_SECONDS = 0.5
"""How often offsets are committed; what lies between is replayed after a crash and changes nothing."""


class Step(msgspec.Struct, frozen=True):
    """A command for a context. `at` and `actor` are filled in by the host."""

    context: str
    command: Command
    stream_id: str = ""
    """Stream of the command; that of the event when empty."""


class Saga(msgspec.Struct, frozen=True):
    """A name, the contexts whose events it reads, and the pure function."""

    name: str
    sources: tuple[str, ...]
    react: Callable[[Recorded[Any]], Iterable[Step]]


def steps(saga: Saga, recorded: Recorded[Any]) -> list[tuple[str, Issued[Command]]]:
    """The commands that this event makes this saga send, each with its context."""
    made: list[tuple[str, Issued[Command]]] = []
    for index, step in enumerate(saga.react(recorded)):
        command = msgspec.structs.replace(step.command, at=recorded.recorded_at, actor=f"saga:{saga.name}")
        issued = Issued(
            command=command,
            command_id=derived("saga", saga.name, recorded.event_id, index),
            tenant=recorded.tenant,
            stream_id=step.stream_id or recorded.stream_id,
            causation_id=recorded.event_id,
            correlation_id=recorded.correlation_id,
        )
        made.append((step.context, issued))
    return made


class Sagas:
    """The loop over all sagas."""

    def __init__(self, sagas: Sequence[Saga], follower: Follower, sender: Sender, codec: Codec) -> None:
        self._by_topic: dict[str, list[Saga]] = {}
        for saga in sagas:
            for source in saga.sources:
                self._by_topic.setdefault(f"{source}.events", []).append(saga)
        self._follower = follower
        self._sender = sender
        self._codec = codec
        self._is_following = False

    @staticmethod
    def topics(sagas: Iterable[Saga]) -> list[str]:
        """Every topic that some saga reads."""
        return sorted({f"{source}.events" for saga in sagas for source in saga.sources})

    def ready(self) -> tuple[bool, str]:
        """Ready once the loop has found its place, and while no partition is broken."""
        if not self._is_following:
            return False, "finding the last committed position"
        trouble = self._follower.trouble()
        return not trouble, trouble or "following"

    async def _send(self, saga: str, context: str, issued: Issued[Command], headers: dict[str, bytes]) -> None:
        trace = headers.get(commands.TRACE, b"")
        with tracing.child(f"saga {saga}", trace, kind=tracing.Kind.PRODUCER, command_id=issued.command_id) as span:
            trace = span.traceparent.encode() or trace
            await commands.send(self._sender, self._codec, context, issued, traceparent=trace)

    async def run(self, stop: asyncio.Event) -> None:
        """React to every event, in order, until asked to stop."""
        await self._follower.start()
        self._is_following = True
        loop = asyncio.get_running_loop()
        committed_at, is_dirty = loop.time(), False
        while not stop.is_set():
            batch = await self._follower.events(BATCH_EVENTS_MAX)
            is_dirty = is_dirty or bool(batch)
            await self._react(batch)
            if is_dirty and loop.time() - committed_at > COMMIT_EVERY_SECONDS:
                await self._follower.commit()
                await self._follower.measure_lag()
                committed_at, is_dirty = loop.time(), False
        if is_dirty:
            await self._follower.commit()
        await self._follower.close()

    async def _react(self, batch: Sequence[Followed]) -> None:
        """Send every step of these events."""
        sends = []
        for followed in batch:
            recorded, headers = followed.recorded, followed.arrived.headers
            with telemetry.concerning(correlation_id=recorded.correlation_id, event_id=recorded.event_id):
                for saga in self._by_topic[followed.arrived.topic]:
                    for context, issued in steps(saga, recorded):
                        sends.append(self._send(saga.name, context, issued, headers))
                        telemetry.COMMANDS_SENT.labels(saga.name).inc()
        await asyncio.gather(*sends)
