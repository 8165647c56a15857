"""A tree gives the roots and proofs of RFC 6962, and refuses every proof that was touched."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit import merkle
from domain.audit.merkle import Frontier, ProofRefused
from domain.audit.tiles import MemoryTiles

# Inputs, roots and paths published with the Certificate Transparency reference code.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
NODE_1_OF_PAIRS = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
LAST_OF_FIVE = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        NODE_1_OF_PAIRS,
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [LAST_OF_FIVE, "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0", ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], NODE_1_OF_PAIRS, LAST_OF_FIVE],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        ROOTS[4],
    ],
    (2, 5): [NODE_1_OF_PAIRS, LAST_OF_FIVE],
}
SIZE_MAX = 70


def hashes(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(index).encode()) for index in range(count)]


def tree(count: int) -> MemoryTiles:
    return MemoryTiles(hashes(count))


LARGE = tree(70_000)
LARGE_NODES = LARGE.nodes()
LARGE_HASHES = hashes(70_000)


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "big") ^ (1 << bit)).to_bytes(len(data), "big")


def published() -> MemoryTiles:
    return MemoryTiles(merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES)


def test_roots_are_the_published_ones() -> None:
    frontier = Frontier()
    assert frontier.root().hex() == ROOTS[0]
    for leaf, root in zip(LEAVES, ROOTS[1:], strict=True):
        frontier = frontier.append([merkle.leaf_hash(bytes.fromhex(leaf))])
        assert frontier.root().hex() == root


@pytest.mark.parametrize(("place", "path"), INCLUSION.items())
def test_inclusion_paths_are_the_published_ones(place: tuple[int, int], path: list[str]) -> None:
    assert [h.hex() for h in merkle.inclusion_proof(*place, published().nodes())] == path


@pytest.mark.parametrize(("sizes", "path"), CONSISTENCY.items())
def test_consistency_paths_are_the_published_ones(sizes: tuple[int, int], path: list[str]) -> None:
    assert [h.hex() for h in merkle.consistency_proof(*sizes, published().nodes())] == path


def test_agrees_with_pymerkle_on_every_root_and_inclusion_path() -> None:
    leaves = [f"order {index}".encode() for index in range(SIZE_MAX)]
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("pymerkle_oracle.py"))],
        input=json.dumps([leaf.hex() for leaf in leaves]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    theirs = json.loads(answer.stdout)
    nodes = MemoryTiles(map(merkle.leaf_hash, leaves)).nodes()
    assert [merkle.root(size, nodes).hex() for size in range(1, SIZE_MAX + 1)] == theirs["roots"]
    ours = {
        f"{index}/{size}": [h.hex() for h in merkle.inclusion_proof(index, size, nodes)]
        for size in range(1, SIZE_MAX + 1)
        for index in range(size)
    }
    assert ours == theirs["inclusion"]


def test_a_record_is_hashed_with_the_length_of_its_key() -> None:
    assert merkle.record_hash(b"acc-1", b"value") == merkle.leaf_hash(b"\x00\x00\x00\x05acc-1value")
    assert merkle.record_hash(b"acc-1", b"value") != merkle.record_hash(b"acc-", b"1value")


def test_every_tree_is_consistent_with_every_smaller_one() -> None:
    nodes = tree(SIZE_MAX).nodes()
    roots = [merkle.root(size, nodes) for size in range(SIZE_MAX + 1)]
    for later in range(SIZE_MAX + 1):
        for earlier in range(later + 1):
            path = merkle.consistency_proof(earlier, later, nodes)
            merkle.verify_consistency(earlier, later, roots[earlier], roots[later], path)


@given(size=st.integers(1, 70_000), data=st.data())
def test_every_leaf_of_every_tree_can_be_proved(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(index, size, LARGE_NODES)
    merkle.verify_inclusion(index, size, LARGE_HASHES[index], path, merkle.root(size, LARGE_NODES))


@given(size=st.integers(2, 70_000), data=st.data())
def test_an_inclusion_proof_with_any_bit_changed_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, leaf = merkle.root(size, LARGE_NODES), LARGE_HASHES[index]
    path = merkle.inclusion_proof(index, size, LARGE_NODES)
    step, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    changed = [*path[:step], flipped(path[step], bit), *path[step + 1 :]]
    for claim in (
        (index, size, leaf, changed, root),
        (index, size, flipped(leaf, bit), path, root),
        (index, size, leaf, path, flipped(root, bit)),
        (index, size, leaf, path[:-1], root),
        (index, size, leaf, [*path, path[-1]], root),
    ):
        with pytest.raises(ProofRefused):
            merkle.verify_inclusion(*claim)


@given(size=st.integers(2, 70_000), data=st.data())
def test_an_inclusion_proof_holds_for_its_own_index_only(size: int, data: st.DataObject) -> None:
    index, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    path = merkle.inclusion_proof(index, size, LARGE_NODES)
    with pytest.raises(ProofRefused):
        merkle.verify_inclusion(other, size, LARGE_HASHES[index], path, merkle.root(size, LARGE_NODES))


@given(later=st.integers(2, 70_000), data=st.data())
def test_a_consistency_proof_with_any_bit_changed_is_refused(later: int, data: st.DataObject) -> None:
    earlier = data.draw(st.integers(1, later - 1))
    old, new = merkle.root(earlier, LARGE_NODES), merkle.root(later, LARGE_NODES)
    path = merkle.consistency_proof(earlier, later, LARGE_NODES)
    step, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    changed = [*path[:step], flipped(path[step], bit), *path[step + 1 :]]
    for claim in (
        (earlier, later, old, new, changed),
        (earlier, later, flipped(old, bit), new, path),
        (earlier, later, old, flipped(new, bit), path),
        (earlier, later, old, new, path[:-1]),
        (earlier, later, old, new, [*path, path[-1]]),
    ):
        with pytest.raises(ProofRefused):
            merkle.verify_consistency(*claim)


def test_trees_of_equal_size_and_other_roots_are_not_consistent() -> None:
    nodes = tree(5).nodes()
    with pytest.raises(ProofRefused):
        merkle.verify_consistency(5, 5, merkle.root(5, nodes), merkle.root(4, nodes), [])


@pytest.mark.parametrize(("index", "size"), [(5, 5), (-1, 5), (0, 0)])
def test_a_leaf_outside_the_tree_cannot_be_proved(index: int, size: int) -> None:
    with pytest.raises(ProofRefused, match="is not in a tree of"):
        merkle.inclusion_proof(index, size, LARGE_NODES)
    with pytest.raises(ProofRefused, match="is not in a tree of"):
        merkle.root_of_inclusion(index, size, LARGE_HASHES[0], [])
