"""onboarding.notices -> the KYC vendor -> onboarding.reports: look at every run that a notice is about.

A notice is only a hint: repeated or late, all it can do is make us look at what stands. One about a run that the vendor
does not know, or that is not ours, goes to the dead letters with the reason.
"""

import asyncio
import contextlib

from domain.onboarding.reports import KycNotice
from infra.avro.codec import Undecodable
from infra.kafka.records import Arrived
from infra.kyc.inbox import FEED
from infra.kyc.onfido import Access, Onfido, VendorRefused
from infra.kyc.reporter import Reporter, Stopped, patiently, together
from infra.sealing import vault
from infra.settings import revealed
from streams.effects import Effect, Tools

NAME = "onboarding.notices"
BATCH_MAX = 100
"""Notices looked at together; it bounds what a crash looks at again."""
ASKED_AT_ONCE_MAX = 4
"""Runs that are read at the same time."""


async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    """Follow the feed from the last committed place."""
    follower = tools.follower(NAME, [FEED])
    await follower.start()
    access = Access(tools.settings.onfido_url, revealed(tools.settings.onfido_token))
    reporter = Reporter(tools.sender, vault(tools.settings), tools.codec, tools.clock)
    places = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
    async with Onfido.open(access) as onfido:
        is_ready.set()
        with contextlib.suppress(Stopped):
            while not stop.is_set():
                batch = await follower.take(BATCH_MAX)
                await together(_look(tools, onfido, reporter, arrived, places, stop) for arrived in batch)
                if batch:
                    await follower.commit()
    await follower.close()


async def _look(  # noqa: PLR0913  what looking takes
    tools: Tools, onfido: Onfido, reporter: Reporter, arrived: Arrived, places: asyncio.Semaphore, stop: asyncio.Event
) -> None:
    try:
        notice = tools.codec.decode_observed(arrived.value, KycNotice)
    except Undecodable as poison:
        await tools.dead_letters.bury(arrived, poison.kind, str(poison))
        return
    tools.dead_letters.used()
    if notice.refusal:
        return
    async with places:
        try:
            run = await patiently(lambda: onfido.run(notice.run_id), stop)
        except VendorRefused as refused:
            await tools.dead_letters.bury(arrived, "UNKNOWN_RUN", str(refused))
            return
        if not run.check_id:
            await tools.dead_letters.bury(arrived, "NOT_OURS", f"run {run.run_id} names no check of ours")
            return
        await patiently(lambda: reporter.report(run), stop)


notices = Effect(NAME, run)
