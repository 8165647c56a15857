"""requirements.lock, jgo.lock.toml -> `.venv` with every library, Kafka's jars in the cache: all on a bare Python.

Only the standard library is used here. A stamp in the environment says what it was made from, so that the second run
ends at once.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
INPUTS = (LOCK, ROOT / "deploy" / "local" / "jgo.lock.toml")
STAMP = VENV / ".made-from"
PYTHON_MIN = (3, 11)
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
LINES_QUOTED = 12
"""Lines of a failed command that its error quotes."""


class Failed(Exception):
    """A step failed; the message says what to do."""


def main() -> None:
    """Make what is missing; say nothing and do nothing when all is there."""
    wanted = _fingerprint()
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted and _has_jars():
        return
    try:
        with _step(f"a Python environment in {VENV.relative_to(ROOT)}"):
            _make_venv()
        with _step("libraries of requirements.lock, each with its hash"):
            _install()
        with _step("Kafka's jars of jgo.lock.toml, each with its hash"):
            _run([str(PYTHON), "-m", "deploy.local.jars"], "Check the network and run the same command again.")
        with _step("an archive of Kafka's classes, for quick starts"):
            _run([str(PYTHON), "-m", "deploy.local.class_archive"], "Java 17 or later must run on this machine.")
    except Failed as failure:
        raise SystemExit(f"\n{failure}") from failure
    STAMP.write_text(wanted)


def _fingerprint() -> str:
    """What the environment is made from: both locks and this Python."""
    digest = hashlib.sha256(sys.version.encode())
    for path in INPUTS:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _has_jars() -> bool:
    """The cache belongs to the user, who may have emptied it."""
    sys.path.insert(0, str(ROOT))
    from deploy.local import jars  # noqa: PLC0415  also bare, but only where the path knows the project

    return jars.folder().is_dir()


def _make_venv() -> None:
    remedy = (
        "This Python has no complete venv module. On Debian or Ubuntu: `apt-get install python3-venv`; elsewhere take "
        "a Python from python.org, conda, pyenv or Homebrew."
    )
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)], remedy)


def _install() -> None:
    """uv brings everything in seconds; where it does not run or find its index, pip does the same in a minute."""
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    remedy = (
        "The libraries could not be installed. Check the network (a proxy: HTTPS_PROXY, an index of your own: "
        "PIP_INDEX_URL and UV_DEFAULT_INDEX) and run the same command again."
    )
    with tempfile.TemporaryDirectory() as scratch:
        own = Path(scratch) / "uv.lock.txt"
        own.write_text(_locked("uv"))
        _run([*pip, "--no-deps", "-r", str(own)], remedy)
    uv = [str(PYTHON.with_name("uv")), "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON), str(LOCK)]
    try:
        _run(uv, remedy)
    except Failed:
        _run([*pip, "-r", str(LOCK)], remedy)


def _locked(name: str) -> str:
    """The lines of one library in the lock: its version and its hashes."""
    taken: list[str] = []
    for line in LOCK.read_text().splitlines():
        if taken and not line.startswith("    --hash"):
            break
        if taken or line.startswith(f"{name}=="):
            taken.append(line)
    if not taken:
        raise Failed(f"{LOCK.name} has no line for {name}: lock again with `make lock`")
    return "\n".join(taken).rstrip(" \\") + "\n"


def _run(argv: Sequence[str], remedy: str) -> None:
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, env=_environment())
    if ran.returncode:
        said = "\n".join(f"    {line}" for line in (ran.stdout + ran.stderr).strip().splitlines()[-LINES_QUOTED:])
        raise Failed(f"{remedy}\n`{' '.join(argv)}` said:\n{said}")


def _environment() -> dict[str, str]:
    """Ours, without the traces of another Python environment that may be active."""
    return {key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"}}


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    """Say what is being brought and how long it took."""
    begun = time.monotonic()
    print(f"  {what} ...", end="", flush=True)
    yield
    print(f" {time.monotonic() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    if sys.version_info < PYTHON_MIN:
        raise SystemExit(
            f"Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or later is needed, this is {sys.version.split()[0]}."
        )
    main()
