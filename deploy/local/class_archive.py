"""One training run of a broker per Java and class path -> an archive of classes that halves every later start."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local import children, folders, jars, java, kafka_files, kafka_probe, ports

TRAINING_LIMIT_S = 90.0
"""Longest training run; it takes about eight seconds and is then never made again."""


def flag(machine: java.Java, libraries: tuple[Path, ...]) -> list[str]:
    """The JVM option that uses the archive, made now if there is none; nothing where it cannot be made."""
    archive = path(machine, libraries)
    if not archive.exists():
        with _alone(archive):
            if not archive.exists():
                _train(machine, libraries, archive)
    # An empty file says that this Java could not make one: slower starts, nothing else.
    return [_use(machine, archive)] if archive.stat().st_size else []


def path(machine: java.Java, libraries: tuple[Path, ...]) -> Path:
    """Where the archive of this Java and these jars stands."""
    told = "\0".join([str(machine.path), machine.version, *(f"{jar}:{jar.stat().st_mtime_ns}" for jar in libraries)])
    return folders.cache() / f"classes-{hashlib.sha256(told.encode()).hexdigest()[:16]}.jsa"


def _use(machine: java.Java, archive: Path) -> str:
    option = "AOTCache" if machine.release >= java.AOT_RELEASE_MIN else "SharedArchiveFile"
    return f"-XX:{option}={archive}"


def _make(machine: java.Java, archive: Path) -> str:
    option = "AOTCacheOutput" if machine.release >= java.AOT_RELEASE_MIN else "ArchiveClassesAtExit"
    return f"-XX:{option}={archive}"


def _train(machine: java.Java, libraries: tuple[Path, ...], archive: Path) -> None:
    """Format, start, ask and stop a throw-away broker; the JVM writes what it loaded when it ends."""
    with tempfile.TemporaryDirectory(prefix="tapeline-training-") as scratch:
        folder = Path(scratch)
        made = folder / "classes.jsa"
        client, controller = ports.free(2)
        config = kafka_files.write(folder, kafka_files.Ports(client, controller), {})
        base = [str(machine.path), "-Xmx256m", "-XX:+UseSerialGC"]
        rest = [f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"]
        rest += ["-cp", os.pathsep.join(str(jar) for jar in libraries)]
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", "dHJhaW5pbmctcnVuLTAwMQ", "--config", str(config)]
        subprocess.run([*base, *rest, *tool], capture_output=True, check=True)
        log = folder / "kafka.log"
        child = children.spawn([*base, _make(machine, made), *rest, "kafka.Kafka", str(config)], log=log)
        try:
            children.await_ready(
                child, lambda: kafka_probe.is_warm(client), name="Kafka", log=log, limit_s=TRAINING_LIMIT_S
            )
            children.stop(child, limit_s=TRAINING_LIMIT_S)
        finally:
            children.kill(child)
        _keep(made, archive)


def _keep(made: Path, archive: Path) -> None:
    """Move the archive to its place in one step; from Java 25 on it is put together after the JVM has ended."""
    end = time.monotonic() + TRAINING_LIMIT_S
    while not made.exists() and time.monotonic() < end:
        time.sleep(children.STEP_S)
    moving = archive.with_suffix(f".{os.getpid()}")
    moving.write_bytes(made.read_bytes() if made.exists() else b"")
    moving.rename(archive)


@contextlib.contextmanager
def _alone(archive: Path) -> Iterator[None]:
    """One training run at a time: two test sessions that start at once must not both make it."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with archive.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    print(" ".join(flag(java.find(), jars.ensure())) or "this Java cannot make an archive: starts are slower")
