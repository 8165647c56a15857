"""F12: `python -m tests.faults.power [broker|database] --cuts N --seed S [--without-flush] [--ledger FILE]`.

A fresh server every few cuts, and a ledger line for each: what was tried is written down whatever ends the run. Exit
code 0 says that all that was acknowledged was there after every cut, and of the control that losses were seen.
"""

import argparse
import contextlib
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tests.faults import ledger
from tests.faults.ledger import Injected, Line
from tests.faults.power import images
from tests.faults.power.broker import DISK_MIB, Broker
from tests.faults.power.cuts import Cut
from tests.faults.power.database import DatabaseServer

ROW = "F12"
CUTS_PER_SERVER = 50
"""Cuts of one running server: its disk grows, and each recovery reads all of it."""
PROFILES = {"broker": "one broker", "database": "one database"}
SERVERS: dict[str, Callable[[Path, images.Disk, int], "Server"]] = {"broker": Broker, "database": DatabaseServer}


class Server(Protocol):
    """What can lose its power while it serves."""

    def at_work(self, *, is_flushed: bool) -> contextlib.AbstractContextManager[None]:
        """It serves for as long as this lasts."""

    def cut(self, chance: random.Random) -> Cut:
        """One power cut, recovered and judged."""


def batch(what: str, cuts: int, seed: int, *, is_flushed: bool) -> Line:
    """So many cuts of one fresh server, one after the other."""
    begun, chance = time.monotonic(), random.Random(f"{what}/{seed}")
    at, commit = ledger.now(), ledger.commit()
    done: list[tuple[float, Cut]] = []
    with images.workplace() as folder, images.disk(folder, DISK_MIB) as disk:
        server = SERVERS[what](folder, disk, seed)
        with server.at_work(is_flushed=is_flushed):
            for _ in range(cuts):
                cut = server.cut(chance)
                done.append((time.monotonic() - begun, cut))
                if cut.later is None:
                    _conclude(what, seed, done, len(done), is_kept=is_flushed)
        for number, (_, cut) in enumerate(done, 1):
            if cut.later is not None:
                cut.later()
                _conclude(what, seed, done, number, is_kept=is_flushed)
    return Line(
        run="power-cuts",
        at=at,
        commit=commit,
        seed=seed,
        arm="tapeline" if is_flushed else "control:flush",
        profile=PROFILES[what],
        trials={ROW: len(done)},
        failed={ROW: failed} if (failed := sum(1 for _, cut in done if cut.findings)) else {},
        faults=[Injected(row=ROW, at_s=round(at_s, 2), what=cut.what) for at_s, cut in done],
        operations={name: sum(cut.what.get(name, 0) for _, cut in done) for name in ("acknowledged", "beyond")},
        findings=[{"cut": n, "says": cut.findings[:3]} for n, (_, cut) in enumerate(done, 1) if cut.findings][
            : ledger.FAILED_MAX
        ],
        figures=dict(_figures([cut for _, cut in done])),
    )


def _figures(done: list[Cut]) -> Iterator[tuple[str, float]]:
    for name, times in (
        ("recovered", sorted(cut.recovered_s for cut in done if cut.recovered_s)),
        ("served", sorted(cut.served_s for cut in done if cut.served_s)),
    ):
        if times:
            yield f"{name}_p50_s", round(times[len(times) // 2], 2)
            yield f"{name}_max_s", round(times[-1], 2)


def _conclude(what: str, seed: int, done: list[tuple[float, Cut]], number: int, *, is_kept: bool) -> None:
    """Say what came of a cut; its evidence is kept where something was found."""
    at_s, cut = done[number - 1]
    print(f"{at_s:7.1f} s  {what} cut {number}: {cut.what} {cut.findings[:2] or 'whole'}", flush=True)
    if cut.findings and is_kept:
        kept = ledger.BUILD / f"power-{what}-{seed}-{number}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(cut.evidence, kept)
    shutil.rmtree(cut.evidence)


def main() -> int:
    """Read the arguments, cut, write the ledger."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power", description=__doc__)
    parser.add_argument("what", nargs="?", choices=sorted(SERVERS), default="broker")
    parser.add_argument("--cuts", type=int, default=CUTS_PER_SERVER)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--without-flush", action="store_true", help="the control, which must lose something")
    parser.add_argument("--ledger", type=Path, default=ledger.BUILD / "ledger.ndjson")
    given = parser.parse_args()
    if missing := images.missing():
        not_run = {ROW: missing}
        line = Line(
            run="power-cuts", at=ledger.now(), commit=ledger.commit(), seed=given.seed, trials={}, not_run=not_run
        )
        ledger.append(line, given.ledger)
        print(f"{ROW} not run: {missing}")
        return 0
    failed, left, seed = 0, given.cuts, given.seed
    while left > 0:
        line = batch(given.what, min(left, CUTS_PER_SERVER), seed, is_flushed=not given.without_flush)
        ledger.append(line, given.ledger)
        failed += sum(line.failed.values())
        left, seed = left - CUTS_PER_SERVER, seed + 1
    print(f"{given.cuts} cuts, {failed} of them with findings")
    return int(failed == 0) if given.without_flush else int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
