"""orders.events -> the venue -> executions.messages: send what books ask for, keep every answer raw.

A request is sent again after a lost connection or a crash until some message answers it; the venue knows client order
ids, so a repeat does nothing twice. Offsets of the tape are committed only up to the first unanswered request. What the
venue says is on the feed before its number counts as seen, so that a reconnect asks for exactly what is missing.
"""

import asyncio
from collections import deque

import aiohttp
import msgspec

from domain.executions.messages import VenueMessage, client_order_id, venue_account, whose
from domain.kernel.messages import Event, Recorded
from domain.kernel.money import price_text, quantity_text
from domain.orders.events import CancelRequested, OrderPlaced, ReplaceRequested
from infra import telemetry, tracing
from infra.commands import TRACE
from infra.kafka.chain import Link
from infra.kafka.records import Partition
from streams.effects import Effect, Tools
from streams.executions.interpret import FEED
from streams.following import Followed, Follower

NAME = "executions.venue"
SOURCE = "orders.events"
SEEN_GROUP = "executions.venue-seen"
VENUE = "paper"
UNANSWERED_MAX = 5_000
"""Requests without an answer after which no more are taken from the tape: the venue is down or far behind."""
AHEAD_MAX = 100_000
"""Messages seen behind one that is missing or cannot be read; by then somebody has to look at the venue."""
UNKEPT_MAX = 500
"""Messages of the venue that are under way to the feed at once."""
BATCH_MAX = 200
"""Events looked at together."""
OPENING = aiohttp.ClientTimeout(total=10)
"""How long a connection may take to open; what is said over it has its heartbeat."""
RECONNECT_SECONDS = 0.3
"""Pause before the venue is called again, also when it answers and hangs up at once."""
TRACED_MAX = 10_000
"""Orders whose trace is remembered, so that what the venue says of them goes on in it; the oldest is forgotten."""
HEARTBEAT_S = 5.0
"""A venue that answers no ping for half of this is lost."""
LOGGED_BYTES_MAX = 200
"""Bytes of an unreadable message that the log shows."""
COMMIT_EVERY_SECONDS = 0.5
"""How often places are committed; what lies between is sent again after a crash, and the venue knows it."""
log = telemetry.logger(NAME)

_ENDS = frozenset({"cancelled", "expired"})
_ANSWERS = {
    # An id that is sent twice is rejected: that answers the order alone, whatever else is asked of it.
    "new": frozenset({"accepted", "rejected", "filled"}),
    "cancel": frozenset({"cancel_rejected"}),
    "replace": frozenset({"replaced", "replace_rejected"}),
}
_OVER = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
)


class Request(msgspec.Struct):
    """Something a book asked of the venue, until the venue has answered."""

    place: Partition
    offset: int
    link: Link
    order_id: str
    kind: str
    text: str
    new_client_order_id: str = ""
    is_answered: bool = False


class Answer(msgspec.Struct, frozen=True):
    """The fields of a venue's message that this effect looks at; the rest stays raw."""

    type: str
    seq: int
    message_id: str
    account: str
    client_order_id: str = ""
    new_client_order_id: str = ""
    leaves: str = ""


_read = msgspec.json.Decoder(Answer).decode


