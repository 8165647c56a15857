"""The vendor's runs -> onboarding.reports: what every effect that looked at a run does with what it saw.

The answer is sealed under the account's key before it is written. Whoever looks, and however often, a state of a run
has one id, so it is decided once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from domain.executions.messages import whose
from domain.kernel.ids import AccountId, CheckId
from domain.onboarding import reports
from domain.onboarding.reports import REPORT_CONTEXT, KycReport
from infra.avro.codec import Codec
from infra.clock import Clock
from infra.commands import Sends
from infra.kms.port import KeysUnavailable
from infra.kyc.onfido import VendorUnavailable
from infra.kyc.records import Run
from infra.sealing import Erased, Vault
from infra.telemetry import logger

FEED = "onboarding.reports"
RETRY_FIRST_MS = 500
"""Pause before a vendor that cannot answer is asked again for the first time: it is often a single request."""
RETRY_MAX_MS = 30_000
"""Longest pause before a vendor that cannot answer is asked again; pauses double up to it."""

T = TypeVar("T")
log = logger("onboarding")


class Stopped(Exception):
    """The effect was told to stop while the vendor could not answer."""


class Reporter:
    """Writes down how runs stand."""

    def __init__(self, sender: Sends, vault: Vault, codec: Codec, clock: Clock) -> None:
        self._sender = sender
        self._vault = vault
        self._codec = codec
        self._clock = clock

    async def report(self, run: Run) -> None:
        """Write down how a run of ours stands, once it says something; returns when it is acknowledged."""
        tenant, account_id = whose(run.customer)
        if not (run.status.is_ended and run.check_id and tenant and account_id):
            return
        try:
            sealed = await self._vault.seal(tenant, account_id, run.raw, REPORT_CONTEXT)
        except Erased:
            sealed = b""
        # The vendor's reasons are its own words and may be about the person: they stay in what is sealed.
        await self._write(tenant, account_id, run.check_id, run.run_id, run.status.value, "", sealed)

    async def report_none(self, tenant: str, account_id: str, check_id: str, status: str, cause: str) -> None:
        """Write down that a check has no run and gets none, and why."""
        await self._write(tenant, account_id, check_id, "", status, cause, b"")

    async def _write(  # noqa: PLR0913  what a report is made of
        self, tenant: str, account_id: str, check_id: str, run_id: str, status: str, cause: str, body_sealed: bytes
    ) -> None:
        report = KycReport(
            source_id=reports.source_id(check_id, run_id, status),
            tenant=tenant,
            account_id=AccountId(account_id),
            check_id=CheckId(check_id),
            run_id=run_id,
            status=status,
            cause=cause,
            body_sealed=body_sealed,
            received_at=self._clock(),
        )
        await self._sender.send(FEED, account_id.encode(), self._codec.encode_observed(report), {})


async def together(works: Iterable[Awaitable[None]]) -> None:
    """All of these to their ends, then the first failure if there was one: none goes on unseen."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def patiently(ask: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T:
    """What the vendor says in the end, however long it cannot answer. Raises Stopped when told to stop meanwhile."""
    pause_ms = RETRY_FIRST_MS
    while True:
        try:
            return await ask()
        except (VendorUnavailable, KeysUnavailable) as away:
            asked_ms = getattr(away, "retry_after_ms", None) or pause_ms
            log.warning("asked again later", why=str(away), pause_ms=min(asked_ms, RETRY_MAX_MS))
        try:
            await asyncio.wait_for(stop.wait(), min(asked_ms, RETRY_MAX_MS) / 1000)
        except TimeoutError:
            pause_ms = min(2 * pause_ms, RETRY_MAX_MS)
            continue
        raise Stopped
