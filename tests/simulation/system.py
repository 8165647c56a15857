"""The processes of a small installation, each made of the real hosts over simulated ports, started from the tape alone.

A deployment starts one again when it ends, as a supervisor does, and knows who died of what.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import contexts
from domain.kernel.ids import Micros
from domain.kernel.messages import Issued
from infra.bus import Answer, Bus
from infra.clock import Clock
from infra.kafka.chain import ChainBroken
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import ReadFailed
from infra.kafka.sender import SendFailed
from infra.kafka.writer import Fenced, TapeWriter, UnclearEnd
from infra.readback import ReadBack
from infra.settings import Settings
from streams.deciders import Deciders, Owner
from streams.effects import Effects, Tools
from streams.executions.interpret import interpret
from streams.executions.venue import venue as venue_effect
from streams.following import Follower
from streams.onboarding.interpret import interpret as interpret_reports
from streams.replay import MemoryAhead
from streams.sagas import Sagas
from tests.simulation.codec import SharedCodec
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.network import Network
from tests.simulation.options import Options
from tests.simulation.ports import SimulatedGroups, SimulatedReader, SimulatedSender
from tests.simulation.projecting import Rows, project
from tests.simulation.protocol import HOST, PORT

CONTEXTS = ("orders", "accounts", "risk", "onboarding")
DECIDING = {each.context: each for each in contexts.deciders() if each.context in CONTEXTS}
SAGAS = tuple(saga for each in contexts.CONTEXTS if each.name in CONTEXTS for saga in each.sagas)
EFFECTS = (venue_effect, interpret, interpret_reports)
EVENTS = [f"{context}.events" for context in CONTEXTS]
FEEDS = ("executions.messages", "onboarding.reports")
EPOCH_US = 1_700_000_000_000_000
"""Wall time of every clock at the beginning of a history."""
RESTART_US_MAX = 1_500_000
"""Longest time until a process that ended is started again."""
EXPECTED = (Fenced, UnclearEnd, SendFailed, ReadFailed)
"""What a process may end of under the faults of a history, to be started again."""
AFTER_A_LIE = (MemoryAhead, ChainBroken)
"""What it may end of besides when brokers lost the marker of an end that they had accepted."""

Assignment = tuple[tuple[str, int], ...]
Work = Callable[[Process, asyncio.Event], Coroutine[Any, Any, None]]
SETTINGS = Settings()


def writer(topic: str, partition: int) -> TapeWriter:
    """The real writer; its connections are simulated."""
    return Protocol2Writer(f"{HOST}:{PORT}", topic, partition)


class GatewayLost(Exception):
    """The connection to the gateway broke; whatever was asked may have been done."""


class System:
    """Everything of one installation that survives its processes, and how each process is made."""

    def __init__(self, loop: VirtualLoop, network: Network, options: Options, codec: SharedCodec) -> None:
        self.loop = loop
        self.network = network
        self.options = options
        self.codec = codec
        self.rows = Rows(EVENTS, options.partitions)
        self.door = Door(self)
        self.writer: Callable[[str, int], TapeWriter] = writer
        self.supervisor = Process("supervisor")
        self.is_over = False
        for context in CONTEXTS:
            for kind in ("commands", "events", "snapshots", "commands.dead"):
                network.tape.declare(f"{context}.{kind}", options.partitions)
        for feed in FEEDS:
            network.tape.declare(feed, options.partitions)
            network.tape.declare(f"{feed}.dead", options.partitions)

    def clock(self, process: Process) -> Clock:
        """The wall clock of a process."""
        return lambda: Micros(EPOCH_US + self.loop.now_us + process.skew_us)

    def reader(self, name: str = "reader") -> SimulatedReader:
        """A reader of the tape."""
        return SimulatedReader(self.network, name)

    def owners(self, assignment: Assignment, process: Process) -> list[Owner]:
        """Owners of these partitions, who own nothing yet."""
        return [
            Owner(DECIDING[context], number, self.codec, self.clock(process), self.writer)
            for context, number in assignment
        ]

    def deciding(self, assignment: Assignment) -> Work:
        """The decider host over these partitions."""

        async def run(process: Process, stop: asyncio.Event) -> None:
            owners = self.owners(assignment, process)
            host = Deciders(owners, self.reader("commands"), DeadLetters(SimulatedSender(self.network)))
            await host.run(process.name, self.reader, stop)
            for owner in owners:
                await owner.close()

        return run

    async def sagas(self, _process: Process, stop: asyncio.Event) -> None:
        """All sagas."""
        groups, sender = SimulatedGroups(self.network), SimulatedSender(self.network)
        follower = Follower("sagas", Sagas.topics(SAGAS), self.reader("sagas"), groups, self.codec)
        await Sagas(SAGAS, follower, sender, self.codec).run(stop)

    async def effects(self, process: Process, stop: asyncio.Event) -> None:
        """The effects that the simulation has an outside for."""
        sender = SimulatedSender(self.network)
        groups, letters = SimulatedGroups(self.network), DeadLetters(sender)
        tools = Tools(SETTINGS, self.codec, self.clock(process), sender, groups, letters, self.reader)
        await Effects(EFFECTS, tools).run(stop)

    async def projector(self, _process: Process, _stop: asyncio.Event) -> None:
        """The read models."""
        await project(self.rows, self.reader("projector"), self.codec, self.network)

    async def gateway(self, process: Process, stop: asyncio.Event) -> None:
        """The real bus over the real read-back."""
        bus = Bus(SimulatedSender(self.network), self.codec, self.rows.finder(self.network, self.codec))
        reading = ReadBack(self.reader("read-back"), self.reader("ends"), self.codec, EVENTS)
        reading.listen(bus.seen)
        await reading.begin()
        self.door.open(bus, process)
        await reading.run()


class Door:
    """Where clients ask: whichever gateway is open."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._bus: Bus | None = None
        self._process: Process | None = None

    def open(self, bus: Bus, process: Process) -> None:
        """Requests go here from now on."""
        self._bus, self._process = bus, process

    async def ask(self, context: str, issued: Issued[Any], wait_ms: int) -> Answer:
        """What a gateway answers. Raises what the bus raises, or GatewayLost."""
        bus, process, loop = self._bus, self._process, self._system.loop
        if bus is None or process is None or process.is_dead:
            raise GatewayLost("no gateway is there")
        reply: asyncio.Future[Answer] = loop.create_future()
        process.when_dead.append(lost := lambda: _tell(reply, GatewayLost("the gateway is gone")))

        async def serve() -> None:
            try:
                answer = await bus.send(context, issued, wait_ms)
            except Exception as failure:  # noqa: BLE001  (whatever it is, it is the client's to see)
                _tell(reply, failure)
            else:
                _tell(reply, answer)

        await asyncio.sleep(self._system.network.delay_us() / 1_000_000)
        if process.is_dead:
            raise GatewayLost("the gateway is gone")
        loop.context_of(process).run(loop.create_task, serve())
        try:
            return await reply
        finally:
            process.when_dead.remove(lost)


