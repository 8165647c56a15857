"""Whatever is done to a tape that was signed is found, and its place is named."""

import random
from collections.abc import Callable

import pytest

from domain.audit.check import Change, Finding, Record, check
from domain.audit.checkpoint import Checkpoint, TreeHead, TreeName
from domain.audit.merkle import Frontier, record_hash
from domain.kernel.ids import Micros

ORDERS, RISK = TreeName("orders.events", 0), TreeName("risk.events", 1)
Log = list[Record]


def log(count: int, tree: TreeName = ORDERS) -> Log:
    return [Record(tree, b"acc-1", f"{tree} {number}".encode()) for number in range(count)]


def hashes(records: Log) -> list[bytes]:
    return [record_hash(record.key, record.value) for record in records]


def signed(*logs: Log, time: int = 1) -> Checkpoint:
    trees = {}
    for records in logs:
        frontier = Frontier().append(hashes(records))
        trees[records[0].tree] = TreeHead(frontier.size, frontier.root())
    return Checkpoint("tapeline.example", Micros(time), trees)


def stored(*logs: Log) -> Callable[[TreeName, int], list[bytes]]:
    by_tree = {records[0].tree: hashes(records) for records in logs}
    return lambda name, size: by_tree[name][:size]


def tampered(record: Record) -> Record:
    return Record(record.tree, record.key, record.value + b" for me")


def found(records: Log, original: Log) -> tuple[TreeName, Change, int]:
    other = log(20, RISK)
    findings = check([*records, *other], signed(original, other), leaves=stored(original, other))
    assert len(findings) == 1
    return findings[0].tree, findings[0].change, findings[0].index


def test_the_tape_that_was_signed_has_no_findings() -> None:
    original = log(300)
    kept = [signed(original[:size], time=0) for size in (1, 2, 100, 256)]
    assert check(original, signed(original), kept=kept, leaves=stored(original)) == []


def test_records_after_the_checkpoint_are_no_finding() -> None:
    original = log(300)
    assert check(original, signed(original[:280]), leaves=stored(original[:280])) == []


def edit(records: Log, at: int) -> Log:
    return [*records[:at], tampered(records[at]), *records[at + 1 :]]


def drop(records: Log, at: int) -> Log:
    return [*records[:at], *records[at + 1 :]]


def reorder(records: Log, at: int) -> Log:
    return [*records[:at], records[at + 1], records[at], *records[at + 2 :]]


def insert(records: Log, at: int) -> Log:
    return [*records[:at], tampered(records[at]), *records[at:]]


def truncate(records: Log, at: int) -> Log:
    return records[:at]


@pytest.mark.parametrize(
    ("do", "change"),
    [
        (edit, Change.EDITED),
        (drop, Change.DROPPED),
        (reorder, Change.REORDERED),
        (insert, Change.INSERTED),
        (truncate, Change.TRUNCATED),
    ],
)
@pytest.mark.parametrize("seed", list(range(12)))
def test_each_tampering_is_found_and_its_record_named(do: Callable[[Log, int], Log], change: Change, seed: int) -> None:
    original = log(200 + seed)
    at = random.Random(seed).choice([0, 1, 255 % len(original), *range(len(original) - 1)])
    at = min(at, len(original) - 2)
    assert found(do(original, at), original) == (ORDERS, change, at)


def test_a_changed_key_is_found_as_a_changed_value_is() -> None:
    original = log(9)
    moved = [*original[:4], Record(ORDERS, b"acc-2", original[4].value), *original[5:]]
    assert found(moved, original) == (ORDERS, Change.EDITED, 4)


def test_the_last_record_edited_or_cut_off_is_named() -> None:
    original = log(10)
    assert found(edit(original, 9), original) == (ORDERS, Change.EDITED, 9)
    assert found(truncate(original, 9), original) == (ORDERS, Change.TRUNCATED, 9)


def test_several_records_dropped_are_counted() -> None:
    original = log(50)
    (finding,) = check(original[:10] + original[15:], signed(original), leaves=stored(original))
    assert (finding.change, finding.index, finding.before) == (Change.DROPPED, 10, 15)


def test_without_true_stored_hashes_the_checkpoints_bracket_the_place() -> None:
    """Whoever changes the tape may change the tiles too; the earlier checkpoints still enclose what was changed."""
    original = log(300)
    changed = edit(original, 130)
    kept = [signed(original[:size], time=size) for size in (100, 120, 140, 250)]
    (finding,) = check(changed, signed(original, time=999), kept=kept, leaves=stored(changed))
    assert (finding.change, finding.index, finding.before) == (Change.EDITED, 120, 140)


def test_a_fork_that_was_signed_again_is_found_by_a_checkpoint_kept_elsewhere() -> None:
    """The attacker holds the key and rewrote tape, tiles and the newest checkpoint."""
    original = log(300)
    fork = edit(original, 130)
    kept = [signed(original[:size], time=size) for size in (120, 200)]
    (finding,) = check(fork, signed(fork, time=999), kept=kept, leaves=stored(fork))
    assert (finding.change, finding.index, finding.before) == (Change.FORKED, 120, 200)


def test_two_roots_signed_for_one_size_are_a_fork() -> None:
    original, fork = log(50), edit(log(50), 7)
    findings = check(fork, signed(fork, time=2), kept=[signed(original, time=1)], leaves=stored(fork))
    assert Finding(ORDERS, Change.FORKED, 0, 50, "two roots were signed for 50 leaves") in findings


def test_a_checkpoint_that_was_rolled_back_is_found() -> None:
    original = log(50)
    findings = check(original[:40], signed(original[:40], time=2), kept=[signed(original, time=1)])
    assert (findings[0].change, findings[0].index, findings[0].before) == (Change.ROLLED_BACK, 40, 50)


def test_a_tree_that_vanished_from_the_checkpoint_is_found() -> None:
    original, other = log(5), log(5, RISK)
    findings = check([*original, *other], signed(original, time=2), kept=[signed(original, other, time=1)])
    assert {(finding.tree, finding.change) for finding in findings} == {
        (RISK, Change.ROLLED_BACK),
        (RISK, Change.UNSIGNED),
    }


def test_a_finding_reads_as_a_sentence() -> None:
    original = log(9)
    (finding,) = check(edit(original, 4), signed(original), leaves=stored(original))
    assert str(finding) == "orders.events/0 leaf 4: edited: this record is not the one that was signed"
