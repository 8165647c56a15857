"""Tiles hold a tree so that any reader finds its way by size alone."""

import pytest

from domain.audit import merkle
from domain.audit.merkle import Frontier
from domain.audit.tiles import Edge, MemoryTiles, Tile, edge_tiles, hashes_of, tile_of, tile_width


def hashes(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(index).encode()) for index in range(count)]


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "0/000"),
        (Tile(0, 1234067, 256), "0/x001/x234/067"),
        (Tile(1, 999, 17), "1/999.p/17"),
        (Tile(2, 1000, 1), "2/x001/000.p/1"),
    ],
)
def test_a_tile_lies_where_tlog_tiles_has_it(tile: Tile, path: str) -> None:
    assert tile.path() == path
    assert tile_of(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/0",
        "7/000",
        "0/x000/001",
        "0/000.p/256",
        "0/000.p/017",
        "0/000.p/0",
        "0/../000",
        "0/000/",
        "0/000.p/",
    ],
)
def test_no_other_path_names_a_tile(path: str) -> None:
    assert tile_of(path) is None


def test_a_tree_of_70000_leaves_ends_in_one_partial_tile_a_level() -> None:
    assert edge_tiles(70_000) == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert [tile_width(70_000, level, 1) for level in (0, 1, 2)] == [256, 17, 0]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_the_edge_has_the_root_that_single_leaves_give(size: int) -> None:
    leaves = hashes(size)
    edge = Edge()
    for _ in edge.append(leaves):
        pass
    assert edge.size == size
    assert edge.root() == Frontier().append(leaves).root()
    assert [tile for tile, _ in edge.partial()] == edge_tiles(size)


@pytest.mark.parametrize("cut", [1, 255, 256, 300, 65_536, 65_800])
def test_an_edge_goes_on_from_its_partial_tiles(cut: int) -> None:
    leaves = hashes(66_000)
    tree = MemoryTiles(leaves[:cut])
    levels: dict[int, list[bytes]] = {tile.level: hashes_of(tree.read(tile)) for tile in edge_tiles(cut)}
    edge = Edge([levels.get(level, []) for level in range(max(levels) + 1)])
    assert edge.size == cut
    for _ in edge.append(leaves[cut:]):
        pass
    assert edge.root() == MemoryTiles(leaves).root()
