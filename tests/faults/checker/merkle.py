"""Leaves of a partition -> the roots of its tree at any sizes, after RFC 6962; a leaf and its path -> their root.

A leaf is SHA-256(0x00, length of the key in four bytes, key, value); an inner node SHA-256(0x01, left, right).
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256


def leaf(key: bytes, value: bytes) -> bytes:
    """The leaf hash of a record."""
    return sha256(b"\x00" + len(key).to_bytes(4, "big") + key + value).digest()


def roots(leaves: Iterable[bytes], sizes: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """The root at each of these sizes, as far as there are leaves; in order."""
    wanted = iter(sorted(set(sizes)))
    following = next(wanted, None)
    peaks: list[bytes] = []
    if following == 0:
        yield 0, sha256(b"").digest()
        following = next(wanted, None)
    for size, each in enumerate(leaves, start=1):
        carry, current = size - 1, each
        while carry & 1:
            current = sha256(b"\x01" + peaks.pop() + current).digest()
            carry >>= 1
        peaks.append(current)
        if size == following:
            yield size, _joined(peaks)
            following = next(wanted, None)


def _joined(peaks: list[bytes]) -> bytes:
    current = peaks[-1]
    for left in reversed(peaks[:-1]):
        current = sha256(b"\x01" + left + current).digest()
    return current


def climbed(index: int, size: int, current: bytes, path: list[bytes]) -> bytes | None:
    """Where the path leads from this leaf; None when it is too long or too short for a tree of this size."""
    if not 0 <= index < size:
        return None
    last = size - 1
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            current = sha256(b"\x01" + sibling + current).digest()
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            current = sha256(b"\x01" + current + sibling).digest()
        index >>= 1
        last >>= 1
    return None if last else current
