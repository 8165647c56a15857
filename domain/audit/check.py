"""A tape and what was signed about it in, findings out: is this the tape that was signed, and where is it not.

Three witnesses, from the strongest down: the signed roots (without the key nobody can make others), the checkpoints
that were kept from earlier times (nobody can take back what lies elsewhere), the stored leaf hashes (they name the very
record, as long as they lead to the signed root).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from domain.audit.checkpoint import Checkpoint, TreeHead, TreeName
from domain.audit.merkle import Frontier, record_hash
from domain.audit.tiles import HEIGHT, WIDTH, Edge, Tile, hashes_of

LOOK_AHEAD_MAX = 64
"""Records compared on either side of the first difference to say what was done there."""

Leaves = Callable[[TreeName, int], Iterable[bytes]]
"""(tree, size) -> its stored leaf hashes up to that size."""


class Change(StrEnum):
    """What was done to the tape."""

    EDITED = "edited"
    DROPPED = "dropped"
    INSERTED = "inserted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    FORKED = "forked"
    ROLLED_BACK = "rolled back"
    UNSIGNED = "not signed"
    FORGOTTEN = "forgotten"
    HASH_CHANGED = "stored hash changed"


class Record(msgspec.Struct, frozen=True):
    """One record of the tape; records of one tree come in log order."""

    tree: TreeName
    key: bytes
    value: bytes


class Finding(msgspec.Struct, frozen=True):
    """One thing that does not fit: which tree, the first leaf that differs (from it on, up to `before`), and how."""

    tree: TreeName
    change: Change
    index: int
    before: int
    detail: str

    def __str__(self) -> str:
        """As a person reads it."""
        return f"{self.tree} leaf {self.index}: {self.change}: {self.detail}"


def check(
    records: Iterable[Record], checkpoint: Checkpoint, *, kept: Sequence[Checkpoint] = (), leaves: Leaves | None = None
) -> list[Finding]:
    """What does not fit between the records of the tape and what was signed; no findings is good news."""
    tapes: dict[TreeName, list[bytes]] = {}
    for record in records:
        tapes.setdefault(record.tree, []).append(record_hash(record.key, record.value))
    return check_leaves(tapes, checkpoint, kept=kept, leaves=leaves)


def check_leaves(
    tapes: Mapping[TreeName, Sequence[bytes]],
    checkpoint: Checkpoint,
    *,
    kept: Sequence[Checkpoint] = (),
    leaves: Leaves | None = None,
) -> list[Finding]:
    """As `check`, from the leaf hashes of the tape: 32 bytes a record are held, not the records.

    Signatures are verified before: `checkpoint` is the newest, `kept` are others of any time, best those that somebody
    kept elsewhere. Records after the newest size are not signed yet and are passed over.
    """
    ordered = sorted(kept, key=lambda each: each.time)
    findings = [*_taken_back([*ordered, checkpoint])]
    for name in sorted({*tapes, *checkpoint.trees, *(name for each in kept for name in each.trees)}):
        if name not in checkpoint.trees:
            findings.append(
                Finding(name, Change.UNSIGNED, 0, len(tapes.get(name, ())), "the checkpoint names no such tree")
            )
            continue
        heads = {each.head(name) for each in (*kept, checkpoint)}
        found = _check_tree(name, tapes.get(name, []), checkpoint.head(name), heads, leaves)
        if found is not None:
            findings.append(found)
    return findings


def check_tiles(name: TreeName, tape: Sequence[bytes], read: Callable[[Tile], bytes]) -> Finding | None:
    """The first stored hash that does not follow from the leaves of a tape that is what was signed.

    Such a tape is proved by tiles: whoever spoils one denies a proof to somebody, and nobody else would see it.
    """
    for tile, expected in _tiles_of(tape):
        pairs = enumerate(zip(hashes_of(read(tile)), hashes_of(expected), strict=True))
        at = next((at for at, (stored, right) in pairs if stored != right), None)
        if at is not None:
            index = (tile.index * WIDTH + at) << HEIGHT * tile.level
            before = min(index + (1 << HEIGHT * tile.level), len(tape))
            detail = f"hash {at} of tile {tile.path()} is not that of the tape; move the tree away, it is made again"
            return Finding(name, Change.HASH_CHANGED, index, before, detail)
    return None


def _tiles_of(leaves: Iterable[bytes]) -> Iterator[tuple[Tile, bytes]]:
    edge = Edge()
    yield from edge.append(leaves)
    yield from edge.partial()


def _taken_back(checkpoints: Sequence[Checkpoint]) -> Iterable[Finding]:
    """Checkpoints, the oldest first, that contradict a later one."""
    largest: dict[TreeName, TreeHead] = {}
    for each in checkpoints:
        for name in {*largest, *each.trees}:
            head, before = each.head(name), largest.get(name, each.head(name))
            if head.size < before.size:
                detail = f"{before.size} leaves were signed before, and later only {head.size}"
                yield Finding(name, Change.ROLLED_BACK, head.size, before.size, detail)
            elif head.size == before.size and head.root != before.root:
                yield Finding(name, Change.FORKED, 0, head.size, f"two roots were signed for {head.size} leaves")
            largest[name] = max(before, head, key=lambda head: head.size)


def _check_tree(
    name: TreeName, tape: Sequence[bytes], newest: TreeHead, heads: Iterable[TreeHead], leaves: Leaves | None
) -> Finding | None:
    frontier, good = Frontier(), 0
    for head in sorted(heads, key=lambda head: head.size):
        frontier = frontier.append(tape[frontier.size : head.size])
        if frontier.size < head.size or frontier.root() != head.root:
            break
        good = head.size
    else:
        return None
    if frontier.size == head.size and head != newest and _root(tape[: newest.size]) == newest.root:
        detail = f"another tape was signed at size {head.size}; this one was signed again later"
        return Finding(name, Change.FORKED, good, head.size, detail)
    stored = list(leaves(name, head.size)) if leaves is not None else []
    if _root(stored) == head.root:
        return _difference(name, tape, stored)
    if frontier.size < head.size:
        detail = f"{head.size} leaves were signed, the tape has {len(tape)}"
        return Finding(name, Change.TRUNCATED, good, head.size, detail)
    detail = f"leaves {good} to {head.size - 1} are not those that were signed; no stored hashes tell which of them"
    return Finding(name, Change.EDITED, good, head.size, detail)


def _difference(name: TreeName, tape: Sequence[bytes], stored: Sequence[bytes]) -> Finding:
    """The first leaf where the tape leaves what was signed, and what was done there."""
    pairs = zip(tape, stored, strict=False)
    at = next((index for index, (ours, signed) in enumerate(pairs) if ours != signed), len(tape))
    ours, signed = tape[at : at + 2 * LOOK_AHEAD_MAX], stored[at : at + 2 * LOOK_AHEAD_MAX]
    if not ours:
        detail = f"{len(stored)} leaves were signed, the tape has {len(tape)}"
        return Finding(name, Change.TRUNCATED, at, len(stored), detail)
    for width in range(2, LOOK_AHEAD_MAX + 1):
        if len(signed) >= width and sorted(ours[:width]) == sorted(signed[:width]):
            return Finding(name, Change.REORDERED, at, at + width, f"{width} records stand in another order")
    if _meet(ours[1:], signed[1:]):
        return Finding(name, Change.EDITED, at, at + 1, "this record is not the one that was signed")
    for count in range(1, LOOK_AHEAD_MAX + 1):
        if _meet(ours, signed[count:]):
            return Finding(name, Change.DROPPED, at, at + count, f"{count} records that were signed are gone")
        if _meet(ours[count:], signed):
            return Finding(name, Change.INSERTED, at, at + count, f"{count} records stand here that were never signed")
    return Finding(name, Change.EDITED, at, len(stored), "from this record on the tape is not the one that was signed")


def _meet(ours: Sequence[bytes], signed: Sequence[bytes]) -> bool:
    """Whether both go on alike, for three records or to the end of the shorter."""
    common = min(3, len(ours), len(signed))
    return common > 0 and list(ours[:common]) == list(signed[:common])


def _root(leaves: Sequence[bytes]) -> bytes:
    return Frontier().append(leaves).root()
