"""What websockets and partners' streams received, against the tape: each event once, in order, or the gap is told.

`number` counts the events of a key, an account in one context. After a cursor, that of the client or of the snapshot,
it goes on with the first event of the key behind the cursor; only a frame that says `gap` excuses a number left out.
"""

from bisect import bisect_right
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.faults.checker import ids
from tests.faults.checker.evidence import Folder, Heard, Unreadable, lines
from tests.faults.checker.tape import Partition, Stream, Tape
from tests.faults.checker.verdict import Findings

Place = tuple[str, int, int]
ALL = "*"


class Told:
    """What was said of each event, by its place, for whoever reads the events themselves."""

    def __init__(self) -> None:
        self.events: dict[Place, dict[str, Any]] = {}


def judge(folder: Folder, tape: Tape, findings: Findings) -> Told:
    """Hold every frame against the tape."""
    told = Told()
    files = folder.frames()
    if not files:
        findings.not_judged.append("gap-untold: no client of a stream left its frames")
        return told
    index = _Index(tape)
    for path in files:
        clients: dict[str, _Client] = {}
        for heard in lines(path, Heard):
            client = clients.get(heard.client)
            if client is None:
                client = clients[heard.client] = _Client(path, heard.client, folder, tape, index, told, findings)
            client.hear(heard)
        for client in clients.values():
            client.end()
    return told


class _Index:
    """Where the events of each key stand."""

    def __init__(self, tape: Tape) -> None:
        self._sequences: defaultdict[Stream, list[int]] = defaultdict(list)
        self.streams: list[tuple[str, Stream]] = []
        for partition in tape.partitions():
            for at, owner in enumerate(partition.owners):
                self._sequences[owner].append(at)
            self.streams += ((partition.topic, stream) for stream in partition.streams.values())

    def due(self, folder: Folder, topic: str, stream: Stream) -> int:
        """How many events of the stream everybody must have been told by now."""
        partition = stream.partition
        places = (partition.offsets[at] for at in self._sequences[stream])
        return sum(folder.is_due(topic, partition.number, offset) for offset in places)

    def after(self, stream: Stream, sequence: int) -> int:
        """The number of the stream's first event behind this sequence."""
        return bisect_right(self._sequences[stream], sequence) + 1


