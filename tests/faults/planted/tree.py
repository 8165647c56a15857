"""The tree -> a copy of it in a folder of its own, in which bugs are planted and taken out again.

The working tree is never touched. A bug whose old text does not stand exactly once in its file is refused: the code has
moved on, and nothing would be planted.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.faults.planted.variants import Edit, Variant

ROOT = Path(__file__).resolve().parents[3]
LEFT_OUT = (".git", ".venv", ".tapeline", "build", "node_modules", "__pycache__", ".*_cache", ".hypothesis")
"""What a copy does not need: history, libraries, what stacks and tools left."""


class Moved(Exception):
    """The old text of a bug is no longer where it was; the message names file and bug."""


class Scratch:
    """One copy of the tree, with one bug at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._changed_at = int(time.time())

    @contextmanager
    def planted(self, variant: Variant) -> Iterator[None]:
        """The bug is there inside."""
        before = {each.path: (self.root / each.path).read_text() for each in variant.edits}
        for path, text in changed(before, variant).items():
            self._write(path, text)
        try:
            yield
        finally:
            for path, text in before.items():
                self._write(path, text)

    def environment(self) -> dict[str, str]:
        """What a program of the copy is started with: it finds no other tree than the copy."""
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def _write(self, path: str, text: str) -> None:
        """With a time of its own, in whole seconds: by it Python knows compiled code that is old."""
        target = self.root / path
        target.write_text(text)
        self._changed_at += 1
        os.utime(target, (self._changed_at, self._changed_at))


@contextmanager
def copied() -> Iterator[Scratch]:
    """A copy, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        root = Path(folder) / "tree"
        shutil.copytree(ROOT, root, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
        yield Scratch(root)


def changed(texts: Mapping[str, str], variant: Variant) -> dict[str, str]:
    """The files of a bug as they are with it. Raises Moved."""
    found = dict(texts)
    for edit in variant.edits:
        found[edit.path] = _replaced(found[edit.path], edit, variant)
    return found


def _replaced(text: str, edit: Edit, variant: Variant) -> str:
    count = text.count(edit.old)
    if count != 1:
        raise Moved(
            f"{edit.path}: the text that {variant.name!r} changes stands there {count} times, not once. The code has "
            f"moved: mend the bug in tests/faults/planted/variants.py\n{edit.old}"
        )
    return text.replace(edit.old, edit.new)
