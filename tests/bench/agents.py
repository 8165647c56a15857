"""Events a second of one Faust worker with keyed state and a changelog: our wrapper, and stock Faust doing the same."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from confluent_kafka import Consumer, TopicPartition

from domain.orders import events as e
from domain.risk.at_stake import Exposure
from infra.faust.values import Values
from infra.kafka.topics import TopicSpec
from infra.settings import PARTITIONS
from tests.bench.figures import Arm, Figure, Measured, Reach
from tests.bench.stage import Stage, cpu_s
from tests.infra.faust.bench import Bench, accounts
from tests.kit import orders as kit

ACCOUNTS = 1_000
TRANSACTION_EVENTS = 200
PATIENCE_SECONDS = 300.0
UNSAID_SHARE = 0.1
"""Of the events: those at the beginning, which are not measured."""


@contextlib.contextmanager
def arms(stage: Stage) -> Iterator[dict[str, Arm]]:
    """Each run has topics of its own, filled with events in transactions before the worker starts."""

    def ours() -> Measured:
        bench = _filled(stage)
        worker = bench.start()
        try:
            return _measured(stage, bench, bench.changelog, worker.process.pid)
        finally:
            bench.stop_all()

    def stock() -> Measured:
        bench = _filled(stage)
        changelog = f"{bench.run}stock-exposure-changelog"
        stage.declare([TopicSpec(name=changelog, partitions=PARTITIONS, cleanup="compact")])
        folder = stage.folder / f"{bench.run}-stock"
        with stage.process("tests.bench.stock_faust", stage.kafka.bootstrap, bench.run, str(folder)) as child:
            return _measured(stage, bench, changelog, child.process.pid)

    yield {"tapeline": ours, "stock Faust": stock}


def _filled(stage: Stage) -> Bench:
    run = stage.fresh("r").replace("_", "")
    bench = Bench(stage.kafka.bootstrap, stage.codec, run, stage.folder / run, ("risk.exposure",))
    names = list(accounts(ACCOUNTS))
    bench.tape.mark(AAPL=10**10)
    bench.tape.commit("orders.events", [(name, event) for name in names for event in (kit.opened(), kit.credited())])
    batch: list[tuple[str, e.OrderPlaced]] = []
    for number in range(stage.sizes.events):
        batch.append((names[number % ACCOUNTS], kit.placed(f"order-{number}", quantity=1)))
        if len(batch) == TRANSACTION_EVENTS:
            bench.tape.commit("orders.events", list(batch))
            batch.clear()
    if batch:
        bench.tape.commit("orders.events", list(batch))
    return bench


def _measured(stage: Stage, bench: Bench, changelog: str, pid: int) -> Measured:
    """By the clock of the changelog's own records: from a tenth of the events to the newest.

    A batch is in the changelog when all of its work is done, so nothing can be said of the first one.
    """
    topic = f"{bench.run}.orders.events"
    newest = {partition: offset for (name, partition), offset in bench.tape.newest.items() if name == topic}
    changes, clock = _followed(stage, changelog, topic, newest, lambda: cpu_s(pid))
    reached, all_of_it = dict.fromkeys(newest, 0), sum(newest.values())
    for change in sorted(changes):
        began_ms = change.at_ms
        reached[change.partition] = max(reached[change.partition], change.offset)
        if sum(reached.values()) >= all_of_it * UNSAID_SHARE:
            break
    events = stage.sizes.events * (1 - sum(reached.values()) / all_of_it)
    seconds = (max(change.at_ms for change in changes) - began_ms) / 1_000
    cpu = clock[-1][1] - next(cpu for at_ms, cpu in clock if at_ms >= began_ms)
    return {"events_per_s": events / seconds, "cpu_us": cpu / events * 1e6}


class _Change(NamedTuple):
    at_ms: int
    partition: int
    offset: int


def _followed(
    stage: Stage, changelog: str, topic: str, newest: dict[int, int], cpu: Callable[[], float]
) -> tuple[list[_Change], list[tuple[float, float]]]:
    """Every change of an account until the newest event is in one, and how much CPU was used at which time."""
    values, reached = Values(Exposure), dict.fromkeys(newest, -1)
    consumer = Consumer(
        {"bootstrap.servers": stage.kafka.bootstrap, "group.id": changelog, "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(changelog, partition, 0) for partition in range(PARTITIONS)])
    changes: list[_Change] = []
    clock: list[tuple[float, float]] = []
    until = time.monotonic() + PATIENCE_SECONDS
    while any(reached[partition] < offset for partition, offset in newest.items()):
        assert time.monotonic() < until, f"stands at {json.dumps(reached)} of {json.dumps(newest)}"
        clock.append((time.time() * 1_000, cpu()))
        for message in consumer.consume(5_000, 0.1):
            if message.error() or (message.key() or b"").startswith(b"\x00"):
                continue
            offset = values.decode(message.value() or b"")[0].get(topic, -1)
            partition = message.partition() or 0
            reached[partition] = max(reached[partition], offset)
            changes.append(_Change(message.timestamp()[1], partition, offset))
    clock.append((time.time() * 1_000, cpu()))
    consumer.close()
    return changes, clock


agents = Figure(
    name="agents",
    title="Events of the risk agent in one Faust worker",
    conditions="1,000 accounts, RocksDB and changelog on, events in transactions of 200, chain and repeats checked",
    arms=arms,
    reaches=(
        Reach(what="events a second >= 10,000", of="events_per_s", at_least=10_000),
        Reach(what="times stock Faust >= 2", of="events_per_s", at_least=2, peer="stock Faust"),
    ),
)
