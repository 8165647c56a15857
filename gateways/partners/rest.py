"""Requests of those who run a tenant -> partners.commands: what a partner may follow, and whether it is served."""

from typing import Annotated

import msgspec
from aiohttp import web
from pydantic import Field, StringConstraints

from domain.kernel.ids import Micros, derived
from domain.partners import events as e
from domain.partners.commands import CreateSubscription, EndSubscription, PauseSubscription, ResumeSubscription, Stage
from domain.partners.events import Refusal
from gateways.answers import Refusals, Refused, accepted
from gateways.http import Body
from gateways.partners import sse
from gateways.problems import Problem, not_found
from gateways.reads import Page, at_least, found
from gateways.routes import Call, Route, may_see, reply
from gateways.views import shown, view_of
from infra.tokens import EVERY_ACCOUNT, Scope
from projections.partners import subscriptions
from projections.partners.subscriptions import BETWEEN_CONTEXTS, Status, SubscriptionRow

SUBSCRIPTIONS = "/v1/partners/subscriptions"
SUBSCRIPTION = f"{SUBSCRIPTIONS}/{{subscription_id}}"
CONTEXTS_MAX = 32
"""Contexts of one subscription: more than there are."""
DELIVERIES_SHOWN_MAX = 20
"""Newest connections that are shown with a subscription."""
PARTNER_REFUSALS: Refusals = {
    Refusal.LABEL_MISSING: Refused("A label is needed.", "Say what the subscription is for.", "label", 422),
    Refusal.CONTEXTS_MISSING: Refused("A context is needed.", "Name what is to be followed.", "contexts", 422),
    Refusal.REASON_MISSING: Refused("A reason is needed.", "Say why.", "reason", 422),
    Refusal.ALREADY_CREATED: Refused("The subscription exists.", "Use a new Idempotency-Key for a new one."),
    Refusal.UNKNOWN_SUBSCRIPTION: Refused("There is no such subscription.", "Check its id.", None, 404),
    Refusal.ENDED: Refused("The subscription has ended.", "Create another one."),
    Refusal.ALREADY_PAUSED: Refused("The subscription is paused already.", "Resume it when it may go on."),
    Refusal.NOT_PAUSED: Refused("The subscription is not paused.", "There is nothing to resume."),
}
Label = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100, strip_whitespace=True)]
Reason = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500, strip_whitespace=True)]
ContextName = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z_]{1,40}$")]


class CreateSubscriptionBody(Body):
    """What a partner may follow: `contexts` cannot be changed later, or the numbers of its events would jump."""

    label: Label
    contexts: Annotated[tuple[ContextName, ...], Field(min_length=1, max_length=CONTEXTS_MAX)]

    def to_command(self) -> CreateSubscription:
        """The command."""
        return CreateSubscription(label=self.label, contexts=self.contexts)


class ChangeSubscriptionBody(Body):
    """Why it is paused, resumed or ended."""

    reason: Reason


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One connection: OPENED with the cursor that the partner came with, then how far it was sent."""

    connection_id: str
    stage: Stage
    cursor: str
    sent: int
    opened_at: Micros
    changed_at: Micros


class SubscriptionView(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription."""

    subscription_id: str
    label: str
    contexts: tuple[str, ...]
    status: Status
    reason: str | None
    created_at: Micros
    changed_at: Micros


class ServedView(SubscriptionView, frozen=True, kw_only=True):
    """One subscription with its newest connections."""

    deliveries: tuple[DeliveryView, ...]


class SubscriptionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Subscriptions of a tenant; `next` is the key of the page after this one, if there is one."""

    subscriptions: tuple[SubscriptionView, ...]
    next: str | None


class StandingView(msgspec.Struct, frozen=True, kw_only=True):
    """How the subscription stands from now on."""

    subscription_id: str
    status: Status
    reason: str


async def create_subscription(call: Call, body: CreateSubscriptionBody) -> web.Response:
    """201 with the subscription, or the refusal; its id is what a partner's token is bound to."""
    _overseer(call)
    known = {topic.removesuffix(".events") for topic in call.services.event_topics} - {"partners"}
    strange = sorted(set(body.contexts) - known)
    if strange:
        raise Problem(
            422,
            "unknown-context",
            f"`contexts`: {strange[0]} is none that can be followed.",
            field="contexts",
            remedy=f"Choose from {', '.join(sorted(known))}.",
        )
    subscription_id = call.command_id
    answer = await call.decide("partners", body.to_command(), stream_id=subscription_id)
    headers = accepted(answer, e.REFUSALS, PARTNER_REFUSALS)
    headers["Location"] = f"{SUBSCRIPTIONS}/{subscription_id}"
    row = subscriptions.fold_subscription(None, answer.recorded)
    assert row is not None
    return reply(201, shown(_view(row)), headers)


