"""The supervisor: what dies is started again, what is stopped leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import children, folders, process, supervisor
from deploy.local.children import NotReady
from deploy.local.ports import one as free_port
from deploy.local.process import AppProcess
from deploy.local.supervisor import GaveUp, Supervisor
from tests.deploy.eventually import eventually, is_gone
from tests.deploy.supervise import SLEEPER

SERVER = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""

BEGINNER = """
import os, time

print("imported", os.getpid(), flush=True)

def app():
    print("begun", os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    app()
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watcher(said: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(say=said.append)
    yield made
    made.stop()


def python(name: str, source: str, folder: Path, *arguments: str) -> AppProcess:
    return AppProcess(name, [sys.executable, "-c", source, *arguments], env={}, log=folder / f"{name}.log")


def test_a_dead_child_is_started_again(watcher: Supervisor, tmp_path: Path, said: list[str]) -> None:
    sleeper = python("sleeper", SLEEPER, tmp_path)
    watcher.bring(sleeper)
    first = sleeper.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        watcher.look()
        return sleeper.pid not in {None, first}

    assert eventually(is_back)
    assert any("sleeper: died, starts again" in line for line in said)


def test_a_child_that_dies_again_and_again_is_given_up_loudly(
    watcher: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_FIRST_S", 0.01)
    broken = python("broken", "import sys; sys.exit('the disk is full')", tmp_path)
    broken._is_ready = lambda _: True
    watcher.bring(python("sleeper", SLEEPER, tmp_path))
    watcher._kept.append(supervisor._Kept(broken))
    with pytest.raises(GaveUp, match=r"(?s)broken died 6 times.*broken.log.*the disk is full"):
        watcher.run()
    assert watcher._kept == []


def test_a_child_that_ends_while_starting_stops_the_start_and_quotes_its_log(
    watcher: Supervisor, tmp_path: Path
) -> None:
    sleeper = python("sleeper", SLEEPER, tmp_path)
    broken = python("broken", "import sys; sys.exit('no such topic')", tmp_path)
    broken._is_ready = lambda _: False
    watcher.bring(sleeper)
    with pytest.raises(NotReady, match=r"(?s)broken ended while starting.*no such topic"):
        watcher.bring(broken)
    assert not sleeper.is_alive


def test_a_process_is_not_ready_when_another_answers_on_its_port(watcher: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    server = python("server", SERVER, tmp_path, str(port))
    server._is_ready = process.answers(port, "/")
    watcher.bring(server)
    impostor = python("impostor", SLEEPER, tmp_path)
    impostor._is_ready = process.answers(port, "/")
    impostor.start_limit_s = 0.5
    with pytest.raises(NotReady, match="impostor not ready"):
        watcher.bring(impostor)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a spare is kept on Linux only")
def test_a_spare_that_has_read_all_its_code_begins_when_the_first_dies(watcher: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "beginner.py").write_text(BEGINNER)
    env = {"PYTHONPATH": str(folders.ROOT)}
    argv = [sys.executable, "beginner.py"]
    beginner = AppProcess(
        "beginner", argv, env=env, log=tmp_path / "beginner.log", is_ready=lambda _: True, cwd=tmp_path, has_spare=True
    )

    def told(what: str) -> list[int]:
        lines = beginner.log.read_text().splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith(what)]

    watcher.bring(beginner)
    first = beginner.pid
    assert first is not None
    assert eventually(lambda: len(told("imported")) == 2)
    (spare,) = set(told("imported")) - {first}
    assert told("begun") == [first]
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        watcher.look()
        return told("begun") == [first, spare] and len(told("imported")) == 3

    assert eventually(is_back)
    assert beginner.pid == spare
    watcher.stop()
    assert eventually(lambda: all(is_gone(pid) for pid in told("imported")))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a spare is kept on Linux only")
def test_a_spare_that_died_itself_is_not_waited_for(watcher: Supervisor, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", SLEEPER]  # No program that a spare could import: it ends at once.
    sleeper = AppProcess("sleeper", argv, env={}, log=tmp_path / "sleeper.log", cwd=tmp_path, has_spare=True)
    watcher.bring(sleeper)
    first, spare = sleeper.pid, sleeper._spare
    assert first is not None
    assert spare is not None
    assert spare.wait(30) != 0
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        watcher.look()
        return sleeper.pid not in {None, first, spare.pid}

    assert eventually(is_back)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_told_supervisor_leaves_no_orphan(tmp_path: Path, ending: signal.Signals) -> None:
    program, family = supervised(tmp_path)
    program.send_signal(ending)
    assert program.wait(20) == 0
    assert all(is_gone(pid) for pid in family)


def test_a_child_that_ignores_sigterm_is_killed_after_the_limit(tmp_path: Path) -> None:
    program, family = supervised(tmp_path, "stubborn")
    program.send_signal(signal.SIGTERM)
    assert program.wait(20) == 0
    assert all(is_gone(pid) for pid in family)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children that their parent died")
def test_a_killed_supervisor_leaves_no_direct_child(tmp_path: Path) -> None:
    program, family = supervised(tmp_path)
    program.kill()
    program.wait()
    assert eventually(lambda: all(is_gone(pid) for pid in family[:3]))
    for pid in family[3:]:  # a grandchild is its parent's to end; ours start none
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)


def supervised(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], list[int]]:
    """The program of supervise.py, and all processes below it: its children first."""
    argv = [sys.executable, "-m", "tests.deploy.supervise", str(folder), *arguments]
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    with program.stdout:
        return program, json.loads(program.stdout.readline())


def test_what_a_killed_parent_left_is_ended_before_its_successor_starts(tmp_path: Path) -> None:
    program, family = supervised(tmp_path, "untied")
    program.kill()
    program.wait()
    assert any(not is_gone(pid) for pid in family)
    for log in tmp_path.glob("*.log"):
        children.end_leftover(log, limit_s=5)
    assert eventually(lambda: all(is_gone(pid) for pid in family[:3]))
    for pid in family[3:]:
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_child_whose_parent_lives_is_no_leftover(watcher: Supervisor, tmp_path: Path) -> None:
    sleeper = python("sleeper", SLEEPER, tmp_path)
    watcher.bring(sleeper)
    children.end_leftover(sleeper.log, limit_s=5)
    assert sleeper.is_alive
