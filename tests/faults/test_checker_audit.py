"""The checker computes every root anew, and reads the broker's own files: what was signed and what was committed."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from domain.audit import bundle, merkle, note
from domain.audit.checkpoint import Checkpoint, TreeHead
from domain.audit.merkle import Frontier, record_hash
from domain.audit.note import Signer
from domain.kernel.ids import Micros
from infra.avro.codec import Codec
from tests.faults.checker import merkle as independent
from tests.faults.checker.evidence import Record
from tests.faults.checker.judge import judge
from tests.faults.worlds import World

replace = msgspec.structs.replace
ORIGIN = "tests.example/tape"


def said(folder: Path) -> list[str]:
    return [f"{each.what}: {each.says}" for each in judge(folder).findings]


def checkpoint_of(text: str) -> Checkpoint:
    return Checkpoint.parse(note.split(text)[0])


def signed(world: World, checkpoint: Checkpoint) -> str:
    return note.sign(checkpoint.text(), world.signer)


def with_another_root(world: World) -> None:
    last = checkpoint_of(world.notes[-1])
    name = max(last.trees, key=lambda tree: last.trees[tree].size)
    trees = {**last.trees, name: TreeHead(last.trees[name].size, bytes(32))}
    world.notes[-1] = signed(world, Checkpoint(ORIGIN, last.time, trees))


def with_a_larger_tree(world: World) -> None:
    last = checkpoint_of(world.notes[-1])
    name = max(last.trees, key=lambda tree: last.trees[tree].size)
    trees = {**last.trees, name: TreeHead(last.trees[name].size + 5, bytes(32))}
    world.notes[-1] = signed(world, Checkpoint(ORIGIN, last.time, trees))


def rolled_back(world: World) -> None:
    first = checkpoint_of(world.notes[0])
    world.notes.append(signed(world, Checkpoint(ORIGIN, Micros(180_000_000), first.trees)))


def signed_earlier_than_before(world: World) -> None:
    last = checkpoint_of(world.notes[-1])
    world.notes.append(signed(world, Checkpoint(ORIGIN, Micros(1), last.trees)))


def of_another_origin(world: World) -> None:
    last = checkpoint_of(world.notes[-1])
    world.notes.append(signed(world, Checkpoint("another.example", Micros(180_000_000), last.trees)))


def signed_by_somebody_else(world: World) -> None:
    stranger = Signer(ORIGIN, Ed25519PrivateKey.generate())
    world.notes[-1] = note.sign(note.split(world.notes[-1])[0], stranger)


def edited_after_it_was_signed(world: World) -> None:
    world.notes[-1] = world.notes[-1].replace("orders.events 0 ", "orders.events 0 1", 1)


def with_a_record_edited(world: World) -> None:
    place = max((p for p in world.committed if p[0] == "executions.messages"), key=lambda p: len(world.committed[p]))
    record = world.committed[place][0]
    record.value = record.value[:-1] + bytes([record.value[-1] ^ 1])


def behind_the_tape(world: World) -> None:
    del world.notes[-1]


LIES: dict[Callable[[World], None], str] = {
    with_another_root: "merkle: 1.note: another root was signed for",
    with_a_larger_tree: "merkle: 1.note:",
    rolled_back: "merkle: 2.note:",
    signed_earlier_than_before: "merkle: 2.note: tests.example/tape at 1970-01-01T00:00:00.000001Z follows",
    of_another_origin: "merkle: 2.note: another.example at",
    signed_by_somebody_else: "merkle: 1.note: tests.example/tape did not sign it",
    edited_after_it_was_signed: "merkle: 1.note: the signature of tests.example/tape does not hold",
    with_a_record_edited: "merkle: 1.note: another root was signed for",
    behind_the_tape: "liveness: ",
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_under_a_signature_is_named(lie: Callable[[World], None], codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    lie(world)
    found = said(world.write(tmp_path / "run"))
    assert any(each.startswith(LIES[lie]) for each in found), found


@given(st.lists(st.binary(max_size=8), max_size=70), st.integers(0, 69))
def test_roots_and_paths_are_those_of_another_hand(datas: list[bytes], index: int) -> None:
    leaves = [independent.leaf(b"key", data) for data in datas]
    assert leaves == [record_hash(b"key", data) for data in datas]
    expected = [(size, Frontier().append(leaves[:size]).root()) for size in range(len(leaves) + 1)]
    assert list(independent.roots(leaves, range(len(leaves) + 1))) == expected
    if index < len(leaves):
        path = merkle.inclusion_proof(index, len(leaves), _nodes(leaves))
        assert independent.climbed(index, len(leaves), leaves[index], path) == expected[-1][1]
        assert independent.climbed(index, len(leaves), bytes(32), path) != expected[-1][1]


def _nodes(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    return lambda level, at: Frontier().append(leaves[at << level : (at + 1) << level]).root()


def exported(world: World, folder: Path) -> list[str]:
    """What `tapeline audit export` writes for the first records of a partition."""
    place = max((p for p in world.committed if p[0] == "orders.events"), key=lambda p: len(world.committed[p]))
    leaves = [record_hash(each.key, each.value) for each in world.committed[place]]
    head = {"format": bundle.FORMAT, "checkpoint": world.notes[-1], "vkey": world.signer.verifier.vkey()}
    lines = [msgspec.json.encode(head).decode()]
    for index, record in enumerate(world.committed[place][:4]):
        proof = {
            "topic": place[0],
            "partition": place[1],
            "index": index,
            "size": len(leaves),
            "key": record.key,
            "value": record.value,
            "path": merkle.inclusion_proof(index, len(leaves), _nodes(leaves)),
        }
        lines.append(msgspec.json.encode(proof).decode())
    return lines


def test_an_export_is_proved_and_compared_with_the_tape(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    folder = world.write(tmp_path / "run")
    lines = exported(world, folder)
    path = folder / "audit" / "export.ndjson"
    path.write_text("\n".join(lines) + "\n")
    verdict = judge(folder)
    assert verdict.is_clean
    assert verdict.judged["proofs"] == 4
    second, third = json.loads(lines[2]), json.loads(lines[3])
    path.write_text("\n".join([*lines[:2], json.dumps(second | {"path": third["path"]})]) + "\n")
    assert "merkle: export.ndjson: the path does not lead to the signed root" in said(folder)
    path.write_text("\n".join([*lines[:2], json.dumps(second | {"value": third["value"]})]) + "\n")
    assert "merkle: the export has another record here" in said(folder)


def dumped(records: list[Record], batches: list[tuple[int, str]], *, crc: str = "true") -> str:
    """kafka-dump-log's words for these records in batches of so many, each ended by COMMIT or ABORT."""
    lines, at = [], 0
    for count, end in batches:
        offsets = [record.offset for record in records[at : at + count]]
        at += count
        head = "baseSequence: 0 lastSequence: 0 producerId: 7 producerEpoch: 0 partitionLeaderEpoch: 0"
        lines.append(
            f"baseOffset: {offsets[0]} lastOffset: {offsets[-1]} count: {count} {head} isTransactional: true"
            f" isControl: false position: 0 crc: 1 isvalid: {crc}"
        )
        lines += [f"| offset: {offset} CreateTime: 1 keySize: 2 valueSize: 4" for offset in offsets]
        marker = offsets[-1] + 1
        lines.append(
            f"baseOffset: {marker} lastOffset: {marker} count: 1 {head} isTransactional: true isControl: true"
            " position: 0 crc: 1 isvalid: true"
        )
        lines.append(
            f"| offset: {marker} CreateTime: 1 keySize: 4 valueSize: 6 endTxnMarker: {end} coordinatorEpoch: 0"
        )
    return "\n".join(lines) + "\n"


