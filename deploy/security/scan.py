"""What a scan is: a name, and a function that says what it found, or why it could not look."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
SCAN_SECONDS_MAX = 900
"""Longest scan, on a machine that does much besides; alone the longest takes twenty seconds."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan came to: findings, one a line, or why it was not run."""

    looked_at: str
    """How much was looked at, in words: a scan of nothing finds nothing."""
    findings: tuple[str, ...] = ()
    not_run: str = ""


class Broken(Exception):
    """A scanner failed or answered something that cannot be read."""


def files(*folders: str, suffix: str = ".py") -> list[str]:
    """Files of the project that end so, as git knows them; of these folders, or of all."""
    argv = ["git", "ls-files", "-z", "--", *folders]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name.endswith(suffix) and (ROOT / name).is_file()]


def said(argv: Sequence[Path | str], *, good: Sequence[int] = (0,), cwd: Path = ROOT, **env: str) -> str:
    """What a scanner prints. Raises Broken when it ends in another way than these."""
    ran = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=SCAN_SECONDS_MAX,
        stdin=subprocess.DEVNULL,
    )
    if ran.returncode not in good:
        last = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-12:])
        raise Broken(f"{Path(argv[0]).name} ended with {ran.returncode}:\n{last}")
    return ran.stdout
