"""The supervisor: what dies is started again, what is stopped leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import children, process, supervisor
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
