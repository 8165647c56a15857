"""A whole installation in one thread: broker, database, deciders, sagas, projector, and a gateway before them."""

import asyncio
import concurrent.futures
import contextlib
import threading
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import ClientSession

import contexts
from deploy.local import ports
from deploy.local.kafka import LocalKafka
from domain.kernel.ids import Micros
from domain.kernel.market import Phase
from domain.kernel.messages import Issued
from domain.market_data.marks import Mark
from gateways import gateway
from infra import commands
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.groups import Groups
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.sender import Sender, SendFailed
from infra.kafka.topics import declare
from infra.settings import PARTITIONS, Settings
from infra.tokens import Mint, Scope
from projections import projector
from projections.read_model import ReadModel
from streams.deciders import Deciders, Owner
from streams.following import Follower
from streams.sagas import Sagas
from tests.kit.doors import ROUTES, TRADER, Client, mark_price
from tests.kit.kyc import report
from tests.kit.trading import PERSON
from tests.projections.hosting import MODELS

T = TypeVar("T")
CONTEXTS = ("orders", "accounts", "risk", "onboarding", "partners")
MARK_EVERY_S = 0.2


class Live:
    """The installation; its parts can be stopped and started one by one."""

    def __init__(
        self, kafka: LocalKafka, dsn: str, state_dir: Path, codec: Codec, models: Sequence[ReadModel] = MODELS
    ) -> None:
        self.kafka = kafka
        self.codec = codec
        self.models = models
        self.settings = Settings(
            kafka=kafka.bootstrap, postgres=dsn, state_dir=state_dir, gateway_port=ports.one(), metrics_port=0
        )
        self.url = f"http://127.0.0.1:{self.settings.gateway_port}"
        self.mint = Mint(state_dir)
        self.prices = {"AAPL": "100.00", "MSFT": "30.00"}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="live", daemon=True)
        self._parts: dict[str, tuple[asyncio.Event, concurrent.futures.Future[None]]] = {}
        self._makers = {
            "deciders": self._deciders,
            "sagas": self._sagas,
            "projector": self._projector,
            "marks": self._marks,
            "gateway": self._gateway,
        }

    def start(self) -> None:
        """Declare the topics and start every part."""
        specs = list(contexts.topics())
        declare(self.kafka.bootstrap, specs)
        self._thread.start()
        self.call(self._until_led([spec.name for spec in specs]))
        for name in self._makers:
            self.start_part(name)

    def start_part(self, name: str) -> None:
        """Start one part again."""
        stop = self.call(_event())
        running = asyncio.run_coroutine_threadsafe(self._makers[name](stop), self._loop)
        self._parts[name] = (stop, running)

    def stop_part(self, name: str) -> None:
        """Stop one part in order."""
        stop, running = self._parts.pop(name)
        self._loop.call_soon_threadsafe(stop.set)
        running.result(30)

    def stop(self) -> None:
        """Stop everything, the gateway first."""
        for name in list(reversed(self._parts)):
            self.stop_part(name)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run this in the installation's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def token(self, account_id: str, scopes: Sequence[Scope] = TRADER, tenant: str = "acme") -> str:
        """A token for one account."""
        return self.mint.mint(tenant=tenant, sub="ann", account_id=account_id, scopes=scopes, ttl_s=600)

    @contextlib.asynccontextmanager
    async def stranger(self) -> AsyncIterator[Client]:
        """Somebody whose account is not open yet."""
        account_id = f"account-{uuid.uuid4().hex[:8]}"
        async with ClientSession() as session:
            client = Client(session, self.url, self.token(account_id), account_id)
            await self.until_ready(client)
            yield client

    @contextlib.asynccontextmanager
    async def trader(self, dollars: str = "100000.00") -> AsyncIterator[Client]:
        """Somebody with an open account, cash that may be spent and a passed check."""
        async with self.stranger() as client:
            await client.ask("POST", "/v1/accounts", {})
            response, _ = await client.ask("POST", "/v1/accounts/{}/deposits", {"amount": dollars})
            assert response.status == 201
            await until_funded(client, dollars)
            await self.pass_check(client)
            yield client

    async def pass_check(self, client: Client) -> None:
        """Ask for a check and answer it as the vendor's effect would; return when the book has heard of it."""
        response, check = await client.ask("POST", "/v1/accounts/{}/kyc/checks", PERSON)
        assert response.status == 201, check
        said = report(check_id=check["check_id"], at=wall())
        issued = Issued(
            command=said,
            command_id=f"report-{said.check_id}",
            tenant="acme",
            stream_id=client.account_id,
            causation_id="",
            correlation_id="",
        )
        sender = Sender(self.kafka.bootstrap, "vendor")
        await commands.send(sender, self.codec, "onboarding", issued)
        await sender.close()
        async with asyncio.timeout(30):
            while True:
                _, found = await client.ask("GET", f"/v1/accounts/{{}}/kyc/checks/{said.check_id}")
                if found.get("approved_at"):
                    return
                await asyncio.sleep(0.05)

    async def until_ready(self, client: Client) -> None:
        """Return when the gateway says that it is ready."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    response, _ = await client.ask("GET", "/readyz")
                    if response.status == 200:
                        return
                await asyncio.sleep(0.05)

    async def _until_led(self, topics: list[str]) -> None:
        reader = self._reader("leaders")
        async with asyncio.timeout(30):
            for topic in topics:
                while True:
                    with contextlib.suppress(ReadFailed):
                        await reader.ends(topic)
                        break
                    await asyncio.sleep(0.05)
        await reader.close()

    async def _deciders(self, stop: asyncio.Event) -> None:
        sender = Sender(self.kafka.bootstrap, "deciders")
        owners = [
            Owner(deciding, number, self.codec, wall, self._writer)
            for deciding in contexts.deciders()
            for number in range(PARTITIONS)
        ]
        reader = self._reader("deciders")
        await Deciders(owners, reader, DeadLetters(sender)).run("deciders", self._reader, stop)
        for owner in owners:
            await owner.close()
        await reader.close()
        await sender.close()

    async def _sagas(self, stop: asyncio.Event) -> None:
        every = [saga for context in contexts.CONTEXTS for saga in context.sagas]
        sender, reader = Sender(self.kafka.bootstrap, "sagas"), self._reader("sagas")
        follower = Follower("sagas", Sagas.topics(every), reader, Groups(self.kafka.bootstrap), self.codec)
        await Sagas(every, follower, sender, self.codec).run(stop)
        await sender.close()

    async def _projector(self, stop: asyncio.Event) -> None:
        running = asyncio.create_task(projector.run(self.settings, self.codec, self.models))
        await stop.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def _marks(self, stop: asyncio.Event) -> None:
        sender, sequence = Sender(self.kafka.bootstrap, "marks"), 0
        while not stop.is_set():
            prices = {symbol: mark_price(text) for symbol, text in self.prices.items()}
            mark = Mark(
                sequence=sequence,
                market_time=Micros(1_330_966_800_000_000 + sequence),
                session_date="2012-03-05",
                phase=Phase.OPEN,
                observed_at=wall(),
                is_complete=True,
                prices=prices,
            )
            for number in range(PARTITIONS):
                with contextlib.suppress(SendFailed):  # An old mark is let go, as the feed of the market does.
                    await sender.send("market_data.marks", b"", self.codec.encode_observed(mark), {}, number)
            sequence += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), MARK_EVERY_S)
        await sender.close()

    async def _gateway(self, stop: asyncio.Event) -> None:
        port = ports.one()
        told = self.settings.model_copy(update={"metrics_port": port, "probes": f"gateway=127.0.0.1:{port}"})
        await gateway.run(told, self.codec, ROUTES, CONTEXTS, stop)

    def _reader(self, name: str) -> Reader:
        return Reader(self.kafka.bootstrap, name)

    def _writer(self, topic: str, partition: int) -> Protocol2Writer:
        return Protocol2Writer(self.kafka.bootstrap, topic, partition)


async def until_funded(client: Client, dollars: str) -> None:
    """Return when the ledger shows this much free cash."""
    async with asyncio.timeout(30):
        while True:
            response, cash = await client.ask("GET", "/v1/accounts/{}/cash")
            if response.status == 200 and cash["free"] == dollars:
                return
            await asyncio.sleep(0.05)


async def _event() -> asyncio.Event:
    return asyncio.Event()
