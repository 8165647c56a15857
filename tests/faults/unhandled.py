"""Logs of all processes of a stack -> which of them run, and what ended one that no fault explains."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.processes import OURS
from tests.faults.checker.evidence import Process
from tests.kit.whole_stack import WholeStack

ENDS = ("the process ends", "not caught", "agent dies")
"""Lines that a process writes when something ends it."""
EXPLAINED = {
    "Fenced": "another host took the partition: what a zombie and a twin must end by",
    "MemoryAhead": "a broker that was killed had not written what it had answered; the tape is read again",
    "UnclearEnd": "no clear end in twenty tries: the broker was gone for long",
    "MemoryError": "the process was given no more memory",
    "KafkaException": "the broker was not there at the start of a process",
    "KafkaError": "the same, told by another client",
    "KafkaConnectionError": "the same, told by another client",
    "ConnectionRefusedError": "a server was not there at the start of a process",
    "CannotConnectNowError": "the database was starting",
    "ConnectionDoesNotExistError": "the database's connection was killed",
    "TimeoutError": "a server was stopped at the start of a process",
}
"""Classes of errors that may end a process under the faults that are injected, and why; its supervisor goes on."""


class Logs:
    """What the logs say from here on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begins = {path.name: path.stat().st_size for path in folder.glob("*.log")}

    def processes(self, stack: WholeStack) -> list[Process]:
        """Every process as it is now, with what ended it since then and is not explained."""
        return [
            Process(
                name=name,
                is_running=stack.pid(name) is not None,
                unhandled=sorted({each for each in self._ended(name) if _kind(each) not in EXPLAINED}),
            )
            for name in stack.names()
        ]

    def _ended(self, name: str) -> Iterator[str]:
        path = self._folder / f"{name}.log"
        if name not in OURS or not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._begins.get(path.name, 0))
            for line in file:
                told = _decoded(line)
                if told.get("event") in ENDS and told.get("exception"):
                    yield _last(told["exception"])


def _last(exception: str) -> str:
    """The line of a traceback that names what happened, without notes that follow it."""
    lines = [line for line in exception.splitlines() if line and line[0] not in " \t"]
    named = [line for line in lines if ":" in line or line.isidentifier()] or lines
    return next((line for line in reversed(named) if _kind(line)[-1:].isalpha() and "concerns " not in line), "")[:300]


def _kind(line: str) -> str:
    return line.partition(":")[0].rpartition(".")[2].strip()


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}
    return told if isinstance(told, dict) else {}
