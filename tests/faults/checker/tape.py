"""Dumped partitions -> what stands where: the one fast pass over every event, head by head.

Judged here: the chain (dense sequences, previous hashes, terms that rise by a take-over alone), one event a command,
one version after the other in each stream, decisions in the order of their commands, keys and tenants of streams, and
what read_uncommitted shows beside it: records of aborted transactions, which nobody may ever have seen.

Command ids are kept as 64-bit hashes, in arrays by sequence: two of ten million are alike once in some 400,000 runs.
"""

import hashlib
from array import array
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from tests.faults.checker.avro import Garbage, Schemas, text
from tests.faults.checker.evidence import End, Folder, Record, chunks, lines
from tests.faults.checker.verdict import Findings

EVENTS = ".events"
OWNERSHIP = "OwnershipTaken"
HARMLESS = ("DUPLICATE_", "ALREADY_")
"""Reasons by which an aggregate refuses what it did long ago: a command older than 1,024 others is told so again."""


class Stream:
    """One aggregate's events: whose they are, and how many."""

    __slots__ = ("name", "partition", "tenant", "version", "whose")

    def __init__(self, name: str, tenant: str, partition: "Partition") -> None:
        self.name = name
        self.tenant = tenant
        self.whose = tenant.encode()
        self.partition = partition
        self.version = 0


class Event(NamedTuple):
    """One event with all that it says."""

    topic: str
    partition: int
    offset: int
    kind: str
    meta: dict[str, Any]
    says: dict[str, Any]
    record: Record

    @property
    def place(self) -> dict[str, Any]:
        """Where it stands, for a finding."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "sequence": self.meta["sequence"],
            "account": self.meta["stream_id"],
        }


class Ghost(NamedTuple):
    """A record that read_uncommitted alone shows before the last stable offset: of an aborted transaction."""

    topic: str
    partition: int
    offset: int
    event_id: str


class Partition:
    """One partition as a read_committed reader sees it; arrays are by its own order, which is that of sequences."""

    def __init__(self, topic: str, number: int) -> None:
        self.topic = topic
        self.number = number
        self.offsets = array("q")
        self.commands = array("q")
        self.versions = array("q")
        self.contents = array("q")
        self.asked = array("q")
        """Places of their commands."""
        self.kinds: list[str] = []
        self.owners: list[Stream] = []
        self.streams: dict[bytes, Stream] = {}
        self.known: set[int] = set()
        self.position = -1
        """Place in the commands of the newest decision."""
        self.sequence = -1
        self.dense = 0
        """So many events stand where their sequences say, from the first on."""
        self._runs: list[tuple[int, int]] = []
        """Where sequences jump: the first of each run behind the first jump, and its place in the arrays."""

    def at(self, sequence: int) -> int:
        """Where the event of this sequence is in the arrays; -1 when it is not on the tape."""
        if 0 <= sequence < self.dense:
            return sequence
        end = len(self.offsets)
        for first, at in reversed(self._runs):
            if first <= sequence < first + end - at:
                return at + sequence - first
            end = at
        return -1

    def jumped(self, sequence: int) -> None:
        """The next event has this sequence, whatever was due."""
        if not self._runs:
            self.dense = len(self.offsets)
        self._runs.append((sequence, len(self.offsets)))

    def ended(self) -> None:
        """All events are in the arrays."""
        if not self._runs:
            self.dense = len(self.offsets)

    def place(self, at: int) -> dict[str, Any]:
        """The event at this place of the arrays, for a finding."""
        return {
            "topic": self.topic,
            "partition": self.number,
            "offset": self.offsets[at],
            "sequence": at if at < self.dense else None,
            "account": self.owners[at].name,
        }


class Tape:
    """Every events partition, and the ghosts beside them."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[int, Partition]] = {}
        self.ghosts: dict[int, Ghost] = {}
        """By the hash of their command; and by that of their event id."""

    def partitions(self) -> Iterator[Partition]:
        """All of them."""
        return chain.from_iterable(each.values() for each in self.topics.values())

    def partition(self, topic: str, number: int) -> Partition | None:
        """One of them, if it was dumped."""
        return self.topics.get(topic, {}).get(number)

    def stream(self, topic: str, name: str) -> Stream | None:
        """An aggregate of a context."""
        key = name.encode()
        return next((p.streams[key] for p in self.topics.get(topic, {}).values() if key in p.streams), None)

    def has(self, command: str) -> bool:
        """Whether any event is of this command."""
        digest = hash(command.encode())
        return any(digest in partition.known for partition in self.partitions())

    def ghost(self, name: str) -> Ghost | None:
        """The ghost of this command or with this event id."""
        return self.ghosts.get(hash(name.encode()))


