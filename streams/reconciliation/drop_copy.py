"""the venue's back office -> reconciliation.messages: keep every copy of an execution and every statement, raw.

A record is on the feed before its number counts as seen, so that a reconnect or a crash asks for what is missing and
perhaps for some of it twice; whoever reads the feed knows a repeat. What cannot be read is kept too, without a key.
"""

import asyncio
import hashlib

import aiohttp
import msgspec

from domain.executions.messages import whose
from domain.kernel.ids import AccountId
from domain.reconciliation.records import VenueRecord
from infra import telemetry
from infra.settings import POLL_WAIT_MS
from streams.effects import Effect, Tools

NAME = "reconciliation.drop_copy"
FEED = "reconciliation.messages"
SEEN_GROUP = "reconciliation.drop_copy-seen"
VENUE = "paper"
BATCH_MAX = 500
"""Records written to the feed together; it bounds what a crash keeps twice."""
HEARD_MAX = 2_000
"""Records heard and not written yet: beyond that the venue has to wait."""
OPENING = aiohttp.ClientTimeout(total=10)
"""How long a connection may take to open; what is said over it has its heartbeat."""
RECONNECT_SECONDS = 0.3
"""Pause before the venue is called again, also when it answers and hangs up at once."""
HEARTBEAT_S = 5.0
"""A venue that answers no ping for half of this is lost."""
log = telemetry.logger(NAME)

_OVER = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
)


class Head(msgspec.Struct, frozen=True):
    """The fields of a record that this effect looks at; the rest stays raw."""

    number: int
    record_id: str
    account: str


_read = msgspec.json.Decoder(Head).decode


async def run(tools: Tools, stop: asyncio.Event, is_ready: asyncio.Event) -> None:
    """Listen to the back office, calling again when it is lost."""
    noted = await tools.groups.committed(SEEN_GROUP, [(FEED, 0)])
    seen = int(noted[FEED, 0][1]) if noted else 0
    url = f"{tools.settings.venue_url}/back-office"
    async with aiohttp.ClientSession(timeout=OPENING) as session:
        while not stop.is_set():
            try:
                async with session.ws_connect(url, heartbeat=HEARTBEAT_S) as socket:
                    await socket.send_json({"type": "resume", "after": seen})
                    is_ready.set()
                    seen = await _listen(tools, socket, seen, stop)
            except (aiohttp.ClientError, OSError) as error:
                log.warning("the back office does not answer", url=url, why=str(error))
            if not stop.is_set():
                is_ready.clear()
                await asyncio.sleep(RECONNECT_SECONDS)


async def _listen(tools: Tools, socket: aiohttp.ClientWebSocketResponse, seen: int, stop: asyncio.Event) -> int:
    """Keep what is said until the venue hangs up; the number of the last record that is kept."""
    heard: asyncio.Queue[bytes | None] = asyncio.Queue(HEARD_MAX)
    hearing = asyncio.create_task(_hear(socket, heard))
    try:
        while not stop.is_set():
            batch, is_over = await _take(heard)
            if batch:
                seen = max(seen, await _keep(tools, batch))
                await tools.groups.commit(SEEN_GROUP, {(FEED, 0): (0, str(seen))})
            if is_over:
                break
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
    return seen


async def _hear(socket: aiohttp.ClientWebSocketResponse, heard: asyncio.Queue[bytes | None]) -> None:
    try:
        while (message := await socket.receive()).type not in _OVER:
            if message.type is aiohttp.WSMsgType.TEXT:
                await heard.put(message.data.encode())
    finally:
        log.warning("the back office hung up", code=socket.close_code)
        await heard.put(None)


async def _take(heard: asyncio.Queue[bytes | None]) -> tuple[list[bytes], bool]:
    """What was heard, and whether it was the last; an empty batch now and then, so that a stop is seen."""
    try:
        bodies = [await asyncio.wait_for(heard.get(), POLL_WAIT_MS / 1000)]
    except TimeoutError:
        return [], False
    while bodies[-1] is not None and len(bodies) < BATCH_MAX and not heard.empty():
        bodies.append(heard.get_nowait())
    return [body for body in bodies if body is not None], bodies[-1] is None


async def _keep(tools: Tools, bodies: list[bytes]) -> int:
    """Write these records, in order; the last number among them."""
    records = [_record(tools, body) for body in bodies]
    encode = tools.codec.encode_observed
    await asyncio.gather(
        *(tools.sender.send(FEED, record.account_id.encode(), encode(record), {}) for record in records)
    )
    return max(record.sequence for record in records)


def _record(tools: Tools, body: bytes) -> VenueRecord:
    try:
        head = _read(body)
    except msgspec.DecodeError as error:
        log.warning("the back office says what cannot be read", why=str(error))
        head = Head(0, f"unreadable-{hashlib.sha256(body).hexdigest()}", "")
    tenant, account_id = whose(head.account)
    return VenueRecord(
        source_id=head.record_id,
        venue=VENUE,
        tenant=tenant,
        account_id=AccountId(account_id),
        sequence=head.number,
        body=body,
        received_at=tools.clock(),
    )


drop_copy = Effect(NAME, run)
