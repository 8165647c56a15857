"""What happens around the trading, in order: the venue forgets, somebody finds out, everybody gets a bill.

`quiet` waits until the tape stands still, so that each act begins when the one before it has had all its effects.
"""

import asyncio
import time

import aiohttp
import msgspec

from demo.office import CORRECTED, Office
from demo.watch import Watch

QUIET_SECONDS = 1.5
"""The tape stands still this long before an act is over."""
QUIET_SECONDS_MAX = 30.0
FORGOTTEN, REPEATED = 4, 20
"""Executions of which the venue's drop copy says nothing, and those that it says twice."""
EXPLANATION = "the venue's back office had lost the copy"


async def forget(session: aiohttp.ClientSession, venue_url: str) -> None:
    """The venue's back office will lose some copies and say some twice; its statements stay true."""
    await _control(session, venue_url, {"drop": FORGOTTEN, "repeat": REPEATED})


async def reconcile(session: aiohttp.ClientSession, venue_url: str, office: Office, watch: Watch) -> list[str]:
    """Explain every break that was found, then let the venue remember; gives the executions it had lost."""
    await quiet(watch)
    lost = (await _control(session, venue_url, {}))["withheld"]
    for each in watch.breaks.unexplained():
        await office.explain(each.account_id, each.break_id, EXPLANATION)
    await _control(session, venue_url, {"release": True})
    return [str(each) for each in lost]


async def bill(office: Office, watch: Watch) -> None:
    """Invoice what was traded, then correct the price list: whoever was billed too much gets a credit note."""
    await quiet(watch)
    await office.invoice(sorted(watch.charged))
    await office.publish(CORRECTED, "a share costs half a cent, as was agreed")
    await quiet(watch)


async def quiet(watch: Watch) -> None:
    """Until nothing is added to the tape for a while: sagas, agents, the venue and the day's end have finished."""
    seen, since, until = -1, time.monotonic(), time.monotonic() + QUIET_SECONDS_MAX
    while time.monotonic() < until:
        total = sum(watch.events.values())
        if total != seen:
            seen, since = total, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS:
            return
        await asyncio.sleep(0.1)


async def _control(session: aiohttp.ClientSession, venue_url: str, asked: dict[str, object]) -> dict[str, list[str]]:
    async with session.post(f"{venue_url}/back-office/control", json=asked) as answer:
        answer.raise_for_status()
        return msgspec.json.decode(await answer.read())  # type: ignore[no-any-return]  # counts and lists
