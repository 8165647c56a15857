"""Notices of the KYC vendor -> onboarding.notices: what the vendor signed is kept sealed, the rest is only named.

Anybody can knock at a webhook, so of what is refused only its digest and the reason are kept, and only so many. What
the vendor says again, or somebody replays, is ignored with its reason in the same way: it was looked at once.
"""

import hashlib

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from pydantic import SecretStr

from domain.executions.messages import whose
from domain.kernel.ids import AccountId
from domain.onboarding.reports import NOTICE_CONTEXT, KycNotice
from infra.avro.codec import Codec
from infra.clock import Clock
from infra.commands import Sends
from infra.kyc.notices import Notice, NoticeRefused, Reason, read_notice
from infra.sealing import Erased, Vault
from infra.telemetry import logger

FEED = "onboarding.notices"
REFUSED_KEPT_PER_MINUTE_MAX = 60
"""Refused notices that are written down in a minute; a flood of them is seen in the log all the same."""
REMEMBERED_MAX = 10_000
"""Notices that one gateway knows again: weeks of them. A forgotten one is looked at once more, and decides nothing."""
REPEATED = "REPEATED"
"""Why a notice was ignored that the vendor did sign."""
log = logger("kyc")


class Inbox:
    """Takes notices for one secret."""

    def __init__(self, sender: Sends, vault: Vault, codec: Codec, clock: Clock, secret: SecretStr) -> None:
        self._sender = sender
        self._vault = vault
        self._codec = codec
        self._clock = clock
        self._secret = secret
        self._limit = RateLimitItemPerMinute(REFUSED_KEPT_PER_MINUTE_MAX)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._known: dict[str, None] = {}

    async def take(self, body: bytes, signature: str | None) -> None:
        """Keep the notice; a repeat is ignored and one that is refused kept as such, and NoticeRefused raised."""
        try:
            notice = read_notice(body, signature, self._secret)
        except NoticeRefused as refused:
            await self.refuse(refused.reason, body)
            raise
        source_id = hashlib.sha256(body).hexdigest()
        if source_id in self._known:
            await self._note(REPEATED, source_id)
            return
        tenant, account_id = whose(notice.customer)
        await self._keep(
            KycNotice(
                source_id=source_id,
                tenant=tenant,
                account_id=account_id,
                run_id=notice.object_id,
                refusal="",
                body_sealed=await self._sealed(notice, tenant, account_id, body),
                received_at=self._clock(),
            )
        )
        self._known[source_id] = None
        if len(self._known) > REMEMBERED_MAX:
            del self._known[next(iter(self._known))]

    async def refuse(self, reason: Reason, body: bytes) -> None:
        """Write down that something was refused; what it said is nobody's word and is not kept."""
        log.warning("a notice is refused", reason=reason.name, bytes=len(body))
        await self._note(reason.name, hashlib.sha256(body).hexdigest())

    async def _note(self, reason: str, source_id: str) -> None:
        """Write down why nothing follows from what came, so many times a minute."""
        if not self._limiter.hit(self._limit, FEED):
            return
        await self._keep(
            KycNotice(
                source_id=source_id,
                tenant="",
                account_id=AccountId(""),
                run_id="",
                refusal=reason,
                body_sealed=b"",
                received_at=self._clock(),
            )
        )

    async def _sealed(self, notice: Notice, tenant: str, account_id: str, body: bytes) -> bytes:
        if not (tenant and account_id):
            return b""
        try:
            return await self._vault.seal(tenant, account_id, body, NOTICE_CONTEXT)
        except Erased:
            log.info("a notice of an erased account keeps no body", run_id=notice.object_id)
            return b""

    async def _keep(self, notice: KycNotice) -> None:
        await self._sender.send(FEED, notice.account_id.encode(), self._codec.encode_observed(notice), {})
