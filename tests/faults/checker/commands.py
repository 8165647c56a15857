"""Command topics against the tape: no decider went past a command without an event, none decided what nobody asked.

It holds for commands of sagas and agents too, which no client waits for. A command that was set aside stands among the
dead letters of its topic; a command whose id was decided before adds nothing.
"""

from typing import Any

from tests.faults.checker.avro import Garbage, Schemas, command_of, headers_of, text
from tests.faults.checker.evidence import Folder, Record, lines
from tests.faults.checker.tape import EVENTS, OWNERSHIP, Partition, Tape
from tests.faults.checker.verdict import Findings

COMMANDS = ".commands"
DEAD = ".commands.dead"


def judge(folder: Folder, tape: Tape, schemas: Schemas, findings: Findings) -> dict[tuple[str, int, int], int]:
    """Hold every command against the events; returns when each was sent, in ms, by topic, partition and offset."""
    dead = _dead(folder)
    sent: dict[tuple[str, int, int], int] = {}
    dumped = False
    for topic, number, path in folder.partitions(COMMANDS):
        dumped = True
        partition = tape.partition(topic.removesuffix(COMMANDS) + EVENTS, number)
        if partition is None:
            findings.add("evidence", "commands without the events of their partition", topic=topic, partition=number)
            continue
        asked: dict[int, int] = {}
        for record in lines(path, Record):
            findings.judged["commands"] += 1
            sent[topic, number, record.offset] = record.at_ms
            _command(folder, record, partition, asked, (topic, number, record.offset) in dead, findings)
        _invented(partition, asked, findings)
    if not dumped:
        findings.not_judged.append("torn: no topic of commands was dumped")
    return sent


def _command(
    folder: Folder, record: Record, partition: Partition, asked: dict[int, int], is_dead: bool, findings: Findings
) -> None:
    here: dict[str, Any] = {
        "topic": partition.topic.removesuffix(EVENTS) + COMMANDS,
        "partition": partition.number,
        "offset": record.offset,
    }
    try:
        command, tenant, name = command_of(record.value)
    except Garbage as garbage:
        if not is_dead and record.offset <= partition.position:
            findings.add("lost", f"unreadable, and not among the dead letters: {garbage}", **here)
        return
    asked[record.offset] = hash(command)
    stream = partition.streams.get(name)
    is_decided = hash(command) in partition.known
    if is_decided and stream is not None and stream.tenant.encode() != tenant:
        findings.add("tenant", f"a command of {text(tenant)!r} for {text(name)}", account=text(name), **here)
    if is_decided or is_dead:
        return
    evidence = {"command": text(command)}
    if record.offset <= partition.position:
        says = f"the decisions went on to {partition.position} and there is none on this command"
        findings.add("torn", says, account=text(name), evidence=evidence, **here)
    elif folder.is_due(here["topic"], partition.number, record.offset):
        findings.add("liveness", "it was never decided", account=text(name), evidence=evidence, **here)


def _invented(partition: Partition, asked: dict[int, int], findings: Findings) -> None:
    """Every event names a command that stands where it says, as far as commands are kept."""
    if not asked:
        return
    first, last = min(asked), max(asked)
    for at, position in enumerate(partition.asked):
        if not first <= position <= last or partition.kinds[at] == OWNERSHIP:
            continue
        if asked.get(position) != partition.commands[at]:
            says = f"its command is not the one at {position} of the commands"
            findings.add("never-written", says, **partition.place(at))


def _dead(folder: Folder) -> set[tuple[str, int, int]]:
    """Places of the commands that were set aside."""
    found = set()
    for _, _, path in folder.partitions(DEAD):
        for record in lines(path, Record):
            topic, number, offset = headers_of(record.headers).get("source", b"||").decode(errors="replace").split("|")
            if topic:
                found.add((topic, int(number), int(offset)))
    return found
