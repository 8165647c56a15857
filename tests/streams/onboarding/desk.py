"""Checks decided by a real owner on the real broker, a real simulator of the vendor, and effects that can be killed.

Everything has a name of the test's own. As a program it is the effects of onboarding alone, for a test to kill -9.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from pydantic import SecretStr

import contexts
from domain.kernel.messages import Command, Issued, Recorded
from domain.onboarding.commands import RequestKycCheck
from domain.onboarding.reports import APPLICANT_CONTEXT, KycNotice, KycReport
from infra.avro.codec import Codec
from infra.catalogue import Feed, fed
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.groups import Groups
from infra.kafka.reader import Reader
from infra.kafka.sender import Sender
from infra.kafka.topics import declare
from infra.kyc import inbox, reporter
from infra.kyc.inbox import Inbox
from infra.kyc.notices import SIGNATURE_HEADER, NoticeRefused
from infra.kyc.records import Applicant
from infra.sealing import Vault, vault
from infra.settings import Settings
from streams.effects import Effects, Tools
from streams.interpreting import interpreting
from streams.onboarding import interpret, notices, vendor
from tests.kit.deciding import Installation
from tests.kit.onfido import SECRET, TOKEN, WORKFLOW
from tests.simulators.kit import ROOT

POLL_EVERY_S = 0.3
"""A slow poll that a test can wait for."""


def names(context: str) -> list[tuple[Any, str, object]]:
    """What the modules of onboarding read, write and remember, under the test's own name."""
    return [
        (vendor, "SOURCE", f"{context}.events"),
        (vendor, "NAME", f"{context}.vendor"),
        (vendor, "POLL_EVERY_S", POLL_EVERY_S),
        (notices, "FEED", f"{context}.notices"),
        (notices, "NAME", f"{context}.looker"),
        (
            interpret,
            "interpret",
            interpreting(f"{context}.interpret", f"{context}.reports", KycReport, "onboarding", interpret.meaning),
        ),
        (reporter, "FEED", f"{context}.reports"),
        (inbox, "FEED", f"{context}.notices"),
    ]


class NamedTools(Tools, frozen=True):
    """Tools whose commands go to the context of the test."""

    context: str = ""

    async def send(self, context: str, issued: Issued[Command], *, traceparent: bytes = b"") -> None:
        await super().send(self.context, issued, traceparent=traceparent)


class Desk:
    """One installation: its topics, its vault, its customers."""

    def __init__(self, bootstrap: str, codec: Codec, state_dir: Path) -> None:
        (row,) = [each for each in contexts.deciders() if each.context == "onboarding"]
        self.installation = Installation(bootstrap, codec, row)
        self.context = self.installation.context
        self.bootstrap = bootstrap
        self.codec = codec
        self.state_dir = state_dir
        self.keys: Vault = vault(Settings(state_dir=state_dir))
        feeds = (Feed("notices", KycNotice), Feed("reports", KycReport))
        declare(bootstrap, [msgspec.structs.replace(spec, partitions=1) for spec in fed(self.context, feeds)])

    def settings(self, port: int) -> Settings:
        return Settings(
            kafka=self.bootstrap,
            state_dir=self.state_dir,
            onfido_url=f"http://127.0.0.1:{port}/v3.6",
            onfido_token=SecretStr(TOKEN),
            onfido_workflow_id=WORKFLOW,
        )

    @contextlib.asynccontextmanager
    async def door(self) -> AsyncIterator[str]:
        """The webhook, with the real inbox behind it."""
        sender = Sender(self.bootstrap, "door")
        taking = Inbox(sender, self.keys, self.codec, wall, SECRET)

        async def hook(request: web.Request) -> web.Response:
            try:
                await taking.take(await request.read(), request.headers.get(SIGNATURE_HEADER))
            except NoticeRefused:
                return web.Response(status=401)
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/hook", hook)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        finally:
            await runner.cleanup()
            await sender.close()

    async def request(self, account_id: str, last_name: str) -> None:
        """Have somebody checked; the check is named after the account."""
        applicant = Applicant(first_name="Jane", last_name=last_name, date_of_birth="1990-01-31")
        plaintext = msgspec.json.encode(applicant)
        sealed = await self.keys.seal("acme", account_id, plaintext, APPLICANT_CONTEXT)
        check_id: Any = f"check-{account_id}"
        command = RequestKycCheck(at=wall(), actor="sub:ann", check_id=check_id, applicant_sealed=sealed)
        issued = Issued(
            command=command,
            command_id=f"request-{account_id}",
            tenant="acme",
            stream_id=account_id,
            causation_id="",
            correlation_id="",
        )
        await self.installation.command([issued])

    async def events(self, account_id: str = "") -> list[Recorded[Any]]:
        """What was decided so far, of one account or all."""
        everything = [recorded for _, recorded in await self.installation.everything()]
        return [
            each
            for each in everything
            if not each.stream_id.startswith("owner/") and account_id in ("", each.stream_id)
        ]

    async def until_decided(self, wanted: dict[str, str], within_s: float = 60.0) -> None:
        """Return when each account has an event of this name."""
        async with asyncio.timeout(within_s):
            while True:
                found = {(each.stream_id, type(each.event).__name__) for each in await self.events()}
                if set(wanted.items()) <= found:
                    return
                await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def process(self, port: int, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
        """The effects as a process of their own."""
        with log.open("ab") as output:
            started = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.streams.onboarding.desk"),
                *(self.context, self.bootstrap, str(self.state_dir), str(port)),
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )
        try:
            yield started
        finally:
            if started.returncode is None:
                started.kill()
            await started.wait()


@contextlib.asynccontextmanager
async def working(desk: Desk, port: int) -> AsyncIterator[Effects]:
    """The effects at work in this process."""
    sender, groups = Sender(desk.bootstrap, "effects"), Groups(desk.bootstrap)
    tools = NamedTools(
        desk.settings(port),
        desk.codec,
        wall,
        sender,
        groups,
        DeadLetters(sender),
        lambda name: Reader(desk.bootstrap, name),
        context=desk.context,
    )
    effects = (vendor.vendor, notices.notices, interpret.interpret)
    host, stop = Effects(effects, tools), asyncio.Event()
    task = asyncio.create_task(host.run(stop))
    try:
        yield host
        stop.set()
        await asyncio.wait_for(task, 20)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.close()
        await groups.close()


async def _run_for_ever(context: str, bootstrap: str, state_dir: str, port: str) -> None:
    desk = Desk.__new__(Desk)  # The topics are there already.
    desk.context, desk.bootstrap, desk.state_dir = context, bootstrap, Path(state_dir)
    desk.codec = Codec(contexts.messages())
    async with working(desk, int(port)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    for module, name, value in names(sys.argv[1]):
        setattr(module, name, value)
    asyncio.run(_run_for_ever(*sys.argv[1:]))
