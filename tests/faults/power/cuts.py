"""One power cut and what came of it, and the reading of files that a running process appends to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Cut(msgspec.Struct, kw_only=True):
    """One trial: nothing found is a pass."""

    findings: list[str] = []
    what: dict[str, Any]
    """For the ledger: what lost its power and how much was at stake."""
    evidence: Path
    recovered_s: float = 0.0
    """From the cut to a server that answers."""
    later: Callable[[], None] | None = None
    """What is still to be judged, once the server that was cut is gone."""
    served_s: float = 0.0
    """From the cut to the last of a few new commands that were served."""


def head(path: Path) -> bytes:
    """All whole lines that stand in the file now."""
    whole, end, _ = (path.read_bytes() if path.exists() else b"").rpartition(b"\n")
    return whole + end


def told(said: bytes, kind: type[T]) -> list[T]:
    """The lines, each decoded."""
    return msgspec.json.Decoder(kind).decode_lines(said)
