"""Judges a history as it happens: every record that becomes visible, every answer that a client was given.

It has books of its own, reads with code of its own, and believes nobody. The first fault ends the history.
"""

import hashlib
import uuid
from collections import defaultdict
from typing import Any

import msgspec

from infra.bus import Answer
from infra.kafka.records import Arrived, Partition
from tests.simulation.books import Books
from tests.simulation.reading import Reading

IDS = uuid.UUID("6f1d1c0e-5a39-5d0a-9f0e-7a7065000000")
FAULTS_MAX = 10
"""Faults that are kept of one history: the first tells most."""
MARKER = b"\x00marker"


class Asked(msgspec.Struct):
    """One command of a client, and what it was told: where the event stands and what it is."""

    command_id: str
    context: str
    account: str
    asked_us: int
    told_us: int = -1
    place: tuple[str, int, int] | None = None
    kind: str = ""


class Chain:
    """Where one partition of events ends."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        """Hash of each record, by its sequence."""
        self.offsets: list[int] = []
        """Where each stands."""
        self.position = -1
        self.term = 0
        self.recorded_at = 0


class Auditor:
    """Everything that was seen and told."""

    def __init__(self, executions: dict[str, dict[str, Any]], reading: Reading) -> None:
        self.faults: list[str] = []
        self.books = Books(executions)
        self.chains: dict[Partition, Chain] = defaultdict(Chain)
        self.events: dict[tuple[str, str], tuple[str, int, int, str]] = {}
        """By context and command id: topic, partition, sequence, kind."""
        self.undecided: dict[tuple[str, str], None] = {}
        """Commands that wait for their event, in the order in which they came."""
        self.dead: dict[tuple[str, str], str] = {}
        """By context and command id: why it was set aside."""
        self.history: list[Asked] = []
        self.counts: dict[str, int] = defaultdict(int)
        self._reading = reading
        self._commands: dict[Partition, dict[int, Arrived]] = defaultdict(dict)
        self._versions: dict[tuple[str, str], int] = defaultdict(int)
        self._accepted: dict[Partition, set[bytes]] = defaultdict(set)
        self._snapshots: dict[Partition, tuple[int, bytes]] = {}
        self._event_ids: set[str] = set()

    def fault(self, what: str) -> None:
        """Something that must never be."""
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(what)

    def asked(self, asked: Asked) -> None:
        """A client asks."""
        self.history.append(asked)

    def told(self, asked: Asked, answer: Answer, now_us: int) -> None:
        """A client was answered; every repeat must be answered alike, from what stands on the tape."""
        place = (answer.topic, answer.partition, answer.recorded.sequence)
        kind = type(answer.recorded.event).__name__
        if asked.place is None:
            asked.place, asked.kind, asked.told_us = place, kind, now_us
        elif (asked.place, asked.kind) != (place, kind):
            self.fault(f"{asked.command_id} was answered {asked.kind} at {asked.place}, then {kind} at {place}")
        stands = self.events.get((asked.context, asked.command_id))
        if stands != (*place, kind):
            self.fault(f"{asked.command_id} was answered {kind} at {place}, the tape has {stands}")

    def appended(self, record: Arrived) -> None:
        """A plain record stands on its topic."""
        context, _, kind = record.topic.partition(".")
        self.counts[kind] += 1
        if kind == "commands":
            self._commands[record.topic, record.partition][record.offset] = record
            sent = (context, record.headers["command-id"].decode())
            if sent not in self.events and sent not in self.dead:
                self.undecided[sent] = None
        elif kind == "commands.dead":
            command = record.headers.get("original.command-id", b"").decode()
            self.dead[context, command] = record.headers["cause"].decode()
            self.undecided.pop((context, command), None)
        elif kind == "snapshots":
            self._snapshot((record.topic, record.partition), [record])

    def accepted(self, place: Partition, records: list[Arrived]) -> None:
        """The end of a transaction was accepted: it will be visible, unless brokers lose its marker."""
        if place[0].endswith(".events"):
            self._accepted[place].update(hashlib.sha256(record.value).digest() for record in records)

    def committed(self, place: Partition, records: list[Arrived]) -> None:
        """A transaction became visible, whole."""
        if place[0].endswith(".snapshots"):
            self._snapshot(place, records)
            return
        for record in records:
            self.counts["events"] += 1
            self._event(place, record)

    def _event(self, place: Partition, record: Arrived) -> None:
        name, meta, event = self._reading.read(record.value)
        chain, where = self.chains[place], f"{place[0]}[{place[1]}]@{record.offset} {name}"
        wrong = self._chained(chain, record, name, meta)
        context, stream = place[0].partition(".")[0], meta["stream_id"]
        sequence, command_id = meta["sequence"], meta["command_id"]
        self._versions[place[0], f"{place[1]}/{stream}"] += 1
        if meta["version"] != self._versions[place[0], f"{place[1]}/{stream}"]:
            wrong.append(f"version {meta['version']} of {stream} is not the next")
        if (context, command_id) in self.events:
            wrong.append(f"command {command_id} decided twice, first at {self.events[context, command_id]}")
        if meta["event_id"] != str(uuid.uuid5(IDS, "\x1f".join(("event", place[0], str(place[1]), str(sequence))))):
            wrong.append("its id does not follow from its place")
        if name != "OwnershipTaken":
            wrong += self._caused(place, record, meta)
            wrong += self.books.take(stream, name, event)
            if meta["actor"].startswith("saga:") and meta["causation_id"] not in self._event_ids:
                wrong.append(f"its saga names a cause that is no event: {meta['causation_id']!r}")
        self._event_ids.add(meta["event_id"])
        self.events[context, command_id] = (*place, sequence, name)
        self.undecided.pop((context, command_id), None)
        for what in wrong:
            self.fault(f"{where}: {what}")

    def _chained(self, chain: Chain, record: Arrived, name: str, meta: dict[str, Any]) -> list[str]:
        wrong: list[str] = []
        last = chain.values[-1] if chain.values else bytes(32)
        if meta["sequence"] != len(chain.values):
            wrong.append(f"sequence {meta['sequence']} follows {len(chain.values) - 1}")
        if meta["previous"] != last:
            wrong.append("previous is not the hash of the record before it")
        expected = chain.term + (name == "OwnershipTaken")
        if meta["term"] != expected:
            wrong.append(f"term {meta['term']} under the reign of {chain.term}")
        if meta["recorded_at"] < chain.recorded_at:
            wrong.append("recorded before its predecessor")
        is_next = meta["command_position"] > chain.position
        if not is_next and not (name == "OwnershipTaken" and meta["command_position"] == chain.position):
            wrong.append(f"command position {meta['command_position']} after {chain.position}")
        chain.values.append(hashlib.sha256(record.value).digest())
        chain.offsets.append(record.offset)
        chain.term, chain.recorded_at = meta["term"], meta["recorded_at"]
        chain.position = meta["command_position"]
        return wrong

    def _caused(self, place: Partition, record: Arrived, meta: dict[str, Any]) -> list[str]:
        topic = place[0].replace(".events", ".commands")
        command = self._commands[topic, place[1]].get(meta["command_position"])
        if command is None:
            return [f"no command stands at {meta['command_position']}"]
        wrong = []
        if command.headers["command-id"].decode() != meta["command_id"]:
            wrong.append(f"names command {meta['command_id']}, at its place stands another")
        if command.headers["digest"] != meta["digest"] or record.headers["digest"] != meta["digest"]:
            wrong.append("names another digest than its command")
        if not command.key == record.key == meta["stream_id"].encode():
            wrong.append("its key, its stream and the key of its command are not one")
        return wrong

    def _snapshot(self, place: Partition, records: list[Arrived]) -> None:
        """Whatever a snapshot says must be accepted before, and no snapshot goes back."""
        self.counts["snapshots"] += 1
        marker = next((msgspec.msgpack.decode(each.value) for each in records if each.key == MARKER), None)
        if marker is None:
            return
        where, (sequence, link, term) = f"{place[0]}[{place[1]}]", marker["link"]
        if link not in self._accepted[place[0].replace(".snapshots", ".events"), place[1]]:
            self.fault(f"{where}: a snapshot of sequence {sequence}, whose transaction was never accepted")
        reigns = self.chains[place[0].replace(".snapshots", ".events"), place[1]].term
        if term < reigns:
            self.fault(f"{where}: a snapshot of term {term} under the reign of {reigns}: its writer was never fenced")
        following = self.chains[place[0].replace(".snapshots", ".events"), place[1]].offsets[sequence + 1 :]
        if following and marker["events_offset"] > following[0]:
            self.fault(f"{where}: a snapshot of sequence {sequence} that reads on at {marker['events_offset']}")
        newest, _ = self._snapshots.get(place, (-1, b""))
        if sequence < newest:
            self.fault(f"{where}: a snapshot of {sequence} over one of {newest}")
        self._snapshots[place] = (sequence, link)

    def false_snapshots(self) -> list[str]:
        """Newest snapshots that are not what stands on the tape, once it is quiet."""
        found = []
        for place, (sequence, link) in self._snapshots.items():
            chain = self.chains[place[0].replace(".snapshots", ".events"), place[1]]
            if sequence >= len(chain.values) or chain.values[sequence] != link:
                found.append(f"{place[0]}[{place[1]}]: the snapshot of {sequence} is not what stands on the tape")
        return found
