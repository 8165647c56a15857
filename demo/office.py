"""The demo's staff: an officer for limits and breaks, an accountant for prices and invoices, an operator.

All use the public doors, each with a token of its own scope.
"""

import asyncio
import uuid
from collections.abc import Iterable, Sequence

import aiohttp

from infra.tokens import Mint, Scope

TOKEN_SECONDS = 3_600
"""Validity of a token of the staff: longer than any demo."""
INVOICES_AT_ONCE = 20
"""Accounts that are invoiced side by side."""
MONTH = "2012-06"
"""The month of market dates in which the demo plays."""
BEGINS_ON = "2012-01-01"
PRICES = {"begins_on": BEGINS_ON, "per_share": "0.01", "basis_points": "0", "minimum": "1.00"}
"""The price list that fills are first charged by."""
CORRECTED = {"begins_on": BEGINS_ON, "per_share": "0.005", "basis_points": "0", "minimum": "1.00"}
"""The list as it should have been: whoever bought much gets a credit note."""
HASTY_LIMITS = {
    "order_notional_max": "2500000.00",
    "gross_exposure_max": "10000000.00",
    "orders_per_minute_max": 3,
    "reason": "sends bursts",
}
"""What a customer who sends bursts is held to."""


class Office:
    """Who works at the brokerage of one tenant."""

    def __init__(self, session: aiohttp.ClientSession, url: str, mint: Mint, tenant: str) -> None:
        self._session = session
        self._url = url
        self._tokens = {
            scope: mint.mint(tenant=tenant, sub=sub, account_id="*", scopes=[scope], ttl_s=TOKEN_SECONDS)
            for scope, sub in ((Scope.RISK, "officer"), (Scope.BILLING, "accountant"), (Scope.OPERATE, "operator"))
        }

    async def restrain(self, accounts: Iterable[str]) -> None:
        """Hold these accounts to a few orders a minute of market time."""
        for account in accounts:
            await self._ask(Scope.RISK, "PUT", f"/v1/accounts/{account}/limits", HASTY_LIMITS)

    async def publish(self, row: dict[str, str], reason: str) -> None:
        """Charge all accounts by this list from here on."""
        await self._ask(Scope.BILLING, "POST", "/v1/billing/price-lists", {"rows": [row], "reason": reason})

    async def invoice(self, accounts: Sequence[str]) -> None:
        """Invoice the month of every one of these accounts."""
        gate = asyncio.Semaphore(INVOICES_AT_ONCE)

        async def one(account: str) -> None:
            async with gate:
                await self._ask(Scope.BILLING, "POST", f"/v1/accounts/{account}/invoices", {"month": MONTH})

        await asyncio.gather(*(one(account) for account in accounts))

    async def explain(self, account: str, break_id: str, reason: str) -> None:
        """Say what is known about a break."""
        path = f"/v1/accounts/{account}/breaks/{break_id}/explain"
        await self._ask(Scope.RISK, "POST", path, {"reason": reason})

    async def subscribe(self, label: str, contexts: Sequence[str]) -> str:
        """Let a partner follow these contexts; gives the id of the subscription."""
        body = {"label": label, "contexts": contexts}
        made = await self._ask(Scope.OPERATE, "POST", "/v1/partners/subscriptions", body)
        return str(made["subscription_id"])

    async def _ask(self, scope: Scope, method: str, path: str, body: object) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {self._tokens[scope]}", "Idempotency-Key": uuid.uuid4().hex}
        async with self._session.request(method, self._url + path, json=body, headers=headers) as answer:
            if not answer.ok:
                raise RuntimeError(f"{method} {path} was answered {answer.status}: {await answer.text()}")
            said: dict[str, object] = await answer.json()
            return said
