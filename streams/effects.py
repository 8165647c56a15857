"""The outside <-> the tape: the host of all effects, the only code that talks to anything outside.

An effect is a coroutine with a name: it runs until it is asked to stop, keeps what the outside says raw on a feed, and
repeats after a crash whatever was not answered. When one of them fails the process ends, loudly, and is started again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from domain.kernel.messages import Command, Issued
from infra import commands, telemetry
from infra.avro.codec import Codec
from infra.clock import Clock
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.groups import Groups
from infra.kafka.reader import Reader
from infra.kafka.sender import Sender
from infra.settings import Settings
from streams.following import Follower

log = telemetry.logger("effects")


class Tools(msgspec.Struct, frozen=True):
    """What an effect may use."""

    settings: Settings
    codec: Codec
    clock: Clock
    sender: Sender
    groups: Groups
    dead_letters: DeadLetters
    readers: Callable[[str], Reader]
    followers: list[Follower] = msgspec.field(default_factory=list)
    """Every loop that was made; whether they go on is part of being ready."""

    def follower(self, group: str, topics: Sequence[str]) -> Follower:
        """A loop over these topics that remembers its place under this name."""
        follower = Follower(group, topics, self.readers(group), self.groups, self.codec)
        self.followers.append(follower)
        return follower

    async def send(self, context: str, issued: Issued[Command], *, traceparent: bytes = b"") -> None:
        """Send a command; returns when it is acknowledged."""
        await commands.send(self.sender, self.codec, context, issued, traceparent=traceparent)


class Effect(msgspec.Struct, frozen=True):
    """One conversation with the outside. `run` returns only when `stop` is set; `is_ready` is set when it talks."""

    name: str
    run: Callable[[Tools, asyncio.Event, asyncio.Event], Awaitable[None]]


class Effects:
    """All effects of one process, side by side."""

    def __init__(self, effects: Sequence[Effect], tools: Tools) -> None:
        self._effects = {effect.name: effect for effect in effects}
        self._tools = tools
        self._ready = {name: asyncio.Event() for name in self._effects}

    def ready(self) -> tuple[bool, str]:
        """Ready when every effect talks to its outside, and while no partition is broken."""
        trouble = "; ".join(filter(None, (follower.trouble() for follower in self._tools.followers)))
        if trouble:
            return False, trouble
        waiting = sorted(name for name, event in self._ready.items() if not event.is_set())
        return not waiting, f"waiting for {', '.join(waiting)}" if waiting else "all talk"

    async def run(self, stop: asyncio.Event) -> None:
        """Run until asked to stop, or until one of them fails."""
        async with asyncio.TaskGroup() as group:
            for name, effect in self._effects.items():
                group.create_task(self._run(effect, stop, self._ready[name]), name=name)

    async def _run(self, effect: Effect, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
        log.info("effect starts", effect=effect.name)
        await effect.run(self._tools, stop, is_ready)
        if not stop.is_set():
            raise RuntimeError(f"effect {effect.name} ended by itself; start the process again")
