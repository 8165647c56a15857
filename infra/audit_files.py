"""The audit trail as files under `<state_dir>/audit/`: tiles of every tree, checkpoints, where to read on.

    trees/<topic>/<partition>/<level>/<tile>    hashes, 256 to a tile, named as in C2SP tlog-tiles; records stay on tape
    checkpoints/000/000/000.note …              every signed checkpoint, numbered; `latest` is a copy of the newest
    positions.json                              offsets on this cluster beside the sizes of the last two checkpoints
    trees/<topic>/<partition>/offsets           8 bytes for each leaf tile: the offset of its first record, a hint

A checkpoint is written last, after everything it speaks of is on disk; what lies beyond the newest one is not trusted
and is overwritten when it is read from the tape again. One process at a time may write (a lock on `lock`).
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from domain.audit import note
from domain.audit.checkpoint import Checkpoint, TreeHead, TreeName, check_follows
from domain.audit.merkle import HASH_BYTES
from domain.audit.note import Signer, Verifier
from domain.audit.tiles import WIDTH, Edge, Tile, TileNodes, edge_tiles, hashes_of
from infra import files

NUMBER_DIGITS = 9
"""Digits of a checkpoint's number: a billion of them, at one a second, last thirty years."""
OFFSET_BYTES = 8
READABLE = 0o644
"""Everybody may read what was signed: only the key is secret."""
READ_TRIES_MAX = 3
"""A partial tile may be replaced between the look for it and its reading; the next look finds the wider one."""


class AuditDamaged(Exception):
    """The files contradict each other or the signed checkpoint; the message names the place and the remedy."""


class TilesMissing(AuditDamaged):
    """A tile is not there: the trees can be made again from the tape, and must then lead to the signed roots."""


class Position(msgspec.Struct, frozen=True):
    """Where a tree reads on: its size, the offset of the next record on this cluster, the link of the last one."""

    size: int
    offset: int
    link: str = ""


class _Positions(msgspec.Struct, frozen=True):
    """Positions by checkpoint number: of the newest checkpoint and the one before it."""

    by_number: dict[str, dict[str, Position]] = {}


