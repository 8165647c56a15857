"""The venue's steps -> an append-only file -> the venue again: what it was told and what it said, a JSON line a step.

A line is written in one piece before anything of it is sent. A killed venue has therefore either done a step and can
say so again, or has never heard of it; a torn last line is a step that nobody was told of, and is cut off. The first
line names the venue's birth, which stands in all its ids, so that a new journal never repeats an id of an old one.
"""

import fcntl
import json
import logging
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from simulators.venue.requests import Message

log = logging.getLogger("venue")


class Step(TypedDict):
    """`told` is what came in (a request, a quote, a clock), `said` what went out, `date` the market's date."""

    date: str
    told: Message
    said: list[Message]


class JournalInUse(RuntimeError):
    """Another venue writes this journal."""


class Journal:
    """The file, with an index of where each message is."""

    def __init__(self, path: Path, birth: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalInUse(f"another venue writes {path}: stop it, or name another --journal") from error
        self._reader = path.open("rb")
        self._firsts, self._places = array("Q"), array("Q")
        self._end = 0
        self.last_seq = 0
        self._keep_whole_lines()
        self.born: str = self._first_line(birth)

    def append(self, step: Step) -> None:
        """Write a step, whole; it survives this process from here on."""
        line = json.dumps(step, separators=(",", ":")).encode() + b"\n"
        if self._file.write(line) != len(line):
            raise OSError("the journal took half a step: make room on its disk and start again")
        self._index(step, len(line))

    def steps(self) -> Iterator[Step]:
        """All steps from the first one on."""
        self._firsts, self._places, self.last_seq = array("Q"), array("Q"), 0
        self._reader.seek(0)
        self._end = len(self._reader.readline())
        for line in iter(self._reader.readline, b""):
            step: Step = json.loads(line)
            self._index(step, len(line))
            yield step

    def messages(self, after: int, limit: int) -> list[Message]:
        """The next messages above this number, at most a few more than `limit`: steps are not split."""
        found: list[Message] = []
        place = max(0, bisect_right(self._firsts, after + 1) - 1)
        if after >= self.last_seq:
            return found
        self._reader.seek(self._places[place])
        while len(found) < limit and (line := self._reader.readline()):
            step: Step = json.loads(line)
            found += [message for message in step["said"] if int(str(message["seq"])) > after]
        return found

    def close(self) -> None:
        """Let another venue have it."""
        self._file.close()
        self._reader.close()

    def _index(self, step: Step, length: int) -> None:
        if step["said"]:
            self._firsts.append(int(str(step["said"][0]["seq"])))
            self._places.append(self._end)
            self.last_seq = int(str(step["said"][-1]["seq"]))
        self._end += length

    def _keep_whole_lines(self) -> None:
        whole = sum(len(line) for line in self._reader if line.endswith(b"\n"))
        torn = self._file.seek(0, 2) - whole
        if torn:
            log.warning("the journal ends within a step: cutting off %d bytes that nobody was told of", torn)
            self._file.truncate(whole)
        self._reader.seek(0)

    def _first_line(self, birth: str) -> str:
        first = self._reader.readline()
        if not first:
            first = json.dumps({"born": birth}).encode() + b"\n"
            self._file.write(first)
        self._end = len(first)
        return str(json.loads(first)["born"])
