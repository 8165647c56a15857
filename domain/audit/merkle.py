"""The hash tree of RFC 6962: leaves of the tape in, roots and proofs out. It holds no files and no network.

Each partition of the tape has one tree, and a record's place in its partition is its leaf index. A leaf hash is
SHA-256(0x00 ‖ leaf data); the leaf data of a record is the length of its key as four bytes, most significant first,
then the key, then the value. The length keeps a byte from moving between key and value unseen. The hash of an inner
node is SHA-256(0x01 ‖ left ‖ right).
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TypeAlias

import msgspec

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""

Nodes: TypeAlias = Callable[[int, int], bytes]
"""(level, index) -> the hash over the 2^level leaves that begin at index x 2^level; every one of them must exist."""


class ProofRefused(ValueError):
    """The proof does not show what it claims; the message says why."""


def record_hash(key: bytes, value: bytes) -> bytes:
    """The leaf hash of one record of the tape."""
    return sha256(b"\x00" + len(key).to_bytes(4, "big") + key + value).digest()


def leaf_hash(data: bytes) -> bytes:
    """The leaf hash of any data, as RFC 6962 has it."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier(msgspec.Struct, frozen=True):
    """The right edge of a tree: all that is needed to add leaves and to tell the root.

    `peaks` are the hashes of the perfect subtrees that make up the tree, the largest first: one for each bit that is
    set in `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, hashes: Iterable[bytes]) -> "Frontier":
        """The edge after these leaf hashes."""
        size, peaks = self.size, list(self.peaks)
        for leaf in hashes:
            current, carry = leaf, size
            while carry & 1:
                current = node_hash(peaks.pop(), current)
                carry >>= 1
            peaks.append(current)
            size += 1
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        """The root of the tree that ends here."""
        return join(self.peaks)


def join(peaks: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees that stand side by side, the largest first."""
    if not peaks:
        return EMPTY_ROOT
    current = peaks[-1]
    for left in reversed(peaks[:-1]):
        current = node_hash(left, current)
    return current


def range_hash(start: int, end: int, nodes: Nodes) -> bytes:
    """The hash over the leaves from start up to end; start must be a multiple of a power of two >= end - start."""
    peaks = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(nodes(level, start >> level))
        start += 1 << level
    return join(peaks)


def root(size: int, nodes: Nodes) -> bytes:
    """The root of the first `size` leaves."""
    return range_hash(0, size, nodes)


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root of the first `size` leaves, the lowest first."""
    if not 0 <= index < size:
        raise ProofRefused(f"leaf {index} is not in a tree of {size} leaves")
    path = []
    level = 0
    while index or (1 << level) < size:
        sibling = index ^ 1
        if (sibling + 1) << level <= size:
            path.append(nodes(level, sibling))
        elif sibling << level < size:
            path.append(range_hash(sibling << level, size, nodes))
        index >>= 1
        level += 1
    return path


def root_of_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that this path leads to; a path of the wrong length is refused."""
    if not 0 <= index < size:
        raise ProofRefused(f"leaf {index} is not in a tree of {size} leaves")
    current, last = leaf, size - 1
    for sibling in path:
        if last == 0:
            raise ProofRefused(f"the path has {len(path)} hashes, more than a tree of {size} leaves is high")
        if index & 1 or index == last:
            current = sha256(b"\x01" + sibling + current).digest()
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            current = sha256(b"\x01" + current + sibling).digest()
        index >>= 1
        last >>= 1
    if last:
        raise ProofRefused(f"the path ends after {len(path)} hashes, below the root of a tree of {size} leaves")
    return current


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], expected: bytes) -> None:
    """Refuse unless the leaf stands at `index` of the tree of this size and root."""
    if root_of_inclusion(index, size, leaf, path) != expected:
        raise ProofRefused(f"leaf {index} does not lead to the root of the tree of {size} leaves")


def consistency_proof(earlier: int, later: int, nodes: Nodes) -> list[bytes]:
    """The hashes which show that the first `earlier` leaves are unchanged in the tree of `later` leaves."""
    if not 0 <= earlier <= later:
        raise ProofRefused(f"a tree of {later} leaves cannot contain one of {earlier}")
    if earlier in (0, later):
        return []
    path = []
    start, end, whole = 0, later, True
    while end != earlier:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        if earlier <= middle:
            path.append(range_hash(middle, end, nodes))
            end = middle
        else:
            path.append(range_hash(start, middle, nodes))
            start, whole = middle, False
    if not whole:
        path.append(range_hash(start, end, nodes))
    return path[::-1]


def verify_consistency(earlier: int, later: int, earlier_root: bytes, later_root: bytes, path: Sequence[bytes]) -> None:
    """Refuse unless the tree of `later` leaves begins with the very leaves of the tree of `earlier` leaves."""
    if not 0 <= earlier <= later:
        raise ProofRefused(f"a tree of {later} leaves cannot contain one of {earlier}")
    if earlier in (0, later):
        known = EMPTY_ROOT if earlier == 0 else later_root
        if path or earlier_root != known:
            raise ProofRefused(f"the roots or the path of the trees of {earlier} and {later} leaves do not fit")
        return
    hashes = list(path)
    if earlier & (earlier - 1) == 0:
        hashes.insert(0, earlier_root)
    if not hashes:
        raise ProofRefused("the path is empty")
    old = new = hashes[0]
    index, last = earlier - 1, later - 1
    while index & 1:
        index >>= 1
        last >>= 1
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofRefused("the path is longer than the tree is high")
        if index & 1 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        index >>= 1
        last >>= 1
    if last or old != earlier_root or new != later_root:
        raise ProofRefused(f"the tree of {later} leaves does not begin with the tree of {earlier} leaves")
