"""Between processes and brokers: delays, cuts, requests that come late, twice or never, brokers that are away.

`Connection` stands in for aiokafka's, so that the real writer, its fence and its knowledge of the cluster run as they
are, and every request is answered by `tests/simulation/tape.py` in the structures of the protocol.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from aiokafka.errors import KafkaConnectionError

from infra.kafka.records import Partition
from infra.kafka.writer import TRANSACTION_TIMEOUT_MS
from tests.simulation import protocol
from tests.simulation.loop import CURRENT, Process, VirtualLoop
from tests.simulation.tape import Tape

US_PER_MS = 1_000
EXPIRE_EVERY_US = 1_000_000
"""How often the coordinator looks for transactions that are open too long."""


class Manners(msgspec.Struct, frozen=True):
    """How the network behaves: probabilities of a request, and times."""

    delay_us: int = 300
    jitter_us: int = 700
    cut_before: float = 0.0
    """The connection breaks and the request never arrives."""
    cut_behind: float = 0.0
    """The request arrives, the connection breaks before its answer."""
    ghost: float = 0.0
    """The connection breaks at once, the request arrives later all the same."""
    repeat: float = 0.0
    """The request arrives a second time, later."""
    slow: float = 0.0
    """The request, and all behind it on its connection, takes long."""
    slow_ms_max: int = 8_000
    marker_us_max: int = 4_000
    is_one_broker: bool = False
    """Markers of a partition come in the order of their ends; a broker that stops may lose the last of them."""
    unsent: float = 0.0
    """A record of a plain producer is given up and was never written."""
    unsure: float = 0.0
    """A record of a plain producer is given up and was written all the same, sooner or later."""


class Network:
    """One cluster's brokers and the way to them."""

    def __init__(self, loop: VirtualLoop, random: Random, manners: Manners) -> None:
        self.loop = loop
        self.random = random
        self.manners = manners
        self.tape = Tape(lambda: loop.now_us, self.later)
        self.tape.marker_us = self._marker_us
        self._marked_us: dict[Partition, int] = {}
        self.connections: list[Connection] = []
        self.away_until_us = 0
        self.faults = 0
        """Faults that were injected on the way."""
        self.later(EXPIRE_EVERY_US, self._expire)

    @property
    def is_away(self) -> bool:
        """The brokers are down."""
        return self.loop.now_us < self.away_until_us

    def later(self, us: int, work: Callable[[], None]) -> None:
        """The brokers do this after a while."""
        self.loop.act_at_us(self.loop.now_us + us, work)

    def delay_us(self) -> int:
        """One way, or a short way there and back."""
        return self.manners.delay_us + int(self.random.random() * self.manners.jitter_us)

    def happens(self, probability: float) -> bool:
        """A fault, as often as the manners say."""
        if probability and self.random.random() < probability:
            self.faults += 1
            return True
        return False

    def handle(self, struct: Any) -> Any:
        """What the brokers answer to a request; nothing when they are away."""
        return None if self.is_away else protocol.answer(self.tape, struct)

    def restart(self, down_us: int, *, is_losing: bool) -> None:
        """The brokers go and come back; perhaps the markers of the last ends are lost."""
        lost = self.tape.lose_markers() if is_losing and self.manners.is_one_broker else 0
        self.away_until_us = self.loop.now_us + down_us
        self.tape.note(f"brokers away for {down_us} us, {lost} markers lost")
        for connection in list(self.connections):
            connection.cut("the broker went away")

    def cut(self, process: Process) -> None:
        """All connections of a process break."""
        for connection in list(self.connections):
            if connection.process is process:
                connection.cut("cut")

    def _marker_us(self, place: Partition) -> int:
        """Coordinators on several brokers overtake each other; one broker writes markers in the order of the ends."""
        at_us = self.loop.now_us + int(self.random.random() * self.manners.marker_us_max)
        if self.manners.is_one_broker:
            at_us = max(at_us, self._marked_us.get(place, 0))
        self._marked_us[place] = at_us
        return at_us - self.loop.now_us

    def _expire(self) -> None:
        self.tape.expire(TRANSACTION_TIMEOUT_MS * US_PER_MS)
        self.later(EXPIRE_EVERY_US, self._expire)


class Connection:
    """In place of aiokafka's connection: `network` is set for the length of a history."""

    network: Network

    def __init__(self, host: str, port: int, *, client_id: str, request_timeout_ms: int, **_security: Any) -> None:
        self.process = CURRENT.get()
        self._name = client_id
        self._timeout_s = request_timeout_ms / 1000
        self._is_open = False
        self._arrives_us = 0
        self._asked: dict[asyncio.Future[Any], None] = {}

    async def connect(self) -> None:
        """Raises KafkaConnectionError when the broker is away."""
        await asyncio.sleep(self.network.delay_us() / 1_000_000)
        if self.network.is_away:
            raise KafkaConnectionError("refused: the broker is away")
        self._is_open = True
        self.network.connections.append(self)

    def connected(self) -> bool:
        """Whether requests can be sent."""
        return self._is_open

    def close(self) -> "asyncio.Future[None]":
        """Let go; what was sent may still arrive."""
        self.cut("closed")
        closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        closed.set_result(None)
        return closed

    def cut(self, why: str) -> None:
        """Whoever waits for an answer learns that there will be none."""
        if self._is_open:
            self._is_open = False
            self.network.connections.remove(self)
        asked, self._asked = self._asked, {}
        for answer in asked:
            if not answer.done():
                answer.set_exception(KafkaConnectionError(f"{self._name}: {why}"))

    async def send(self, request: Any) -> Any:
        """The answer; raises KafkaConnectionError or TimeoutError, and then nobody knows what was done."""
        if not self._is_open:
            raise KafkaConnectionError(f"{self._name}: no connection")
        network, manners = self.network, self.network.manners
        loop = network.loop
        answer: asyncio.Future[Any] = loop.create_future()
        self._asked[answer] = None
        struct = request.prepare(protocol.VERSIONS)
        self._arrives_us = max(self._arrives_us, loop.now_us + network.delay_us())
        if network.happens(manners.slow):
            self._arrives_us += int(network.random.random() * manners.slow_ms_max) * US_PER_MS
        wait_us = self._arrives_us - loop.now_us
        if network.happens(manners.cut_before):
            network.later(wait_us, lambda: self.cut("cut before the request"))
        elif network.happens(manners.ghost):
            network.later(wait_us + network.random.randrange(10_000_000), lambda: network.handle(struct))
            network.later(wait_us, lambda: self.cut("cut, the request is still under way"))
        elif network.happens(manners.cut_behind):
            network.later(wait_us, lambda: self._answer(struct, None))
        else:
            if network.happens(manners.repeat):
                network.later(wait_us + network.random.randrange(5_000_000), lambda: network.handle(struct))
            network.later(wait_us, lambda: self._answer(struct, answer))
        timer = loop.call_later(self._timeout_s, _late, answer)
        try:
            return await answer
        finally:
            timer.cancel()
            self._asked.pop(answer, None)

    def _answer(self, struct: Any, answer: "asyncio.Future[Any] | None") -> None:
        said = self.network.handle(struct)
        if answer is None:
            self.cut("cut before the answer")
        elif not answer.done() and said is not None:
            answer.set_result(said)


def _late(answer: "asyncio.Future[Any]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError("no answer in time"))
