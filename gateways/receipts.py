"""Where a door that could not wait sends its client: the decision on a command, from memory or the journal.

The address of a receipt says where the command stands on its topic. So a command that was sent and waits can be told
from one that its decider went past without a decision, and from one that nobody ever sent.
"""

from aiohttp import web
from pydantic import Field

from gateways import cursor
from gateways.cursor import TOKEN_CHARACTERS_MAX, CursorUnreadable
from gateways.http import Query
from gateways.problems import Problem, not_found
from gateways.reads import reflects_all
from gateways.routes import Call, ReceiptStatus, ReceiptView, Route, position_of, reply
from gateways.views import Json, event_shown, shown
from infra.bus import RETRY_AFTER_S, Answer
from infra.tokens import EVERY_ACCOUNT, Scope
from projections.orders.journal import journal


class ReceiptQuery(Query):
    """Where the command stands on its topic."""

    sent: str | None = Field(
        default=None, max_length=TOKEN_CHARACTERS_MAX, description="From the address of the receipt, as it came."
    )


async def read_receipt(call: Call, query: ReceiptQuery) -> web.Response:
    """200 with the decision, 202 while it is awaited, 404 when nothing shows that the command was ever sent."""
    command_id = call.path["command_id"]
    place, offset = _sent(query)
    decided = -1 if place is None else call.services.fanout.decided(place)
    answer = await _own(call, command_id)
    if answer is None and place is not None and decided > offset:
        # Ours is behind us: once the journal has all that we know of, what it does not have was never decided.
        await reflects_all(call.services.database, journal, {place: call.services.fanout.sequence(place)})
        answer = await _own(call, command_id)
        if answer is None:
            detail = "The command was set aside without a decision."
            view = ReceiptView(command_id=command_id, status=ReceiptStatus.SET_ASIDE, detail=detail)
            return reply(200, shown(view))
    if answer is not None:
        return _decided(call, answer)
    if place is None:
        raise not_found()
    pending = shown(ReceiptView(command_id=command_id, status=ReceiptStatus.PENDING))
    return reply(202, pending, {"Retry-After": str(RETRY_AFTER_S)})


async def _own(call: Call, command_id: str) -> Answer | None:
    """The decision, if it is one of the caller's account; another's command is told as one that nobody ever sent."""
    answer = await call.services.bus.find(command_id)
    if answer is None or answer.recorded.tenant != call.caller.tenant:
        return None
    # What concerns no account by itself is asked for under all of them, which only a token for all of them may do.
    return answer if call.account_id in (answer.recorded.stream_id, EVERY_ACCOUNT) else None


def _decided(call: Call, answer: Answer) -> web.Response:
    recorded = answer.recorded
    view = ReceiptView(command_id=call.path["command_id"], status=ReceiptStatus.DECIDED)
    told: Json = shown(view) | {"event": event_shown(recorded)}
    return reply(200, told, position_of(answer))


def _sent(query: ReceiptQuery) -> tuple[tuple[str, int] | None, int]:
    """The partition of events in which the decision will stand, and the offset of the command."""
    if query.sent is None:
        return None, -1
    try:
        ((topic, partition), offset) = next(iter(cursor.decode(query.sent).items()))
    except (CursorUnreadable, StopIteration) as error:
        raise Problem(
            400, "invalid", f"`sent`: {error}", field="sent", remedy="Ask at the address of the receipt as it came."
        ) from error
    return (f"{topic.removesuffix('.commands')}.events", partition), offset


ROUTES = (
    Route(
        method="GET",
        path="/v1/accounts/{account_id}/receipts/{command_id}",
        handler=read_receipt,
        summary="The decision on a command that was answered with 202",
        scope=Scope.READ,
        query=ReceiptQuery,
        answers={200: ReceiptView, 202: ReceiptView},
    ),
)
"""Routes of receipts."""
