"""What reads have in common: pages by key, and the wait for rows that reflect what a client has already been told."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from pydantic import Field

from gateways import cursor
from gateways.cursor import CursorUnreadable
from gateways.http import Query
from gateways.journal import is_known, partitions_of
from gateways.problems import Problem, not_found, unavailable
from gateways.routes import Call, is_own
from infra.kafka.records import Partition
from infra.postgres import Database
from projections import generations
from projections.read_model import ReadModel

R = TypeVar("R")
PAGE_MAX = 500
"""Rows of one page."""
REFLECT_WAIT_MS = 2_000
"""Longest wait of a read for its read model to reflect a position; projections are some ten milliseconds behind."""
REFLECT_POLL_MS = 10
"""How often the read model is asked how far it has come."""


class Page(Query):
    """Which part of a list: `after` is the `next` of the page before."""

    after: str | None = Field(default=None, max_length=64, description="The `next` of the page before.")
    limit: int = Field(default=100, ge=1, le=PAGE_MAX)

    def after_number(self) -> int | None:
        """`after` as the number it is. Raises Problem."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdecimal() and len(self.after) <= len(str(2**62))):
            raise Problem(
                400, "invalid", "`after`: is no key of a page", field="after", remedy="Send the `next` of a page."
            )
        return int(self.after)


async def at_least(call: Call, model: ReadModel) -> None:
    """Wait until the read model reflects the position in the request's `Tape-Position`. Raises Problem: 503."""
    token = call.request.headers.get("Tape-Position")
    if token is None:
        return
    try:
        wanted = cursor.decode(token)
    except CursorUnreadable as error:
        raise Problem(
            400,
            "invalid",
            f"`Tape-Position`: {error}",
            field="Tape-Position",
            remedy="Send the header of an earlier answer as it came.",
        ) from error
    until = time.monotonic() + REFLECT_WAIT_MS / 1000
    for (topic, partition), sequence in wanted.items():
        if topic in model.events:
            await reflects(call.services.database, model.name, (topic, partition), sequence, until)


async def belongs_to_tenant(call: Call) -> None:
    """A token for all accounts of a tenant may not write to another tenant's. Raises Problem: 404."""
    if is_own(call.caller, call.account_id):
        return
    if not await is_known(call.services.database, call.caller.tenant, call.account_id):
        raise not_found()


async def found(call: Call, model: ReadModel, read: Callable[[], Awaitable[R | None]], *, stream_id: str = "") -> R:
    """The row, asked for once more when it is not there: a row that was written a moment ago is only late.

    "Nothing of yours" is said when the read model has all that this gateway had read back of the partition of the
    account, or of another stream that is named.
    Raises Problem: 404.
    """
    await at_least(call, model)
    places = partitions_of(stream_id or call.account_id, model.events)
    seen = {place: call.services.fanout.sequence(place) for place in places}
    row = await read()
    if row is None:
        await reflects_all(call.services.database, model, seen)
        row = await read()
    if row is None:
        raise not_found()
    return row


async def reflects_all(database: Database, model: ReadModel, seen: Mapping[Partition, int]) -> None:
    """Wait until the read model has these sequences. Raises Problem: 503."""
    until = time.monotonic() + REFLECT_WAIT_MS / 1000
    for place, sequence in seen.items():
        await reflects(database, model.name, place, sequence, until)


async def reflects(database: Database, name: str, place: Partition, sequence: int, until: float) -> None:
    """Wait until the read model has this sequence. Raises Problem: 503."""
    while True:
        reached = await generations.reflected(database, name, *place)
        if reached >= sequence:
            return
        if time.monotonic() > until:
            raise unavailable(
                "read-behind",
                f"The read model `{name}` is {sequence - reached} events behind in {place[0]}[{place[1]}].",
                "Repeat the request later, or without `Tape-Position`.",
            )
        await asyncio.sleep(REFLECT_POLL_MS / 1000)