class Conversation:
    """What was asked and what was answered, across connections."""

    def __init__(self, tools: Tools, follower: Follower, seen: int) -> None:
        self._tools = tools
        self._follower = follower
        self._requests: deque[Request] = deque()
        self._open: dict[str, list[Request]] = {}
        self._taken: dict[Partition, tuple[int, Link]] = {}
        self._ahead: set[int] = set()
        self._traces: dict[str, bytes] = {}
        self.seen = seen

    def is_full(self) -> bool:
        """Too much is unanswered to ask for more."""
        return len(self._requests) >= UNANSWERED_MAX

    def unanswered(self) -> list[str]:
        """What must be sent again on a new connection, in order."""
        return [request.text for request in self._requests if not request.is_answered]

    def ask(self, followed: Followed) -> str | None:
        """The text of a request that follows from this event, remembered until it is answered."""
        place, offset, recorded = followed.place, followed.arrived.offset, followed.recorded
        self._taken[place] = (offset + 1, followed.link)
        made = _request(recorded)
        if made is None:
            return None
        order_id, body = made
        account = venue_account(recorded.tenant, recorded.stream_id)
        text = msgspec.json.encode({**body, "account": account}).decode()
        new_id = body.get("new_client_order_id") or ""
        request = Request(place, offset, followed.before, order_id, str(body["type"]), text, new_id)
        self._requests.append(request)
        self._open.setdefault(order_id, []).append(request)
        return text

    def traced(self, order_id: str, trace: bytes) -> None:
        """What the venue says of this order from now on belongs to this trace, until this process ends."""
        self._traces[order_id] = trace
        if len(self._traces) > TRACED_MAX:
            del self._traces[next(iter(self._traces))]

    async def keep(self, body: bytes) -> None:
        """One message of the venue: first onto the feed, then it counts as seen and may answer requests."""
        try:
            answer = _read(body)
        except msgspec.DecodeError as error:
            # It has no number and no account, so it counts as missing: the venue says it again to whoever resumes.
            said = body[:LOGGED_BYTES_MAX].decode(errors="replace")
            log.warning("the venue says what cannot be read", why=str(error), said=said)
            return
        tenant, account_id = whose(answer.account)
        message = VenueMessage(
            source_id=answer.message_id,
            venue=VENUE,
            tenant=tenant,
            account_id=account_id,
            sequence=answer.seq,
            body=body,
            received_at=self._tools.clock(),
        )
        trace = self._traces.get(_order_of(answer))
        headers = {} if trace is None else {TRACE: trace}
        await self._tools.sender.send(FEED, account_id.encode(), self._tools.codec.encode_observed(message), headers)
        if self._see(answer.seq):
            self._settle(answer)

    async def commit(self) -> None:
        """Remember both places: the tape up to the first unanswered request, the venue up to the last seen number."""
        while self._requests and self._requests[0].is_answered:
            self._requests.popleft()
        done = dict(self._taken)
        for request in reversed(self._requests):
            if not request.is_answered:
                done[request.place] = (request.offset, request.link)
        if done:
            await self._follower.commit(done)
        await self._tools.groups.commit(SEEN_GROUP, {(FEED, 0): (0, str(self.seen))})

    def _see(self, seq: int) -> bool:
        """Count a number as seen; False for a repeat, which answers nothing that was asked since."""
        if seq <= self.seen or seq in self._ahead:
            return False
        self._ahead.add(seq)
        if len(self._ahead) > AHEAD_MAX:
            raise RuntimeError(f"the venue has not said number {self.seen + 1}: ask it for a whole journal")
        while self.seen + 1 in self._ahead:
            self.seen += 1
            self._ahead.discard(self.seen)
        return True

    def _settle(self, answer: Answer) -> None:
        order_id = _order_of(answer)
        is_over = answer.type in _ENDS or (answer.type == "filled" and answer.leaves == "0")
        rest = []
        for request in self._open.get(order_id, []):
            if is_over or _answers(answer, request):
                request.is_answered = True
            else:
                rest.append(request)
        if rest:
            self._open[order_id] = rest
        else:
            self._open.pop(order_id, None)


async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    """Talk to the venue, calling again when it is lost."""
    follower = tools.follower(NAME, [SOURCE])
    await follower.start()
    noted = await tools.groups.committed(SEEN_GROUP, [(FEED, 0)])
    seen = int(noted[FEED, 0][1]) if noted else 0
    conversation = Conversation(tools, follower, seen)
    async with aiohttp.ClientSession(timeout=OPENING) as session:
        while not stop.is_set():
            try:
                async with session.ws_connect(f"{tools.settings.venue_url}/orders", heartbeat=HEARTBEAT_S) as socket:
                    is_ready.set()
                    await _talk(conversation, follower, socket, stop)
            except (aiohttp.ClientError, OSError) as error:
                log.warning("the venue does not answer", url=tools.settings.venue_url, why=str(error))
            if not stop.is_set():
                is_ready.clear()
                await asyncio.sleep(RECONNECT_SECONDS)
    await follower.close()


