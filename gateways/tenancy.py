"""Which tenant an account is of -> whether a command about it may be sent.

An account that a token names may have been opened by another tenant: its decider would set the command aside, and the
caller would wait for nothing. Whose an account is never changes, so it is asked once. An account that nobody opened is
anybody's, and while the read models are away so is every other: the decider asks again.
"""

import asyncio

from gateways.problems import not_found
from infra.postgres import Database
from infra.telemetry import logger
from projections.accounts import account_list

KNOWN_MAX = 100_000
"""Accounts whose tenant is remembered; beyond it they are asked for anew."""
ASK_WAIT_S = 0.5
"""Longest wait for the read model: it answers in a millisecond, and nothing rests on it alone."""
log = logger("tenancy")


class Tenancy:
    """Knows whose accounts are, over the list of accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tenants: dict[str, str] = {}

    async def admit(self, tenant: str, account_id: str) -> None:
        """Raises Problem, 404, for an account of another tenant."""
        whose = self._tenants.get(account_id) or await self._ask(account_id)
        if whose not in ("", tenant):
            raise not_found()

    async def _ask(self, account_id: str) -> str:
        """The tenant of an account; empty while nobody knows."""
        try:
            async with asyncio.timeout(ASK_WAIT_S):
                whose = await account_list.tenant_of(self._database, account_id)
        except Exception as failure:  # noqa: BLE001  (whatever it is: here the read model is a help, not a need)
            log.warning("nobody says whose the account is", error=repr(failure))
            return ""
        if whose is None:
            return ""
        if len(self._tenants) >= KNOWN_MAX:
            self._tenants.clear()
        self._tenants[account_id] = whose
        return whose
