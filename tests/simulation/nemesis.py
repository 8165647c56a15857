"""What goes wrong besides the network: kills at any step, zombies, rivals, moved partitions, pauses, clocks, brokers.

Each kind comes at its own rate, as the options of the seed say, at instants that the seed draws.
"""

import asyncio
from collections import Counter
from random import Random

from tests.simulation.loop import Process
from tests.simulation.options import Options
from tests.simulation.system import CONTEXTS, Assignment, Deployment, System
from tests.simulation.venue import Venue

STEPS_MAX = 60
"""A kill comes within so many steps of its victim: between any two awaits."""
PAUSE_S_MAX = 3.0
ZOMBIE_S_MAX = 45.0
"""A zombie sleeps past every time-out."""
DOWN_S_MAX = 12.0
FREEZE_S_MAX = 30.0
SKEW_US_MAX = 3_600_000_000
"""Clocks jump by an hour, either way."""


class Nemesis:
    """Starts the processes, and lets them have no peace."""

    def __init__(self, system: System, venue: Venue, options: Options) -> None:
        self.done: Counter[str] = Counter()
        self._system = system
        self._loop = system.loop
        self._venue = venue
        self._options = options
        self._random = Random(f"{options.seed}|nemesis")
        self._process = Process("nemesis")
        self._stopped: list[Process] = []
        self._is_over = False
        self._deciders = [
            Deployment(system, f"deciders-{number}", system.deciding(places))
            for number, places in enumerate(self._deal())
        ]
        self._others = [
            Deployment(system, "sagas", system.sagas),
            Deployment(system, "effects", system.effects),
            Deployment(system, "projector", system.projector),
            Deployment(system, "gateway", system.gateway),
        ]

    @property
    def deployments(self) -> list[Deployment]:
        """Everything that shall run."""
        return [*self._deciders, *self._others]

    def start(self) -> None:
        """All processes."""
        for deployment in self.deployments:
            deployment.start()

    def begin(self) -> None:
        """All troubles."""
        self._loop.spawn(self._process, self._trouble())

    def stop(self) -> None:
        """No more trouble; who stood still goes on."""
        self._is_over = True
        for process in self._stopped:
            self._loop.continue_process(process)
        for process in self._loop.processes:
            process.steps_left = None
        self._system.network.away_until_us = min(self._system.network.away_until_us, self._loop.now_us)

    def end(self) -> None:
        """Only the projector still runs; whoever judges is alone with the tape."""
        self._system.is_over = True
        names = {deployment.name for deployment in self.deployments} - {"projector"}
        for deployment in self.deployments:
            deployment.is_over = True
        for process in self._loop.processes:
            if process.name.partition(".")[0] in names:
                self._loop.kill(process)

    async def _trouble(self) -> None:
        options = self._options
        rates = {
            self._kill: options.kill,
            self._zombie: options.zombie,
            self._rival: options.rival,
            self._rebalance: options.rebalance,
            self._pause: options.pause,
            self._cut: options.cut,
            self._broker: options.broker,
            self._freeze: options.freeze,
            self._skew: options.skew,
        }
        kinds = [kind for kind, rate in rates.items() if rate]
        if not kinds:
            return
        weights = [rates[kind] for kind in kinds]
        while True:
            await asyncio.sleep(self._random.expovariate(sum(weights)))
            if self._is_over:
                return
            kind = self._random.choices(kinds, weights)[0]
            name = kind.__name__.removeprefix("_")
            self._system.network.tape.note(f"trouble {name}")
            self.done[name] += 1
            kind()

    def _kill(self) -> None:
        process = self._random.choice(self.deployments).current
        if process is not None and not process.is_dead:
            process.steps_left = self._random.randrange(1, STEPS_MAX)

    def _zombie(self) -> None:
        """An owner falls asleep, another takes over, the first awakes and believes itself the owner."""
        deployment = self._random.choice(self._deciders)
        if deployment.current is not None and not deployment.current.is_dead:
            self._sleep(deployment.current, self._random.random() * ZOMBIE_S_MAX)
            deployment.start()

    def _rival(self) -> None:
        """Two owners at once, by a mistake in the settings."""
        self._random.choice(self._deciders).start()

    def _rebalance(self) -> None:
        """Partitions move to other processes; the old owners leave in order, or learn it when they are fenced."""
        for deployment, places in zip(self._deciders, self._deal(), strict=True):
            deployment.work = self._system.deciding(places)
            if self._random.random() < 0.5:
                deployment.leave()
            else:
                deployment.start()

    def _pause(self) -> None:
        process = self._random.choice(self.deployments).current
        if process is not None:
            self._sleep(process, self._random.random() * PAUSE_S_MAX)

    def _cut(self) -> None:
        process = self._random.choice(self.deployments).current
        if process is not None:
            self._system.network.cut(process)
        for socket in list(self._venue.sockets):
            socket.hang_up()

    def _broker(self) -> None:
        down_us = int(self._random.random() * DOWN_S_MAX * 1_000_000)
        is_losing = self._random.random() < 0.5
        self._system.network.restart(down_us, is_losing=is_losing)

    def _freeze(self) -> None:
        self._loop.jump(int(self._random.random() * FREEZE_S_MAX * 1_000_000))

    def _skew(self) -> None:
        process = self._random.choice(self.deployments).current
        if process is not None:
            process.skew_us = self._random.randrange(-SKEW_US_MAX, SKEW_US_MAX)

    def _sleep(self, process: Process, seconds: float) -> None:
        self._loop.stop_process(process)
        self._stopped.append(process)
        self._loop.call_later(
            seconds, self._loop.continue_process, process, context=self._loop.context_of(self._process)
        )

    def _deal(self) -> list[Assignment]:
        """Every partition to one process."""
        places = [(context, number) for context in CONTEXTS for number in range(self._options.partitions)]
        dealt: list[list[tuple[str, int]]] = [[] for _ in range(self._options.deciders)]
        for place in places:
            self._random.choice(dealt).append(place)
        return [tuple(each) for each in dealt]
