"""The end of a history: one record of the tape is changed behind everybody's back, and everybody must stop at it.

Whoever reads events checks the chain: a new owner, a loop that follows, a gateway, the read models. What is changed is
one whole event, as a forger would who knows the contracts: only the hash in its successor tells.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import msgspec

from domain.kernel.ids import Micros
from infra.kafka.chain import ChainBroken
from infra.kafka.records import Arrived, Partition
from infra.readback import ReadBack
from projections.projector import on_tape
from streams.following import Follower
from streams.replay import Replay
from tests.simulation.ports import SimulatedGroups
from tests.simulation.projecting import MODELS, Rows

if TYPE_CHECKING:
    from tests.simulation.history import History

READ_AT_ONCE = 1_000
POLL_MS = 100


async def unseen(history: "History") -> list[str]:
    """Who did not notice."""
    random = Random(f"{history.options.seed}|forger")
    places = [place for place, chain in sorted(history.auditor.chains.items()) if len(chain.offsets) > 2]
    if not places:
        return []
    place = random.choice(places)
    offset = random.choice(history.auditor.chains[place].offsets[1:-1])
    found: list[str] = []
    async with _forged(history, place, offset):
        for reads in (_owner, _follower, _gateway, _rows):
            try:
                is_seen = await reads(history, place)
            except ChainBroken:
                is_seen = True
            if not is_seen:
                found.append(f"{reads.__name__.strip('_')}: read on past a forged record at {place}@{offset}")
    return found


@asynccontextmanager
async def _forged(history: "History", place: Partition, offset: int) -> AsyncIterator[None]:
    log = history.tape.logs[place]
    record = log.slots[offset]
    assert record is not None
    recorded = history.system.codec.decode_event(record.value)
    later = msgspec.structs.replace(recorded, at=Micros(recorded.at + 1))
    log.slots[offset] = msgspec.structs.replace(record, value=history.system.codec.encode_event(later))
    try:
        yield
    finally:
        log.slots[offset] = record


async def _owner(history: "History", place: Partition) -> bool:
    """An owner that folds the log from its beginning."""
    system = history.system
    (owner,) = system.owners(((place[0].partition(".")[0], place[1]),), system.supervisor)
    replay, reader, end = Replay(owner.partition), system.reader(), history.tape.logs[place].stable
    await reader.assign({place: 0})
    while reader.position().get(place, 0) < end:
        replay.read(await reader.take(READ_AT_ONCE, POLL_MS))
    return False


async def _follower(history: "History", place: Partition) -> bool:
    """A loop of sagas or effects under a new name."""
    system = history.system
    follower = Follower("forger", [place[0]], system.reader(), SimulatedGroups(history.network), system.codec)
    await follower.start()
    end = history.tape.logs[place].stable
    while not follower.trouble() and follower._reader.position().get(place, 0) < end:
        await follower.events(READ_AT_ONCE)
    return bool(follower.trouble())


async def _gateway(history: "History", place: Partition) -> bool:
    """A gateway that starts."""
    system, end = history.system, history.tape.logs[place].stable
    reading = ReadBack(system.reader(), system.reader(), system.codec, [place[0]])
    await reading._warm({place: 0}, {place: end}, until=float("inf"))
    return False


async def _rows(history: "History", place: Partition) -> bool:
    """The read models, from nothing."""
    arrived: list[Arrived] = [each for each in history.tape.logs[place].slots if each is not None]
    records = [on_tape(history.system.codec, {}, each) for each in arrived]
    rows = Rows([place[0]], history.options.partitions)
    for model in MODELS:
        if place[0] in model.events:
            rows.apply(model, records)
    return bool(rows.breaks)
