"""GET /v1/operations/live: what the live page shows, asked once a second; the page itself is `gateways/page.py`.

Whoever may operate a whole tenant sees its newest events without their contents, and how every process is.
"""

from typing import Annotated

import msgspec
from aiohttp import web
from pydantic import Field

from domain.kernel.ids import Micros
from gateways.http import Query
from gateways.problems import Problem
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.flow import Glimpse
from infra.probes import Acknowledged, ProcessState, ReaderLag
from infra.tokens import EVERY_ACCOUNT, Scope

EVENTS_MAX = 200
"""Events told at once: more than a screen can show between two looks; the totals count all of them."""


class ContextView(msgspec.Struct, frozen=True, kw_only=True):
    """How many events a context has, of all tenants, since the beginning of the tape."""

    name: str
    events: int


class GlimpseView(msgspec.Struct, frozen=True, kw_only=True):
    """One event: where it stands, what kind it is and whose account it concerns."""

    context: str
    partition: int
    sequence: int
    event_type: str
    account_id: str
    recorded_at: Micros


class LiveView(msgspec.Struct, frozen=True, kw_only=True):
    """The installation at this moment; `number` is what to ask for events `after` next time."""

    number: int
    at: Micros
    contexts: tuple[ContextView, ...]
    events: tuple[GlimpseView, ...]
    acknowledged: Acknowledged
    processes: tuple[ProcessState, ...]
    readers: tuple[ReaderLag, ...]


class After(Query):
    """The number of the last answer; without it the newest events are told."""

    after: Annotated[int, Field(ge=0)] = 0


async def look(call: Call, asked: After) -> web.Response:
    """The newest events of the caller's tenant, and how everybody is."""
    if call.caller.account != EVERY_ACCOUNT:
        raise Problem(
            403,
            "scope-missing",
            "This shows every account of the tenant and your token names one.",
            remedy="Use a token for account `*`: ./tapeline token --account '*' --scope operate --scope read",
        )
    flow, probes = call.services.flow, call.services.probes
    told = await probes.look()
    # A number above ours is of another gateway, or of this one before it was started again.
    after = asked.after if asked.after <= flow.number else 0
    totals = flow.totals()
    view = LiveView(
        number=flow.number,
        at=call.services.clock(),
        contexts=tuple(
            ContextView(name=_context(topic), events=totals.get(topic, 0)) for topic in call.services.event_topics
        ),
        events=tuple(_view(each) for each in flow.after(after, call.caller.tenant, EVENTS_MAX)),
        acknowledged=told.acknowledged,
        processes=told.processes,
        readers=told.readers,
    )
    return reply(200, shown(view), {"Cache-Control": "no-store"})


def _view(glimpse: Glimpse) -> GlimpseView:
    return GlimpseView(
        context=_context(glimpse.topic),
        partition=glimpse.partition,
        sequence=glimpse.sequence,
        event_type=glimpse.event_type,
        account_id=glimpse.account_id,
        recorded_at=Micros(glimpse.recorded_at),
    )


def _context(topic: str) -> str:
    return topic.removesuffix(".events")


ROUTES = (
    Route(
        method="GET",
        path="/v1/operations/live",
        handler=look,
        summary="The tape as it flows, how long answers take and how far each reader is behind",
        scope=Scope.OPERATE,
        query=After,
        answers={200: LiveView},
    ),
)
"""What the live page asks."""
