"""What clients were told, against the tape: nothing acknowledged is lost, nothing refused was done, order is kept.

An answer names the place of its event, so each is one look into an array. Order: what was answered before another
request of the same account was first sent stands before it on the tape of its context. All clients of a run share one
monotonic clock.
"""

import heapq
from collections.abc import Iterator
from itertools import chain
from typing import Any

from tests.faults.checker.evidence import Answer, Folder, chunks, lines
from tests.faults.checker.tape import Partition, Tape
from tests.faults.checker.verdict import Findings

ANY_ACCOUNT = "*"
"""What an entry says for requests that concern no account by itself."""
Floor = dict[str, int]
"""The last sequence that was answered, by topic; copied when it changes, so that a request can keep it."""
NOTHING: Floor = {}


def entries(folder: Folder) -> Iterator[list[Answer]]:
    """All entries of all clients in the order of the clock, many at a time."""
    files = folder.histories()
    if len(files) == 1:
        return chunks(files[0], Answer)
    merged = heapq.merge(*(lines(path, Answer) for path in files), key=lambda entry: entry.mono_ns)
    return ([entry] for entry in merged)


def judge(folder: Folder, tape: Tape, findings: Findings) -> dict[tuple[str, int, int], Answer]:
    """Hold every answer against the tape; returns refusals by their place, whose reasons are still to be compared."""
    if not folder.histories():
        findings.not_judged.append("lost: no history of a client is there")
        return {}
    history = _History(tape, findings)
    for each in entries(folder):
        history.take(each)
    findings.judged["operations"] += history.operations
    _never_done(folder, tape, findings, history.never)
    return history.refusals


class _History:
    def __init__(self, tape: Tape, findings: Findings) -> None:
        self.operations = 0
        self.never: dict[str, Answer] = {}
        self.refusals: dict[tuple[str, int, int], Answer] = {}
        self._tape = tape
        self._findings = findings
        self._open: dict[str, Floor] = {}
        self._done: dict[str, Floor] = {}

    def take(self, batch: list[Answer]) -> None:
        """The next entries in order. What is asked of each is written out: a call a question would double its price."""
        waiting, done, topics, invoked = self._open, self._done, self._tape.topics, 0
        for entry in batch:
            kind, command, account = entry.kind, entry.command, entry.account
            if kind == "invoke":
                invoked += 1
                if entry.attempt == 1:
                    waiting[command] = done.get(account, NOTHING)
                continue
            if kind == "info" or not command:
                continue
            topic, sequence = entry.topic, entry.sequence
            if sequence < 0:
                self._without_place(entry)
                continue
            floor = waiting.pop(command, NOTHING)
            if floor and floor.get(topic, -1) >= sequence:
                self._reordered(entry, floor[topic])
            before = done.get(account, NOTHING)
            if before.get(topic, -1) < sequence and account != ANY_ACCOUNT:  # Those stand in many partitions.
                done[account] = {**before, topic: sequence}
            try:
                partition = topics[topic][entry.partition]
            except KeyError:
                self._missing(entry, None, -1)
                continue
            at = sequence if sequence < partition.dense else partition.at(sequence)
            if at < 0 or partition.commands[at] != hash(command.encode()):
                self._missing(entry, partition, at)
                continue
            owner = partition.owners[at]
            if owner.tenant != entry.tenant or account not in (owner.name, ANY_ACCOUNT):
                self._foreign(entry, owner.tenant, owner.name)
            if (partition.kinds[at][-7:] == "Refused") is not (kind == "fail"):
                self._otherwise(entry, partition, at)
            if kind == "fail":
                self.refusals[topic, entry.partition, sequence] = entry
        self.operations += invoked

    def _without_place(self, entry: Answer) -> None:
        """An acknowledged command must say where it stands; one that was never sent has no place."""
        self._open.pop(entry.command, None)
        if entry.kind == "fail":
            self.never.setdefault(entry.command, entry)
        elif not self._tape.has(entry.command):
            self._missing(entry, None, -1)

    def _reordered(self, entry: Answer, floor: int) -> None:
        says = f"it was asked after the answer of sequence {floor} and stands before it"
        self._findings.add("reordered", says, **_place(entry), evidence=_told(entry))

    def _missing(self, entry: Answer, partition: Partition | None, at: int) -> None:
        ghost = self._tape.ghost(entry.command)
        if ghost is not None:
            says = f"it was answered from offset {ghost.offset}, whose transaction was aborted"
            self._findings.add("aborted-but-seen", says, **_place(entry), evidence=_told(entry))
            return
        stands = "nothing stands there" if at < 0 or partition is None else "another command's event stands there"
        says = f"{entry.asked} was answered {entry.status}, and {stands}"
        self._findings.add(
            "lost" if entry.kind == "ok" else "never-written", says, **_place(entry), evidence=_told(entry)
        )

    def _foreign(self, entry: Answer, tenant: str, name: str) -> None:
        says = f"{entry.account} of {entry.tenant} was answered with an event of {name} of {tenant}"
        self._findings.add("tenant", says, **_place(entry), evidence=_told(entry))

    def _otherwise(self, entry: Answer, partition: Partition, at: int) -> None:
        stands = partition.kinds[at]
        if entry.kind == "fail":
            says = f"it was refused with {entry.status}, and {stands} stands there"
            self._findings.add("failed-but-done", says, **_place(entry), evidence=_told(entry))
        else:
            says = f"it was acknowledged with {entry.status}, and {stands} stands there"
            self._findings.add("lost", says, **_place(entry), evidence=_told(entry))


def _never_done(folder: Folder, tape: Tape, findings: Findings, never: dict[str, Answer]) -> None:
    """What was refused at the door is nowhere, unless another try under the same key came through or may have."""
    done = {command: entry for command, entry in never.items() if tape.has(command)}
    if not done:
        return
    for entry in chain.from_iterable(entries(folder)):
        if entry.command in done and entry.kind in {"ok", "info"}:
            del done[entry.command]
    for entry in done.values():
        says = f"{entry.asked} was refused with {entry.status} before it was sent, and its event is on the tape"
        findings.add("failed-but-done", says, **_place(entry), evidence=_told(entry))


def _place(entry: Answer) -> dict[str, Any]:
    known = (
        {} if entry.sequence < 0 else {"topic": entry.topic, "partition": entry.partition, "sequence": entry.sequence}
    )
    return {**known, "account": entry.account}


def _told(entry: Answer) -> dict[str, Any]:
    """The entry, for a finding."""
    return {
        "client": entry.client,
        "op": entry.op,
        "kind": entry.kind,
        "command": entry.command,
        "status": entry.status,
        "mono_ns": entry.mono_ns,
    }
