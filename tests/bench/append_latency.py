"""How long one append takes: both arms of the tape's writer, back to back, one record of 256 bytes, in turn in one run.

    python -m tests.bench.append_latency [--rounds 10] [--appends 300] [--records 1] [--bootstrap HOST:PORT]

Without a bootstrap it starts a broker of its own. The figures stand beside the load of the machine, or mean nothing.
"""

import argparse
import asyncio
import os
import tempfile
import time
import uuid
from pathlib import Path

from deploy.local.kafka import LocalKafka, Profile
from infra.kafka.guarded import GuardedWriter
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.records import Outgoing
from infra.kafka.topics import TopicSpec, declare
from infra.kafka.writer import TapeWriter

WARM_UP_APPENDS = 1_500  # A cold JVM spends several times the processor of a warm one on a transaction.


def main() -> None:
    """Read the arguments, find or start the broker, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--appends", type=int, default=300)
    parser.add_argument("--records", type=int, default=1)
    parser.add_argument("--bootstrap")
    arguments = parser.parse_args()
    if arguments.bootstrap:
        asyncio.run(measure(arguments.bootstrap, arguments.rounds, arguments.appends, arguments.records))
        return
    with tempfile.TemporaryDirectory() as folder:
        broker = LocalKafka(Path(folder), profile=Profile.FULL).start()
        try:
            asyncio.run(measure(broker.bootstrap, arguments.rounds, arguments.appends, arguments.records))
        finally:
            broker.stop()


async def measure(bootstrap: str, rounds: int, appends: int, records: int) -> None:
    """Rounds of both arms in turn, so that the machine's moods meet both; each arm has a partition of its own."""
    topic = f"append-latency-{uuid.uuid4().hex[:8]}"
    await asyncio.to_thread(declare, bootstrap, [TopicSpec(name=topic, partitions=2)])
    arms: dict[str, TapeWriter] = {
        "own": Protocol2Writer(bootstrap, topic, 0),
        "guarded": GuardedWriter(bootstrap, topic, 1),
    }
    batch = [Outgoing(b"account-1", os.urandom(256), {"command-id": uuid.uuid4().bytes})] * records
    for writer in arms.values():
        await writer.take_over()
        await timed(writer, batch, WARM_UP_APPENDS)
    millis: dict[str, list[float]] = {name: [] for name in arms}
    load_before = os.getloadavg()[0]
    for _ in range(rounds):
        for name, writer in arms.items():
            millis[name] += await timed(writer, batch, appends)
    print(f"{records} record(s) an append, {rounds} rounds of {appends}, flush.messages=1,", end=" ")
    print(f"{os.cpu_count()} cores, load {load_before:.1f} before and {os.getloadavg()[0]:.1f} after")
    for name, values in millis.items():
        values.sort()
        shown = "  ".join(f"p{per_mille / 10:g} {at(values, per_mille):6.2f}" for per_mille in (500, 900, 990, 999))
        print(f"{name:8} {shown}  max {values[-1]:6.2f} ms  n {len(values)}")
    for writer in arms.values():
        await writer.close()


async def timed(writer: TapeWriter, batch: list[Outgoing], appends: int) -> list[float]:
    """Milliseconds of each append."""
    millis: list[float] = []
    for _ in range(appends):
        began = time.perf_counter()
        await writer.append(batch)
        millis.append((time.perf_counter() - began) * 1_000)
    return millis


def at(ordered: list[float], per_mille: int) -> float:
    """The value that so many of a thousand do not exceed."""
    return ordered[min(len(ordered) - 1, len(ordered) * per_mille // 1_000)]


if __name__ == "__main__":
    main()
