"""The forest folds the tape as it is, signs what it folded, and goes on after any crash without signing less."""

import asyncio
import contextlib
import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from domain.audit import merkle, note
from domain.audit.checkpoint import Checkpoint, CheckpointRefused, TreeHead, TreeName
from domain.audit.merkle import record_hash
from domain.audit.tiles import MemoryTiles, Tile
from domain.kernel.ids import Micros
from infra import audit_key
from infra.audit_files import AuditDamaged, AuditFiles, AuditWriter
from infra.files import DRAFT
from infra.kafka.chain import ChainBroken
from infra.kafka.reader import ReadFailed
from projections.audit import forest
from projections.audit.forest import Forest, Progress
from tests.projections.audit.signing import filled, read_all
from tests.projections.audit.tape import MESSAGES, ORDERS, Tape, decode

ORDERS_0 = TreeName(ORDERS, 0)
SECOND = 1_000_000


@pytest.fixture
def tape() -> Tape:
    return Tape()


def expected(tape: Tape) -> dict[TreeName, TreeHead]:
    trees = {}
    for place, log in tape.logs.items():
        tree = MemoryTiles(record_hash(record.key, record.value) for record in log)
        trees[TreeName(*place)] = TreeHead(tree.size, tree.root())
    return trees


def test_the_roots_are_those_of_the_records_in_log_order(tmp_path: Path, tape: Tape) -> None:
    signed = read_all(tmp_path, filled(tape, 700))
    assert signed is not None
    assert signed.trees == expected(tape)


def test_the_newest_note_is_signed_with_the_key_beside_it(tmp_path: Path, tape: Tape) -> None:
    signed = read_all(tmp_path, filled(tape, 3))
    found = AuditFiles(tmp_path).newest()
    assert found is not None
    assert Checkpoint.parse(note.verified(found[1], audit_key.verifier(tmp_path))) == signed
    assert (tmp_path / "audit" / "latest").read_text() == found[1]


@pytest.mark.parametrize("first", [1, 255, 256, 257, 600])
def test_a_new_life_goes_on_where_the_last_one_signed(tmp_path: Path, tape: Tape, first: int) -> None:
    read_all(tmp_path, filled(tape, first))
    signed = read_all(tmp_path, filled(tape, 300))
    assert signed is not None
    assert signed.trees == expected(tape)


def test_every_leaf_can_be_proved_from_the_tiles(tmp_path: Path, tape: Tape) -> None:
    signed = read_all(tmp_path, filled(tape, 600))
    assert signed is not None
    files = AuditFiles(tmp_path)
    for name, head in signed.trees.items():
        nodes = files.nodes(name, head.size)
        for index, record in enumerate(tape.logs[name.topic, name.partition]):
            path = merkle.inclusion_proof(index, head.size, nodes)
            merkle.verify_inclusion(index, head.size, record_hash(record.key, record.value), path, head.root)


def test_earlier_sizes_are_still_read_from_wider_tiles(tmp_path: Path, tape: Tape) -> None:
    first = read_all(tmp_path, filled(tape, 100))
    later = read_all(tmp_path, filled(tape, 100))
    assert first is not None
    assert later is not None
    files = AuditFiles(tmp_path)
    for name, head in first.trees.items():
        assert merkle.root(head.size, files.nodes(name, head.size)) == head.root
        nodes, after = files.nodes(name, later.head(name).size), later.head(name)
        path = merkle.consistency_proof(head.size, after.size, nodes)
        merkle.verify_consistency(head.size, after.size, head.root, after.root, path)


def test_a_tile_that_is_being_written_is_passed_over(tmp_path: Path, tape: Tape) -> None:
    first = read_all(tmp_path, filled(tape, 100))
    read_all(tmp_path, filled(tape, 100))
    assert first is not None
    for partial in tmp_path.glob("audit/trees/*/*/0/**/*.p"):
        (partial / f"255{DRAFT}ab12").write_bytes(b"half a tile")
    files = AuditFiles(tmp_path)
    for name, head in first.trees.items():
        assert merkle.root(head.size, files.nodes(name, head.size)) == head.root


def test_a_crash_before_the_checkpoint_loses_nothing(tmp_path: Path, tape: Tape) -> None:
    read_all(tmp_path, filled(tape, 300))
    filled(tape, 300)
    with AuditWriter(tmp_path, audit_key.signer(tmp_path)) as files:
        trees = Forest(files, tape.logs, decode)
        starts = trees.starts()
        trees.fold(r for place, log in tape.logs.items() for r in log if r.offset >= starts[place])
    signed = read_all(tmp_path, tape)
    assert signed is not None
    assert signed.trees == expected(tape)


