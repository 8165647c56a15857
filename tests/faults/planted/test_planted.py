"""Known bugs are seen, and all can still be planted: those that take longer run by `python -m tests.faults.planted`."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.planted import rigs, tree
from tests.faults.planted.tree import Moved, Scratch
from tests.faults.planted.variants import VARIANTS, Edit, Variant

QUICK = (
    "no dedupe of command ids",
    "a retry reorders",
    "a refusal swallowed",
    "a fill keeps its reservation",
    "a fee rounded twice",
)
"""Those that show in their first histories."""
BY_NAME = {each.name: each for each in VARIANTS}


@pytest.fixture(scope="module")
def scratch() -> Iterator[Scratch]:
    with tree.copied() as made:
        yield made


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda each: each.name)
def test_every_bug_changes_the_tree_as_it_is(variant: Variant) -> None:
    before = {each.path: (tree.ROOT / each.path).read_text() for each in variant.edits}
    after = tree.changed(before, variant)
    assert after.keys() == before.keys()
    for path, text in after.items():
        assert text != before[path]
        compile(text, path, "exec")


def test_a_bug_whose_place_has_moved_is_refused() -> None:
    gone = Variant("gone", "books", (Edit("README.md", "a text that stands nowhere", ""),))
    with pytest.raises(Moved, match=r"README\.md.*0 times"):
        tree.changed({"README.md": "something else"}, gone)


def test_there_are_twenty_bugs_and_each_has_a_name_of_its_own() -> None:
    names = Counter(each.name for each in VARIANTS)
    assert len(names) >= 20
    assert max(names.values()) == 1


def test_a_bug_is_gone_from_the_copy_when_it_was_tried(scratch: Scratch) -> None:
    variant = BY_NAME["a retry reorders"]
    path = variant.edits[0].path
    before = (scratch.root / path).read_text()
    with scratch.planted(variant):
        assert (scratch.root / path).read_text() != before
    assert (scratch.root / path).read_text() == before


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUICK)
def test_a_bug_is_seen(name: str, scratch: Scratch) -> None:
    variant = BY_NAME[name]
    with scratch.planted(variant):
        seen = rigs.seen(scratch, variant.rig, seed=0)
    assert seen.after, f"{seen.trials} {seen.of} show nothing of: {name}"
