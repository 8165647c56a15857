"""`python -m tests.model`: search the model of take-over and commit to its end, then with one protection less.

Exit code 1 when a law is broken though everything is kept, or when a missing protection is not missed.
"""

import sys

from tests.model.mutations import EVERYTHING_KEPT, MUTATIONS, SEVERAL_COORDINATORS
from tests.model.search import Searched, search
from tests.model.states import Rules


def main() -> int:
    """Search, and say how many states there were."""
    wrong = 0
    for rules in EVERYTHING_KEPT:
        found = search(rules)
        print(said("everything kept: " + amount(rules), found), flush=True)
        wrong += bool(found.broken) or not found.is_whole
    for mutation in (*MUTATIONS, SEVERAL_COORDINATORS):
        found = search(mutation.rules)
        print(said(mutation.name, found), flush=True)
        wrong += mutation.finds not in found.broken
    return 1 if wrong else 0


def amount(rules: Rules) -> str:
    """How much happens."""
    counted = {"owners": rules.owners, "ids": rules.ids, "commands": len(rules.commands), "faults": rules.faults}
    return ", ".join(f"{count} {what}" for what, count in counted.items())


def said(what: str, found: Searched) -> str:
    """One search in a line, and how it comes to what it found."""
    size = f"{found.states:,} states, {found.steps:,} steps, depth {found.depth}, {found.cpu_s:.1f} s of processor time"
    verdict = found.broken or ("every state keeps every law" if found.is_whole else "not searched to its end")
    way = "".join(f"\n    {number:2} {step}" for number, step in enumerate(found.way, start=1))
    return f"{what}: {size}: {verdict}{way}"


if __name__ == "__main__":
    sys.exit(main())