def crashes() -> Sequence[int]:
    """After how many files the disk stops taking any, until past the end of what one checkpoint writes."""
    return range(12)


@pytest.mark.parametrize("writes", crashes())
def test_a_crash_at_any_file_of_a_checkpoint_loses_nothing(
    tmp_path: Path, tape: Tape, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_all(tmp_path, filled(tape, 300))
    filled(tape, 10)
    budget = itertools.count()
    rename: Callable[[Path, Path], Path] = Path.replace

    def rename_until_the_crash(path: Path, target: Path) -> Path:
        if next(budget) >= writes:
            raise OSError("the machine stopped")
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", rename_until_the_crash)
        with contextlib.suppress(OSError):
            read_all(tmp_path, tape)
    tape.event("after the crash")
    signed = read_all(tmp_path, tape, now=2 * SECOND)
    assert signed is not None
    assert signed.trees == expected(tape)


def test_nothing_new_is_not_signed_again(tmp_path: Path, tape: Tape) -> None:
    read_all(tmp_path, filled(tape, 3))
    assert read_all(tmp_path, tape) is None
    assert len(list(AuditFiles(tmp_path).notes())) == 1


def test_a_clock_that_went_back_does_not_stop_the_signing(tmp_path: Path, tape: Tape) -> None:
    read_all(tmp_path, filled(tape, 3), now=9 * SECOND)
    signed = read_all(tmp_path, filled(tape, 3), now=SECOND)
    assert signed is not None
    assert signed.time == 9 * SECOND


def test_less_than_was_signed_is_never_signed(tmp_path: Path, tape: Tape) -> None:
    signed = read_all(tmp_path, filled(tape, 5))
    assert signed is not None
    with AuditWriter(tmp_path, audit_key.signer(tmp_path)) as files:
        shrunk = Checkpoint(signed.origin, signed.time, {**signed.trees, ORDERS_0: TreeHead(1, b"0" * 32)})
        with pytest.raises(CheckpointRefused, match="rolled back"):
            files.publish(shrunk, {})


def test_only_one_process_writes(tmp_path: Path) -> None:
    signer = audit_key.signer(tmp_path)
    with (
        AuditWriter(tmp_path, signer),
        pytest.raises(AuditDamaged, match="one audit process at a time"),
        AuditWriter(tmp_path, signer),
    ):
        pass


def test_changed_tiles_are_found_at_the_start(tmp_path: Path, tape: Tape) -> None:
    signed = read_all(tmp_path, filled(tape, 5))
    assert signed is not None
    path = tmp_path / "audit" / "trees" / ORDERS / "0" / Tile(0, 0, signed.head(ORDERS_0).size).path()
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(AuditDamaged, match="the tiles do not lead to the root"):
        read_all(tmp_path, tape)


@pytest.mark.parametrize(
    ("sequence", "previous", "term"), [(3, None, 1), (1, None, 1), (2, "00" * 32, 1), (2, None, 0)]
)
def test_a_broken_chain_stops_the_signing(
    tmp_path: Path, tape: Tape, sequence: int, previous: str | None, term: int
) -> None:
    tape.event("first")
    tape.event("second")
    good = tape.event("third", term=term)
    fields = good.value.replace(b'"sequence": 2', b'"sequence": %d' % sequence)
    if previous is not None:
        fields = fields.replace(decode(good.value).previous.hex().encode(), previous.encode())
    tape.logs[ORDERS, 0].pop()
    tape.append(ORDERS, 0, fields)
    with pytest.raises(ChainBroken, match=f"orders.events/0 at offset {good.offset}"):
        read_all(tmp_path, tape)


def test_without_its_positions_the_tape_is_compared_with_what_was_signed(tmp_path: Path, tape: Tape) -> None:
    read_all(tmp_path, filled(tape, 300))
    (tmp_path / "audit" / "positions.json").unlink()
    signed = read_all(tmp_path, filled(tape, 5))
    assert signed is not None
    assert signed.trees == expected(tape)
    (tmp_path / "audit" / "positions.json").unlink()
    tape.logs[MESSAGES, 1][2] = tape.logs[MESSAGES, 0][2]
    with pytest.raises(AuditDamaged, match="is not the one that leaf 2 was made of"):
        read_all(tmp_path, tape)


def test_trees_whose_files_are_gone_are_made_again_and_compared(tmp_path: Path, tape: Tape) -> None:
    read_all(tmp_path, filled(tape, 300))
    shutil.rmtree(tmp_path / "audit" / "trees" / MESSAGES)
    signed = read_all(tmp_path, filled(tape, 5))
    assert signed is not None
    assert signed.trees == expected(tape)
    shutil.rmtree(tmp_path / "audit" / "trees" / MESSAGES)
    tape.logs[MESSAGES, 1][2] = tape.logs[MESSAGES, 0][2]
    with pytest.raises(AuditDamaged, match="does not lead to the root that was signed"):
        read_all(tmp_path, filled(tape, 5))


async def test_the_loop_signs_reports_and_ends_when_told(tmp_path: Path, tape: Tape) -> None:
    filled(tape, 5)
    stopping, reports = asyncio.Event(), list[Progress]()
    ticks = itertools.count(10 * SECOND, SECOND)

    def report(progress: Progress) -> None:
        reports.append(progress)
        if len(reports) == 1:
            tape.event("while it runs")
        elif len(reports) == 2:
            stopping.set()

    with AuditWriter(tmp_path, audit_key.signer(tmp_path)) as files:
        places = await forest.partitions_of(tape, [ORDERS, MESSAGES])
        trees = Forest(files, places, decode)
        clock = lambda: Micros(next(ticks))  # noqa: E731 - the whole clock
        await asyncio.wait_for(forest.run(trees, tape, clock=clock, stopping=stopping, report=report), 10)
    assert [progress.ready() for progress in reports] == [(True, "caught up")] * 2
    assert reports[-1].sizes[ORDERS_0] == len(tape.logs[ORDERS, 0])
    assert reports[-1].signed_at >= 10 * SECOND
    found = AuditFiles(tmp_path).newest()
    assert found is not None
    assert Checkpoint.parse(note.split(found[1])[0]).trees == expected(tape)


class SilentForAWhile(Tape):
    """A tape whose brokers do not tell its ends at first."""

    refusals = 3

    async def ends(self, topic: str) -> dict[int, int]:
        if self.refusals:
            self.refusals -= 1
            raise ReadFailed(f"{topic}: its offsets were not told")
        return await super().ends(topic)


async def test_brokers_that_do_not_tell_the_ends_for_a_while_do_not_end_the_forest(tmp_path: Path) -> None:
    tape, stopping, reports = SilentForAWhile(), asyncio.Event(), list[Progress]()
    filled(tape, 5)
    ticks = itertools.count(10 * SECOND, SECOND)

    def report(progress: Progress) -> None:
        reports.append(progress)
        stopping.set()

    with AuditWriter(tmp_path, audit_key.signer(tmp_path)) as files:
        trees = Forest(files, tape.logs, decode)
        clock = lambda: Micros(next(ticks))  # noqa: E731 - the whole clock
        await asyncio.wait_for(forest.run(trees, tape, clock=clock, stopping=stopping, report=report), 10)
    assert [progress.ready() for progress in reports] == [(True, "caught up")]
    assert tape.refusals == 0


async def test_a_truncated_tape_is_said_to_be_one(tmp_path: Path, tape: Tape) -> None:
    read_all(tmp_path, filled(tape, 9))
    (tmp_path / "audit" / "positions.json").unlink()
    tape.logs[ORDERS, 0].pop()
    with AuditWriter(tmp_path, audit_key.signer(tmp_path)) as files:
        trees = Forest(files, tape.logs, decode)
        run = forest.run(
            trees, tape, clock=lambda: Micros(10 * SECOND), stopping=asyncio.Event(), report=lambda _: None
        )
        with pytest.raises(AuditDamaged, match="6 leaves were signed and the tape ends after 5"):
            await asyncio.wait_for(run, 10)


def test_the_key_is_for_its_owner_only(tmp_path: Path) -> None:
    made = audit_key.signer(tmp_path, "broker.example/tape")
    path = tmp_path / "keys" / "audit.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert audit_key.signer(tmp_path).verifier == made.verifier == audit_key.verifier(tmp_path)
    path.chmod(0o644)
    with pytest.raises(audit_key.KeyUnsafe, match="chmod 600"):
        audit_key.signer(tmp_path)