def test_batches_are_shown_whole_or_not_at_all(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    folder = world.write(tmp_path / "run")
    place = max((p for p in world.committed if p[0] == "orders.events"), key=lambda p: len(world.committed[p]))
    records, rest = world.committed[place], len(world.committed[place]) - 5
    hidden = [Record(10_000 + number, 0, b"", b"") for number in range(3)]
    (folder / "segments").mkdir()
    (folder / "topics" / "ends.ndjson").unlink()  # Files may be dumped later than topics; here both are of one moment.
    path = folder / "segments" / f"{place[0]}-{place[1]}.txt"
    for dump, expected in (
        (dumped(records, [(5, "COMMIT"), (rest, "COMMIT")]), ""),
        (dumped([*records, *hidden], [(5, "COMMIT"), (rest, "COMMIT"), (3, "ABORT")]), ""),
        (dumped(records, [(5, "ABORT"), (rest, "COMMIT")]), "aborted-but-seen: 5 records of an aborted batch"),
        (dumped([*records, *hidden], [(5, "COMMIT"), (rest + 3, "COMMIT")]), f"torn: 3 of the {rest + 3} records"),
        (dumped([*records, *hidden], [(5, "COMMIT"), (rest, "COMMIT"), (3, "COMMIT")]), "lost: 3 of the 3 records"),
        (dumped(records, [(5, "COMMIT")]), "never-written: a reader was given a record"),
        (dumped(records, [(5, "COMMIT"), (rest, "COMMIT")], crc="false"), "chain: the checksum of its batch"),
    ):
        path.write_text(dump)
        found = said(folder)
        assert [each for each in found if each.startswith(expected)] if expected else not found, (expected, found)
