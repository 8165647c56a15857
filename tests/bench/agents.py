"""Events a second of one Faust worker with keyed state and a changelog: our wrapper, and stock Faust doing the same."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator

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
    """By the clock of the changelog's own records: from its first to the one that holds the newest event."""
    topic = f"{bench.run}.orders.events"
    newest = {partition: offset for (name, partition), offset in bench.tape.newest.items() if name == topic}
    stamps, cpu = _followed(stage, changelog, topic, newest, lambda: cpu_s(pid))
    seconds = (max(stamps) - min(stamps)) / 1_000
    return {"events_per_s": stage.sizes.events / seconds, "cpu_us": cpu / stage.sizes.events * 1e6}


def _followed(
    stage: Stage, changelog: str, topic: str, newest: dict[int, int], cpu: Callable[[], float]
) -> tuple[list[int], float]:
    values, reached = Values(Exposure), dict.fromkeys(newest, -1)
    consumer = Consumer(
        {"bootstrap.servers": stage.kafka.bootstrap, "group.id": changelog, "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(changelog, partition, 0) for partition in range(PARTITIONS)])
    stamps: list[int] = []
    began, until = 0.0, time.monotonic() + PATIENCE_SECONDS
    while any(reached[partition] < offset for partition, offset in newest.items()):
        assert time.monotonic() < until, f"stands at {json.dumps(reached)} of {json.dumps(newest)}"
        for message in consumer.consume(5_000, 0.1):
            if message.error() or (message.key() or b"").startswith(b"\x00"):
                continue
            began = began or cpu()
            seen = values.decode(message.value() or b"")[0]
            partition = message.partition() or 0
            reached[partition] = max(reached[partition], seen.get(topic, -1))
            stamps.append(message.timestamp()[1])
    used = cpu() - began
    consumer.close()
    return stamps, used


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