class _Client:
    def __init__(
        self, path: Path, name: str, folder: Folder, tape: Tape, index: _Index, told: Told, findings: Findings
    ) -> None:
        self._name = f"{path.stem}/{name}"
        self._folder = folder
        self._tape = tape
        self._index = index
        self._told = told
        self._findings = findings
        self._opened = Heard(what="opened", mono_ns=0, client=name, connection=0)
        self._next: dict[tuple[str, str], int] = {}
        self._sequences: dict[tuple[str, int], int] = {}
        self._is_complete = False

    def hear(self, heard: Heard) -> None:
        """The next line of this client."""
        match heard.what:
            case "opened":
                due, self._next = self._next, {}
                self._opened, self._sequences = heard, {}
                self._is_complete = False
                if heard.cursor:
                    self._begin_after(heard.cursor)
                    self._passed_over(due)
                elif heard.door == "sse" and heard.begin == "beginning":
                    self._next = {(topic, s.name): 1 for topic, s in self._index.streams if self._is_ours(topic, s)}
            case "frame":
                self._frame(heard.frame)
            case "closed":
                self._is_complete = heard.is_complete

    def _frame(self, frame: dict[str, Any]) -> None:
        self._findings.judged["frames"] += 1
        match frame.get("type"):
            case "event":
                self._event(frame)
            case "gap":
                self._next = {}  # Whatever comes next is excused.
            case "snapshot":
                self._begin_after(frame["cursor"])

    def _begin_after(self, cursor: str) -> None:
        try:
            places = ids.places(cursor)
        except ValueError as error:
            raise Unreadable(f"{self._name}: {error}") from error
        for topic, stream in self._index.streams:
            if self._is_ours(topic, stream):
                sequence = places.get((topic, stream.partition.number), -1)
                self._next[topic, stream.name] = self._index.after(stream, sequence)

    def _passed_over(self, due: dict[tuple[str, str], int]) -> None:
        """Whoever comes again was told all that lies before its cursor: also the last of a key before a cut."""
        for (topic, account), following in due.items():
            resumed = self._next.get((topic, account), following)
            stream = self._tape.stream(topic, account)
            if stream is not None and resumed > following:
                says = f"{self._name}: its cursor is before number {resumed}, and {following} was never told"
                place: dict[str, Any] = {"topic": topic, "partition": stream.partition.number, "account": account}
                self._findings.add("gap-untold", says, **place)

    def _is_ours(self, topic: str, stream: Stream) -> bool:
        """The stream is of what this client follows."""
        opened = self._opened
        is_topic = not opened.topics or topic in opened.topics
        return is_topic and stream.tenant == opened.tenant and (opened.scope == [ALL] or stream.name in opened.scope)

    def _event(self, frame: dict[str, Any]) -> None:
        topic, number, sequence = frame["topic"], frame["partition"], frame["sequence"]
        account = frame["event"]["account_id"]
        place = {"topic": topic, "partition": number, "sequence": sequence, "account": account}
        partition = self._tape.partition(topic, number)
        at = -1 if partition is None else partition.at(sequence)
        if partition is None or at < 0 or not _is(frame, partition, at):
            self._unwritten(frame, place)
            return
        if not self._is_ours(topic, partition.owners[at]):
            says = f"{self._name} of {self._opened.tenant} was told an event of {partition.owners[at].tenant}"
            self._findings.add("tenant", says, **place)
        if self._sequences.get((topic, number), -1) >= sequence:
            says = f"{self._name}: it comes after sequence {self._sequences[topic, number]}"
            self._findings.add("reordered", says, **place)
        self._sequences[topic, number] = sequence
        key = (topic, account)
        expected = self._next.get(key)
        if expected is not None and frame["number"] > expected:
            says = f"{self._name}: number {frame['number']} comes where {expected} is due, and no gap was told"
            self._findings.add("gap-untold", says, **place)
        elif expected is not None and frame["number"] < expected:
            says = f"{self._name}: number {frame['number']} comes again, {expected} is due"
            self._findings.add("duplicated", says, **place)
        self._next[key] = frame["number"] + 1
        self._told.events.setdefault((topic, number, sequence), frame["event"])
        if self._told.events[topic, number, sequence] != frame["event"]:
            self._findings.add("projection", f"{self._name}: two clients were told it otherwise", **place)

    def _unwritten(self, frame: dict[str, Any], place: dict[str, Any]) -> None:
        ghost = self._tape.ghost(str(frame["event"]["command_id"]))
        if ghost is not None:
            says = f"{self._name} was shown offset {ghost.offset}, whose transaction was aborted"
            self._findings.add("aborted-but-seen", says, **place, evidence=frame["event"])
        else:
            says = f"{self._name} was shown an event that does not stand there"
            self._findings.add("never-written", says, **place, evidence=frame["event"])

    def end(self) -> None:
        """Nothing of its scope that is due is missing when it says that it has heard all."""
        for (topic, account), following in self._next.items() if self._is_complete else ():
            stream = self._tape.stream(topic, account)
            if stream is not None and following <= (due := self._index.due(self._folder, topic, stream)):
                says = f"{self._name}: it ended before number {following}, the tape has {due}"
                place: dict[str, Any] = {"topic": topic, "partition": stream.partition.number, "account": account}
                self._findings.add("gap-untold", says, **place)


def _is(frame: dict[str, Any], partition: Partition, at: int) -> bool:
    """The frame is of the event that stands there."""
    shown, owner = frame["event"], partition.owners[at]
    return bool(
        partition.commands[at] == hash(str(shown["command_id"]).encode())
        and partition.versions[at] == frame["number"] == shown["version"]
        and partition.kinds[at] == shown["event_type"]
        and owner.name == shown["account_id"]
        and frame["key"] == f"{partition.topic.removesuffix('.events')}/{owner.name}"
        and shown["event_id"] == ids.event_id(partition.topic, partition.number, frame["sequence"])
    )
