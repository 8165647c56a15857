"""docs/ledger.ndjson -> docs/reliability.md: what is promised, how it was tried, how often, and what came of it.

Every measured number of the page is added up from the ledger; the promises (publish_promises.py), the rows of the
matrix (publish_rows.py), the bugs that were found (docs/findings.ndjson) and the limits below are written by people.
Run it by `make reliability` after the ledger has grown: a test holds the committed page to it.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults import ledger, publish_findings, publish_tables
from tests.faults.ledger import ROOT, Line
from tests.faults.publish_findings import Found
from tests.faults.publish_promises import PROFILES
from tests.faults.publish_sums import OURS, Sums

PAGE = ROOT / "docs" / "reliability.md"
OPERATIONS_MAX = 30
"""Kinds of operations of a run that are added up; one that tells more of them counts kinds of hostile inputs."""
EXAMPLE = 1_000
"""Trials of the example that explains a bound."""
LIMITS = """
All trials of this page ran on machines of two cores, brokers, databases and clients together. Three brokers on one
machine share its power and its disk: their death is tried, that of their machine is not.

SIGKILL leaves the kernel's memory as it is. What is on the disk is tried by F12 alone, and F12 believes the disk: one
that says that it wrote and did not is not tried.

A bound is of trials that are alike and independent, drawn as these were. Trials of one run share a machine, a load
and a tree; trials of an earlier tree count beside those of a later one, and the last table says how many.

A failed trial counts against each promise that its row tries, whichever of them it broke. In a mix of faults nobody
can tell from outside which of them broke it: each row that was in the mix counts one failure.

The simulation plays deciders, their writer, sagas, effects and folds. Faust, librdkafka, aiokafka's connection,
Kafka, PostgreSQL, HTTP and the disk are not in it: those are tried on real servers.

The model of take-over and commit is of one partition, one broker, two or three owners and three commands. It is
searched to its end; between it and the code stand the simulation and the tests, not a proof.

The checker judges what was recorded. What no client asked, no reader read and no query touched is not judged; each
verdict names what it did not judge.
"""


HEAD = """
Written by `make reliability` from the {lines:,} lines of [ledger.ndjson](ledger.ndjson); nobody edits it. Each line
is one run: its seed, its tree, its faults with their instants, its verdict.

No failure in n trials does not show a rate of 0. It shows, at 95 %, a rate below about 3/n: {example:,} trials
without a failure say ≤ {bound}. With failures the bound is the exact one of the binomial distribution (Clopper and
Pearson, one-sided), rounded up; where others fail it is the lower one, rounded down.
"""
HOW = """
One trial is one fault on running processes, judged afterwards by a checker that imports nothing of the product and
reads the tape, the tables, the answers and the frames by other libraries; of hostile inputs (F19 to F28) it is one
input, judged by its answer and by requests around it. `n (m+)` says that m of the n trials ran on a tree that differed
from its commit; `asked` is what a campaign is to reach.
"""
CONTROLS = """
The same fault with one protection left out, or a look at whether the fault took place. A control must fail.
"""
PLANTED = """
Known bugs, put into the product one at a time by `python -m tests.faults.planted`: what judges the product must see
each of them. The newest line on a bug counts.
"""
SIMULATION = """
`make simulate` plays whole histories in one thread from a seed: kills between any two awaits, zombies, rivals, lost,
late and repeated requests, wrong clocks. They count apart from trials on real servers.
"""
MODEL = """
`python -m tests.model` searches a model of take-over and commit to its end, and the same model with one protection
left out at a time; CI does so too. How many states it has seen stands in its output.
"""


def page(lines: Sequence[Line], found: Sequence[Found]) -> str:
    """The whole page."""
    sums = Sums(lines)
    parts = [
        *_head(lines),
        *publish_tables.sum_up(sums),
        *_section("What is promised", *_profiles(), *publish_tables.promises(sums)),
        *_section("How it was tried", *_how(sums)),
        *_section("Recovery after the kill of a decider", *publish_tables.failover(lines)),
        *_section("What failed", *publish_tables.failures(lines)),
        *_section("What was found and mended", *_found(found)),
        *_section("What was not tried", *publish_tables.not_tried(sums)),
        *_section("Others under the same faults", *publish_tables.other_arms(sums), *publish_tables.ghosts(lines)),
        *_section("Controls", _in_a_line(CONTROLS), "", *publish_tables.controls(sums)),
        *_section("Planted bugs", _in_a_line(PLANTED), "", *publish_tables.planted(sums)),
        *_section("Simulation", _in_a_line(SIMULATION), "", *publish_tables.simulated(sums), _in_a_line(MODEL), ""),
        *_section("Known limits", *(f"- {_in_a_line(limit)}" for limit in LIMITS.split("\n\n")), ""),
        *_section("Where the numbers come from", *publish_tables.runs(lines)),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _section(title: str, *body: str) -> list[str]:
    return [f"## {title}", "", *body]


def _head(lines: Sequence[Line]) -> list[str]:
    text = HEAD.format(lines=len(lines), example=EXAMPLE, bound=publish_tables.largest_bound(EXAMPLE))
    paragraphs = (_in_a_line(each) for each in text.split("\n\n"))
    return ["# Reliability", "", *(line for each in paragraphs for line in (each, ""))]


def _in_a_line(text: str) -> str:
    """A paragraph, or an item of a list, is one line of the page."""
    return " ".join(text.split())


def _profiles() -> list[str]:
    return [*(f"- **{name}**: {what}." for name, what in PROFILES.items()), ""]


def _how(sums: Sums) -> list[str]:
    operations: Counter[str] = Counter()
    for line in sums.lines:
        if line.arm == OURS and "S1" not in line.trials and len(line.operations) <= OPERATIONS_MAX:
            operations.update(line.operations)
    said = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in operations.most_common())
    return [
        _in_a_line(HOW),
        "",
        *publish_tables.faults(sums),
        *([f"Operations in these runs: {said}.", ""] if said else []),
    ]


def _found(found: Sequence[Found]) -> list[str]:
    mended = ([each.what, each.found_by, f"`{each.mended}`", f"`{_name(each.test)}`"] for each in found if each.mended)
    still = [f"- {each.what} (Found by: {each.found_by}.)" for each in found if not each.mended]
    return [
        *publish_tables.table(["what could happen", "found by", "mended in", "held by"], mended),
        f"Open: {len(still):,}.",
        "",
        *still,
        "",
    ]


def _name(test: str) -> str:
    return test.partition("::")[2]


def main(path: Path = PAGE) -> int:
    """Write the page and say what it is made of."""
    lines = list(ledger.read())
    path.write_text(page(lines, list(publish_findings.read())))
    print(f"{path.relative_to(ROOT)}: {len(lines):,} lines of the ledger")
    return 0


if __name__ == "__main__":
    sys.exit(main())
