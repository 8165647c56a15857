"""Sums of the ledger -> the tables of docs/reliability.md."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tests.faults.ledger import Line
from tests.faults.publish_bounds import lower, percent, upper
from tests.faults.publish_promises import PROFILES, PROMISES, Promise
from tests.faults.publish_rows import PLANTED, ROWS, SIMULATED, WORDS
from tests.faults.publish_sums import CONTROL, OURS, Sums, Tally, is_dirty, row_order

NOTHING = "None yet."
UNSEEN = "NOBODY"
FAILED_LINES_MAX = 40
"""Failed runs that are written out; the ledger has all of them."""
FIGURES_MAX = 12
"""Newest lines with a figure that are written out."""
QUOTED_MAX = 160
"""Characters of one finding that are shown."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown; one sentence where it would be empty."""
    body = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    if not body:
        return [NOTHING, ""]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""]


def sum_up(sums: Sums) -> list[str]:
    """Everything in three lines, for whoever reads no further."""
    tried = [row for row in ROWS if sums.ours(row.id).trials]
    total = sums.over([row.id for row in tried])
    histories, bugs = sums.ours(SIMULATED.id), newest_on_bugs(sums)
    seen = sum(row[1] != UNSEEN for row in bugs.values())
    kinds = f"{len(tried):,} of {len(ROWS):,} kinds of fault"
    return [
        f"- On real servers: {total.count} trials of {kinds}, {total.failed:,} failed.",
        f"- In the simulation: {histories.count} histories, {histories.failed:,} failed.",
        f"- Planted bugs: {seen:,} of {len(bugs):,} seen.",
        "",
    ]


def promises(sums: Sums) -> list[str]:
    """What is promised to whom, and what the trials say of it under each profile."""
    profiles = sums.profiles(PROFILES)
    made: list[str] = []
    for whom, kept in PROMISES:
        made += [f"### To the {whom}", ""]
        made += table(
            ["of", "promise", "tried by", *profiles],
            (
                [
                    each.kind,
                    each.says,
                    ", ".join(sorted(each.rows, key=row_order)),
                    *(_said(each, sums, profile) for profile in profiles),
                ]
                for each in kept
            ),
        )
    return made


def _said(promise: Promise, sums: Sums, profile: str) -> str:
    if promise.p99_ms_max:
        return _measured(promise, [line for line in sums.lines if line.profile == profile])
    tally = sums.over(promise.rows, profile)
    if not tally.trials:
        return "not tried"
    return f"{tally.failed:,} of {tally.count} failed, {tally.bound}"


def _measured(promise: Promise, lines: Iterable[Line]) -> str:
    waited = sorted(ms for line in lines for ms in waits(line))
    if not waited:
        return "not measured"
    p99 = quantile(waited, 99)
    verdict = "" if p99 <= promise.p99_ms_max else ": NOT KEPT"
    return f"p99 {p99:,.0f} ms of {len(waited):,}{verdict}"


def waits(line: Line) -> list[float]:
    """From each kill of a decider to the next acknowledged command of each of its partitions."""
    return [float(ms) for each in line.faults for ms in each.what.get("failover_ms", ()) if line.arm == OURS]


