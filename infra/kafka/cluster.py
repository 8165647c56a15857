"""Which broker leads a partition, which coordinates a transactional id: asked of the cluster, kept until it errs.

Requests go over aiokafka's connection class, one connection per broker and owner: owners do not wait for each other.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

REQUEST_MS_MAX = 5_000  # Longer than a flush on a busy disk, shorter than a transaction may stay open.
LOOKUP_MS_MAX = 15_000  # A restarted broker needs seconds until it leads its partitions again.
LOOKUP_AGAIN_MS = 20  # Between two rounds of the seeds: an election is not over sooner.
CLOSE_SECONDS_MAX = 1.0
TRANSACTION_COORDINATOR = 1
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
LATEST = -1
ANY_REPLICA = -1


class NoAnswer(Exception):
    """A broker could not be reached, or did not answer in time; what was asked may have been done all the same."""


class Cluster:
    """The brokers as one owner knows them."""

    def __init__(self, bootstrap: str, name: str, security: Mapping[str, Any] | None = None) -> None:
        self._seeds = [_address(each) for each in bootstrap.split(",")]
        self._name = name
        self._security = dict(security or {})  # TLS and SASL, in the words of aiokafka's connection.
        self._connections: dict[tuple[str, int], AIOKafkaConnection] = {}
        self._leaders: dict[tuple[str, int], tuple[str, int]] = {}
        self._coordinators: dict[str, tuple[str, int]] = {}
        self._opening = asyncio.Lock()
        self._is_held = False

    async def ask_leader(self, topic: str, partition: int, request: "Request[Any]") -> Any:
        """Send to the leader of this partition. Raises NoAnswer."""
        address = self._leaders.get((topic, partition)) or await self._find_leader(topic, partition)
        return await self._ask(address, request)

    async def ask_coordinator(self, transactional_id: str, request: "Request[Any]") -> Any:
        """Send to the coordinator of this transactional id. Raises NoAnswer."""
        address = self._coordinators.get(transactional_id) or await self._find_coordinator(transactional_id)
        return await self._ask(address, request)

    async def end_of(self, topic: str, partition: int, isolation: int) -> int:
        """The last stable offset or the high watermark, as `isolation` says."""
        request = OffsetRequest(ANY_REPLICA, isolation, [(topic, [(partition, LATEST)])])
        answer = await self.ask_leader(topic, partition, request)
        code, offset = answer.topics[0][1][0][1], answer.topics[0][1][0][3]
        if code:
            raise NoAnswer(f"{topic}[{partition}]: its end was refused with Kafka error {code}")
        return int(offset)

    async def know(self, topic: str, partition: int, transactional_id: str) -> None:
        """Look up and connect to the partition's leader and the id's coordinator. Raises NoAnswer."""
        leader = self._leaders.get((topic, partition)) or await self._find_leader(topic, partition)
        coordinator = self._coordinators.get(transactional_id) or await self._find_coordinator(transactional_id)
        for address in (leader, coordinator):
            await self._reach(address)

    def is_whole(self) -> bool:
        """Whether every connection that was opened is still there."""
        return all(connection.connected() for connection in self._connections.values())

    def hold(self) -> None:
        """Open no connection any more until `forget`: a loss between two requests shall not pass in silence."""
        self._is_held = True

    def forget(self) -> list[asyncio.Future[None]]:
        """Drop all connections and all that was looked up: the next request looks again. Gives what is closing."""
        connections, self._connections = self._connections, {}
        self._leaders.clear()
        self._coordinators.clear()
        self._is_held = False
        return [closing for each in connections.values() if (closing := each.close()) is not None]

    async def close(self) -> None:
        """Return when the sockets are closed."""
        if closing := self.forget():
            await asyncio.wait(closing, timeout=CLOSE_SECONDS_MAX)

    async def _ask(self, address: tuple[str, int], request: "Request[Any]") -> Any:
        connection = await self._reach(address)
        try:
            return await connection.send(request)
        except (KafkaError, OSError, TimeoutError) as failure:
            raise NoAnswer(f"broker {address[0]}:{address[1]}: {type(failure).__name__}: {failure}") from failure

    async def _reach(self, address: tuple[str, int]) -> AIOKafkaConnection:
        try:
            return await self._connection(address)
        except (KafkaError, OSError, TimeoutError) as failure:
            raise NoAnswer(f"broker {address[0]}:{address[1]}: {type(failure).__name__}: {failure}") from failure

    async def _connection(self, address: tuple[str, int]) -> AIOKafkaConnection:
        found = self._connections.get(address)
        if found is not None and found.connected():
            return found
        async with self._opening:
            found = self._connections.get(address)
            if found is None or not found.connected():
                if self._is_held:
                    raise NoAnswer(f"broker {address[0]}:{address[1]}: the connection was lost since the take-over")
                found = AIOKafkaConnection(
                    *address, client_id=self._name, request_timeout_ms=REQUEST_MS_MAX, **self._security
                )
                await found.connect()
                self._connections[address] = found
        return found

    async def _find_leader(self, topic: str, partition: int) -> tuple[str, int]:
        async def look(seed: tuple[str, int]) -> tuple[str, int] | None:
            answer = await self._ask(seed, MetadataRequest([topic]))
            brokers = {broker[0]: (broker[1], broker[2]) for broker in answer.brokers}
            for _, _, _, partitions in answer.topics:
                for code, number, leader, *_ in partitions:
                    if number == partition and code == 0 and leader in brokers:
                        self._leaders[topic, partition] = brokers[leader]
                        return brokers[leader]
            return None

        return await self._look_up(f"no leader of {topic}[{partition}]; is the topic declared?", look)

    async def _find_coordinator(self, transactional_id: str) -> tuple[str, int]:
        async def look(seed: tuple[str, int]) -> tuple[str, int] | None:
            answer = await self._ask(seed, FindCoordinatorRequest(transactional_id, TRANSACTION_COORDINATOR))
            if answer.error_code:
                return None
            self._coordinators[transactional_id] = (answer.host, answer.port)
            return self._coordinators[transactional_id]

        return await self._look_up(f"no coordinator of transactional id {transactional_id}", look)

    async def _look_up(self, missing: str, look: Any) -> tuple[str, int]:
        """Ask each seed in turn until one knows; a cold broker first has to make its transaction topic."""
        if self._is_held:
            raise NoAnswer(f"{missing} (not known since the take-over)")
        try:
            async with asyncio.timeout(LOOKUP_MS_MAX / 1000):
                while True:
                    for seed in self._seeds:
                        try:
                            found: tuple[str, int] | None = await look(seed)
                        except NoAnswer:
                            continue
                        if found is not None:
                            return found
                    await asyncio.sleep(LOOKUP_AGAIN_MS / 1000)
        except TimeoutError as late:
            raise NoAnswer(f"{missing} (asked for {LOOKUP_MS_MAX} ms)") from late


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.strip().rpartition(":")
    return host, int(port)
