"""`python -m tests.faults.planted`: known bugs, one at a time, in a copy of the tree; says who sees each, and when.

Exit codes: 0 all were seen, 1 one was not, or something was seen where nothing was planted.
"""

import argparse
import sys
import time
from pathlib import Path

from tests.faults import ledger
from tests.faults.planted import rigs, tree
from tests.faults.planted.seen import Seen
from tests.faults.planted.variants import VARIANTS, Variant

CONTROLS = tuple(Variant("nothing", rig, ()) for rig in dict.fromkeys(each.rig for each in VARIANTS))
"""Every rig on the tree as it is: whoever finds something there finds anything."""
ROW = "B1"
FOUND_MAX = 120
"""Characters of a finding that the ledger keeps."""


def main() -> int:
    """Plant, run, tell."""
    parser = argparse.ArgumentParser(prog="tests.faults.planted", description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="a bug's name, or a rig's; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--controls", action="store_true", help="run every rig on the tree as it is, too")
    parser.add_argument("--ledger", type=Path, help="append a line for each bug to this file")
    given = parser.parse_args()
    wanted = [each for each in VARIANTS if not given.only or {each.name, each.rig} & {*given.only}]
    controls = [each for each in CONTROLS if given.controls and (not given.only or each.rig in given.only)]
    if not wanted:
        parser.error(f"no such bug: {', '.join(given.only)}. There are: {', '.join(each.name for each in VARIANTS)}")
    wrong = 0
    with tree.copied() as scratch:
        for variant in (*controls, *wanted):
            began = time.monotonic()
            try:
                with scratch.planted(variant):
                    seen = rigs.seen(scratch, variant.rig, given.seed)
            except rigs.Missing as missing:
                wrong += 1
                print(f"{variant.name:44} {variant.rig:12} NOT RUN: {missing}", flush=True)
                continue
            wrong += bool(seen.after) is (variant in controls)
            _tell(variant, seen, time.monotonic() - began)
            if given.ledger and variant not in controls:
                ledger.append(_line(variant, seen, given.seed), given.ledger)
    return 1 if wrong else 0


def _tell(variant: Variant, seen: Seen, took_s: float) -> None:
    after = f"{seen.after} {seen.of}" if seen.after else f"NOT SEEN in {seen.trials} {seen.of}"
    faults = f"{sum(seen.faults.values())} faults, {seen.operations} commands"
    print(f"{variant.name:44} {variant.rig:12} {after:16} {faults:30} {took_s:4.0f} s  {seen.by}: {seen.found[:150]}")
    sys.stdout.flush()


def _line(variant: Variant, seen: Seen, seed: int) -> ledger.Line:
    """A bug that was not seen counts as failed; what it broke is the bug's doing and no failure of ours."""
    told = {
        "bug": variant.name,
        "by": seen.by,
        "fault": seen.found[:FOUND_MAX],
        "after": seen.after,
        "unit": seen.of,
    }
    return ledger.Line(
        run="planted",
        at=ledger.now(),
        commit=ledger.commit(),
        seed=seed,
        arm=f"planted:{variant.name}",
        profile=variant.rig,
        trials={ROW: 1},
        failed={} if seen.after else {ROW: 1},
        faults=[
            ledger.Injected(row=ROW, at_s=0.0, what={"fault": what, "times": times})
            for what, times in sorted(seen.faults.items())
            if times
        ],
        operations={"commands": seen.operations, seen.of: seen.trials},
        findings=[told],
        figures={"after": float(seen.after)},
    )


if __name__ == "__main__":
    sys.exit(main())
