"""The ledger: one JSON line a run, appended and never changed, in `docs/ledger.ndjson` or where a run is told to.

Runs may be days apart; what is published adds their lines up. A line names what was tried by the row of the fault
matrix, so that a fault that could not be tried on a machine is counted as not run, and never as passed.
"""

import datetime as dt
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

FORMAT = "tapeline-ledger/1"
ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "ledger.ndjson"
"""What `docs/reliability.md` is written from."""
BUILD = ROOT / "build" / "faults"
"""Where runs that are not to be published keep theirs, and where failing histories are kept whole."""
FAILED_MAX = 50
"""Findings that one line writes out."""


class Injected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fault at one instant of the run."""

    row: str
    at_s: float
    """Seconds since the run began."""
    what: dict[str, Any] = {}
    """Whom it hit and how: the process, the phase, how long. No paths, no ports."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run."""

    format: str = FORMAT
    run: str
    """What ran: `faults`, `campaign`, `ghosts`, `power-cuts`, `simulation`, `planted` …"""
    at: str
    commit: str
    seed: int
    arm: str = "tapeline"
    """Whose loop was judged: ours, `textbook`, `java`; a control is `control:<what was left out>`."""
    profile: str = "one broker"
    trials: dict[str, int]
    """How often each row was tried to its end, by row: F1, F12, S1, B1. Controls count under their own arm."""
    failed: dict[str, int] = {}
    """How many of these trials broke what is promised."""
    faults: list[Injected] = []
    operations: dict[str, int] = {}
    findings: list[dict[str, Any]] = []
    not_run: dict[str, str] = {}
    """Row -> why this machine or this run could not do it."""
    figures: dict[str, float] = {}
    """What was measured on the way, unit last: failover_p50_ms, load_average."""
    history: str = ""
    """SHA-256 of the evidence that was judged."""


def append(line: Line, path: Path = PUBLISHED) -> None:
    """Add a run, by one write to a file opened for appending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, msgspec.json.encode(line) + b"\n")
    finally:
        os.close(file)


def read(path: Path = PUBLISHED) -> Iterator[Line]:
    """Every run in the order in which they were written; nothing when there is no ledger yet."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line, type=Line)


def now() -> str:
    """The moment of a line, UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def commit() -> str:
    """The commit that is tried; `+` behind it when the tree differs from it, `unknown` outside a repository."""
    argv = ("git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*")
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    return ran.stdout.strip() or "unknown"
