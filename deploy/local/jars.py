"""jgo.toml, jgo.lock.toml -> the jars of Kafka in the user's cache, each checked against its hash in the lock."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from deploy.local import folders

SPEC = folders.DEPLOY / "jgo.toml"
LOCK = folders.DEPLOY / "jgo.lock.toml"
FETCH_TIMEOUT_S = 600
"""Longest fetch of fifty megabytes from a slow mirror."""


class JarsMissing(Exception):
    """The jars could not be brought, and why."""


def ensure() -> tuple[Path, ...]:
    """Every jar of the broker and its tools, in the order of the class path; fetched on first use."""
    home = folder()
    if not home.is_dir():
        with folders.whole(home) as making:
            _sync(making)
            _keep_jars(making)
            _verify(making)
    # A plain sorted list: a shared archive of classes is only valid for the very same class path.
    return tuple(sorted(home.glob("*.jar")))


def folder() -> Path:
    """Where the jars of this lock stand; another lock has another folder."""
    return folders.cache() / f"kafka-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"


def lock() -> None:
    """Write the lock anew after a change of the list in jgo.toml."""
    with tempfile.TemporaryDirectory() as scratch:
        _sync(Path(scratch))
        shutil.copyfile(Path(scratch) / "jgo.lock.toml", LOCK)


def _sync(making: Path) -> None:
    """Let jgo fetch all coordinates into the folder; nothing of it is left in the home folder."""
    argv = [sys.executable, "-m", "jgo", "--ignore-config", "--resolver", "python", "--system-java", "--links", "copy"]
    argv += ["--repo-cache", str(making / "repository"), "--cache-dir", str(making), "-q", "-f", SPEC.name, "sync"]
    environment = {**os.environ, "HOME": str(making / "home")}
    (making / "home").mkdir()
    # Beside its list, jgo builds in place; elsewhere it would choose a folder of its own.
    shutil.copyfile(SPEC, making / SPEC.name)
    ran = subprocess.run(
        argv, cwd=making, env=environment, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S
    )
    if ran.returncode or not (making / "jgo.lock.toml").is_file():
        said = "\n".join((ran.stdout + ran.stderr).strip().splitlines()[-8:])
        raise JarsMissing(
            f"Kafka's jars could not be fetched from Maven Central. Check the network (proxy: HTTPS_PROXY) and run "
            f"the same command again; what jgo said:\n{said}"
        )


def _keep_jars(making: Path) -> None:
    """Leave only the jars: jgo sorts them into two folders, a class path wants them in one."""
    for jar in [*making.glob("jars/*.jar"), *making.glob("modules/*.jar")]:
        jar.rename(making / jar.name)
    for kept in making.iterdir():
        if kept.suffix != ".jar":
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()


def _verify(making: Path) -> None:
    """Refuse a jar that is not the one the lock was made with, and a set that is not complete."""
    wanted = {f"{row['artifactId']}-{row['version']}.jar": row["sha256"] for row in _locked()}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in making.glob("*.jar")}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        raise JarsMissing(
            f"These jars differ from {LOCK.name}: {', '.join(wrong)}. If jgo.toml was changed on purpose, run "
            f"`python -m deploy.local.jars --lock`; if not, the mirror serves something else and must not be used."
        )


def _locked() -> list[dict[str, str]]:
    rows: list[dict[str, str]] = tomllib.loads(LOCK.read_text())["dependencies"]
    return rows


if __name__ == "__main__":
    if "--lock" in sys.argv:
        lock()
    print(f"{len(ensure())} jars in {folder()}")
