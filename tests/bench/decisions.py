"""Decisions of one decider, end to end: commands that wait on a topic -> events that are committed."""

import contextlib
import json
import time
from collections.abc import Iterator

from infra.kafka.reader import BEGINNING, Reader
from infra.settings import PARTITIONS
from tests.bench import trading
from tests.bench.figures import Arm, Figure, Measured, Reach
from tests.bench.stage import Stage, cpu_s, run

READ_MAX = 5_000
LOOK_MS = 20
PATIENCE_SECONDS = 300.0


@contextlib.contextmanager
def arms(stage: Stage) -> Iterator[dict[str, Arm]]:
    """The same commands lie on a topic of each round before an arm begins."""
    sizes = stage.sizes
    names = trading.accounts(sizes.commands)
    commands = trading.records(stage.codec, trading.day(names, sizes.commands))

    def program(module: str) -> Arm:
        def measured() -> Measured:
            context = stage.context().context
            run(lambda: trading.fill(stage.kafka.bootstrap, f"{context}.commands", commands))
            with stage.process(module, stage.kafka.bootstrap, context) as child:
                child.line()
                cpu, broker = child.cpu_s(), cpu_s(stage.kafka.pid or 0)
                count, seconds = run(lambda: _decided(stage, f"{context}.events", sum(map(len, commands))))
                return {
                    "decisions_per_s": count / seconds,
                    "cpu_us": (child.cpu_s() - cpu) / count * 1e6,
                    "broker_cpu_us": (cpu_s(stage.kafka.pid or 0) - broker) / count * 1e6,
                }

        return measured

    def library() -> Measured:
        with stage.process("tests.bench.library", "decide", stage.database(), str(min(sizes.seconds, 10))) as child:
            found: Measured = json.loads(child.line())
            return found

    yield {
        "tapeline": program("tests.bench.decider"),
        "textbook loop": program("tests.bench.textbook"),
        "eventsourcing on Postgres": library,
    }


async def _decided(stage: Stage, topic: str, expected: int) -> tuple[int, float]:
    """How many events were committed, and in which time by their own clock: from the first decision to the last."""
    reader, times = Reader(stage.kafka.bootstrap, "bench-decided"), []
    await reader.assign({(topic, number): BEGINNING for number in range(PARTITIONS)})
    until = time.monotonic() + PATIENCE_SECONDS
    arrived = []
    seen = 0
    while seen < expected:
        assert time.monotonic() < until, f"{seen} of {expected} decisions after {PATIENCE_SECONDS:.0f} s"
        taken = await reader.take(READ_MAX, LOOK_MS)
        seen += sum(not each.key.startswith(b"owner/") for each in taken)
        arrived += [taken[0], taken[-1]] if taken else []
    await reader.close()
    times = [stage.codec.decode_event(each.value).recorded_at for each in arrived if not each.key.startswith(b"owner/")]
    assert seen == expected, f"{seen} events of {expected} commands"
    return seen, (max(times) - min(times)) / 1e6


decisions = Figure(
    name="decisions",
    title="Decisions of one decider, from commands that wait to events that are committed",
    conditions="one process, four partitions, batches up to 1,000, one broker with flush.messages=1",
    arms=arms,
    reaches=(
        Reach(what="decisions a second >= 20,000", of="decisions_per_s", at_least=20_000),
        Reach(
            what="times eventsourcing on Postgres >= 20",
            of="decisions_per_s",
            at_least=20,
            peer="eventsourcing on Postgres",
        ),
    ),
)
