"""Bugs that are known, planted one at a time: what a simulator does not see when it is there, it cannot rule out."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

import domain.orders.decide
from domain.kernel.stream import Familiarity, Stream
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.writer import UnclearEnd
from streams.deciders import Owner
from streams.partition import Batch
from streams.sagas import Sagas
from tests.simulation.history import Simulation
from tests.simulation.options import drawn
from tests.simulation.ports import SimulatedReader
from tests.simulation.system import System
from tests.simulation.tape import Tape

Change = tuple[Any, str, Any]
"""An object, the name of what is changed of it, and what it is instead."""


class Planted(msgspec.Struct, frozen=True):
    """One bug: what is changed in the product's code, or how each system is changed before it starts."""

    name: str
    changes: tuple[Change, ...] = ()
    prepare: Callable[[System], None] = lambda _system: None


@contextmanager
def growing(planted: Planted, simulation: Simulation) -> Iterator[None]:
    """The bug is there inside."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in planted.changes]
    for owner, name, value in planted.changes:
        setattr(owner, name, value)
    kept, simulation.prepare = simulation.prepare, planted.prepare
    try:
        yield
    finally:
        simulation.prepare = kept
        for owner, name, value in before:
            setattr(owner, name, value)


def seen_after(planted: Planted, simulation: Simulation, seeds: int, commands: int) -> tuple[int, str]:
    """How many seeds it takes until a history fails, and of what; 0 when none does."""
    with growing(planted, simulation):
        for seed in range(seeds):
            faults = simulation.play(drawn(seed, commands)).faults
            if faults:
                return seed + 1, faults[0]
    return 0, ""


def table(simulation: Simulation, seeds: int, commands: int) -> int:
    """Print what is seen, and after how many seeds; the number of bugs that nobody saw."""
    unseen = 0
    for bug in PLANTED:
        after, fault = seen_after(bug, simulation, seeds, commands)
        unseen += not after
        print(f"{bug.name:42} {f'seed {after:3}' if after else 'NOT SEEN'}  {fault[:110]}", flush=True)
    return unseen


class _Hasty(SimulatedReader):
    is_read_committed = False


def _answers_early(system: System) -> None:
    system.door.reader = lambda: _Hasty(system.network, "read-back")


def _fences_nobody(self: Tape, transactional_id: str) -> tuple[int, int, int]:
    known = self._ids.get(transactional_id)
    if known is None or known.epoch < 0:
        return FENCE(self, transactional_id)
    return 0, known.producer_id, known.epoch


async def _snapshot_first(self: Owner, batch: Batch) -> None:
    known = self.partition.knowledge
    self.partition.keep(batch)
    self._changed |= {record.key.decode() for record in batch.records}
    await self.snapshot(is_forced=True)
    self.partition.knowledge = known
    await APPEND(self, batch)


async def _end_is_clear(self: Protocol2Writer, transactional_id: str) -> None:
    try:
        await END(self, transactional_id)
    except UnclearEnd:
        return


async def _nothing_read(self: Owner) -> None:
    await self._writer.take_over()


async def _out_of_order(self: Owner) -> None:
    await RECOVER(self)
    self.backlog = deque(reversed(self.backlog))


async def _committed_first(self: Sagas, batch: Any) -> None:
    await self._follower.commit()
    await REACT(self, batch)


FENCE, APPEND, END, RECOVER, REACT = Tape.fence, Owner.append, Protocol2Writer._end, Owner.recover, Sagas._react
NEXT = Owner.next_command
PLANTED = (
    Planted("answered before the commit", prepare=_answers_early),
    Planted("no dedupe of command ids", ((Stream, "familiarity", lambda *_: Familiarity.NEW),)),
    Planted("no fencing", ((Tape, "fence", _fences_nobody),)),
    Planted("a snapshot ahead of its events", ((Owner, "append", _snapshot_first),)),
    Planted("an unclear end taken as clear", ((Protocol2Writer, "_end", _end_is_clear),)),
    Planted("the tape not read back", ((Owner, "recover", _nothing_read),)),
    Planted("commands out of order after a recovery", ((Owner, "recover", _out_of_order),)),
    Planted("a cursor off by one", ((Owner, "next_command", lambda self, begin: NEXT(self, begin) + 1),)),
    Planted("a saga that commits before it sends", ((Sagas, "_react", _committed_first),)),
    Planted(
        "a reservation rounded down",
        ((domain.orders.decide, "notional_at_most", lambda quantity, price: quantity * price // 10**14),),
    ),
)
