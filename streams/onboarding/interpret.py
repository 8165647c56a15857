"""onboarding.reports -> onboarding.commands: say to each account's file what the vendor's sealed answers mean.

The command id follows from the report's own id: what is reported twice is decided once. A report that decides nothing
goes to the dead letters; the feed goes on.
"""

import asyncio

import msgspec

from domain.kernel.ids import derived
from domain.kernel.messages import Issued, Unreadable
from domain.onboarding import reports
from domain.onboarding.reports import KycReport
from infra.avro.codec import Undecodable
from infra.kafka.records import Arrived
from infra.kyc.reporter import FEED
from streams.effects import Effect, Tools

NAME = "onboarding.interpret"
BATCH_MAX = 200
"""Reports whose commands are under way together; it bounds what a crash sends again."""


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
        report = tools.codec.decode_observed(arrived.value, KycReport)
        command = reports.interpret(report)
    except Undecodable as poison:
        await tools.dead_letters.bury(arrived, poison.kind, str(poison))
        return
    except Unreadable as poison:
        await tools.dead_letters.bury(arrived, "UNREADABLE", str(poison))
        return
    issued = Issued(
        # What the vendor said is never too late to be told: the check's own state guards against repeats.
        command=msgspec.structs.replace(command, at=tools.clock()),
        command_id=derived("kyc report", report.source_id),
        tenant=report.tenant,
        stream_id=report.account_id,
        causation_id=report.source_id,
        correlation_id=report.check_id,
    )
    await tools.send("onboarding", issued)
    tools.dead_letters.used()


interpret = Effect(NAME, run)
