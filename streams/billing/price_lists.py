"""billing.events -> billing.price_lists: copy each published price list to every partition, for those who charge.

Fills of every partition are charged by the same lists, and whoever reads one partition reads no other: so each has them
all. After a crash a list is copied once more, as the same record; a place is remembered when all partitions have it.
"""

import asyncio

from domain.billing.events import PriceList, PriceListPublished
from domain.kernel.messages import Event, Recorded
from infra.settings import PARTITIONS
from streams.effects import Effect, Tools

NAME = "billing.price_lists"
SOURCE, FEED = "billing.events", "billing.price_lists"
BATCH_MAX = 500
"""Events looked at together; it bounds what a crash copies again."""


async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    """Copy from the last committed place on, in order, until asked to stop."""
    follower = tools.follower(NAME, [SOURCE])
    await follower.start()
    is_ready.set()
    while not stop.is_set():
        batch = await follower.events(BATCH_MAX)
        for followed in batch:
            await _copy(tools, followed.recorded)
        if batch:
            await follower.commit()
    await follower.close()


async def _copy(tools: Tools, recorded: Recorded[Event]) -> None:
    event = recorded.event
    if not isinstance(event, PriceListPublished):
        return
    copied = PriceList(
        sequence=recorded.sequence, tenant=recorded.tenant, list_version=event.list_version, rows=event.rows
    )
    value = tools.codec.encode_observed(copied)
    # One after the other: a later list of the tenant must nowhere stand before an earlier one.
    await asyncio.gather(*(tools.sender.send(FEED, b"", value, {}, number) for number in range(PARTITIONS)))


copy = Effect(NAME, run)
