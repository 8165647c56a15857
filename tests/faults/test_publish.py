"""The page of reliability says what the ledger says, in numbers, and no word that no number stands behind."""

import re
from pathlib import Path

import pytest

from tests.faults import ledger, publish, publish_findings
from tests.faults.ledger import Injected, Line
from tests.faults.publish_bounds import at_most, lower, percent, upper
from tests.faults.publish_findings import Found
from tests.faults.publish_promises import PROMISES
from tests.faults.publish_rows import ROWS, WORDS
from tests.faults.publish_sums import Sums
from tests.tidy.sources import ROOT

PRAISE = """
battle-tested blazing blazingly bulletproof complete comprehensive cutting-edge easily easy effortless effortlessly
efficient elegant enterprise-grade excellent exceptional extreme extremely fast fault-tolerant flawless flawlessly
foolproof fully guaranteed hardened high-performance highly huge impressive industry-leading lightning massive mature
mission-critical outstanding perfect perfectly powerful production-ready proven quick quickly rapid reliable reliably
resilient rigorous rock-solid robust robustly rugged seamless seamlessly secure significantly simple simply solid
sophisticated stable state-of-the-art strong superb superior thorough thoroughly tough trusted trustworthy unbreakable
unmatched unparalleled very virtually well-tested world-class
"""
"""Words that praise; whoever wants to say one writes the number instead."""
CODE = re.compile(r"`[^`\n]*`")


def line(**given: object) -> Line:
    fields: dict[str, object] = {
        "run": "campaign",
        "at": "2026-11-24T20:00:00+00:00",
        "commit": "0123456789ab",
        "seed": 1,
        "trials": {"F1": 10},
    }
    return Line(**(fields | given))  # type: ignore[arg-type]  # a test names fields


def said(*lines: Line, found: tuple[Found, ...] = ()) -> str:
    return publish.page(lines, found)