def quantile(values: Sequence[float], percent_: int) -> float:
    """Of sorted values: the smallest that so many of a hundred do not exceed."""
    return values[min(len(values) - 1, len(values) * percent_ // 100)]


def faults(sums: Sums) -> list[str]:
    """Every row that was tried, under each profile."""
    profiles = sums.profiles(PROFILES)
    tried = (
        [row.id, row.injector, profile, _asked(row.asked), tally.count, f"{tally.failed:,}", tally.bound]
        for row in ROWS
        for profile in profiles
        if (tally := sums.ours(row.id, profile)).trials
    )
    return table(["row", "fault", "profile", "asked", "trials", "failed", "95 % bound"], tried)


def not_tried(sums: Sums) -> list[str]:
    """Rows without a trial of the product, and every reason that a run gave for leaving one out."""
    rows: list[list[str]] = []
    for row in ROWS:
        whys = sums.not_run.get(row.id, Counter[str]())
        told = "; ".join(f"{_code(why)} ({count:,} {_plural('run', count)})" for why, count in sorted(whys.items()))
        if not sums.ours(row.id).trials:
            rows.append([row.id, row.injector, "never", told or "no run has tried it"])
        elif told:
            rows.append([row.id, row.injector, "in some runs", told])
    return table(["row", "fault", "not tried", "because"], rows)


def other_arms(sums: Sums) -> list[str]:
    """What became of others under the same faults, ours beside them."""
    rows = []
    for row, profile, arm, tally in sums.arms(is_control=False):
        ours = sums.ours(row, profile)
        beside = f"{ours.failed:,} of {ours.count}" if ours.trials else "not tried"
        rows.append([row, WORDS.get(row, row), profile, _code(arm), _rate(tally), beside])
    return table(["row", "fault", "profile", "arm", "broke the promise", "Tapeline"], rows)


def ghosts(lines: Sequence[Line]) -> list[str]:
    """What became of each arm by the request that was tampered with, where its run tells it apart."""
    counted: dict[tuple[str, str], Counter[str]] = {}
    arms: dict[str, None] = {}
    for line in lines:
        for name, value in line.figures.items():
            variant, _, what = name.rpartition(": ")
            if what in {"tried", "violated"} and not line.arm.startswith(CONTROL):
                request = variant.partition(",")[0]
                counted.setdefault((request, line.arm), Counter())[what] += int(value)
                arms.setdefault(line.arm)
    if not counted:
        return []
    rows = [
        [request, *(f"{each['violated']:,} of {each['tried']:,}" if each else "-" for each in of)]
        for request in sorted({request for request, _ in counted})
        for of in [[counted.get((request, arm), Counter[str]()) for arm in sorted(arms)]]
    ]
    return [
        "By the request, trials in which readers saw what must not be:",
        "",
        *table(["request", *sorted(arms)], rows),
    ]


def controls(sums: Sums) -> list[str]:
    """The same trials with a protection left out: a control in which nothing fails makes its row worth nothing."""
    rows = [
        [
            row,
            _code(arm.partition(":")[2]),
            profile,
            _rate(tally),
            "yes" if tally.failed else "NO: nothing follows from its row",
        ]
        for row, profile, arm, tally in sums.arms(is_control=True)
    ]
    return table(["row", "left out, or proved", "profile", "seen", "bites"], rows)


def _rate(tally: Tally) -> str:
    said = f"{tally.failed:,} of {tally.count}"
    return f"{said}, ≥ {percent(lower(tally.failed, tally.trials), is_upper=False)}" if tally.failed else said


def planted(sums: Sums) -> list[str]:
    """Bugs that were planted: who saw each, by which fault, after how many trials."""
    newest = newest_on_bugs(sums)
    if not newest:
        return [NOTHING, ""]
    seen = sum(row[1] != UNSEEN for row in newest.values())
    said = f"{seen:,} of {len(newest):,} seen; {PLANTED.asked:,} asked."
    return [
        said,
        "",
        *table(["bug", "seen by", "what was found", "after", "tree"], (newest[bug] for bug in sorted(newest))),
    ]


def newest_on_bugs(sums: Sums) -> dict[str, list[str]]:
    """The newest word on each bug, as a row of the table."""
    newest: dict[str, list[str]] = {}
    for line in sums.lines:
        if PLANTED.id in line.trials:
            for finding in line.findings:
                if bug := finding.get("bug"):
                    newest[str(bug)] = [_code(str(bug)), *_seen(finding), tree(line)]
    return newest


def _seen(finding: dict[str, Any]) -> tuple[str, str, str]:
    after = int(finding.get("after", 0))
    if not after:
        return UNSEEN, "-", "-"
    return (
        str(finding.get("by", "")),
        _code(str(finding.get("fault", "")) or "-"),
        f"{after:,} {finding.get('unit', 'trials')}",
    )


def simulated(sums: Sums) -> list[str]:
    """Histories of the simulator, and what happened in them."""
    tally = sums.ours(SIMULATED.id)
    if not tally.trials:
        return [NOTHING, ""]
    happened: Counter[str] = Counter()
    for line in sums.lines:
        if SIMULATED.id in line.trials:
            happened.update(line.operations)
    said = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in sorted(happened.items()))
    asked = f"{SIMULATED.asked:,} asked"
    sentence = f"{tally.count} histories ({asked}), {tally.failed:,} failed: {tally.bound} of histories at 95 %."
    return [sentence + (f" In them: {said}." if said else ""), ""]


def failover(lines: Sequence[Line]) -> list[str]:
    """From the SIGKILL of a decider to the next acknowledged command: over all runs, and as the newest measured it."""
    measured = [line for line in lines if waits(line)]
    if not measured:
        return [NOTHING, ""]
    waited = sorted(ms for line in measured for ms in waits(line))
    said = ", ".join(f"p{each} {quantile(waited, each):,.0f} ms" for each in (50, 90, 99))
    rows = []
    for line in measured[: -FIGURES_MAX - 1 : -1]:
        own = sorted(waits(line))
        load = f"{line.figures['load_average']:.1f}" if "load_average" in line.figures else "-"
        seen = (f"{each:,.0f}" for each in (quantile(own, 50), quantile(own, 99), own[-1]))
        rows.append([line.at, line.profile, tree(line), f"{len(own):,}", *seen, load])
    head = ["at", "profile", "tree", "waits", "p50 ms", "p99 ms", "longest ms", "load average"]
    sentence = f"Over all {len(waited):,} waits, one for each kill and partition: {said}, longest {waited[-1]:,.0f} ms."
    newest = f"The newest {len(rows)} of {len(measured):,} runs that measured it:"
    return [sentence, "", newest, "", *table(head, rows), *_phases(lines)]


def _phases(lines: Sequence[Line]) -> list[str]:
    """Where in its transaction a killed decider was with each command that was under way."""
    counted: Counter[str] = Counter()
    for line in lines:
        for each in line.faults:
            if line.arm == OURS:
                counted.update(each.what.get("phases", {}))
    said = ", ".join(f"{count:,} {phase}" for phase, count in sorted(counted.items()))
    return [f"Commands under way when their decider was killed: {said}.", ""] if said else []


def failures(lines: Sequence[Line]) -> list[str]:
    """Every run in which the product broke a promise."""
    failed = [line for line in lines if line.arm == OURS and any(line.failed.values())]
    rows = (
        [
            line.at,
            f"{line.run}, seed {line.seed}",
            tree(line),
            ", ".join(f"{row} {count:,}" for row, count in line.failed.items() if count),
            _quoted(line.findings),
            line.history[:12] or "-",
        ]
        for line in failed[: -FAILED_LINES_MAX - 1 : -1]
    )
    more = len(failed) - FAILED_LINES_MAX
    said = [f"The newest {FAILED_LINES_MAX}; {more:,} more are in the ledger.", ""] if more > 0 else []
    return said + table(["at", "run", "tree", "failed", "first finding", "evidence"], rows)


def _quoted(findings: Sequence[dict[str, Any]]) -> str:
    """The first finding as it was said, so that nobody takes the words for ours."""
    if not findings:
        return "-"
    first = findings[0]
    text = ": ".join(str(first[key]) for key in ("what", "says") if key in first) or json.dumps(first)
    more = f" and {len(findings) - 1:,} more" if len(findings) > 1 else ""
    return _code(text) + more


def _code(text: str) -> str:
    return f"`{' '.join(text.replace('`', ' ').split())[:QUOTED_MAX]}`"


def runs(lines: Sequence[Line]) -> list[str]:
    """Where the numbers come from, by kind of run and tree."""
    grouped: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        grouped.setdefault((line.run, line.commit), []).append(line)
    rows = (
        [
            run,
            tree(same[0]),
            f"{len(same):,}",
            f"{sum(sum(line.trials.values()) for line in same):,}",
            f"{min(line.at for line in same)} - {max(line.at for line in same)}",
        ]
        for (run, _), same in sorted(grouped.items(), key=lambda item: min(line.at for line in item[1]))
    )
    return table(["run", "tree", "lines", "trials", "from - to"], rows)


def tree(line: Line) -> str:
    """Its commit, and whether the tree differed from it."""
    return f"`{line.commit}` (differed from its commit)" if is_dirty(line) else f"`{line.commit}`"


def _asked(count: int) -> str:
    return f"{count:,}" if count else "-"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def largest_bound(trials: int) -> str:
    """What no failure in so many trials says, for the explanation of the page."""
    return percent(upper(0, trials))
