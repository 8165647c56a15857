"""What is signed about the whole tape at one moment: for each tree its topic, partition, size and root.

The text of a checkpoint is its origin, its time, then one line `topic partition size root` for each tree, sorted; the
root is base64. `text` and `parse` are inverse: whatever else would say the same is refused, so that one state of the
tape at one time has one text.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from domain.audit.merkle import EMPTY_ROOT, HASH_BYTES
from domain.kernel.ids import Micros

TREE_FIELDS = 4
SIZE_MAX = 2**56
"""Leaves that the tiles of a tree can hold."""

_SECOND = 1_000_000
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"


class CheckpointRefused(ValueError):
    """The text is no checkpoint, or a checkpoint does not follow the one before it; the message says why."""


class TreeName(NamedTuple):
    """Which tree: the partition of the tape that it covers."""

    topic: str
    partition: int

    def __str__(self) -> str:
        """The way a tree is named in messages and files."""
        return f"{self.topic}/{self.partition}"


class TreeHead(msgspec.Struct, frozen=True):
    """How far a tree had grown, and its root there."""

    size: int
    root: bytes


class Checkpoint(msgspec.Struct, frozen=True):
    """The heads of all trees at one time."""

    origin: str
    time: Micros
    trees: Mapping[TreeName, TreeHead]

    def text(self) -> str:
        """The text that is signed."""
        lines = [self.origin, _time_text(self.time)]
        for name, head in sorted(self.trees.items()):
            lines.append(f"{name.topic} {name.partition} {head.size} {base64.b64encode(head.root).decode()}")
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The checkpoint from its text."""
        lines = text.split("\n")
        if len(lines) < 3 or lines[-1]:  # noqa: PLR2004 - origin, time and what follows the last newline
            raise CheckpointRefused("a checkpoint begins with a line for its origin and one for its time")
        trees = {}
        for number, line in enumerate(lines[2:-1], start=3):
            name, head = _tree(line, number)
            if name in trees:
                raise CheckpointRefused(f"line {number} names the tree {name} again")
            trees[name] = head
        checkpoint = cls(lines[0], _time(lines[1]), trees)
        if checkpoint.text() != text:
            raise CheckpointRefused("the checkpoint is not written in its one proper form (order, spaces, digits)")
        return checkpoint

    def head(self, name: TreeName) -> TreeHead:
        """The head of one tree; a tree that is not listed has no leaves yet."""
        return self.trees.get(name, TreeHead(0, EMPTY_ROOT))


def check_follows(earlier: Checkpoint, later: Checkpoint) -> None:
    """Refuse a later checkpoint that takes back anything of the earlier one, as far as sizes and roots show it.

    That a grown tree begins with the earlier one is what a consistency proof shows; here only equal sizes are compared.
    """
    if later.origin != earlier.origin:
        raise CheckpointRefused(f"the origin changed from {earlier.origin} to {later.origin}")
    if later.time < earlier.time:
        raise CheckpointRefused(f"its time {_time_text(later.time)} is before {_time_text(earlier.time)}")
    for name, before in earlier.trees.items():
        after = later.head(name)
        if after.size < before.size:
            raise CheckpointRefused(f"{name} had {before.size} leaves and now has {after.size}: it was rolled back")
        if after.size == before.size and after.root != before.root:
            raise CheckpointRefused(f"{name} has {after.size} leaves in both and another root: it was forked")


def _tree(line: str, number: int) -> tuple[TreeName, TreeHead]:
    fields = line.split(" ")
    if len(fields) != TREE_FIELDS:
        raise CheckpointRefused(f"line {number} must be: topic partition size root")
    try:
        name = TreeName(fields[0], int(fields[1]))
        head = TreeHead(int(fields[2]), base64.b64decode(fields[3], validate=True))
    except (ValueError, binascii.Error) as error:
        raise CheckpointRefused(f"line {number} must be: topic partition size root; {error}") from error
    if name.partition < 0 or not 0 <= head.size <= SIZE_MAX or len(head.root) != HASH_BYTES:
        raise CheckpointRefused(f"line {number} has a partition, size or root out of its range")
    return name, head


def _time_text(time: Micros) -> str:
    seconds, micros = divmod(time, _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC).strftime(_TIME_FORMAT)}.{micros:06d}Z"


def _time(text: str) -> Micros:
    try:
        moment = datetime.strptime(text, _TIME_FORMAT + ".%fZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise CheckpointRefused("line 2 must be the time in UTC, such as 2026-01-31T09:30:00.000000Z") from error
    return Micros(int(moment.timestamp()) * _SECOND + moment.microsecond)
