"""GET /v1/partners/subscriptions/{subscription_id}/stream: a tenant's events for a partner, as server-sent events.

Every event once, in the order of its key, numbered without a gap by its own version on the tape; from any cursor of the
subscription, as many replays beside a live stream as there may be streams. What was sent is recorded as it goes.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Literal

import msgspec
from aiohttp import web
from pydantic import Field

from domain.kernel.messages import Issued
from domain.partners import events as e
from domain.partners.commands import RecordDelivery, Stage
from gateways import cursor
from gateways.cursor import TOKEN_CHARACTERS_MAX, CursorForeign, CursorUnreadable
from gateways.following import CaughtUp, Following, Gap, Told
from gateways.frames import event_frame, gap_frame
from gateways.http import Query
from gateways.journal import partitions_of
from gateways.partners.frames import SAYS, EndReason
from gateways.problems import Problem, not_found
from gateways.reads import reflects_all
from gateways.routes import Call, Route, is_own
from gateways.sockets import SocketsFull
from gateways.views import Json
from infra.bus import RETRY_AFTER_S, DifferentRequest, NoDecision, Pending
from infra.fanout import Behind, Subscription
from infra.kafka.records import Partition
from infra.postgres import DatabaseDown
from infra.settings import PARTITIONS
from infra.telemetry import STREAM_CLIENTS, logger
from infra.tokens import Scope
from infra.tracing import Kind, child
from projections.partners import subscriptions
from projections.partners.subscriptions import BETWEEN_CONTEXTS, Status, SubscriptionRow

STREAMS_MAX = 4
"""Streams of one subscription at one gateway: a live one, its successor, and replays beside them."""
HEARTBEAT_S = 15.0
"""Silence after which a comment is sent, so that nobody on the way takes the connection for dead."""
SEND_WAIT_S = 10.0
"""How long a partner may leave its buffers full before it is let go; it resumes from its cursor."""
LOOK_EVERY_S = 0.25
"""How often a partner that went away without a word is looked for; its place is free again after that."""
RECORD_EVERY_S = 10.0
"""How often what was sent is recorded while it changes: the tape is not to be filled with what it says of itself."""
RETRY_MS = 1_000
"""What a browser waits before it comes again."""
ACTOR = "gateway:sse"
PARTNERS = "partners.events"
log = logger("sse")


class StreamQuery(Query):
    """From where, and until when."""

    cursor: str | None = Field(
        default=None, max_length=TOKEN_CHARACTERS_MAX, description="Where to go on; `Last-Event-ID` goes before it."
    )
    begin: Literal["beginning", "now"] = Field(
        default="beginning", description="Where a stream without a cursor begins: with the tape, or with what happens."
    )
    until: Literal["now"] | None = Field(default=None, description="`now`: replay what there is, then end.")


async def stream_subscription(call: Call, query: StreamQuery) -> web.StreamResponse:
    """Events until the partner leaves, its token ends, the subscription is paused or the gateway stops."""
    if not is_own(call.caller, call.path["subscription_id"]):
        raise not_found()
    async with _watched(call) as (row, watch), _followed(call, row, query) as (following, whose):
        one = _Stream(call, following, watch, whose, is_replay=query.until == "now")
        try:
            holder = f"partner:{call.caller.tenant}:{row.subscription_id}"
            async with call.services.sockets.held(one.stop, holder, STREAMS_MAX):
                return await one.serve()
        except SocketsFull as full:
            raise Problem(
                429,
                "too-many-streams",
                f"The subscription has {STREAMS_MAX} streams here, or the gateway has too many.",
                remedy="Close one, then connect again.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            ) from full


@asynccontextmanager
async def _watched(call: Call) -> AsyncIterator[tuple[SubscriptionRow, Subscription]]:
    """The subscription as it is, and what becomes of it from then on. Raises Problem when it is not served."""
    services, tenant, subscription_id = call.services, call.caller.tenant, call.path["subscription_id"]
    watch = services.fanout.subscription(tenant, (subscription_id,))
    try:
        seen = watch.begin(partitions_of(subscription_id, (PARTNERS,)))
        await reflects_all(services.database, subscriptions.subscriptions, seen)
        row = await subscriptions.by_id(services.database, tenant=tenant, subscription_id=subscription_id)
        if row is None:
            raise not_found()
        if row.status is not Status.ACTIVE:
            raise Problem(
                409,
                "refused",
                f"The subscription is {row.status.lower()}: {row.reason}.",
                remedy="Ask whoever runs it; your cursor stays good.",
                reason=row.status,
            )
        yield row, watch
    finally:
        watch.end()


@asynccontextmanager
async def _followed(call: Call, row: SubscriptionRow, query: StreamQuery) -> AsyncIterator[tuple[Following, bytes]]:
    """The tenant's events of the subscription's contexts, from where the partner wants them."""
    tenant = call.caller.tenant
    topics = [f"{context}.events" for context in row.contexts.split(BETWEEN_CONTEXTS)]
    places = [(topic, number) for topic in topics for number in range(PARTITIONS)]
    whose = cursor.owner(tenant, row.subscription_id)
    following = Following(call.services, tenant, None, places)
    try:
        joined = following.begin()
        token = call.request.headers.get("Last-Event-ID") or query.cursor
        if token is not None:
            following.positions = _resumed(token, whose, places)
        elif query.begin == "now":
            following.positions = dict(joined)
        yield following, whose
    finally:
        following.end()


def _resumed(token: str, whose: bytes, places: list[Partition]) -> dict[Partition, int]:
    try:
        return cursor.resumed(token, whose, places)
    except CursorUnreadable as error:
        raise Problem(
            400, "invalid", f"`cursor`: {error}", field="cursor", remedy="Send a cursor of this stream as it came."
        ) from error
    except CursorForeign as error:
        raise not_found() from error


class _Stream:
    def __init__(self, call: Call, following: Following, watch: Subscription, whose: bytes, *, is_replay: bool) -> None:
        self._call = call
        self._following = following
        self._watch = watch
        self._whose = whose
        self._is_replay = is_replay
        self._connection_id = uuid.uuid4().hex
        self._response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self._sending = asyncio.Lock()
        self._at = _token(following, whose)
        self._sent = 0
        self._recorded = 0
        self._spoke_at = 0.0
        self._stopping = asyncio.Event()
        self._finished = asyncio.Event()

    async def serve(self) -> web.StreamResponse:
        """Everything from the first event to the marker of the end."""
        STREAM_CLIENTS.inc()
        try:
            await self._response.prepare(self._call.request)
            await self._write(f"retry: {RETRY_MS}\n: {self._connection_id}\n\n", self._at)
            await self._record(Stage.OPENED)
            reason = await self._until_over()
            await self._say("end", {"type": "end", "cursor": self._at, "reason": reason})
            await self._response.write_eof()
        except (ConnectionError, _TooSlow):
            pass  # The partner is gone: it comes again with its cursor.
        finally:
            STREAM_CLIENTS.dec()
            self._finished.set()
            await self._record(Stage.CLOSED)
        return self._response

    async def stop(self) -> None:
        """The gateway stops: say so, and return when it was said."""
        self._stopping.set()
        await self._finished.wait()

    async def _until_over(self) -> EndReason:
        jobs = (self._deliver(), self._until_withdrawn(), self._until_stopped(), self._look(), self._beat())
        tasks = [asyncio.create_task(job) for job in (*jobs, self._keep_record())]
        try:
            async with asyncio.timeout_at(self._call.end_of_token()):
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task.result() for task in done)
        except TimeoutError:
            return EndReason.TOKEN_EXPIRED
        except DatabaseDown:
            return EndReason.JOURNAL_DOWN
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self) -> EndReason:
        async with aclosing(self._following.events()) as events:
            async for each in events:
                match each:
                    case Told():
                        await self._tell(each)
                    case Gap():
                        await self._say("gap", gap_frame(self._cursor()))
                    case CaughtUp() if self._is_replay:
                        return EndReason.REPLAYED
        raise AssertionError("the tape has no end")

    async def _tell(self, told: Told) -> None:
        frame = event_frame(told.place, told.recorded, self._cursor())
        if told.trace:
            with child("sse frame", told.trace, kind=Kind.PRODUCER, event_id=told.recorded.event_id):
                await self._say("event", frame)
        else:
            await self._say("event", frame)
        self._sent += 1

    async def _until_withdrawn(self) -> EndReason:
        """Until somebody pauses or ends the subscription."""
        while True:
            try:
                seen = await self._watch.next()
            except Behind:
                return EndReason.RECONNECT  # It is asked again how the subscription stands.
            match seen.recorded.event:
                case e.SubscriptionPaused():
                    return EndReason.PAUSED
                case e.SubscriptionEnded():
                    return EndReason.ENDED

    async def _until_stopped(self) -> EndReason:
        await self._stopping.wait()
        return EndReason.GATEWAY_STOPS

    async def _look(self) -> EndReason:
        """A partner that is gone is noticed though there is nothing to send."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            transport = self._call.request.transport
            if transport is None or transport.is_closing():
                raise ConnectionError

    async def _beat(self) -> EndReason:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if loop.time() - self._spoke_at >= HEARTBEAT_S / 2:
                await self._write(": heartbeat\n\n", self._at)

    async def _keep_record(self) -> EndReason:
        while True:
            await asyncio.sleep(RECORD_EVERY_S)
            if self._sent > self._recorded:
                await self._record(Stage.SENT)

    async def _record(self, stage: Stage) -> None:
        """How far the connection is, by a command as everything is; who cannot record it now says more next time."""
        services, tenant = self._call.services, self._call.caller.tenant
        sent, at = self._sent, self._at
        command_id = f"{self._connection_id}-{stage.lower()}-{sent}"
        issued = Issued(
            command=RecordDelivery(
                at=services.clock(), actor=ACTOR, connection_id=self._connection_id, stage=stage, cursor=at, sent=sent
            ),
            command_id=command_id,
            tenant=tenant,
            stream_id=self._call.path["subscription_id"],
            causation_id=command_id,
            correlation_id=self._connection_id,
        )
        try:
            with suppress(Pending):
                await services.bus.send("partners", issued, 0)
            self._recorded = sent
        except (NoDecision, DifferentRequest) as failure:
            log.warning("a delivery was not recorded", error=repr(failure), connection=self._connection_id)

    def _cursor(self) -> str:
        return _token(self._following, self._whose)

    async def _say(self, name: str, frame: Json) -> None:
        data = msgspec.json.encode(frame).decode()
        await self._write(f"id: {frame['cursor']}\nevent: {name}\ndata: {data}\n\n", frame["cursor"])

    async def _write(self, text: str, at: str) -> None:
        """Send, and remember where we are: whoever is stopped here has written all of it or nothing."""
        async with self._sending:
            self._at = at
            try:
                async with asyncio.timeout(SEND_WAIT_S):
                    await self._response.write(text.encode())
            except TimeoutError as error:
                raise _TooSlow from error
        self._spoke_at = asyncio.get_running_loop().time()


def _token(following: Following, whose: bytes) -> str:
    """Where a follower is, as a token of its stream."""
    return cursor.encode(following.positions, whose)


class _TooSlow(Exception):
    """The partner does not read."""


ROUTES = (
    Route(
        method="GET",
        path="/v1/partners/subscriptions/{subscription_id}/stream",
        handler=stream_subscription,
        summary="Event-stream: the tenant's events for a partner, from any cursor, numbered without a gap",
        scope=Scope.PARTNER,
        query=StreamQuery,
        answers={200: None},
        says=SAYS,
    ),
)
"""The stream of a partner."""
