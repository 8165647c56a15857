"""The gateway process: opens its clients of the tape and the database, serves the routes, closes everything in order.

Nothing is served before the newest events and marks were read. A broken chain stops writes for good and makes the
process not ready; reads and the streams of what was read before go on until somebody looks.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack

from gateways import docs, page, server
from gateways.auth import REQUESTS_PER_SECOND_MAX, Doorkeeper
from gateways.journal import Lookups
from gateways.routes import Route, Services
from gateways.sockets import Sockets
from gateways.tenancy import Tenancy
from infra.avro.codec import Codec, Undecodable
from infra.board import MarketBoard
from infra.bus import Bus
from infra.catalogue import Carried
from infra.clock import wall
from infra.fanout import Fanout
from infra.flow import Flow
from infra.kafka.chain import ChainBroken
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.sender import Sender
from infra.kyc.inbox import Inbox
from infra.postgres import Database
from infra.probes import Probes
from infra.readback import ReadBack
from infra.sealing import vault
from infra.settings import Settings, revealed
from infra.telemetry import logger, serve_probes
from infra.tokens import Verifier

BEGIN_WAIT_S = 60.0
"""How long the brokers may take to be there when a gateway starts; after that its supervisor tries again."""
BEGIN_RETRY_S = 0.5

log = logger("gateway")


async def run(  # noqa: PLR0913  (what main.py alone knows)
    settings: Settings,
    codec: Codec,
    routes: Sequence[Route],
    deciding: Iterable[str],
    stop: asyncio.Event,
    carried: Sequence[Carried] = (),
    *,
    requests_per_second_max: int = REQUESTS_PER_SECOND_MAX,
) -> None:
    """Serve until asked to stop: `deciding` contexts are read back, `carried` topics are in the published contract."""
    topics = tuple(f"{context}.events" for context in deciding)
    async with AsyncExitStack() as stack:
        readers = [Reader(settings.kafka, f"gateway-{name}") for name in ("events", "ends", "marks")]
        for reader in readers:
            stack.push_async_callback(reader.close)
        sender = Sender(settings.kafka, "gateway")
        stack.push_async_callback(sender.close)
        database = Database(settings.postgres, name="gateway")
        stack.push_async_callback(database.close)

        readback = ReadBack(readers[0], readers[1], codec, topics)
        bus, fanout, flow = Bus(sender, codec, Lookups(database, codec).find), Fanout(), Flow()
        market = MarketBoard(readers[2], codec)
        readback.listen(flow.seen)
        readback.listen(fanout.seen)
        readback.listen(bus.seen)
        await asyncio.gather(_begun(readback.begin), _begun(market.begin))
        for loop in (_read_back(readback, bus), market.run()):
            task = asyncio.create_task(loop)
            stack.push_async_callback(_ended, task)

        keys = vault(settings)
        services = Services(
            bus=bus,
            database=database,
            tenancy=Tenancy(database),
            codec=codec,
            fanout=fanout,
            market=market,
            sockets=Sockets(),
            event_topics=topics,
            clock=wall,
            flow=flow,
            probes=Probes(settings.probes),
            vault=keys,
            inbox=Inbox(sender, keys, codec, wall, revealed(settings.onfido_webhook_secret)),
        )
        doorkeeper = Doorkeeper(Verifier(settings.state_dir), requests_per_second_max)
        app = server.application(routes, services, doorkeeper, readback.ready)
        app.add_routes([*docs.routes(routes, carried), *page.routes()])
        probes = await serve_probes(settings.metrics_port, readback.ready)
        if probes is not None:
            stack.push_async_callback(probes.cleanup)
        runner = await server.serve(app, settings.gateway_host, settings.gateway_port)
        log.info("open", host=settings.gateway_host, port=settings.gateway_port)
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(services.sockets.close)
        await stop.wait()


async def _begun(begin: Callable[[], Awaitable[None]]) -> None:
    """Topics that were declared a moment ago have no leaders yet, and a broker may be on its way up."""
    until = time.monotonic() + BEGIN_WAIT_S
    while True:
        try:
            return await begin()
        except ReadFailed as failure:
            if time.monotonic() > until:
                raise
            log.warning("the tape cannot be read yet", error=str(failure))
            await asyncio.sleep(BEGIN_RETRY_S)


async def _read_back(readback: ReadBack, bus: Bus) -> None:
    try:
        await readback.run()
    except (ChainBroken, Undecodable) as broken:
        bus.stop(str(broken))


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