def read(folder: Folder, schemas: Schemas, findings: Findings) -> Tape:
    """The tape of a run."""
    tape = Tape()
    for topic, number, path in folder.partitions(EVENTS):
        partition = Partition(topic, number)
        tape.topics.setdefault(topic, {})[number] = partition
        _read(partition, chunks(path, Record), schemas, findings)
        findings.judged["events"] += len(partition.offsets)
    if not tape.topics:
        findings.not_judged.append("tape: no topic of events was dumped")
    ends = {(end.topic, end.partition): end for end in folder.some("topics/ends.ndjson", End)}
    uncommitted = list(folder.partitions(EVENTS, "uncommitted"))
    for topic, number, path in uncommitted:
        found = tape.partition(topic, number)
        if found is None:
            findings.add("evidence", f"{path.name} has no committed dump beside it", topic=topic, partition=number)
            continue
        _ghosts(tape, found, lines(path, Record), schemas, findings, ends.get((topic, number)))
    if not uncommitted:
        findings.not_judged.append("aborted-but-seen: no partition was dumped read_uncommitted")
    return tape


def _read(partition: Partition, dump: Iterator[list[Record]], schemas: Schemas, findings: Findings) -> None:
    """Every event once. What is asked of each is written out in the loop: a call a question would double its price."""
    digest, head, streams, known = hashlib.sha256, schemas.head, partition.streams, partition.known
    offset_is, command_is, version_is = partition.offsets.append, partition.commands.append, partition.versions.append
    content_is, asked_is = partition.contents.append, partition.asked.append
    kind_is, owner_is = partition.kinds.append, partition.owners.append
    last, term, sequence, position, distinct = bytes(32), 0, -1, -1, 0
    for record in chain.from_iterable(dump):
        value = record.value
        try:
            kind, _, tenant, name, version, at, previous, reign, asked, command = head(value)
        except Garbage as garbage:
            findings.add("chain", f"unreadable: {garbage}", **_here(partition, record))
            last = digest(value).digest()
            continue
        if at != sequence + 1 or previous != last or reign < term or record.key != name:
            _misplaced(partition, record, name, findings, (at, sequence), (reign, term), is_linked=previous == last)
        is_takeover = kind == OWNERSHIP
        if (reign != term) is not is_takeover:
            findings.add("chain", f"term {reign} follows {term} with {kind}", **_here(partition, record))
        if asked <= position and not is_takeover:
            says = f"its command stands at {asked}, that of the event before it at {position}"
            findings.add("reordered", says, sequence=at, account=text(name), **_here(partition, record))
        stream = streams.get(name)
        if stream is None:
            stream = streams[name] = Stream(text(name), text(tenant), partition)
        elif stream.whose != tenant:
            says = f"the stream is of {stream.tenant!r}, this event of {text(tenant)!r}"
            findings.add("tenant", says, sequence=at, account=stream.name, **_here(partition, record))
        if version != stream.version + 1:
            what = "duplicated" if version <= stream.version else "lost"
            says = f"version {version} follows {stream.version} in its stream"
            findings.add(what, says, sequence=at, account=stream.name, **_here(partition, record))
        stream.version = version
        name_of_command = hash(command)
        known.add(name_of_command)
        if len(known) == distinct:
            _again(partition, stream, name_of_command, record, schemas, findings)
        distinct = len(known)
        last = digest(value).digest()
        offset_is(record.offset)
        command_is(name_of_command)
        version_is(version)
        content_is(hash(last))
        asked_is(asked)
        kind_is(kind)
        owner_is(stream)
        term, sequence = reign, at
        position = asked if asked > position else position  # noqa: FURB136  (`max` would be a call an event)
    partition.position, partition.sequence = position, sequence
    partition.ended()


