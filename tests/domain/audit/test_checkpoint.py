"""A checkpoint has one text, and never takes back what an earlier one said."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit.checkpoint import Checkpoint, CheckpointRefused, TreeHead, TreeName, check_follows
from domain.kernel.ids import Micros

NAMES = st.builds(
    TreeName, st.sampled_from(["orders.events", "risk.events", "executions.messages"]), st.integers(0, 99)
)
HEADS = st.builds(TreeHead, st.integers(0, 2**40), st.binary(min_size=32, max_size=32))
CHECKPOINTS = st.builds(
    Checkpoint,
    st.just("tapeline.example/tape"),
    st.integers(0, 4_000_000_000_000_000).map(Micros),
    st.dictionaries(NAMES, HEADS, max_size=20),
)
ORDERS = TreeName("orders.events", 0)


def root(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def checkpoint(
    size: int = 3, *, of: str = "leaves", time: int = 1_000_000, origin: str = "tapeline.example"
) -> Checkpoint:
    return Checkpoint(origin, Micros(time), {ORDERS: TreeHead(size, root(f"{of} {size}"))})


@given(CHECKPOINTS)
def test_parsing_gives_back_what_was_written(written: Checkpoint) -> None:
    assert Checkpoint.parse(written.text()) == written


def test_the_text_lists_trees_in_order_of_topic_and_partition() -> None:
    names = [TreeName("risk.events", 0), TreeName("orders.events", 10), TreeName("orders.events", 9)]
    text = Checkpoint("tapeline.example", Micros(1_500_000), {name: TreeHead(0, root("")) for name in names}).text()
    empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert text.splitlines() == [
        "tapeline.example",
        "1970-01-01T00:00:01.500000Z",
        f"orders.events 9 0 {empty}",
        f"orders.events 10 0 {empty}",
        f"risk.events 0 0 {empty}",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("orders.events 0 3", "orders.events 0 03"),
        ("orders.events 0 3", "orders.events 0  3"),
        ("orders.events 0 3", "orders.events -1 3"),
        ("orders.events 0 3", "orders.events 0 three"),
        ("orders.events 0 3", "orders.events 0"),
        ("=\n", "\n"),
        ("1970", "70"),
        ("1970-01-01T00:00:01.000000Z", "1970-01-01T00:00:01.0Z"),
        ("tapeline.example\n", ""),
    ],
)
def test_any_other_way_to_write_it_is_refused(old: str, new: str) -> None:
    text = checkpoint().text()
    assert old in text
    with pytest.raises(CheckpointRefused):
        Checkpoint.parse(text.replace(old, new))


def test_a_tree_named_twice_is_refused() -> None:
    text = checkpoint().text()
    with pytest.raises(CheckpointRefused, match="line 4 names the tree orders"):
        Checkpoint.parse(text + text.splitlines()[-1] + "\n")


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (checkpoint(2, time=2_000_000), "orders.events/0 had 3 leaves and now has 2: it was rolled back"),
        (Checkpoint("tapeline.example", Micros(2_000_000), {}), "orders.events/0 had 3 leaves and now has 0"),
        (checkpoint(3, of="others"), "orders.events/0 has 3 leaves in both and another root: it was forked"),
        (checkpoint(4, time=999_999), "is before"),
        (checkpoint(4, origin="other.example"), "the origin changed"),
    ],
)
def test_a_later_checkpoint_takes_nothing_back(later: Checkpoint, reason: str) -> None:
    with pytest.raises(CheckpointRefused, match=re.escape(reason)):
        check_follows(checkpoint(3), later)


def test_a_later_checkpoint_may_grow_stay_or_add_trees() -> None:
    check_follows(checkpoint(3), checkpoint(3, time=2_000_000))
    check_follows(checkpoint(3), checkpoint(4))
    more = Checkpoint(
        "tapeline.example", Micros(1_000_000), {**checkpoint(3).trees, TreeName("a", 0): TreeHead(1, root("a"))}
    )
    check_follows(checkpoint(3), more)
