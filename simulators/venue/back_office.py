"""Executions and closing bells -> a numbered sequence of copies and statements, kept in a file of its own.

This is the venue's second voice, beside the line that orders go over: whoever hears both can reconcile them. It can be
told to lose a copy (which then never had a number, so that no gap shows it), to say it late after all, and to say one
twice. Each record is a JSON line that was written before anybody hears of it.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from simulators.venue.records import Records
from simulators.venue.requests import Message

RECORDS_AT_ONCE = 500
"""Records sent before others get their turn."""

log = logging.getLogger("venue")


class BackOffice:
    """The sequence, and what was asked of it."""

    def __init__(self, path: Path, born: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._born = born
        self._records: list[Message] = []
        self._withheld: dict[str, Message] = {}
        self._copied: set[str] = set()
        self._to_drop = self._to_repeat = 0
        self.changed = asyncio.Condition()
        self._recall(path)
        self._file = path.open("ab", buffering=0)

    @property
    def last_number(self) -> int:
        """The number of the newest record."""
        return len(self._records)

    def status(self) -> Message:
        """What was said, what is withheld, what will go wrong."""
        return {
            "last_number": self.last_number,
            "withheld": sorted(self._withheld),
            "to_drop": self._to_drop,
            "to_repeat": self._to_repeat,
        }

    def misbehave(self, *, drop: int = 0, repeat: int = 0) -> None:
        """Lose so many of the next copies, say so many of the next ones twice."""
        self._to_drop += drop
        self._to_repeat += repeat

    def release(self) -> None:
        """Say what was lost after all."""
        for execution in list(self._withheld.values()):
            self._say_copy(execution)

    def copy(self, executions: Iterable[Message]) -> None:
        """Say these executions, unless they were said or lost before."""
        for execution in executions:
            execution_id = str(execution["execution_id"])
            if execution_id in self._copied or execution_id in self._withheld:
                continue
            if self._to_drop:
                self._to_drop -= 1
                self._write({"type": "withheld", "execution": execution})
                continue
            self._say_copy(execution)
            if self._to_repeat:
                self._to_repeat -= 1
                self._say_copy(execution)

    def state(self, date: str, as_of_ns: int, records: Records) -> None:
        """One statement for each account that ever traded: what it holds by every execution up to now."""
        for account in sorted(records.by_account):
            statement = records.statement(account)
            head = {"type": "statement", "account": account, "date": date, "as_of_ns": str(as_of_ns)}
            executions = len(records.by_account[account])
            self._say(head | {"holdings": statement["holdings"], "executions": executions})

    async def announce(self) -> None:
        """Wake everybody who listens."""
        async with self.changed:
            self.changed.notify_all()

    async def deliver(self, after: int, send: Callable[[Message], Awaitable[None]]) -> None:
        """Say every record above this number, for as long as somebody listens."""
        while True:
            for record in self._records[after : after + RECORDS_AT_ONCE]:
                await send(record)
                after += 1
            async with self.changed:
                while self.last_number <= after:
                    await self.changed.wait()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _say_copy(self, execution: Message) -> None:
        self._say(execution | {"type": "copy"})

    def _say(self, record: Message) -> None:
        number = self.last_number + 1
        # A repeat is the same record again: it is known by the execution that it copies.
        own = record["execution_id"] if record["type"] == "copy" else f"{self._born}-s{number}"
        self._write(record | {"number": number, "record_id": f"{record['type']}-{own}"})

    def _write(self, record: Message) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError("the back office took half a record: make room on its disk and start again")
        self._take(record)

    def _take(self, record: Message) -> None:
        if record["type"] == "withheld":
            execution = record["execution"]
            assert isinstance(execution, dict)
            self._withheld[str(execution["execution_id"])] = execution
            return
        self._records.append(record)
        if record["type"] == "copy":
            self._copied.add(str(record["execution_id"]))
            self._withheld.pop(str(record["execution_id"]), None)

    def _recall(self, path: Path) -> None:
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if len(whole) < len(lines):
            log.warning("the back office's file ends within a record: cutting off what nobody was told of")
            with path.open("r+b") as file:
                file.truncate(sum(map(len, whole)))
        for line in whole:
            self._take(json.loads(line))
