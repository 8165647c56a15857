"""Files are whole or not there, for their owner only, however their writers end."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra import files
from tests.tidy.sources import ROOT

KILLED = """
import os, pathlib, signal, sys
from infra import files

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

how, path = sys.argv[1], pathlib.Path(sys.argv[2])
if how == "replace":
    pathlib.Path.replace = die
    files.replace(path, b"new", mode=0o600)
elif how == "create":
    os.link = die
    files.create(path, b"new")
elif how == "fsync":
    os.fsync = die
    files.replace(path, b"new", mode=0o600)
else:
    pathlib.Path.unlink = die
    files.create(path, b"new")
"""


def killed(how: str, path: Path) -> None:
    """A writer of its own process that is killed at this call."""
    ended = subprocess.run([sys.executable, "-c", KILLED, how, str(path)], cwd=ROOT, check=False, timeout=60)
    assert ended.returncode == -9


@pytest.mark.parametrize("how", ["fsync", "replace"])
def test_a_writer_killed_before_the_rename_leaves_what_was_there(tmp_path: Path, how: str) -> None:
    path = tmp_path / "name"
    path.write_bytes(b"old")
    killed(how, path)
    assert path.read_bytes() == b"old"
    files.replace(path, b"newer", mode=0o600)
    assert path.read_bytes() == b"newer"


def test_a_writer_killed_before_the_link_leaves_the_place_free(tmp_path: Path) -> None:
    path = tmp_path / "name"
    killed("create", path)
    assert not path.exists()
    files.create(path, b"second")
    assert path.read_bytes() == b"second"


def test_a_writer_killed_after_the_link_has_written_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "name"
    killed("unlink", path)
    assert path.read_bytes() == b"new"


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    path, beside = tmp_path / "name", tmp_path / "name2"
    beside.write_bytes(b"kept")
    killed("unlink", path)
    assert len(list(tmp_path.iterdir())) == 3
    files.sweep(path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["name", "name2"]


def test_the_first_of_many_writers_wins(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "name"
    threads = [threading.Thread(target=files.create, args=(path, bytes([n]) * 1000)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(path.read_bytes())) == 1
    assert list(path.parent.iterdir()) == [path]
    files.create(path, b"late")
    assert path.read_bytes() != b"late"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_secret_is_for_its_owner_whatever_the_mask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.create(tmp_path / "keys" / "a", b"secret")
        files.replace(tmp_path / "keys" / "b", b"open", mode=0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys" / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys" / "b").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) & 0o077 == 0


def test_a_write_that_fails_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        files.create(tmp_path / "name", b"secret")
    assert list(tmp_path.iterdir()) == []
