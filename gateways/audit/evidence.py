"""The tape and the audit files in, proofs out: what the audit's command line and its routes share."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Protocol

from domain.audit import bundle, note
from domain.audit.bundle import Bundle
from domain.audit.check import Change, Finding, check_leaves, check_tiles
from domain.audit.checkpoint import Checkpoint, CheckpointRefused, TreeName
from domain.audit.merkle import ProofRefused, record_hash
from domain.audit.note import NoteRefused, Verifier
from infra.audit_files import AuditDamaged, AuditFiles
from infra.kafka.reader import BEGINNING
from infra.kafka.records import Arrived, Partition
from projections.audit.forest import Source

READ_MAX = 2_000
"""Records taken at once."""
READ_WAIT_MS = 200
"""Longest wait for one take."""
SILENT_TAKES_MAX = 150
"""Empty takes in a row, half a minute, after which a tape that should have more is unreadable."""
COMMAND_ID = "command-id"
"""The header by which an event names its command; the event that placed an order has the order's id there."""


class EvidenceMissing(Exception):
    """What was asked for is not on the tape or not signed yet; the message says which."""


class ClosableSource(Source, Protocol):
    """A reader that is opened for one question."""

    async def close(self) -> None:
        """Let it go."""


class Evidence:
    """Answers one question at a time, each with a reader of its own."""

    def __init__(self, files: AuditFiles, verifier: Verifier, open_reader: Callable[[], ClosableSource]) -> None:
        """The verifier is the installation's own: nothing is proved under another key."""
        self.files = files
        self.verifier = verifier
        self._open_reader = open_reader
        self._one_at_a_time = asyncio.Lock()

    def newest(self) -> str:
        """The newest checkpoint note."""
        found = self.files.newest()
        if found is None:
            raise EvidenceMissing("nothing is signed yet: start the audit process")
        return found[1]

    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint."""
        return Checkpoint.parse(note.verified(self.newest(), self.verifier))

    def prove(self, tree: TreeName, index: int, record: Arrived, signed: str) -> Bundle:
        """The bundle for a record under this checkpoint note."""
        size = Checkpoint.parse(note.verified(signed, self.verifier)).head(tree).size
        return bundle.prove(
            tree=tree,
            index=index,
            key=record.key,
            value=record.value,
            nodes=self.files.nodes(tree, size),
            signed=signed,
            verifier=self.verifier,
        )

    async def proof_at(self, tree: TreeName, index: int) -> Bundle:
        """The bundle for the record at this place."""
        signed = self.newest()
        async with aclosing(self.records(tree, index, index + 1)) as found:
            async for at, record in found:
                return self.prove(tree, at, record, signed)
        raise EvidenceMissing(f"{tree} has no record {index}")

    async def records(self, tree: TreeName, first: int, end: int) -> AsyncGenerator[tuple[int, Arrived], None]:
        """The records of one tree from index `first` up to `end`, each compared with its stored leaf hash."""
        size = self.checkpoint().head(tree).size
        if not 0 <= first < end <= size:
            raise EvidenceMissing(f"{tree}: {size} records are signed; {first} to {end - 1} is not within them")
        index, offset = self.files.offset_near(tree, first) or (0, BEGINNING)
        nodes = self.files.nodes(tree, size)
        async with aclosing(self._read({(tree.topic, tree.partition): offset})) as read:
            async for record in read:
                if index >= first:
                    if record_hash(record.key, record.value) != nodes(0, index):
                        raise ProofRefused(
                            f"{tree}: the record at offset {record.offset} is not the one that was signed as leaf"
                            f" {index}; run `tapeline audit verify --tape`"
                        )
                    yield index, record
                index += 1
                if index == end:
                    return

    async def find(self, topics: Sequence[str], command_id: str) -> tuple[TreeName, int]:
        """Where the event stands that answered this command; reads the topics from their start until it is found."""
        indexes: dict[TreeName, int] = {}
        async with aclosing(self.tape(topics)) as tape:
            async for record in tape:
                tree = TreeName(record.topic, record.partition)
                if record.headers.get(COMMAND_ID) == command_id.encode():
                    return tree, indexes.get(tree, 0)
                indexes[tree] = indexes.get(tree, 0) + 1
        raise EvidenceMissing(f"no event answers the command {command_id}; a place is topic/partition/sequence")

    async def check(self, topics: Iterable[str], kept: Sequence[Checkpoint]) -> tuple[int, list[Finding]]:
        """How many records the tape has, and what does not fit between it and what was signed."""
        signed = list(self._signed())
        if not signed:
            raise EvidenceMissing("nothing is signed yet: start the audit process")
        leaves: dict[TreeName, list[bytes]] = {name: [] for name in signed[-1].trees}
        async for record in self.tape(topics):
            name = TreeName(record.topic, record.partition)
            leaves.setdefault(name, []).append(record_hash(record.key, record.value))
        others = [*signed[:-1], *kept, self._latest()]
        findings = check_leaves(leaves, signed[-1], kept=others, leaves=self.files.leaves)
        findings = findings or [*_forgotten(kept, signed), *self._tiles(leaves, signed[-1])]
        if not findings and self._latest() not in signed[-2:]:  # The newest one may be on its way to its copy.
            raise AuditDamaged("latest: it is not a copy of the newest checkpoint; start the audit process, it copies")
        return sum(map(len, leaves.values())), findings

    def _signed(self) -> Iterator[Checkpoint]:
        """Every checkpoint that is kept here, the oldest first; names the one that is not what was signed."""
        earlier: Checkpoint | None = None
        for number, text in enumerate(self.files.notes()):
            try:
                later = Checkpoint.parse(note.verified(text, self.verifier))
            except (NoteRefused, CheckpointRefused) as refused:
                raise AuditDamaged(f"checkpoint {number}: {refused}") from refused
            if earlier is not None and (later == earlier or later.time < earlier.time):
                raise AuditDamaged(f"checkpoint {number}: it stands where a later one than {number - 1} was signed")
            if earlier is not None and later.origin != earlier.origin:
                raise AuditDamaged(f"checkpoint {number}: its origin is {later.origin}, before it {earlier.origin}")
            yield later
            earlier = later

    def _latest(self) -> Checkpoint:
        try:
            return Checkpoint.parse(note.verified(self.files.latest(), self.verifier))
        except (NoteRefused, CheckpointRefused) as refused:
            raise AuditDamaged(f"latest: {refused}") from refused

    def _tiles(self, leaves: Mapping[TreeName, Sequence[bytes]], signed: Checkpoint) -> Iterator[Finding]:
        """What stored hashes do not follow from the tape, where the tape is what was signed."""
        for name, head in sorted(signed.trees.items()):
            found = check_tiles(name, leaves[name][: head.size], partial(self.files.tile, name))
            if found is not None:
                yield found

    async def tape(self, topics: Iterable[str]) -> AsyncGenerator[Arrived, None]:
        """Every record of these topics, each partition in log order."""
        starts = {(topic, partition): BEGINNING for topic in topics for partition in await self._partitions(topic)}
        async with aclosing(self._read(starts)) as read:
            async for record in read:
                yield record

    async def _partitions(self, topic: str) -> list[int]:
        reader = self._open_reader()
        try:
            return sorted(await reader.ends(topic))
        finally:
            await reader.close()

    async def _read(self, starts: Mapping[Partition, int]) -> AsyncGenerator[Arrived, None]:
        """Read from these offsets to where each partition ends now."""
        async with self._one_at_a_time:
            reader = self._open_reader()
            try:
                ends = {topic: await reader.ends(topic) for topic, _ in starts}
                await reader.assign(starts)
                silent = 0
                while any(reader.position().get(place, 0) < ends[place[0]][place[1]] for place in starts):
                    records = await reader.take(READ_MAX, READ_WAIT_MS)
                    silent = 0 if records else silent + 1
                    if silent > SILENT_TAKES_MAX:
                        raise EvidenceMissing(f"the tape gives no more records of {sorted(ends)}: is the broker well?")
                    for record in records:
                        yield record
            finally:
                await reader.close()


def _forgotten(kept: Sequence[Checkpoint], signed: Sequence[Checkpoint]) -> Iterator[Finding]:
    """Checkpoints that somebody kept and that are no longer among ours, though nothing else contradicts them."""
    for each in kept:
        if each not in signed:
            name = max(each.trees, key=lambda tree: each.trees[tree].size)
            size = each.head(name).size
            detail = f"a checkpoint of {size} leaves was signed that is not kept here any more"
            yield Finding(name, Change.FORGOTTEN, max(0, size - 1), size, detail)


def place_of(text: str) -> tuple[TreeName, int] | None:
    """The tree and index in `topic/partition/sequence`, or None for any other text."""
    parts = text.rsplit("/", 2)
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):  # noqa: PLR2004 - its three parts
        return None
    return TreeName(parts[0], int(parts[1])), int(parts[2])
