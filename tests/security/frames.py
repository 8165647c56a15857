"""`python -m tests.security.frames --count N --seed S [--ledger]`: throw malformed input at a gateway of its own.

Frames, openings, requests and bodies of some ninety kinds, each from its seed and number, against the gateway's own
process before a real broker and database, with honest clients beside. One line of the ledger says what came of it;
`--only NUMBER` throws one input of that seed again and shows what came back.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import contexts
from infra.avro.codec import Codec
from tests.faults import ledger
from tests.security.barrage import KINDS, SENDERS, Barrage, barrage, chosen
from tests.security.door import opened
from tests.security.kinds import Who
from tests.security.verdict import wrong
from tests.security.wire import thrown

ROW = "F22"


def line(told: Barrage, seed: int, at: str) -> ledger.Line:
    """The run as the ledger keeps it."""
    trials = sum(told.thrown.values())
    return ledger.Line(
        run="frames",
        at=at,
        commit=ledger.commit(),
        seed=seed,
        trials={ROW: trials},
        failed={ROW: sum(told.wrong.values()) + len(told.faults)} if not told.is_good else {},
        operations=dict(sorted(told.thrown.items())),
        findings=[*told.findings, *({"why": fault} for fault in told.faults)],
        figures=told.figures,
    )


def main() -> int:
    """Throw, say what was found, keep it."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=10_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", type=int, default=None, help="throw this one input again")
    asked.add_argument("--ledger", action="store_true", help="add the run to docs/ledger.ndjson")
    given = asked.parse_args()
    at = ledger.now()
    with tempfile.TemporaryDirectory(prefix="frames-") as folder, opened(Path(folder), _codec()) as door:
        if given.only is not None:
            return asyncio.run(_again(door.port, door.who(f"thrower-{given.only % SENDERS}"), given.seed, given.only))
        told = asyncio.run(barrage(door, seed=given.seed, count=given.count))
    for finding in told.findings:
        print(f"  {finding['input']:>14}  {finding['kind']}: {finding['why']}")
    for fault in told.faults:
        print(f"  {fault}")
    print(f"  ended {dict(told.ends.most_common())}")
    print(f"  {told.figures}")
    print(f"frames: {sum(told.thrown.values()) - sum(told.wrong.values())} right, {sum(told.wrong.values())} wrong")
    ledger.append(line(told, given.seed, at), ledger.PUBLISHED if given.ledger else ledger.BUILD / "ledger.ndjson")
    return 0 if told.is_good else 1


async def _again(port: int, who: Who, seed: int, number: int) -> int:
    kind, chance = chosen(seed, number, KINDS)
    thing = kind.make(chance, who)
    outcome = await thrown(port, thing, who, chance)
    why = wrong(thing, outcome)
    print(kind.name, *thing.pieces, outcome, why or "right", sep="\n  ")
    return 1 if why else 0


def _codec() -> Codec:
    return Codec(contexts.messages())


if __name__ == "__main__":
    sys.exit(main())
