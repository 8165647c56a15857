"""*.events, executions.messages -> <state_dir>/audit: one hash tree for each partition, signed once a second at most.

The tape is read read_committed, in log order; the leaf index of an event is its `sequence`, that of a feed's message is
its place in the log. Nothing else goes into a tree, so whoever reads the topics finds the same roots.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from domain.audit.checkpoint import Checkpoint, TreeHead, TreeName
from domain.audit.merkle import EMPTY_ROOT, record_hash
from domain.audit.tiles import WIDTH, Edge
from domain.kernel.ids import Micros
from domain.kernel.messages import Recorded
from infra.audit_files import AuditDamaged, AuditWriter, Position, TilesMissing
from infra.kafka.chain import Link, follow, link_from
from infra.kafka.reader import BEGINNING, ReadFailed
from infra.kafka.records import Arrived, Partition
from infra.telemetry import logger

EVENTS = ".events"
"""Topics of this ending carry sequence, previous and term in each record."""
BATCH_MAX = 2_000
"""Records folded at once: enough to catch up at full speed, few enough to sign in time."""
TAKE_WAIT_MS = 100
"""Longest wait for a record; it bounds how late a stop is seen."""
CHECKPOINT_MS = 1_000
"""Shortest time between two checkpoints: each costs a few synchronised files."""
PROGRESS_MS = 5_000
"""Time between two looks at the ends of the topics."""

_MICROS_PER_MS = 1_000
log = logger("audit")


class Source(Protocol):
    """What the forest reads from: the part of `infra.kafka.reader.Reader` that it needs."""

    async def assign(self, starts: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets."""

    async def take(self, limit: int, wait_ms: int) -> list[Arrived]:
        """What is there, at most `limit`; waits for the first only."""

    async def ends(self, topic: str) -> dict[int, int]:
        """The offset after the last record of each partition. Raises ReadFailed."""

    def position(self) -> Mapping[Partition, int]:
        """Everything before these offsets was taken."""


class Progress(msgspec.Struct, frozen=True):
    """How far the forest is: leaves of each tree, records still to read of each topic, time of the last checkpoint."""

    sizes: Mapping[TreeName, int]
    lag: Mapping[str, int]
    signed_at: Micros

    def ready(self) -> tuple[bool, str]:
        """Whether every record that was there at the last look is in its tree."""
        behind = [f"{topic} {lag}" for topic, lag in self.lag.items() if lag]
        return not behind, f"records to read: {', '.join(behind)}" if behind else "caught up"