async def _talk(
    conversation: Conversation, follower: Follower, socket: aiohttp.ClientWebSocketResponse, stop: asyncio.Event
) -> None:
    await socket.send_json({"type": "resume", "after": conversation.seen})
    for unanswered in conversation.unanswered():
        await socket.send_str(unanswered)
    hearing = asyncio.create_task(_hear(conversation, socket))
    committing = asyncio.create_task(_commit(conversation))
    try:
        while not stop.is_set() and not hearing.done() and not committing.done():
            if conversation.is_full():
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            # All are remembered before the first is sent: what a cut takes away is sent on the next connection.
            taken = await follower.events(BATCH_MAX)
            texts = [conversation.ask(followed) for followed in taken]
            for followed, text in zip(taken, texts, strict=True):
                if text is not None:
                    trace = followed.arrived.headers.get(TRACE, b"")
                    with tracing.child(f"effect {NAME}", trace, kind=tracing.Kind.PRODUCER) as span:
                        if trace:
                            event: OrderPlaced | CancelRequested | ReplaceRequested = followed.recorded.event
                            conversation.traced(event.order_id, span.traceparent.encode() or trace)
                        await socket.send_str(text)
    finally:
        committing.cancel()
        hearing.cancel()
        results = await asyncio.gather(hearing, committing, return_exceptions=True)
        await conversation.commit()
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _hear(conversation: Conversation, socket: aiohttp.ClientWebSocketResponse) -> None:
    """Keep every message; several are on their way to the feed at once, in the order in which they came."""
    async with asyncio.TaskGroup() as group:
        places = asyncio.Semaphore(UNKEPT_MAX)

        async def keep(body: bytes) -> None:
            try:
                await conversation.keep(body)
            finally:
                places.release()

        while (message := await socket.receive()).type not in _OVER:
            if message.type is aiohttp.WSMsgType.TEXT:
                await places.acquire()
                group.create_task(keep(message.data.encode()))
    log.warning("the venue hung up", code=socket.close_code, why=str(message.extra or ""))


async def _commit(conversation: Conversation) -> None:
    while True:
        await asyncio.sleep(COMMIT_EVERY_SECONDS)
        await conversation.commit()


def _order_of(answer: Answer) -> str:
    return answer.client_order_id.rpartition("-")[0]


def _answers(answer: Answer, request: Request) -> bool:
    """Whether this message is what the request waits for; a replace waits for the id that it asked for."""
    is_its_kind = answer.type in _ANSWERS[request.kind]
    return is_its_kind and answer.new_client_order_id == request.new_client_order_id


def _request(recorded: Recorded[Event]) -> tuple[str, dict[str, str | None]] | None:
    """The order that this event speaks of, and what it asks of the venue."""
    event = recorded.event
    match event:
        case OrderPlaced():
            return event.order_id, {
                "type": "new",
                "client_order_id": client_order_id(event.order_id, 1),
                "symbol": event.symbol,
                "side": event.side,
                "kind": event.kind,
                "quantity": quantity_text(event.quantity),
                "limit": None if event.limit_price is None else price_text(event.limit_price),
                "time_in_force": event.time_in_force,
            }
        case CancelRequested():
            return event.order_id, {
                "type": "cancel",
                "client_order_id": client_order_id(event.order_id, event.order_version),
            }
        case ReplaceRequested():
            return event.order_id, {
                "type": "replace",
                "client_order_id": client_order_id(event.order_id, event.replaces_version),
                "new_client_order_id": client_order_id(event.order_id, event.order_version),
                "quantity": quantity_text(event.quantity),
                "limit": price_text(event.limit_price),
            }
        case _:
            return None


venue = Effect(NAME, run)