def _tell(reply: "asyncio.Future[Answer]", what: Answer | Exception) -> None:
    if reply.done():
        return
    if isinstance(what, Exception):
        reply.set_exception(what)
    else:
        reply.set_result(what)


class Deployment:
    """One process that shall always run; whoever dies is followed."""

    def __init__(self, system: System, name: str, work: Work) -> None:
        self.name = name
        self.work = work
        self.system = system
        self.current: Process | None = None
        self.deaths: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.is_over = False
        self._count = 0
        self._stop = asyncio.Event()
        self._supervisor = system.loop.context_of(system.supervisor)

    def start(self) -> Process:
        """A new incarnation; the one before it may still be there and know nothing."""
        self._count += 1
        process = Process(f"{self.name}.{self._count}")
        self.current, self._stop = process, asyncio.Event()
        process.when_dead.append(lambda: self._follow(process))
        self.system.network.tape.note(f"start {process}")
        task = self.system.loop.spawn(process, self.work(process, self._stop))
        task.add_done_callback(lambda done: self._ended(process, done), context=self._supervisor)
        return process

    def leave(self) -> None:
        """Ask the current one to end in order."""
        self._stop.set()

    def _ended(self, process: Process, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if self.system.is_over:
            return
        for each in _leaves(error):
            self.deaths[type(each).__name__] += 1
            may = EXPECTED + (AFTER_A_LIE if self.system.options.network.is_one_broker else ())
            if not isinstance(each, may):
                self.unexpected.append(f"{process} ended with {each!r}")
        self.system.loop.kill(process)

    def _follow(self, process: Process) -> None:
        self.system.network.tape.note(f"end {process}")
        self.system.network.cut(process)
        if self.current is process and not self.is_over:
            wait_us = self.system.network.random.randrange(RESTART_US_MAX)
            loop = self.system.loop
            loop.call_at_us(loop.now_us + wait_us, self._again, process, context=self._supervisor)

    def _again(self, process: Process) -> None:
        if self.current is process and not self.is_over:
            self.start()


def _leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [] if error is None else [error]
