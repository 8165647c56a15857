"""The whole local stack: everything in order, told where everything else is, and up again after the worst end."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import addresses, background, kafka_probe
from deploy.local.children import NotReady
from deploy.local.postgres import LocalPostgres
from deploy.local.stack import AlreadyRunning
from tests.deploy.eventually import eventually
from tests.deploy.small_stack import small

pytestmark = pytest.mark.stack


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    LocalPostgres(tmp_path / ".tapeline" / "small").discard()


def test_each_process_is_told_where_everything_is(root: Path) -> None:
    with small(root) as stack:
        found = stack.addresses
        assert found is not None
        with urllib.request.urlopen(f"{found.gateway_url}/readyz") as answer:
            told = json.loads(answer.read())
        assert found.env().items() <= told.items()
        assert addresses.read(stack.state_dir) == found
        assert background.running(stack.state_dir) is not None
        with pytest.raises(AlreadyRunning, match="make down"):
            small(root).start()
        assert {log.stem for log in stack.logs.glob("*.log")} == {"kafka", "postgres", "prepare", "server"}
    assert kafka_probe.brokers(found.kafka_port) == 0
    assert background.running(stack.state_dir) is None


def test_a_failed_preparation_stops_everything_and_quotes_its_log(root: Path) -> None:
    stack = small(root, prepare="import sys; sys.exit('orders.events has 8 partitions')")
    with pytest.raises(NotReady, match=r"(?s)ended with code 1.*prepare.log.*orders.events has 8 partitions"):
        stack.start()
    assert stack.addresses is not None
    assert kafka_probe.brokers(stack.addresses.kafka_port) == 0


def test_it_comes_up_again_at_the_same_ports_after_its_supervisor_was_killed(root: Path) -> None:
    state_dir = root / ".tapeline" / "small"
    # Both in processes of their own, as people start them: this one has given ports away that it never takes back.
    first = small_stack(root)
    assert eventually(lambda: kafka_is_up(state_dir), 60)
    before = addresses.read(state_dir)
    assert before is not None
    first.kill()
    first.wait()
    second = small_stack(root)
    try:
        assert eventually(lambda: second.poll() is None and is_written_again(state_dir, first.pid), 60)
        assert eventually(lambda: kafka_is_up(state_dir), 60)
        assert addresses.read(state_dir) == before
    finally:
        second.terminate()
        second.wait(30)


def small_stack(root: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tests.deploy.small_stack", str(root)], stdout=subprocess.DEVNULL)


def is_written_again(state_dir: Path, old_pid: int) -> bool:
    return (state_dir / "supervisor.pid").read_text() not in {"", str(old_pid)}


def kafka_is_up(state_dir: Path) -> bool:
    found = addresses.read(state_dir)
    return found is not None and kafka_probe.brokers(found.kafka_port) == 1
