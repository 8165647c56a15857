"""executions.messages -> orders.commands: say to each book what the venue's raw messages mean.

The command id follows from the venue's own message id: repeats and disorder end at the decider. A message that cannot
be read goes to the dead letters; the feed goes on.
"""

import asyncio

import msgspec

from domain.executions import messages
from domain.executions.messages import VenueMessage
from domain.kernel.messages import Issued, Unreadable
from infra.avro.codec import Undecodable
from infra.kafka.records import Arrived
from streams.effects import Effect, Tools

NAME = "executions.interpret"
FEED = "executions.messages"
BATCH_MAX = 500
"""Messages whose commands are under way together; it bounds what a crash sends again."""


async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    """Interpret the feed from the last committed place."""
    follower = tools.follower(NAME, [FEED])
    await follower.start()
    is_ready.set()
    while not stop.is_set():
        batch = await follower.take(BATCH_MAX)
        await asyncio.gather(*(_pass_on(tools, arrived) for arrived in batch))
        if batch:
            await follower.commit()
    await follower.close()


async def _pass_on(tools: Tools, arrived: Arrived) -> None:
    try:
        message = tools.codec.decode_observed(arrived.value, VenueMessage)
        command = messages.interpret(message)
    except Undecodable as poison:
        await tools.dead_letters.bury(arrived, poison.kind, str(poison))
        return
    except Unreadable as poison:
        await tools.dead_letters.bury(arrived, "UNREADABLE", str(poison))
        return
    issued = Issued(
        # What the venue did is never too late to be told: with the time of receipt a fill could come after a thousand
        # newer commands of its account and be set aside as stale. Ids of executions and orders guard against repeats.
        command=msgspec.structs.replace(command, at=tools.clock()),
        command_id=messages.command_id(message),
        tenant=message.tenant,
        stream_id=message.account_id,
        causation_id=message.source_id,
        correlation_id=message.source_id,
    )
    await tools.send("orders", issued)
    tools.dead_letters.used()


interpret = Effect(NAME, run)
