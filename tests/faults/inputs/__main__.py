"""Hostile inputs by rows of the fault matrix: python -m tests.faults.inputs --row F28 --count 1000 --seed 7.

With `--ledger PATH` a line is appended there; without, it is only shown. Exit code 1 when a trial broke a promise.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from infra.avro.codec import Codec
from tests.faults import ledger
from tests.faults.inputs import forging, poisoning, sockets, tampering, trespassing
from tests.faults.inputs.sealed import project_codec
from tests.faults.inputs.trials import Tried

Row = Callable[[int, int, Codec], Coroutine[Any, Any, Tried]]
ROWS: dict[str, Row] = {
    "F19": poisoning.run,
    "F21": sockets.run,
    "F24": forging.run,
    "F27": trespassing.run,
    "F28": tampering.run,
}


def line_of(tried: Tried, seed: int, seconds: float) -> ledger.Line:
    """The run as the ledger keeps it."""
    figures = {
        "kinds": float(len(tried.kinds)),
        "cpu_s": round(seconds, 1),
        "load_average": round(os.getloadavg()[0], 1),
    }
    return ledger.Line(
        run="inputs",
        at=ledger.now(),
        commit=ledger.commit(),
        seed=seed,
        trials={} if tried.not_run else {tried.row: tried.count - tried.also.total(), **tried.also},
        failed={tried.row: tried.failed} if tried.failed else {},
        operations=dict(tried.operations),
        findings=tried.findings,
        not_run={tried.row: tried.not_run} if tried.not_run else {},
        figures=figures | tried.figures,
    )


def main() -> int:
    """Run one row and write its line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=sorted(ROWS), required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger", type=Path)
    asked = parser.parse_args()
    begun = time.process_time()
    tried = asyncio.run(ROWS[asked.row](asked.count, asked.seed, project_codec()))
    line = line_of(tried, asked.seed, time.process_time() - begun)
    if asked.ledger is not None:
        ledger.append(line, asked.ledger)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(line), indent=2).decode() + "\n")
    return 1 if tried.failed else 0


if __name__ == "__main__":
    sys.exit(main())
