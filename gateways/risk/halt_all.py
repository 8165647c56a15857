"""The list of accounts -> one halt for each: the switch for the day when everything must stand still.

The accounts are read from the read model, the halts go through the gateway like any other, so that its scope decides
who may. An account that cannot be halted stops nobody else's halt and is named at the end.
"""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from domain.kernel.ids import derived
from domain.risk.events import Refusal
from gateways import client
from gateways.client import Client, Refused
from gateways.risk.rest import ACCOUNT
from infra.postgres import Database, DatabaseDown
from infra.settings import settings
from projections.accounts import account_list

HALTS_AT_ONCE_MAX = 50
"""Halts under way together: enough to keep every partition busy, few enough for the rate that one token may have."""
ACCOUNTS_READ_MAX = 1_000
"""Accounts of one page of the list."""


class Done(msgspec.Struct):
    """How many accounts were halted, how many stood still already, and which were missed, with the reason."""

    halted: int = 0
    were_halted: int = 0
    missed: dict[str, str] = msgspec.field(default_factory=dict)

    def summary(self) -> dict[str, object]:
        """For programs."""
        return {"halted": self.halted, "were_halted": self.were_halted, "missed": self.missed}


async def halt_all(gateway: Client, token: str, reason: str, key: str) -> Done:
    """Halt every account of the token's tenant. Raises Refused when the accounts cannot be listed."""
    done, gate = Done(), asyncio.Semaphore(HALTS_AT_ONCE_MAX)

    async def one(account_id: str) -> None:
        try:
            path = f"{ACCOUNT.format(account_id=account_id)}/halt"
            await gateway.send("POST", path, {"reason": reason}, key=derived(key, account_id))
        except Refused as refused:
            if refused.reason == Refusal.ALREADY_HALTED:
                done.were_halted += 1
            else:
                done.missed[account_id] = str(refused)
        else:
            done.halted += 1
        finally:
            gate.release()

    halts: set[asyncio.Task[None]] = set()
    try:
        async for account_id in _accounts(str(client.claims(token)["tenant"])):
            await gate.acquire()
            halts.add(asyncio.create_task(one(account_id)))
    finally:
        await asyncio.gather(*halts)
    return done


async def _accounts(tenant: str) -> AsyncIterator[str]:
    database, after = Database(settings().postgres, name="halt-all"), ""
    try:
        while True:
            rows = await account_list.by_tenant(database, tenant=tenant, limit=ACCOUNTS_READ_MAX, after=after)
            for row in rows:
                yield row.account_id
            if len(rows) < ACCOUNTS_READ_MAX:
                return
            after = rows[-1].account_id
    except DatabaseDown as down:
        raise Refused(
            {
                "detail": "The accounts cannot be listed: the database does not answer.",
                "remedy": "Start it or set TAPELINE_POSTGRES; stopping the deciders stands everything still meanwhile.",
            }
        ) from down
    finally:
        await database.close()
