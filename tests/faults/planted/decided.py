"""The rig `books`: tapes in memory by this tree's deciders, folds and frames, judged one after the other."""

import argparse
import tempfile
from pathlib import Path

import contexts
from infra.avro.codec import Codec
from tests.faults.checker.judge import judge
from tests.faults.planted.seen import Seen, say
from tests.faults.worlds import CHOICES, World
from tests.kit.histories import Choice, choices_from


def main() -> None:
    """Decide, judge, and say what was seen."""
    parser = argparse.ArgumentParser(prog="tests.faults.planted.decided")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--trials", type=int, default=20)
    given = parser.parse_args()
    codec = Codec(contexts.messages())
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.trials):
            world = World(codec, [_apart(each) for each in choices_from(given.seed + number, CHOICES)])
            verdict = judge(world.write(Path(folder) / "run"))
            if not verdict.is_clean or number + 1 == given.trials:
                first = verdict.findings[0] if verdict.findings else None
                say(
                    Seen(
                        after=0 if verdict.is_clean else number + 1,
                        of="tapes",
                        trials=number + 1,
                        operations=CHOICES * (number + 1),
                        by="" if first is None else f"checker: {first.what}",
                        found="" if first is None else first.says,
                    )
                )
                return


def _apart(choice: Choice) -> Choice:
    """The kit gives every fourth late fill an execution that was heard before, in whichever account: no venue does."""
    what, account, amount = choice
    return what, account, amount + (amount % 4 == 0)


if __name__ == "__main__":
    main()