def _misplaced(
    partition: Partition,
    record: Record,
    name: bytes,
    findings: Findings,
    sequences: tuple[int, int],
    terms: tuple[int, int],
    *,
    is_linked: bool,
) -> None:
    here = _here(partition, record)
    if sequences[0] != sequences[1] + 1:
        findings.add("chain", f"sequence {sequences[0]} follows {sequences[1]}", sequence=sequences[0], **here)
        partition.jumped(sequences[0])
    if not is_linked:
        findings.add("chain", "previous is not the hash of the record before it", sequence=sequences[0], **here)
    if terms[0] < terms[1]:
        findings.add("chain", f"term {terms[0]} follows {terms[1]}", sequence=sequences[0], **here)
    if record.key != name:
        says = f"its key {record.key!r} is not its stream {name!r}"
        findings.add("chain", says, sequence=sequences[0], **here)


def _again(
    partition: Partition, stream: Stream, command: int, record: Record, schemas: Schemas, findings: Findings
) -> None:
    """A command id that stands here already: in another stream it is another command, refused again it did nothing."""
    first = partition.commands.index(command)
    if partition.owners[first] is not stream:
        return
    kind, says = schemas.read(record.value)
    if kind.endswith("Refused") and str(says.get("reason", "")).startswith(HARMLESS):
        findings.judged["repeats told of their first"] += 1
        return
    command_id = says["meta"]["command_id"]
    findings.add(
        "duplicated",
        f"command {command_id} is decided again, first at offset {partition.offsets[first]}",
        sequence=says["meta"]["sequence"],
        account=stream.name,
        evidence={"command": command_id, "first": partition.kinds[first], "again": kind},
        **_here(partition, record),
    )


def _ghosts(
    tape: Tape,
    partition: Partition,
    dump: Iterator[Record],
    schemas: Schemas,
    findings: Findings,
    end: End | None,
) -> None:
    """What read_uncommitted shows beside the committed records, which it must show too."""
    at, count = 0, len(partition.offsets)
    stable = end.stable if end is not None else max(partition.offsets, default=-1) + 1
    for record in dump:
        if (at < count and partition.offsets[at] < record.offset) or record.offset >= stable:
            break  # Said below; what is not stable yet may be committed and decided anew.
        if at < count and partition.offsets[at] == record.offset:
            if partition.contents[at] != hash(hashlib.sha256(record.value).digest()):
                findings.add("evidence", "two readers were given two records here", **partition.place(at))
            at += 1
            continue
        findings.judged["ghosts"] += 1
        try:
            _, event_id, *_, command = schemas.head(record.value)
        except Garbage:
            continue  # Nobody can have read it as an event.
        ghost = Ghost(partition.topic, partition.number, record.offset, text(event_id))
        tape.ghosts.setdefault(hash(command), ghost)
        tape.ghosts.setdefault(hash(event_id), ghost)
    if at < count:
        says = "read_committed shows a record that read_uncommitted does not"
        findings.add("evidence", says, **partition.place(at))


def _here(partition: Partition, record: Record) -> dict[str, Any]:
    return {"topic": partition.topic, "partition": partition.number, "offset": record.offset}


def events(folder: Folder, schemas: Schemas) -> Iterator[Event]:
    """Every event with all that it says, partition by partition, those of owners too; what is unreadable was said."""
    for topic, number, path in folder.partitions(EVENTS):
        for record in lines(path, Record):
            try:
                kind, says = schemas.read(record.value)
            except Garbage:
                continue
            yield Event(topic, number, record.offset, kind, says.pop("meta"), says, record)
