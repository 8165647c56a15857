"""What a rig says of the tree that it ran in: one line of JSON, the last of its output."""

import sys

import msgspec


class Seen(msgspec.Struct, kw_only=True):
    """Whether something was found: after how many trials of the rig; nothing was when `after` is 0."""

    after: int = 0
    of: str = ""
    """What the trials are: histories, tapes, runs."""
    trials: int = 0
    operations: int = 0
    """Commands that clients asked for, in all trials."""
    faults: dict[str, int] = {}
    """Faults that were injected, by kind, in all trials."""
    by: str = ""
    """Who found it: the auditor of the simulation, or the checker and what kind of finding."""
    found: str = ""
    """The first finding."""


def say(seen: Seen) -> None:
    """Write the line."""
    sys.stdout.write(f"\n{msgspec.json.encode(seen).decode()}\n")
    sys.stdout.flush()


def heard(output: str) -> Seen:
    """The line at the end of a rig's output. Raises ValueError when the rig broke off before it."""
    lines = output.strip().splitlines()
    try:
        return msgspec.json.decode(lines[-1] if lines else "", type=Seen)
    except msgspec.DecodeError as error:
        raise ValueError(f"the rig said nothing at its end: {output[-2_000:]}") from error