class Tree:
    """One partition of the tape on its way into its tree."""

    def __init__(self, name: TreeName, head: TreeHead, position: Position | None, files: AuditWriter) -> None:
        """Begin at a signed head. Without a position the partition is read again from the start and compared.

        A tree whose files are gone is made again from the start, and must come to the signed root.
        """
        self.name = name
        self._files = files
        self._signed = self._head = head
        try:
            self._edge = files.edge(name, head)
        except TilesMissing:
            self._edge, position = Edge(), None
        self._known: Iterator[bytes] = iter(()) if position else files.leaves(name, self._edge.size)
        self.index = head.size if position else 0
        self._link = link_from(position.link) if position else Link()
        self.offset = position.offset if position else BEGINNING

    @property
    def is_sequenced(self) -> bool:
        """Whether its records carry their own place."""
        return self.name.topic.endswith(EVENTS)

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._edge.size

    def fold(self, records: Iterable[Arrived], decode: Callable[[bytes], Recorded[Any]]) -> None:
        """Add records in log order; a broken chain stops everything, since nobody may sign past it."""
        leaves: list[bytes] = []
        for record in records:
            if self.is_sequenced:
                place = f"{self.name} at offset {record.offset}"
                self._link = follow(self._link, decode(record.value), record.value, place=place)
            leaf = record_hash(record.key, record.value)
            if self.index < self.size:
                self._compare(leaf, record)
            else:
                leaves.append(leaf)
            if self.index % WIDTH == 0:
                self._files.write_offset(self.name, self.index // WIDTH, record.offset)
            self.index += 1
            self.offset = record.offset + 1
            if self.index == self._signed.size and leaves:
                self._grow(leaves)
                self._compare_root()
                leaves.clear()
        self._grow(leaves)

    def _grow(self, leaves: Iterable[bytes]) -> None:
        for tile, data in self._edge.append(leaves):
            self._files.write_full(self.name, tile, data)

    def _compare_root(self) -> None:
        if self._edge.root() != self._signed.root:
            raise AuditDamaged(
                f"{self.name}: the tape does not lead to the root that was signed at size {self._signed.size}."
                " Stop, and run `tapeline audit verify --tape`"
            )

    def _compare(self, leaf: bytes, record: Arrived) -> None:
        if leaf != next(self._known):
            raise AuditDamaged(
                f"{self.name}: the record at offset {record.offset} is not the one that leaf {self.index} was made of."
                " The tape differs from what was signed: stop, and run `tapeline audit verify --tape`"
            )

    def head(self) -> TreeHead:
        """The tree's size and root; its partial tiles are written when it has grown."""
        if self._head.size != self.size:
            for tile, data in self._edge.partial():
                self._files.write_partial(self.name, tile, data)
            self._head = TreeHead(self.size, self._edge.root())
        return self._head

    def position(self) -> Position:
        """Where to read on; meaningful once the partition has been read up to the signed size."""
        return Position(self.size, self.offset, self._link.token())

    @property
    def signed_size(self) -> int:
        """How many leaves it had when it was opened."""
        return self._signed.size

    @property
    def is_behind(self) -> bool:
        """Whether it is still being compared with what was signed."""
        return self.index < self._signed.size


class Forest:
    """All trees of the tape, from the last checkpoint on."""

    def __init__(
        self, files: AuditWriter, partitions: Iterable[Partition], decode: Callable[[bytes], Recorded[Any]]
    ) -> None:
        """`partitions` are those of the topics to cover; `decode` is the codec's `decode_event`."""
        self._files = files
        self._decode = decode
        last, positions = files.last()
        self._last = last
        names = sorted({TreeName(*partition) for partition in partitions})
        forgotten = [str(name) for name in (last.trees if last else ()) if name not in names]
        if forgotten:
            raise AuditDamaged(f"the last checkpoint covers {', '.join(forgotten)}, which the cluster has no more")
        self._trees = {
            name: Tree(name, last.head(name) if last else TreeHead(0, EMPTY_ROOT), positions.get(str(name)), files)
            for name in names
        }

    def starts(self) -> dict[Partition, int]:
        """Where each partition is to be read on."""
        return {(name.topic, name.partition): tree.offset for name, tree in self._trees.items()}

    def fold(self, records: Iterable[Arrived]) -> None:
        """Add what was read."""
        grouped: dict[TreeName, list[Arrived]] = {}
        for record in records:
            grouped.setdefault(TreeName(record.topic, record.partition), []).append(record)
        for name, group in grouped.items():
            self._trees[name].fold(group, self._decode)

    def checkpoint(self, now: Micros) -> Checkpoint | None:
        """Sign the trees as they stand, if any of them has grown since the last time."""
        if any(tree.is_behind for tree in self._trees.values()):
            return None
        sizes = {name: tree.size for name, tree in self._trees.items()}
        if self._last is not None and sizes == {name: head.size for name, head in self._last.trees.items()}:
            return None
        time = max(now, self._last.time) if self._last else now
        heads = {name: tree.head() for name, tree in self._trees.items()}
        signed = Checkpoint(self._files.verifier.name, Micros(time), heads)
        self._files.publish(signed, {str(name): tree.position() for name, tree in self._trees.items()})
        self._last = signed
        return signed

    def progress(self, lag: Mapping[str, int]) -> Progress:
        """How far it is; refuses a tape that was read to its end and has less than what was signed."""
        for name, tree in self._trees.items():
            if tree.is_behind and not lag[name.topic]:
                raise AuditDamaged(
                    f"{name}: {tree.signed_size} leaves were signed and the tape ends after"
                    f" {tree.index}. It was truncated"
                )
        sizes = {name: tree.size for name, tree in self._trees.items()}
        return Progress(sizes, lag, self._last.time if self._last else Micros(0))


async def partitions_of(source: Source, topics: Iterable[str]) -> list[Partition]:
    """Every partition of these topics."""
    return [(topic, partition) for topic in topics for partition in await source.ends(topic)]


async def run(
    forest: Forest,
    source: Source,
    *,
    clock: Callable[[], Micros],
    stopping: asyncio.Event,
    report: Callable[[Progress], None],
) -> None:
    """Read, fold and sign until told to stop; what was folded is signed before it returns."""
    starts = forest.starts()
    await source.assign(starts)
    signed_at = looked_at = 0
    is_behind = True
    while not stopping.is_set():
        records = await source.take(BATCH_MAX, TAKE_WAIT_MS)
        if records:
            await asyncio.to_thread(forest.fold, records)
        now = clock()
        is_due = now - signed_at >= CHECKPOINT_MS * _MICROS_PER_MS
        if is_due and await asyncio.to_thread(forest.checkpoint, now) is not None:
            signed_at = now
        has_caught_up = is_behind and not records
        if has_caught_up or now - looked_at >= PROGRESS_MS * _MICROS_PER_MS:
            looked_at = now
            try:
                lag = await _lag(source, starts)
            except ReadFailed as away:  # A look ends no process: the reader itself says when it cannot go on.
                log.warning("the ends of the tape are not told", why=str(away))
                continue
            progress = forest.progress(lag)
            report(progress)
            is_behind = not progress.ready()[0]
    await asyncio.to_thread(forest.checkpoint, clock())


async def _lag(source: Source, starts: Mapping[Partition, int]) -> dict[str, int]:
    """Records still to read of each topic; markers of transactions count too where no end was reached yet."""
    position = source.position()
    lag = dict.fromkeys((topic for topic, _ in starts), 0)
    for topic in lag:
        for partition, end in (await source.ends(topic)).items():
            read = position.get((topic, partition), starts.get((topic, partition), 0))
            lag[topic] += max(0, end - max(0, read))
    return lag