def part(page: str, title: str) -> str:
    """A section of the page."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def words_of_praise(text: str) -> list[str]:
    return [word for word in PRAISE.split() if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text, re.IGNORECASE)]


def test_the_committed_page_is_the_one_that_the_ledger_gives() -> None:
    made = publish.page(list(ledger.read()), list(publish_findings.read()))
    assert publish.PAGE.read_text() == made, "the ledger or its words have changed: run `make reliability` and commit"


def test_the_committed_page_praises_nothing() -> None:
    assert not words_of_praise(CODE.sub("", publish.PAGE.read_text())), "write the number instead"


def test_praise_is_seen_where_it_stands() -> None:
    assert words_of_praise("It is robust, and Highly available.") == ["highly", "robust"]
    assert not words_of_praise("breakfast, highlyish, a well-stable-thing")


def test_lines_of_one_row_add_up_and_profiles_stay_apart() -> None:
    page = said(
        line(trials={"F1": 600, "F9": 1}),
        line(trials={"F1": 400}, failed={"F1": 1}),
        line(trials={"F1": 7}, profile="three brokers"),
    )
    tried = part(page, "How it was tried")
    assert re.search(r"\| F1 \|.*\| one broker \| 1,000 \| 1,000 \| 1 \| ≤ 0\.48 % \|", tried)
    assert re.search(r"\| F1 \|.*\| three brokers \| 1,000 \| 7 \| 0 \| ≤ 35 % \|", tried)


def test_a_promise_has_the_trials_of_all_its_rows_and_of_no_other_arm() -> None:
    page = said(line(trials={"F24": 300, "F27": 700}), line(trials={"F24": 50}, failed={"F24": 50}, arm="textbook"))
    kept = next(row for row in part(page, "What is promised").splitlines() if "No byte of another tenant" in row)
    assert "| 0 of 1,000 failed, ≤ 0.30 % | not tried |" in kept


def killed(*waited_ms: int, at: str = "2026-11-24T20:00:00+00:00") -> Line:
    told = {"failover_ms": list(waited_ms), "phases": {"before the end": 2}}
    return line(at=at, faults=[Injected(row="F1", at_s=1.0, what=told)], figures={"load_average": 1.25})


def test_a_recovery_time_is_judged_by_all_waits_together() -> None:
    page = said(killed(300, 310, 1_480), killed(2_100, at="2026-11-25T20:00:00+00:00"))
    kept = next(row for row in part(page, "What is promised").splitlines() if "within 2 s" in row)
    assert "| p99 2,100 ms of 4: NOT KEPT | not measured |" in kept
    told = part(page, "Recovery after the kill of a decider")
    assert "Over all 4 waits, one for each kill and partition: p50 1,480 ms" in told
    assert "| 3 | 310 | 1,480 | 1,480 | 1.2 |" in told
    assert "4 before the end" in told


def test_a_recovery_time_within_its_limit_is_kept() -> None:
    page = said(killed(*range(100, 1_100)))
    assert "| p99 1,090 ms of 1,000 | not measured |" in page


def test_a_tree_that_differed_from_its_commit_is_marked() -> None:
    page = said(line(trials={"F1": 40}), line(trials={"F1": 2}, commit="abcdef012345+"))
    assert "| 42 (2+) | 0 |" in part(page, "How it was tried")
    assert "`abcdef012345+` (differed from its commit)" in part(page, "Where the numbers come from")


def test_what_was_not_tried_is_named_with_its_reason() -> None:
    page = said(
        line(trials={"F1": 1}, not_run={"F12": "no loop device", "F1": "no time"}),
        line(trials={}, not_run={"F12": "no loop device"}),
    )
    missing = part(page, "What was not tried")
    assert re.search(r"\| F12 \|.*\| never \| `no loop device` \(2 runs\) \|", missing)
    assert re.search(r"\| F1 \|.*\| in some runs \| `no time` \(1 run\) \|", missing)
    assert re.search(r"\| F2 \|.*\| never \| no run has tried it \|", missing)


def test_other_arms_stand_beside_ours() -> None:
    page = said(
        line(trials={"F4": 50}, failed={"F4": 50}, arm="textbook"),
        line(trials={"F4": 50}, arm="java"),
        line(trials={"F4": 200}),
    )
    others = part(page, "Others under the same faults")
    assert re.search(r"\| F4 \|.*\| `textbook` \| 50 of 50, ≥ 94 % \| 0 of 200 \|", others)
    assert re.search(r"\| F4 \|.*\| `java` \| 0 of 50 \| 0 of 200 \|", others)


def test_arms_stand_side_by_side_for_each_request_that_was_tampered_with() -> None:
    held = {"EndTxn held, the next one aborts: tried": 4.0, "EndTxn held, after an abort: tried": 3.0}
    page = said(
        line(trials={"F4": 7}, arm="textbook", figures=held | {"EndTxn held, the next one aborts: violated": 4.0}),
        line(trials={"F4": 7}, figures=held),
    )
    assert "| EndTxn held | 0 of 7 | 4 of 7 |" in part(page, "Others under the same faults")


def test_a_control_that_shows_nothing_is_called_out() -> None:
    page = said(
        line(trials={"F12": 30}, failed={"F12": 30}, arm="control:without flush"),
        line(trials={"F13": 3}, arm="control:packets dropped"),
    )
    kept = part(page, "Controls")
    assert re.search(r"\| F12 \| `without flush` \|.*\| yes \|", kept)
    assert re.search(r"\| F13 \| `packets dropped` \|.*\| NO: ", kept)
    assert "F12" not in part(page, "How it was tried"), "a control is no trial of the product"


def test_a_planted_bug_says_who_saw_it_and_after_how_many() -> None:
    bugs = [
        {"bug": "no fencing", "by": "simulation", "fault": "two owners", "after": 3, "unit": "histories"},
        {"bug": "fee rounded twice", "by": "", "after": 0},
    ]
    page = said(line(run="planted", trials={"B1": 2}, failed={"B1": 1}, findings=bugs))
    kept = part(page, "Planted bugs")
    assert "| `no fencing` | simulation | `two owners` | 3 histories |" in kept
    assert "| `fee rounded twice` | NOBODY | - | - |" in kept
    assert "1 of 2 seen; 20 asked." in kept


def test_a_failed_run_is_shown_with_what_was_found() -> None:
    finding = {"what": "lost", "says": "command `c` | gone", "invariant": "I1"}
    page = said(line(failed={"F1": 2}, findings=[finding, finding], history="ab" * 32, seed=77))
    assert "campaign, seed 77" in part(page, "What failed")
    assert "F1 2 | `lost: command c / gone` and 1 more | abababababab |" in part(page, "What failed")


def test_histories_of_the_simulator_count_apart() -> None:
    page = said(line(run="simulation", trials={"S1": 3_000}, operations={"faults_injected": 12_000}))
    assert "3,000 histories (50,000 asked), 0 failed: ≤ 0.100 % of histories" in part(page, "Simulation")
    assert "12,000 faults injected" in part(page, "Simulation")
    assert "12,000" not in part(page, "How it was tried")


def test_the_page_begins_with_its_sums() -> None:
    bug = {"bug": "no fencing", "by": "simulation", "fault": "a fork", "after": 3}
    page = said(
        line(trials={"F1": 1_000, "F12": 30}, failed={"F12": 1}),
        line(trials={"S1": 500}),
        line(run="planted", arm="planted:no fencing", profile="simulation", trials={"B1": 1}, findings=[bug]),
    )
    head = page.partition("## What is promised")[0]
    assert "1,030 trials of 2 of 30 kinds of fault, 1 failed" in head
    assert "500 histories, 0 failed" in head
    assert "1 of 1 seen" in head
    assert "| simulation |" not in part(page, "What is promised"), "who judges planted bugs is no profile of ours"


def test_an_empty_ledger_claims_nothing() -> None:
    page = said()
    assert "≤" not in page.split("## What is promised")[1]
    assert page.count("not tried") > sum(len(kept) for _, kept in PROMISES)


def test_what_is_open_is_told_beside_what_was_mended() -> None:
    found = (
        Found(found_by="simulation", what="A fork.", mended="abc", test="tests/a.py::test_b"),
        Found(found_by="review", what="A leak.", mended="", test=""),
    )
    kept = part(said(found=found), "What was found and mended")
    assert "| A fork. | simulation | `abc` | `test_b` |" in kept
    assert "Open: 1.\n\n- A leak. (Found by: review.)" in kept


def test_every_mended_bug_has_a_test_that_is_there() -> None:
    found = list(publish_findings.read())
    assert found, "nothing was written down"
    for each in found:
        assert bool(each.mended) == bool(each.test), f"a mended bug has a test, an open one has none: {each.what}"
        if each.test:
            path, _, name = each.test.partition("::")
            assert f"def {name}(" in (ROOT / path).read_text(), f"{each.test} is not there"


def test_every_promise_is_tried_by_rows_that_exist() -> None:
    named = {row for _, kept in PROMISES for each in kept for row in each.rows}
    assert named <= {row.id for row in ROWS}
    assert len(WORDS) == len(ROWS) + 3, "a row stands twice"


@pytest.mark.parametrize(("failures", "trials"), [(0, 1), (0, 20), (0, 1_000), (1, 100), (7, 300), (50, 50_000)])
def test_a_bound_is_where_so_few_failures_come_once_in_twenty_times(failures: int, trials: int) -> None:
    bound = upper(failures, trials)
    assert at_most(failures, trials, bound) == pytest.approx(0.05, rel=1e-9)
    assert failures / trials < bound
    if not failures and trials >= 100:
        assert 2.9 / trials < bound < 3 / trials


def test_bounds_meet_at_the_ends() -> None:
    assert (upper(5, 5), lower(0, 5)) == (1.0, 0.0)
    assert lower(50, 50) == pytest.approx(0.05 ** (1 / 50))
    assert upper(1, 10) == pytest.approx(0.39416, abs=1e-5), "from tables of Clopper and Pearson's"


def test_a_bound_is_never_printed_lower_than_it_is() -> None:
    assert [percent(rate) for rate in (0.0, 0.0029912, 0.05, 0.123, 0.9501, 1.0)] == [
        "0 %",
        "0.30 %",
        "5.0 %",
        "13 %",
        "96 %",
        "100 %",
    ]
    assert percent(0.9418, is_upper=False) == "94 %"


def test_two_thousand_lines_make_a_page_that_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.ndjson"
    for seed in range(2_000):
        row = f"F{seed % 18 + 1}"
        hit = [Injected(row=row, at_s=1.5, what={"process": "deciders"})] * 3
        broken = {"F3": 1} if row == "F3" else {}
        ledger.append(line(seed=seed, trials={row: 3}, failed=broken, faults=hit, commit=f"{seed % 7:012x}"), path)
    lines = list(ledger.read(path))
    page = said(*lines)
    assert Sums(lines).over([row.id for row in ROWS]).trials == 6_000
    assert len(page.splitlines()) < 250
    assert "71 more are in the ledger" in part(page, "What failed").replace(",", "")
