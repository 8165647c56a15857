"""Protocol ghosts by the hundred: python -m tests.faults.ghosts --trials 500 --seed 7 --arm tapeline|textbook|java.

A broker of its own, a proxy before it, and from a seed one request a trial that is held, dropped or repeated on a
connection that dies. One line a batch goes to the ledger. Exit codes: 0 no promise was broken, 1 some were.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

import contexts
from deploy.local import ports
from deploy.local.kafka import LocalKafka, Profile
from infra.avro.codec import Codec
from infra.kafka.topics import TopicSpec, declare
from tests.faults import ledger
from tests.faults.ghosts import haunting, loop
from tests.faults.ghosts.clients import CLIENTS
from tests.faults.ghosts.haunting import Haunting
from tests.faults.ghosts.host import DECIDING, Haunt, deposit
from tests.faults.ghosts.outcome import Batch, Variant
from tests.faults.ghosts.proxy import GhostProxy
from tests.kit.deciding import Installation

ROW = "F4"
OURS = "tapeline"
BATCH_TRIALS = 100
"""Trials against one host and one tape; then a line, and everything anew."""


async def ours(kafka: LocalKafka, proxy: GhostProxy, trials: range, seed: int) -> Batch:
    """A batch against the decider host of the product."""
    batch, installation = Batch(), Installation(kafka.bootstrap, Codec(contexts.messages()), DECIDING)
    haunt = Haunt(installation, "own", proxy)
    events = f"{installation.context}.events"
    async with haunt.kept_running():
        await haunt.decide(deposit("first"))
        playing = Haunting(haunt, kafka.bootstrap, events)
        for number, variant in dealt(haunting.variants(), trials, seed):
            outcome = await playing.play(variant, number, random.Random(f"{seed}/{number}"))
            if outcome is None:
                batch.missed[variant.name] += 1
            else:
                batch.add(outcome)
        playing.close()
    found = await asyncio.to_thread(playing.judge_all, installation.context)
    for finding in found.verdict({}).findings:
        batch.broke(finding.what, finding.says)
    return batch


async def others(arm: str, kafka: LocalKafka, proxy: GhostProxy, trials: range, seed: int) -> Batch:
    """A batch against the loop of the textbooks, through one of the clients."""
    batch, name = Batch(), f"ghosts-{arm}-{uuid.uuid4().hex[:6]}"
    source, target = f"{name}-commands", f"{name}-events"
    declare(kafka.bootstrap, [TopicSpec(name=source, partitions=1), TopicSpec(name=target, partitions=2)])
    playing = loop.Loop(CLIENTS[arm](proxy.bootstrap, kafka.bootstrap, name), kafka.bootstrap, source, target, proxy)
    try:
        for number, variant in dealt(loop.variants(), trials, seed):
            outcome = await playing.play(variant, number)
            if outcome is None:
                batch.missed[variant.name] += 1
            else:
                batch.add(outcome)
    finally:
        playing.close()
    return batch


def dealt(variants: list[Variant], trials: range, seed: int) -> list[tuple[int, Variant]]:
    """Which variant each trial plays: all in turn, in an order of the seed's own."""
    order = variants[:]
    random.Random(seed).shuffle(order)
    return [(number, order[number % len(order)]) for number in trials]


def line_of(arm: str, seed: int, batch: Batch, seconds: float) -> ledger.Line:
    """The batch as the ledger keeps it."""
    failed = batch.failed.total()
    return ledger.Line(
        run="ghosts",
        at=ledger.now(),
        commit=ledger.commit(),
        seed=seed,
        arm=arm,
        trials={ROW: batch.tried.total()},
        failed={ROW: failed} if failed else {},
        findings=batch.findings if arm == OURS else batch.findings[:5],
        figures=batch.figures() | {"cpu_s": round(seconds, 1), "load_average": round(os.getloadavg()[0], 1)},
    )


@contextlib.asynccontextmanager
async def haunted() -> AsyncIterator[tuple[LocalKafka, GhostProxy]]:
    """A broker whose second listener sends every client to the proxy."""
    listen, advertised = ports.free(2)
    with tempfile.TemporaryDirectory(prefix="tapeline-ghosts-") as made:
        kafka = LocalKafka(Path(made), profile=Profile.TEST, ghost_listen_port=listen, ghost_port=advertised)
        kafka.start()
        try:
            async with GhostProxy(advertised, listen) as proxy:
                yield kafka, proxy
        finally:
            kafka.stop()


async def play(arm: str, trials: int, seed: int, path: Path) -> int:
    """All batches; how many trials broke a promise."""
    failed = 0
    async with haunted() as (kafka, proxy):
        for first in range(0, trials, BATCH_TRIALS):
            part, begun = range(first, min(first + BATCH_TRIALS, trials)), time.process_time()
            proxy.seen.clear()
            batch = await (ours(kafka, proxy, part, seed) if arm == OURS else others(arm, kafka, proxy, part, seed))
            line = line_of(arm, seed, batch, time.process_time() - begun)
            ledger.append(line, path)
            failed += batch.failed.total()
            sys.stdout.write(f"{arm}: {line.trials[ROW]} trials, {batch.failed.total()} broken; {line.figures}\n")
            sys.stdout.flush()
    return failed


def main() -> int:
    """Read the arguments, play, say how it ended."""
    parser = argparse.ArgumentParser(prog="tests.faults.ghosts", description="Protocol ghosts, from a seed.")
    parser.add_argument("--trials", type=int, default=28)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--arm", choices=(OURS, *CLIENTS), default=OURS)
    parser.add_argument("--ledger", type=Path, default=ledger.BUILD / "ledger.ndjson")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    why = "" if given.arm == OURS else CLIENTS[given.arm].missing()
    if why:
        line = ledger.Line(
            run="ghosts", at=ledger.now(), commit=ledger.commit(), seed=given.seed, arm=given.arm, trials={},
            not_run={ROW: why},
        )  # fmt: skip
        ledger.append(line, given.ledger)
        sys.stdout.write(f"{given.arm} was not run: {why}\n")
        return 0
    return 1 if asyncio.run(play(given.arm, given.trials, given.seed, given.ledger)) else 0


if __name__ == "__main__":
    sys.exit(main())
