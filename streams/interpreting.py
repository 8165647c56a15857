"""A feed of what the outside said -> commands: the one loop of all effects that say what raw messages mean.

The meaning is a pure function; the command id follows from the source's own id, so that repeats and disorder end at the
decider. A message that cannot be read goes to the dead letters; the feed goes on.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from domain.kernel.messages import Issued, Observed, Unreadable
from infra import tracing
from infra.avro.codec import Undecodable
from infra.commands import TRACE
from infra.kafka.records import Arrived
from streams.effects import Effect, Tools

BATCH_MAX = 500
"""Messages whose commands are under way together; it bounds what a crash sends again."""

M = TypeVar("M", bound=Observed)


def interpreting(name: str, feed: str, kind: type[M], context: str, meaning: Callable[[M], Issued[Any]]) -> Effect:
    """The effect that sends `context` what each message of `feed` means; `meaning` raises Unreadable.

    What was said outside is never too late to be told, so each command has the time at which it is sent: with the time
    of receipt it could come after a thousand newer commands of its account and be set aside as stale. Ids of their own,
    of executions, orders and checks, guard against repeats.
    """

    async def pass_on(tools: Tools, arrived: Arrived) -> None:
        try:
            issued = meaning(tools.codec.decode_observed(arrived.value, kind))
        except Undecodable as poison:
            await tools.dead_letters.bury(arrived, poison.kind, str(poison))
            return
        except Unreadable as poison:
            await tools.dead_letters.bury(arrived, "UNREADABLE", str(poison))
            return
        command = msgspec.structs.replace(issued.command, at=tools.clock())
        asked_under = arrived.headers.get(TRACE, b"")
        with tracing.child(f"effect {name}", asked_under, kind=tracing.Kind.PRODUCER) as span:
            trace = span.traceparent.encode() or asked_under
            await tools.send(context, msgspec.structs.replace(issued, command=command), traceparent=trace)
        tools.dead_letters.used()

    async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
        """From the last committed place on, until asked to stop."""
        follower = tools.follower(name, [feed])
        await follower.start()
        is_ready.set()
        while not stop.is_set():
            batch = await follower.take(BATCH_MAX)
            await asyncio.gather(*(pass_on(tools, arrived) for arrived in batch))
            if batch:
                await follower.commit()
        await follower.close()

    return Effect(name, run)
