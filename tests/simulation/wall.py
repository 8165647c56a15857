"""The simulated tape under real time, so that the contract of the writer may judge it beside the real brokers."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.records import Arrived
from infra.kafka.writer import TapeWriter
from tests.simulation.loop import US_PER_S
from tests.simulation.network import Connection, Manners, Network
from tests.simulation.protocol import HOST, PORT

TOPIC = "events"
PARTITION = 1


class WallLoop:
    """The part of the virtual loop that a network needs, by the loop that runs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.create_future = self._loop.create_future
        self.call_later = self._loop.call_later

    @property
    def now_us(self) -> int:
        return round(self._loop.time() * US_PER_S)

    def act_at_us(self, when_us: int, act: Callable[[], None]) -> None:
        self._loop.call_at(when_us / US_PER_S, act)


class SimulatedTape:
    """One partition of a fresh simulated cluster, as the contract wants to use it."""

    def __init__(self) -> None:
        loop: Any = WallLoop()
        self._network = Network(loop, Random(1), Manners())
        self._network.tape.declare(TOPIC, PARTITION + 1)
        self._log = self._network.tape.logs[TOPIC, PARTITION]
        self._writers: list[TapeWriter] = []
        Connection.network = self._network

    def writer(self) -> TapeWriter:
        self._writers.append(Protocol2Writer(f"{HOST}:{PORT}", TOPIC, PARTITION))
        return self._writers[-1]

    async def visible(self) -> list[Arrived]:
        return self._log.visible(0, len(self._log.slots))[0]

    async def ends(self) -> tuple[int, int]:
        return self._log.stable, len(self._log.slots)

    async def close(self) -> None:
        for writer in self._writers:
            await writer.close()
