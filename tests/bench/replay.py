"""Replay: from the tape to the state of all deciders, as a new owner does it; beside it the library's repository."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator

import contexts
from domain.orders.decide import orders
from infra.clock import wall
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.settings import PARTITIONS
from streams.deciders import Owner
from streams.partition import Deciding
from tests.bench.figures import Arm, Figure, Measured, Reach
from tests.bench.rows import fill_orders
from tests.bench.stage import Stage, run

PEER_EVENTS_MAX = 100_000
"""Events that the peer replays: its rate does not depend on how many accounts of a thousand events there are."""


@contextlib.contextmanager
def arms(stage: Stage) -> Iterator[dict[str, Arm]]:
    """One tape for all rounds: nothing of it is kept in a snapshot."""
    count = fill_orders(stage, stage.sizes.replayed)

    def library() -> Measured:
        peer = str(min(count, PEER_EVENTS_MAX))
        with stage.process("tests.bench.library", "replay", stage.database(), peer) as child:
            found: Measured = json.loads(child.line())
            return found

    yield {"tapeline": lambda: run(lambda: _taken_over(stage, count)), "eventsourcing repository": library}


async def _taken_over(stage: Stage, events: int) -> Measured:
    """Every partition taken over: fenced, read from its beginning, checked, folded."""
    bootstrap = stage.kafka.bootstrap
    of_orders = next(each.commands for each in contexts.CONTEXTS if each.name == "orders")
    deciding = Deciding("orders", orders, of_orders)

    def writer(topic: str, partition: int) -> Protocol2Writer:
        return Protocol2Writer(bootstrap, topic, partition)

    owners = [Owner(deciding, number, stage.codec, wall, writer) for number in range(PARTITIONS)]
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(
        *(owner.take_over("bench", lambda name: Reader(bootstrap, name, with_headers=False)) for owner in owners)
    )
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    versions = sum(
        stream.version
        for owner in owners
        for name, stream in owner.partition.knowledge.streams.items()
        if not name.startswith("owner/")
    )
    assert versions == events, f"{versions} of {events} events are in the state"
    await asyncio.gather(*(owner.close() for owner in owners))
    return {"events_per_s": events / seconds, "cpu_us": used / events * 1e6}


replay = Figure(
    name="replay",
    title="Events replayed into the state of a decider a second",
    conditions="one process takes four partitions over, without a snapshot: fences, reads, checks the chain, folds",
    arms=arms,
    reaches=(
        Reach(what="events a second >= 100,000", of="events_per_s", at_least=100_000),
        Reach(
            what="times the repository of eventsourcing >= 1",
            of="events_per_s",
            at_least=1,
            peer="eventsourcing repository",
        ),
    ),
)
