"""How a tree lies in files: tiles of up to 256 hashes, as C2SP tlog-tiles has them. Pure: others read and write.

Tile level 0 holds leaf hashes; each hash of tile level n + 1 is the root over one full tile of level n. A full tile
never changes again, a partial one is the beginning of the full one to come.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from domain.audit.merkle import HASH_BYTES, join, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
NAMES_MAX = 1000
"""Names in one folder: numbers are written in groups of three digits."""
LEVEL_MAX = 6
"""Tile levels 0 to 6 hold 2^56 leaves: more than any partition will see."""
TILES_CACHED_MAX = 1024
"""Tiles that one reader keeps unfolded; each takes about 33 KiB."""


_PATH = re.compile(r"([0-6])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")


class Tile(msgspec.Struct, frozen=True):
    """The address of a tile: level, index within the level, number of hashes."""

    level: int
    index: int
    width: int

    def path(self) -> str:
        """0/x001/234 for a full tile, 0/x001/234.p/17 for one of 17 hashes."""
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"{self.level}/{number_path(self.index)}{partial}"


def number_path(number: int) -> str:
    """The number in groups of three digits, all but the last after an x."""
    groups = [f"{number % NAMES_MAX:03d}"]
    while number >= NAMES_MAX:
        number //= NAMES_MAX
        groups.append(f"x{number % NAMES_MAX:03d}")
    return "/".join(reversed(groups))


def tile_of(path: str) -> Tile | None:
    """The tile at this path, or None when no tile has it: `path` and `tile_of` are inverse."""
    matched = _PATH.fullmatch(path)
    if matched is None:
        return None
    level, groups, width = matched.groups()
    tile = Tile(int(level), int(groups.replace("/", "").replace("x", "")), int(width or WIDTH))
    return tile if tile.width and tile.path() == path else None


def tile_width(size: int, level: int, index: int) -> int:
    """How many hashes this tile has in a tree of `size` leaves."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def edge_tiles(size: int) -> list[Tile]:
    """The partial tiles at the right edge of a tree, the lowest level first."""
    tiles = []
    for level in range(LEVEL_MAX + 1):
        index, width = divmod(size >> HEIGHT * level, WIDTH)
        if width:
            tiles.append(Tile(level, index, width))
    return tiles


def hashes_of(data: bytes) -> list[bytes]:
    """The hashes in a tile's bytes."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def unfold(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """All perfect subtrees over these hashes: rows by height, the hashes themselves first."""
    rows = [list(hashes)]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return rows


def peaks_of(hashes: Sequence[bytes]) -> list[bytes]:
    """The perfect subtrees that make up a row of hashes, the largest first."""
    return [row[-1] for row in reversed(unfold(hashes)) if len(row) % 2] if hashes else []


class Edge:
    """The right edge of a tree in tiles: takes leaf hashes, gives the tiles they fill, tells the root."""

    def __init__(self, partial: Sequence[Sequence[bytes]] = ()) -> None:
        """`partial` are the hashes of the partial tile of each level, the lowest first."""
        self._rows: list[list[bytes]] = [list(row) for row in partial] or [[]]
        self._indexes = [0] * len(self._rows)
        self.size = sum(len(row) << HEIGHT * level for level, row in enumerate(self._rows))
        for level in range(len(self._rows)):
            self._indexes[level] = (self.size >> HEIGHT * level) // WIDTH

    def append(self, hashes: Iterable[bytes]) -> Iterator[tuple[Tile, bytes]]:
        """Add leaf hashes; each full tile is given with its bytes as soon as it is full."""
        for leaf in hashes:
            self.size += 1
            self._rows[0].append(leaf)
            if len(self._rows[0]) == WIDTH:
                yield from self._fill()

    def _fill(self) -> Iterator[tuple[Tile, bytes]]:
        level = 0
        while len(self._rows[level]) == WIDTH:
            row = self._rows[level]
            yield Tile(level, self._indexes[level], WIDTH), b"".join(row)
            self._rows[level] = []
            self._indexes[level] += 1
            level += 1
            if level == len(self._rows):
                self._rows.append([])
                self._indexes.append(0)
            self._rows[level].append(unfold(row)[-1][0])

    def partial(self) -> list[tuple[Tile, bytes]]:
        """The partial tiles as they stand, the lowest level first."""
        return [
            (Tile(level, self._indexes[level], len(row)), b"".join(row)) for level, row in enumerate(self._rows) if row
        ]

    def root(self) -> bytes:
        """The root of the tree that ends here."""
        return join([peak for row in reversed(self._rows) for peak in peaks_of(row)])


class TileNodes:
    """The nodes of a tree of a given size, from its tiles: what proofs are made of."""

    def __init__(self, size: int, read: Callable[[Tile], bytes]) -> None:
        """`read` gives the bytes of a tile; at least as many hashes as the tile asked for is wide."""
        self.size = size
        self._read = read
        self._unfolded: dict[tuple[int, int], list[list[bytes]]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """The hash over the 2^level leaves that begin at index x 2^level."""
        tile_level, height = divmod(level, HEIGHT)
        tile_index, at = divmod(index, WIDTH >> height)
        rows = self._unfolded.get((tile_level, tile_index))
        if rows is None:
            rows = self._load(tile_level, tile_index)
        return rows[height][at]

    def _load(self, level: int, index: int) -> list[list[bytes]]:
        width = tile_width(self.size, level, index)
        rows = unfold(hashes_of(self._read(Tile(level, index, width))[: width * HASH_BYTES]))
        if len(self._unfolded) >= TILES_CACHED_MAX:
            self._unfolded.pop(next(iter(self._unfolded)))
        self._unfolded[level, index] = rows
        return rows


class MemoryTiles:
    """A tree whose tiles stay in memory: for checks, exports and tests."""

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        """Begin with these leaf hashes."""
        self._edge = Edge()
        self._full: dict[tuple[int, int], bytes] = {}
        self.append(hashes)

    def append(self, hashes: Iterable[bytes]) -> None:
        """Add leaf hashes."""
        for tile, data in self._edge.append(hashes):
            self._full[tile.level, tile.index] = data

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._edge.size

    def root(self) -> bytes:
        """The root of all leaves."""
        return self._edge.root()

    def read(self, tile: Tile) -> bytes:
        """The bytes of a tile."""
        full = self._full.get((tile.level, tile.index))
        if full is not None:
            return full
        return next(data for edge, data in self._edge.partial() if (edge.level, edge.index) == (tile.level, tile.index))

    def nodes(self) -> TileNodes:
        """The nodes of the tree as it stands now."""
        return TileNodes(self._edge.size, self.read)
