"""Proofs are made from the tape as it is, and a tape that was touched proves nothing."""

import json
from pathlib import Path

import msgspec
import pytest

from domain.audit import bundle
from domain.audit.check import Change
from domain.audit.checkpoint import Checkpoint, TreeName
from domain.audit.merkle import ProofRefused
from gateways.audit import verify
from gateways.audit.evidence import Evidence, EvidenceMissing, place_of
from infra import audit_key
from infra.audit_files import AuditDamaged, AuditFiles
from tests.projections.audit.signing import filled, read_all
from tests.projections.audit.tape import MESSAGES, ORDERS, Tape

ORDERS_0, MESSAGES_1 = TreeName(ORDERS, 0), TreeName(MESSAGES, 1)
TOPICS = [ORDERS, MESSAGES]


@pytest.fixture
def tape() -> Tape:
    return filled(Tape(), 700)


def evidence_of(state_dir: Path, tape: Tape) -> Evidence:
    read_all(state_dir, tape)
    return Evidence(AuditFiles(state_dir), audit_key.verifier(state_dir), lambda: tape)


@pytest.mark.parametrize(("tree", "index"), [(ORDERS_0, 0), (ORDERS_0, 255), (ORDERS_0, 256), (MESSAGES_1, 349)])
async def test_any_record_can_be_proved_to_the_offline_verifier(
    tmp_path: Path, tape: Tape, tree: TreeName, index: int
) -> None:
    evidence = evidence_of(tmp_path, tape)
    made = await evidence.proof_at(tree, index)
    assert made.value == tape.logs[tree][index].value
    shown = verify.verify(json.loads(bundle.to_json(made)), evidence.verifier.vkey())
    assert (shown["topic"], shown["partition"], shown["index"]) == (*tree, index)


async def test_an_order_is_found_by_the_command_that_placed_it(tmp_path: Path, tape: Tape) -> None:
    evidence = evidence_of(tmp_path, tape)
    tree, index = await evidence.find([ORDERS], "order 400")
    assert b"order 400" in (await evidence.proof_at(tree, index)).value
    with pytest.raises(EvidenceMissing, match="no event answers the command order 4000"):
        await evidence.find([ORDERS], "order 4000")


async def test_a_range_comes_in_order_and_within_what_is_signed(tmp_path: Path, tape: Tape) -> None:
    evidence = evidence_of(tmp_path, tape)
    found = [(index, record) async for index, record in evidence.records(ORDERS_0, 250, 260)]
    assert found == list(enumerate(tape.logs[ORDERS_0]))[250:260]
    tape.event("not signed yet")
    size = len(tape.logs[ORDERS_0])
    with pytest.raises(EvidenceMissing, match="is not within them"):
        await evidence.proof_at(ORDERS_0, size - 1)


async def test_without_the_offset_hints_the_record_is_still_found(tmp_path: Path, tape: Tape) -> None:
    evidence = evidence_of(tmp_path, tape)
    for hints in (tmp_path / "audit" / "trees").glob("*/*/offsets"):
        hints.unlink()
    assert (await evidence.proof_at(ORDERS_0, 300)).value == tape.logs[ORDERS_0][300].value


async def test_a_record_that_was_changed_is_not_proved(tmp_path: Path, tape: Tape) -> None:
    evidence = evidence_of(tmp_path, tape)
    tape.logs[ORDERS_0][300] = msgspec.structs.replace(tape.logs[ORDERS_0][300], value=b"{}")
    with pytest.raises(ProofRefused, match="is not the one that was signed as leaf 300"):
        await evidence.proof_at(ORDERS_0, 300)


async def test_the_whole_tape_is_checked_and_the_changed_record_named(tmp_path: Path, tape: Tape) -> None:
    evidence = evidence_of(tmp_path, tape)
    count = sum(map(len, tape.logs.values()))
    assert await evidence.check(TOPICS, []) == (count, [])
    del tape.logs[MESSAGES_1][120]
    _, (finding,) = await evidence.check(TOPICS, [])
    assert (finding.tree, finding.change, finding.index) == (MESSAGES_1, Change.DROPPED, 120)


