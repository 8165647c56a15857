"""requirements.lock beside this file -> an environment of scanners in the user's cache, apart from the product's.

Semgrep pins libraries that the product wants newer, so neither is put up with the other's. It is made once for a lock
and a Python, by uv, with every hash checked; a fresh clone on the same machine finds it.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from deploy.local import folders

LOCK = Path(__file__).with_name("requirements.lock")
MADE = "made"
MAKE_SECONDS_MAX = 600
"""Longest making: two hundred megabytes from a slow mirror."""


class NotMade(Exception):
    """The environment could not be made, and why."""


def folder() -> Path:
    """Where the scanners of this lock stand; another lock or another Python has another folder."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    return folders.cache() / f"security-{digest[:16]}"


def program(name: str) -> Path:
    """A scanner, made with the others on first use."""
    home = folder()
    if not (home / MADE).exists():
        _make(home)
    return home / "bin" / name


def _make(home: Path) -> None:
    """An environment knows its place, so it is made there; its mark comes last, and a half-made one is made anew."""
    uv = Path(sys.executable).with_name("uv")
    python = home / "bin" / "python"
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, home])
    _run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, LOCK])
    (home / MADE).touch()


def _run(argv: list[Path | str]) -> None:
    without = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"}
    env = {name: value for name, value in os.environ.items() if name not in without}
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=MAKE_SECONDS_MAX)
    if ran.returncode:
        said = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-12:])
        raise NotMade(f"The scanners could not be installed. Check the network and run the same command again:\n{said}")
