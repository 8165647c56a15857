"""What kafka-dump-log says of a partition's files, against what readers were given: batches whole or not at all.

A transactional batch counts by the marker of its producer that follows it. So it is known, without the client library
that dumped the topics, which records were committed; and each batch's checksum was verified by the tool.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.faults.checker.evidence import NO_MARK, End, Folder
from tests.faults.checker.tape import EVENTS, Partition, Tape
from tests.faults.checker.verdict import Findings

BATCH = re.compile(
    r"^baseOffset: (\d+) lastOffset: (\d+) .*?producerId: (-?\d+) .*?isTransactional: (\w+) isControl: (\w+)"
    r".*?isvalid: (\w+)"
)
RECORD = re.compile(r"^\| offset: (\d+) ")
MARKER = re.compile(r"endTxnMarker: (COMMIT|ABORT)")


class Batch:
    """Records that were written at once by one producer."""

    __slots__ = ("offsets", "producer")

    def __init__(self, producer: int) -> None:
        self.producer = producer
        self.offsets: list[int] = []


def judge(folder: Folder, tape: Tape, findings: Findings) -> None:
    """Hold the files of every events partition against its dump."""
    ends = {(end.topic, end.partition): end.stable for end in folder.some("topics/ends.ndjson", End)}
    files = sorted((folder.root / "segments").glob(f"*{EVENTS}-*.txt"))
    if not files:
        findings.not_judged.append("torn batches: no partition was dumped from its files")
    for path in files:
        topic, _, number = path.stem.rpartition("-")
        partition = tape.partition(topic, int(number))
        if partition is None:
            findings.add("evidence", f"{path.name}: its topic was not dumped", topic=topic, partition=int(number))
            continue
        committed, aborted = _batches(path, topic, int(number), findings)
        stable = ends.get((topic, int(number)), NO_MARK)
        _compare(partition, [each for each in committed if each.offsets[0] < stable], aborted, findings)


def _batches(path: Path, topic: str, number: int, findings: Findings) -> tuple[list[Batch], list[Batch]]:
    """Batches that were committed, and those that were aborted; what is open is neither."""
    committed: list[Batch] = []
    aborted: list[Batch] = []
    pending: defaultdict[int, list[Batch]] = defaultdict(list)
    batch = Batch(-1)
    is_control = False
    with path.open() as file:
        for line in file:
            if found := BATCH.match(line):
                batch, is_control = Batch(int(found[3])), found[5] == "true"
                if found[6] != "true":
                    says = "the checksum of its batch does not hold"
                    findings.add("chain", says, topic=topic, partition=number, offset=int(found[1]))
                if not is_control:
                    findings.judged["batches"] += 1
                    (pending[batch.producer] if found[4] == "true" else committed).append(batch)
            elif is_control and (marker := MARKER.search(line)):
                (committed if marker[1] == "COMMIT" else aborted).extend(pending.pop(batch.producer, []))
            elif not is_control and (record := RECORD.match(line)):
                batch.offsets.append(int(record[1]))
    return committed, aborted


def _compare(partition: Partition, committed: list[Batch], aborted: list[Batch], findings: Findings) -> None:
    shown = set(partition.offsets)
    place: dict[str, Any] = {"topic": partition.topic, "partition": partition.number}
    for batch in committed:
        missing = [offset for offset in batch.offsets if offset not in shown]
        if missing:
            is_torn = len(missing) < len(batch.offsets)
            says = f"{len(missing)} of the {len(batch.offsets)} records of a committed batch are not shown to readers"
            findings.add("torn" if is_torn else "lost", says, offset=missing[0], **place)
    for batch in aborted:
        seen = [offset for offset in batch.offsets if offset in shown]
        if seen:
            says = f"{len(seen)} records of an aborted batch are shown to readers"
            findings.add("aborted-but-seen", says, offset=seen[0], **place)
    known = {offset for batch in committed for offset in batch.offsets}
    strange = next((offset for offset in partition.offsets if offset not in known), None) if committed else None
    if strange is not None:
        findings.add(
            "never-written", "a reader was given a record that no committed batch has", offset=strange, **place
        )
