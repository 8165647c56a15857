"""Kills on three brokers: python -m tests.faults.cluster --kills 100 --seed 7.

Three brokers, a decider host that is started again when it ends, clients with histories; then SIGKILL of whoever leads
a partition, controls, coordinates transactions or a group, of all three one after the other, and of two at once. The
independent checker judges the tape and what clients were told, and a line goes to the ledger. Exit codes: 0 clean,
1 not.
"""

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import structlog

from tests.faults import ledger
from tests.faults.cluster.brokers import Trio
from tests.faults.cluster.run import Run

LINE_KILLS = 8
"""Kills after which the checker judges and a line is written; the cluster and its tape go on."""


def main() -> int:
    """Read the arguments, play, say how it ended."""
    parser = argparse.ArgumentParser(prog="tests.faults.cluster", description="Kills on three brokers, from a seed.")
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger", type=Path, default=ledger.BUILD / "ledger.ndjson")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)  # It tells of every broker that is dead.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    failed = done = 0
    with tempfile.TemporaryDirectory(prefix="tapeline-cluster-") as made, Trio(Path(made)) as trio:
        while done < given.kills:
            seed, folder = given.seed + done, Path(made) / f"evidence-{done}"
            run = Run(trio, folder, random.Random(seed), say)
            asyncio.run(run.play(min(given.kills - done, LINE_KILLS)))
            done += run.kills
            failed += tell(run, run.line(seed), given.ledger)
    return 1 if failed else 0


def tell(run: Run, line: ledger.Line, path: Path) -> bool:
    """Write the line, keep what failed, say what came of it; whether anything was found."""
    ledger.append(line, path)
    say(f"trials {line.trials}, failed {line.failed}, judged {line.operations}, figures {line.figures}")
    for finding in line.findings:
        say(f"FOUND {finding['what']}: {finding['says']}")
    if line.findings:
        run.keep(ledger.BUILD / f"cluster-{time.strftime('%Y%m%d-%H%M%S')}")
    return bool(line.findings)


def say(what: str) -> None:
    """One line for people, at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