async def test_a_fork_signed_with_our_own_key_is_found_by_a_checkpoint_kept_elsewhere(
    tmp_path: Path, tape: Tape
) -> None:
    """Whoever holds the key and the disk can begin again; what an auditor took home still contradicts it."""
    kept = evidence_of(tmp_path, tape).checkpoint()
    forked = filled(Tape(), 650)
    tape_after = filled(forked, 100)
    for file in sorted((tmp_path / "audit").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    evidence = evidence_of(tmp_path, tape_after)
    assert (await evidence.check(TOPICS, []))[1] == []
    findings = (await evidence.check(TOPICS, [kept]))[1]
    assert {finding.change for finding in findings} == {Change.FORKED}
    assert {finding.tree for finding in findings} == set(kept.trees)


async def test_a_checkpoint_rolled_back_is_found_by_one_kept_elsewhere(tmp_path: Path, tape: Tape) -> None:
    first = evidence_of(tmp_path, tape)
    tape.event("later")
    kept = read_all(tmp_path, tape, now=2_000_000)
    assert isinstance(kept, Checkpoint)
    (tmp_path / "audit" / "checkpoints" / "000" / "000" / "001.note").unlink()
    findings = (await first.check(TOPICS, [kept]))[1]
    assert [finding.change for finding in findings] == [Change.ROLLED_BACK]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("orders.events/2/17", (TreeName("orders.events", 2), 17)),
        ("018f3a5e-0000-7000-8000-000000000000", None),
        ("orders.events/2", None),
        ("orders.events/2/-1", None),
        ("2012-06-04T09:30:00-04:00", None),
    ],
)
def test_a_place_is_topic_partition_sequence(text: str, place: object) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize("level", [0, 1])
async def test_a_stored_hash_that_was_changed_is_named_though_the_tape_is_right(
    tmp_path: Path, tape: Tape, level: int
) -> None:
    evidence = evidence_of(tmp_path, tape)
    tree = evidence.files.root / "trees" / ORDERS / "0" / str(level)
    path = next(path for path in sorted(tree.rglob("*")) if path.is_file())
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(bytes(data))
    _, (finding,) = await evidence.check(TOPICS, [])
    assert (finding.tree, finding.change, finding.index) == (ORDERS_0, Change.HASH_CHANGED, 0)


async def test_a_checkpoint_that_is_not_as_it_was_signed_is_named_by_its_number(tmp_path: Path, tape: Tape) -> None:
    evidence = evidence_of(tmp_path, tape)
    tape.event("later")
    read_all(tmp_path, tape, now=2_000_000)
    first, second = (tmp_path / "audit" / "checkpoints" / "000" / "000" / f"00{number}.note" for number in (0, 1))
    texts = first.read_text(), second.read_text()
    for spoilt in (b"\xff\xfe", texts[1].replace(" ", "  ", 1).encode(), texts[0].encode()):
        second.write_bytes(spoilt)
        with pytest.raises(AuditDamaged, match="checkpoint 1: "):
            await evidence.check(TOPICS, [])


async def test_the_copy_of_the_newest_checkpoint_is_checked_too(tmp_path: Path, tape: Tape) -> None:
    evidence = evidence_of(tmp_path, tape)
    for number in (2, 3):
        tape.event("later")
        read_all(tmp_path, tape, now=number * 1_000_000)
    first = (tmp_path / "audit" / "checkpoints" / "000" / "000" / "000.note").read_text()
    (tmp_path / "audit" / "latest").write_text(first)
    with pytest.raises(AuditDamaged, match="latest: "):
        await evidence.check(TOPICS, [])


async def test_a_checkpoint_that_was_taken_out_is_missed_by_who_kept_it(tmp_path: Path, tape: Tape) -> None:
    evidence = evidence_of(tmp_path, tape)
    kept = evidence.checkpoint()
    tape.event("later")
    read_all(tmp_path, tape, now=2_000_000)
    folder = tmp_path / "audit" / "checkpoints" / "000" / "000"
    (folder / "001.note").rename(folder / "000.note")
    assert (await evidence.check(TOPICS, []))[1] == []
    _, (finding,) = await evidence.check(TOPICS, [kept])
    assert finding.change is Change.FORGOTTEN