async def pause_subscription(call: Call, body: ChangeSubscriptionBody) -> web.Response:
    """200 when nothing is delivered any more until it is resumed: streams end, cursors stay good."""
    return await _change(call, PauseSubscription(reason=body.reason), Status.PAUSED)


async def resume_subscription(call: Call, body: ChangeSubscriptionBody) -> web.Response:
    """200 when events are delivered again, from whatever cursor."""
    return await _change(call, ResumeSubscription(reason=body.reason), Status.ACTIVE)


async def end_subscription(call: Call, body: ChangeSubscriptionBody) -> web.Response:
    """200 when it is over for good."""
    return await _change(call, EndSubscription(reason=body.reason), Status.ENDED)


async def _change(
    call: Call, command: PauseSubscription | ResumeSubscription | EndSubscription, status: Status
) -> web.Response:
    _overseer(call)
    row = await _subscription(call)
    command_id = derived(call.command_id, row.subscription_id)
    answer = await call.decide("partners", command, command_id=command_id, stream_id=row.subscription_id)
    headers = accepted(answer, e.REFUSALS, PARTNER_REFUSALS)
    view = StandingView(subscription_id=row.subscription_id, status=status, reason=command.reason)
    return reply(200, shown(view), headers)


async def list_subscriptions(call: Call, page: Page) -> web.Response:
    """A page of the tenant's subscriptions."""
    _overseer(call)
    await at_least(call, subscriptions.subscriptions)
    rows = await subscriptions.by_tenant(
        call.services.database, tenant=call.caller.tenant, limit=page.limit, after=page.after or ""
    )
    following = rows[-1].subscription_id if len(rows) == page.limit else None
    return reply(200, shown(SubscriptionPage(subscriptions=tuple(map(_view, rows)), next=following)))


async def read_subscription(call: Call, _: None) -> web.Response:
    """The subscription and its newest connections, for its partner and for those who oversee all partners."""
    if not may_see(call.caller, call.path["subscription_id"]):
        raise not_found()
    row = await _subscription(call)
    connections = await subscriptions.deliveries(
        call.services.database,
        tenant=call.caller.tenant,
        subscription_id=row.subscription_id,
        limit=DELIVERIES_SHOWN_MAX,
    )
    view = ServedView(
        **msgspec.structs.asdict(_view(row)), deliveries=tuple(view_of(DeliveryView, each) for each in connections)
    )
    return reply(200, shown(view))


async def _subscription(call: Call) -> SubscriptionRow:
    services, subscription_id = call.services, call.path["subscription_id"]
    return await found(
        call,
        subscriptions.subscriptions,
        lambda: subscriptions.by_id(services.database, tenant=call.caller.tenant, subscription_id=subscription_id),
        stream_id=subscription_id,
    )


def _overseer(call: Call) -> None:
    """A subscription shows all accounts of its tenant: whoever makes one must see them too. Raises Problem: 403."""
    if call.caller.account != EVERY_ACCOUNT:
        raise Problem(
            403,
            "overseer-needed",
            "This token is for one account.",
            remedy="Use a token that was minted with --account '*'.",
        )


def _view(row: SubscriptionRow) -> SubscriptionView:
    return view_of(SubscriptionView, row, contexts=tuple(row.contexts.split(BETWEEN_CONTEXTS)))


ROUTES = (
    Route(
        method="POST",
        path=SUBSCRIPTIONS,
        handler=create_subscription,
        summary="Let a partner follow the tenant's events",
        scope=Scope.OPERATE,
        body=CreateSubscriptionBody,
        answers={201: SubscriptionView},
        needs_key=True,
    ),
    *(
        Route(
            method="POST",
            path=f"{SUBSCRIPTION}/{verb}",
            handler=handler,
            summary=summary,
            scope=Scope.OPERATE,
            body=ChangeSubscriptionBody,
            answers={200: StandingView},
            needs_key=True,
        )
        for verb, handler, summary in (
            ("pause", pause_subscription, "Deliver nothing to the partner until it is resumed"),
            ("resume", resume_subscription, "Deliver to the partner again"),
            ("end", end_subscription, "Deliver nothing to the partner any more"),
        )
    ),
    Route(
        method="GET",
        path=SUBSCRIPTIONS,
        handler=list_subscriptions,
        summary="Subscriptions of the tenant",
        scope=Scope.OPERATE,
        query=Page,
        answers={200: SubscriptionPage},
    ),
    Route(
        method="GET",
        path=SUBSCRIPTION,
        handler=read_subscription,
        summary="One subscription and its newest connections",
        scope=Scope.PARTNER,
        answers={200: ServedView},
    ),
    *sse.ROUTES,
)
"""Routes of partners."""
