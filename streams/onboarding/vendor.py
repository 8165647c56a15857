"""onboarding.events -> the KYC vendor -> onboarding.reports: have every check run, and look until it is decided.

The tape is committed only up to the first check that is not decided: after a crash every open check is looked for, and
the vendor is asked for a run only where there is none. A notice of the vendor makes another effect look at once;
the slow poll here finds whatever a lost notice was about.
"""

import asyncio
import contextlib

import msgspec

from domain.executions.messages import venue_account
from domain.kernel.messages import Recorded
from domain.onboarding import events as e
from domain.onboarding.reports import APPLICANT_CONTEXT, ERASED, REFUSED
from infra.kafka.chain import Link
from infra.kafka.records import Partition
from infra.kyc.onfido import Access, Onfido, VendorRefused
from infra.kyc.records import Applicant, Run
from infra.kyc.reporter import Reporter, Stopped, patiently, together
from infra.sealing import Erased, Unsealable, Vault, vault
from infra.settings import revealed
from infra.telemetry import logger
from streams.effects import Effect, Tools
from streams.following import Followed, Follower

NAME = "onboarding.vendor"
SOURCE = "onboarding.events"
BATCH_MAX = 100
"""Events looked at together."""
ASKED_AT_ONCE_MAX = 4
"""Runs that the vendor is asked for at the same time: it allows some four hundred requests a minute."""
POLL_EVERY_S = 10.0
"""How often open checks are looked at: what a lost notice was about is late by this and no more."""
POLLED_MAX = 50
"""Open checks looked at in one round, those longest not looked at first: three hundred a minute."""
_read = msgspec.json.Decoder(Applicant).decode
log = logger(NAME)


class Open(msgspec.Struct):
    """A check that is not decided, where it was requested, and its run once there is one.

    `told` is the status that was reported last: a run that waits for a person is read often and told once.
    """

    place: Partition
    offset: int
    link: Link
    recorded: Recorded[e.KycCheckRequested]
    run_id: str = ""
    told: str = ""
    looked_at: float = 0.0


class Checks:
    """The open checks, in the order in which they were requested."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._taken: dict[Partition, tuple[int, Link]] = {}
        self.open: dict[str, Open] = {}

    def see(self, followed: Followed) -> Open | None:
        """The check that this event opens; one that it decides is forgotten."""
        place, offset = followed.place, followed.arrived.offset
        self._taken[place] = (offset + 1, followed.link)
        event = followed.recorded.event
        match event:
            case e.KycCheckRequested():
                check = Open(place, offset, followed.before, followed.recorded)
                self.open[event.check_id] = check
                return check
            case e.KycCheckPassed() | e.KycCheckFailed() | e.KycCheckExpired():
                self.open.pop(event.check_id, None)
        return None

    async def commit(self) -> None:
        """Remember the tape up to the first open check of each partition."""
        done = dict(self._taken)
        for check in reversed(self.open.values()):
            done[check.place] = (check.offset, check.link)
        if done:
            await self._follower.commit(done)


class Desk:
    """Where the vendor is asked."""

    def __init__(self, tools: Tools, onfido: Onfido, keys: Vault, stop: asyncio.Event) -> None:
        self._tools = tools
        self._onfido = onfido
        self._keys = keys
        self._reporter = Reporter(tools.sender, keys, tools.codec, tools.clock)
        self._stop = stop
        self._places = asyncio.Semaphore(ASKED_AT_ONCE_MAX)

    async def begin(self, check: Open) -> None:
        """Have a run of this check, the one that is there or a new one, and report it if it says something already."""
        async with self._places:
            recorded = check.recorded
            try:
                run = await patiently(lambda: self._ensure(recorded), self._stop)
            except (Erased, Unsealable) as gone:
                await self._end(check, ERASED, type(gone).__name__.lower())
                return
            except VendorRefused as refused:
                log.warning("no run", check_id=recorded.event.check_id, why=str(refused))
                await self._end(check, REFUSED, ",".join([refused.kind, *refused.fields]))
                return
            check.run_id = run.run_id
            await self._tell(check, run)

    async def look(self, check: Open) -> None:
        """See how the run stands, and report it if it says something."""
        async with self._places:
            try:
                run = await patiently(lambda: self._onfido.run(check.run_id), self._stop)
            except VendorRefused as refused:
                log.warning("a run is gone", run_id=check.run_id, why=str(refused))
                return
            await self._tell(check, run)

    async def _tell(self, check: Open, run: Run) -> None:
        if run.status != check.told:
            await patiently(lambda: self._reporter.report(run), self._stop)
            check.told = run.status

    async def _ensure(self, recorded: Recorded[e.KycCheckRequested]) -> Run:
        event, tenant, account_id = recorded.event, recorded.tenant, recorded.stream_id
        plaintext = await self._keys.unseal(tenant, account_id, event.applicant_sealed, APPLICANT_CONTEXT)
        return await self._onfido.ensure_run(
            _read(plaintext),
            check_id=event.check_id,
            customer=venue_account(tenant, account_id),
            workflow_id=self._tools.settings.onfido_workflow_id,
        )

    async def _end(self, check: Open, status: str, cause: str) -> None:
        recorded = check.recorded
        await self._reporter.report_none(recorded.tenant, recorded.stream_id, recorded.event.check_id, status, cause)


async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    """Follow the tape from the first open check, and look at what is open now and then."""
    follower = tools.follower(NAME, [SOURCE])
    await follower.start()
    checks = Checks(follower)
    access = Access(tools.settings.onfido_url, revealed(tools.settings.onfido_token))
    async with Onfido.open(access) as onfido:
        desk = Desk(tools, onfido, vault(tools.settings), stop)
        polling = asyncio.create_task(_poll(checks, desk, stop))
        is_ready.set()
        try:
            with contextlib.suppress(Stopped):
                await _follow(follower, checks, desk, stop, polling)
        finally:
            polling.cancel()
            results = await asyncio.gather(polling, return_exceptions=True)
    await checks.commit()
    await follower.close()
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, Stopped):
            raise result


async def _follow(
    follower: Follower, checks: Checks, desk: Desk, stop: asyncio.Event, polling: "asyncio.Task[None]"
) -> None:
    while not stop.is_set() and not polling.done():
        batch = await follower.events(BATCH_MAX)
        opened = [check for check in map(checks.see, batch) if check is not None]
        # A check that this same batch decides needs no run: after a restart most are decided further on.
        await together(desk.begin(check) for check in opened if _is_open(checks, check))
        if batch:
            await checks.commit()


async def _poll(checks: Checks, desk: Desk, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(POLL_EVERY_S)
        waiting = sorted((each for each in checks.open.values() if each.run_id), key=lambda each: each.looked_at)
        for check in waiting[:POLLED_MAX]:
            await desk.look(check)
            check.looked_at = asyncio.get_running_loop().time()


def _is_open(checks: Checks, check: Open) -> bool:
    return checks.open.get(check.recorded.event.check_id) is check


vendor = Effect(NAME, run)
