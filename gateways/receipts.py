"""Where a door that could not wait sends its client: the decision on a command, from memory or the journal."""

import msgspec
from aiohttp import web

from gateways.problems import not_found
from gateways.routes import Call, Route, position_of, reply
from gateways.views import Json, event_shown, shown
from infra.bus import RETRY_AFTER_S
from infra.tokens import EVERY_ACCOUNT, Scope


class ReceiptView(msgspec.Struct, frozen=True, kw_only=True):
    """PENDING until a decision is read back under this id, then DECIDED with the event: the fact or the refusal."""

    command_id: str
    status: str
    event: dict[str, str] | None = None


async def read_receipt(call: Call, _: None) -> web.Response:
    """200 with the decision, or 202 when nothing is decided under this id yet."""
    command_id = call.request.match_info["command_id"]
    answer = await call.services.bus.find(command_id)
    if answer is None:
        pending = shown(ReceiptView(command_id=command_id, status="PENDING"))
        return reply(202, pending, {"Retry-After": str(RETRY_AFTER_S)})
    recorded = answer.recorded
    # What concerns no account by itself is asked for under all of them, which only a token for all of them may do.
    if recorded.tenant != call.caller.tenant or call.account_id not in (recorded.stream_id, EVERY_ACCOUNT):
        raise not_found()
    decided: Json = {"command_id": command_id, "status": "DECIDED", "event": event_shown(recorded)}
    return reply(200, decided, position_of(answer))


ROUTES = (
    Route(
        method="GET",
        path="/v1/accounts/{account_id}/receipts/{command_id}",
        handler=read_receipt,
        summary="The decision on a command that was answered with 202",
        scope=Scope.READ,
        answers={200: ReceiptView, 202: ReceiptView},
    ),
)
"""Routes of receipts."""
