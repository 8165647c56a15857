"""One seed -> one history: the system under its faults, then healed, then judged."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec

import infra.kafka.cluster
import streams.executions.venue
from infra import bus, readback
from infra.kafka import fence, protocol2
from infra.kafka.records import Arrived, Partition
from streams import deciders, following, partition, replay
from tests.simulation import forger, verdict
from tests.simulation.auditor import Auditor
from tests.simulation.books import Account
from tests.simulation.clients import Clients
from tests.simulation.codec import SharedCodec
from tests.simulation.loop import Endless, VirtualLoop
from tests.simulation.nemesis import Nemesis
from tests.simulation.network import Connection, Manners, Network
from tests.simulation.options import Options
from tests.simulation.reading import Reading
from tests.simulation.system import System
from tests.simulation.vendor import Vendor
from tests.simulation.venue import Venue, VenueManners, session_to

STORM_S_MAX = 600.0
"""Virtual seconds after which the faults end, whether all commands were asked or not."""
HEALED_S_MAX = 120.0
"""Virtual seconds after the faults in which all accepted work must be done: time-outs of 10 and 30 s lie in between."""
LOOK_EVERY_S = 0.25
GHOSTS_S = 15.0
"""Virtual seconds after which no request is under way any more: a late one may fence whoever judges."""
POLL_WAIT_MS = 400
"""Long polls are longer than the product's: how soon a loop sees that it must stop is not what is looked for."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of a seed."""

    options: Options
    faults: tuple[str, ...]
    trace: str
    steps: int
    virtual_s: float
    counts: dict[str, int]
    injected: dict[str, int]
    deaths: dict[str, int]
    story: tuple[str, ...]


class Simulation:
    """What histories share: reading schemas takes longer than a history."""

    def __init__(self, codec: SharedCodec) -> None:
        self._codec = codec
        self._reading = Reading()

    def play(self, options: Options, *, is_told: bool = False) -> Outcome:
        """The history of these options, always the same."""
        loop = VirtualLoop(Random(f"{options.seed}|loop"))
        self._codec.forget()
        history = History(loop, options, self._codec, self._reading, is_told=is_told)
        gc.disable()  # What a history leaves behind is collected after it, all at once.
        try:
            with substituted(history):
                try:
                    loop.run_until_complete(history.run())
                except Endless as endless:
                    history.auditor.fault(str(endless))
                history.system.is_over = True
                outcome = history.outcome()
                loop.bury()
        finally:
            loop.close()
            gc.enable()
        return outcome


class History:
    """Everything of one seed."""

    def __init__(
        self, loop: VirtualLoop, options: Options, codec: SharedCodec, reading: Reading, *, is_told: bool
    ) -> None:
        self.loop = loop
        self.options = options
        self.network = Network(loop, Random(f"{options.seed}|network"), _calm(options.network))
        self.tape = self.network.tape
        self.tape.story = [] if is_told else None
        self.system = System(loop, self.network, options, codec)
        self.venue = Venue(loop, Random(f"{options.seed}|venue"), options.venue)
        self.auditor = Auditor(self.venue.executions, reading)
        self.vendor = Vendor(self.network, codec, Random(f"{options.seed}|vendor"), options)
        self.clients = Clients(self.system, self.venue, self.auditor, options)
        self.nemesis = Nemesis(self.system, self.venue, options)
        self.tape.on_append = self.auditor.appended
        self.tape.on_accept = self.auditor.accepted
        self.tape.on_commit = self._committed
        self._storm_s = 0.0

    async def run(self) -> None:
        """Storm, then healing, then the verdict. A fault ends it at once."""
        self.nemesis.start()
        asking = self.clients.begin()
        self.network.manners = self.options.network
        self.nemesis.begin()
        while not asking.done() and self.loop.time() < STORM_S_MAX and not self.auditor.faults:
            await asyncio.sleep(LOOK_EVERY_S)
        self._storm_s = self.loop.time()
        self._heal()
        while not self.auditor.faults:
            waiting = ["clients still ask"] if not asking.done() else verdict.unfinished(self)
            if not waiting:
                break
            if self.loop.time() - self._storm_s > HEALED_S_MAX:
                self.auditor.fault(f"not done {HEALED_S_MAX:.0f} s after the last fault: {'; '.join(waiting[:5])}")
            await asyncio.sleep(LOOK_EVERY_S)
        self.nemesis.end()
        await asyncio.sleep(GHOSTS_S)
        if not self.auditor.faults:
            for fault in await verdict.faults(self):
                self.auditor.fault(fault)
        if self.options.is_forged and not self.auditor.faults:
            for fault in await forger.unseen(self):
                self.auditor.fault(fault)

    def outcome(self) -> Outcome:
        """What is to be said of it."""
        for deployment in self.nemesis.deployments:
            for unexpected in deployment.unexpected:
                self.auditor.fault(unexpected)
        deaths: Counter[str] = Counter()
        for deployment in self.nemesis.deployments:
            deaths += deployment.deaths
        return Outcome(
            options=self.options,
            faults=tuple(self.auditor.faults),
            trace=self.tape.trace.hexdigest(),
            steps=self.loop.steps,
            virtual_s=self.loop.time(),
            counts=dict(self.auditor.counts) | {"decided": len(self.auditor.events)},
            injected=dict(self.nemesis.done) | {"network": self.network.faults},
            deaths=dict(deaths),
            story=tuple(self.tape.story or ()),
        )

    def _heal(self) -> None:
        self.tape.note("healed")
        self.nemesis.stop()
        calm = self.options.network
        self.network.manners = Manners(
            delay_us=calm.delay_us, jitter_us=calm.jitter_us, is_one_broker=calm.is_one_broker
        )
        self.venue.manners = VenueManners(reject=0.0, refuse_change=0.0)
        self.venue.is_quiet = True
        self.clients.is_over = True

    def _committed(self, place: Partition, records: list[Arrived]) -> None:
        self.auditor.committed(place, records)
        if place[0] == "onboarding.events":
            self.vendor.hear(records)


def _calm(manners: Manners) -> Manners:
    """The same network on a good day."""
    return Manners(delay_us=manners.delay_us, jitter_us=manners.jitter_us, is_one_broker=manners.is_one_broker)


def _is_open(account: Account) -> bool:
    return account.is_trading and account.limit is not None and bool(account.credited)


@contextmanager
def substituted(history: History) -> Iterator[None]:
    """For the length of a history: virtual time, simulated connections, the venue's line, limits that are soon met."""
    Connection.network = history.network
    clock = SimpleNamespace(monotonic=history.loop.time, perf_counter=history.loop.time, time_ns=lambda: 0)
    options = history.options
    changes: list[tuple[Any, str, Any]] = [
        *((module, "time", clock) for module in (bus, readback, fence, protocol2, deciders)),
        (infra.kafka.cluster, "AIOKafkaConnection", Connection),
        (streams.executions.venue, "aiohttp", session_to(history.venue)),
        *((module, "POLL_WAIT_MS", POLL_WAIT_MS) for module in (deciders, following, readback)),
        (deciders, "SNAPSHOT_EVERY_EVENTS", options.snapshot_every),
        (deciders, "BATCH_COMMANDS_MAX", options.batch_max),
        *((module, "KNOWN_COMMANDS_MAX", options.known_max) for module in (partition, replay)),
        (partition, "BATCH_COMMANDS_MAX", options.batch_max),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