class AuditFiles:
    """Reads what is there; writes nothing, so that any process may hold one."""

    def __init__(self, state_dir: Path) -> None:
        """The folder need not exist yet."""
        self.root = state_dir / "audit"

    def tile(self, name: TreeName, tile: Tile) -> bytes:
        """The hashes of a tile: from the very file, or from a wider one that begins with them."""
        for _ in range(READ_TRIES_MAX):
            for path in self._candidates(name, tile):
                try:
                    data = path.read_bytes()
                except FileNotFoundError:
                    continue
                if len(data) >= tile.width * HASH_BYTES:
                    return data[: tile.width * HASH_BYTES]
        raise TilesMissing(
            f"{name}: tile {tile.path()} is missing. Move {self._tree(name)} away and start the audit process: it makes"
            " the tree again from the tape and compares it with what was signed"
        )

    def _candidates(self, name: TreeName, tile: Tile) -> Iterator[Path]:
        tree = self._tree(name)
        yield tree / tile.path()
        yield tree / Tile(tile.level, tile.index, WIDTH).path()
        if tile.width < WIDTH:
            partials = (tree / tile.path()).parent
            # A wider tile may be on its way to its name: a draft begins like it and is not there yet.
            widths = (int(path.name) for path in partials.glob("[0-9]*") if path.name.isdecimal())
            yield from (partials / str(width) for width in sorted(widths) if width > tile.width)

    def nodes(self, name: TreeName, size: int) -> TileNodes:
        """The nodes of a tree as it was at this size."""
        return TileNodes(size, lambda tile: self.tile(name, tile))

    def leaves(self, name: TreeName, size: int) -> Iterator[bytes]:
        """The leaf hashes of a tree up to this size."""
        for first in range(0, size, WIDTH):
            yield from hashes_of(self.tile(name, Tile(0, first // WIDTH, min(WIDTH, size - first))))

    def edge(self, name: TreeName, head: TreeHead) -> Edge:
        """The tree ready to grow from this head; refuses files that do not lead to its root."""
        rows = {tile.level: hashes_of(self.tile(name, tile)) for tile in edge_tiles(head.size)}
        edge = Edge([rows.get(level, []) for level in range(max(rows, default=0) + 1)])
        if edge.root() != head.root:
            raise AuditDamaged(
                f"{name}: the tiles do not lead to the root that was signed at size {head.size}. Keep {self.root} as"
                " evidence, run `tapeline audit verify --tape` to see whether the tape or the tiles were changed"
            )
        return edge

    def offset_near(self, name: TreeName, index: int) -> tuple[int, int] | None:
        """(leaf index, offset) of the first record in this leaf's tile, if it is known."""
        first = index // WIDTH
        try:
            with (self._tree(name) / "offsets").open("rb") as file:
                file.seek(first * OFFSET_BYTES)
                data = file.read(OFFSET_BYTES)
        except FileNotFoundError:
            return None
        return (first * WIDTH, int.from_bytes(data, "big")) if len(data) == OFFSET_BYTES else None

    def newest(self) -> tuple[int, str] | None:
        """Number and text of the newest checkpoint note."""
        folder = self.root / "checkpoints"
        path = _newest_note(folder)
        if path is None:
            return None
        return int("".join(path.relative_to(folder).with_suffix("").parts)), _text(path)

    def notes(self) -> Iterator[str]:
        """Every checkpoint note, the oldest first."""
        found = self.newest()
        for number in range(found[0] + 1 if found else 0):
            yield _text(self._note_path(number))

    def latest(self) -> str:
        """The copy of the newest note for whoever wants one file to watch; empty when it is not there."""
        path = self.root / "latest"
        return _text(path) if path.exists() else ""

    def positions(self, number: int) -> Mapping[str, Position]:
        """Where to read on after this checkpoint, by tree name; empty if that was lost."""
        return self._positions().by_number.get(str(number), {})

    def _positions(self) -> _Positions:
        try:
            return msgspec.json.decode((self.root / "positions.json").read_bytes(), type=_Positions)
        except (FileNotFoundError, msgspec.DecodeError):
            return _Positions()

    def _tree(self, name: TreeName) -> Path:
        return self.root / "trees" / name.topic / str(name.partition)

    def _note_path(self, number: int) -> Path:
        digits = f"{number:0{NUMBER_DIGITS}d}"
        return self.root / "checkpoints" / digits[:3] / digits[3:6] / f"{digits[6:]}.note"


class AuditWriter(AuditFiles):
    """The one process that writes the trail. Use it as a context: it holds the lock as long."""

    def __init__(self, state_dir: Path, signer: Signer) -> None:
        """The signer signs every checkpoint; its name is their origin."""
        super().__init__(state_dir)
        self._signer = signer
        self._last: Checkpoint | None = None
        self._number = -1
        self._dirty: set[Path] = set()
        self._lock = -1

    def __enter__(self) -> Self:
        """Take the lock and read the newest checkpoint; its signature must be ours."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise AuditDamaged(f"{self.root} is written by another process: one audit process at a time") from error
        try:
            self._read_newest()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def _read_newest(self) -> None:
        found = self.newest()
        if found is not None:
            self._number, text = found
            self._last = Checkpoint.parse(note.verified(text, self._signer.verifier))
            files.replace(self.root / "latest", text.encode(), mode=READABLE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the lock."""
        os.close(self._lock)

    @property
    def verifier(self) -> Verifier:
        """The public key of the signer."""
        return self._signer.verifier

    def last(self) -> tuple[Checkpoint | None, Mapping[str, Position]]:
        """The newest checkpoint, and where to read on after it."""
        return self._last, self.positions(self._number)

    def write_full(self, name: TreeName, tile: Tile, data: bytes) -> None:
        """Write a full tile; the partial ones that led to it are no longer needed."""
        path = self._write_tile(name, tile, data)
        for partial in path.with_name(path.name + ".p").glob("*"):
            partial.unlink()

    def write_partial(self, name: TreeName, tile: Tile, data: bytes) -> None:
        """Write a partial tile in the place of the narrower one."""
        path = self._write_tile(name, tile, data)
        for partial in path.parent.glob("[0-9]*"):
            if partial != path:
                partial.unlink()

    def write_offset(self, name: TreeName, tile_index: int, offset: int) -> None:
        """Remember where on this cluster a leaf tile begins; only a hint, so it need not be on disk at once."""
        self._tree(name).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._tree(name) / "offsets", os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(descriptor, offset.to_bytes(OFFSET_BYTES, "big"), tile_index * OFFSET_BYTES)
        os.close(descriptor)

    def _write_tile(self, name: TreeName, tile: Tile, data: bytes) -> Path:
        path = self._tree(name) / tile.path()
        self._place(path, data)
        return path

    def _place(self, path: Path, data: bytes) -> None:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            self._dirty.update(folder for folder in path.parents if folder.is_relative_to(self.root))
        files.replace(path, data, mode=READABLE)
        self._dirty.add(path.parent)

    def _sync_folders(self) -> None:
        for folder in self._dirty:
            files.sync(folder)
        self._dirty.clear()

    def publish(self, checkpoint: Checkpoint, positions: Mapping[str, Position]) -> str:
        """Sign and write a checkpoint whose tiles are written; refuses one that takes back what was signed."""
        if self._last is not None:
            check_follows(self._last, checkpoint)
        signed = note.sign(checkpoint.text(), self._signer)
        before = self.positions(self._number)
        by_number = {str(self._number): dict(before)} if before else {}
        by_number[str(self._number + 1)] = dict(positions)
        self._place(self.root / "positions.json", msgspec.json.encode(_Positions(by_number)))
        self._sync_folders()
        self._place(self._note_path(self._number + 1), signed.encode())
        self._place(self.root / "latest", signed.encode())
        self._sync_folders()
        self._number += 1
        self._last = checkpoint
        return signed


def _text(path: Path) -> str:
    """A note that somebody spoilt may be no text at all: then it says something else, and no signature fits it."""
    return path.read_text("utf-8", errors="replace")


def _newest_note(folder: Path) -> Path | None:
    """The last note in the order of names; a folder may be empty, since it is made before its first note."""
    if folder.suffix == ".note":
        return folder
    if folder.is_file() or not folder.exists():
        return None
    names = sorted((path.name for path in folder.iterdir()), reverse=True)
    return next((found for name in names if (found := _newest_note(folder / name)) is not None), None)
