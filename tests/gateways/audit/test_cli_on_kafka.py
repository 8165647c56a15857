"""The whole way on a real broker: appended in transactions, folded, signed, proved, verified offline, replayed."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from deploy.local.kafka import LocalKafka
from domain.audit.checkpoint import Checkpoint
from domain.kernel.ids import Micros
from domain.kernel.messages import GENESIS, Event
from domain.orders.decide import orders
from gateways.audit import cli, verify
from infra.audit_files import AuditFiles
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.reader import Reader
from infra.kafka.records import Outgoing
from infra.kafka.sender import Sender
from infra.kafka.topics import TopicSpec, declare
from infra.settings import settings
from projections.audit.host import Audit
from tests.domain.audit.test_replay import recorded
from tests.kit.orders import credited, opened, placed

pytestmark = pytest.mark.kafka
ACCOUNT = "acc-1"
EVENTS_COUNT = 300
CASH = "100000.00"
Run = Callable[..., Any]


class World:
    """Topics of the test's own with an account's life on them, and the audit's process."""

    def __init__(self, bootstrap: str, state_dir: Path, codec: Codec) -> None:
        self.context = f"orders-{uuid.uuid4().hex[:8]}"
        self.feed = f"executions-{uuid.uuid4().hex[:8]}.messages"
        self.topics = (f"{self.context}.events", self.feed)
        self._bootstrap = bootstrap
        self._state_dir = state_dir
        self._codec = codec
        self._last = GENESIS
        self._count = 0
        declare(bootstrap, [TopicSpec(name=topic, partitions=2) for topic in self.topics])

    @property
    def tape(self) -> cli.Tape:
        return cli.Tape(self.topics, self._codec.decode_event, {self.context: orders})

    def place(self, sequence: int) -> str:
        return f"{self.topics[0]}/1/{sequence}"

    def outgoing(self, event: Event) -> Outgoing:
        made = recorded(event, self._count, at=self._count, account=ACCOUNT)
        digest = hashlib.sha256(b"command").digest()
        value = self._codec.encode_event(msgspec.structs.replace(made, previous=self._last, digest=digest))
        self._last, self._count = hashlib.sha256(value).digest(), self._count + 1
        return Outgoing(ACCOUNT.encode(), value, {"command-id": f"walnut-{made.sequence}".encode()})

    async def write(self, count: int) -> None:
        writer, sender = Protocol2Writer(self._bootstrap, self.topics[0], 1), Sender(self._bootstrap)
        await writer.take_over()
        events: list[Event] = [placed(f"walnut-{self._count + n}", quantity=1) for n in range(count)]
        if self._count == 0:
            events[:2] = [opened(), credited()]
        for first in range(0, count, 50):
            await writer.append([self.outgoing(event) for event in events[first : first + 50]])
        await sender.send_all(self.feed, [Outgoing(ACCOUNT.encode(), b"fill %d" % n) for n in range(count)])
        await writer.close()
        await sender.close()

    async def sign(self) -> Checkpoint:
        """Run the audit's process until it has signed all that is there."""
        host = Audit(
            self.topics, self._codec.decode_event, Reader(self._bootstrap, name="audit"), wall, self._state_dir
        )
        stop = asyncio.Event()
        running = asyncio.create_task(host.run(stop))
        async with asyncio.timeout(30):
            while not host.ready()[0]:
                assert not running.done(), running.result()
                await asyncio.sleep(0.05)
        stop.set()
        await running
        found = AuditFiles(self._state_dir).newest()
        assert found is not None
        return Checkpoint.parse(found[1].rpartition("\n\n")[0] + "\n")


@pytest.fixture
def world(kafka: LocalKafka, state_dir: Path, codec: Codec, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("TAPELINE_KAFKA", kafka.bootstrap)
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(state_dir))
    settings.cache_clear()
    return World(kafka.bootstrap, state_dir, codec)


@pytest.fixture
def run(world: World) -> Run:
    commands = cli.app(lambda: world.tape)
    return lambda *arguments: CliRunner().invoke(commands, arguments, catch_exceptions=False)


def sizes(signed: Checkpoint) -> dict[str, int]:
    return {str(name): head.size for name, head in signed.trees.items() if head.size}


def test_a_signed_tape_answers_every_question(world: World, run: Run, state_dir: Path) -> None:
    asyncio.run(world.write(EVENTS_COUNT))
    signed = asyncio.run(world.sign())
    assert sizes(signed)[f"{world.topics[0]}/1"] == EVENTS_COUNT
    assert sum(size for name, size in sizes(signed).items() if name.startswith(world.feed)) == EVENTS_COUNT

    proof = state_dir / "proof.json"
    assert run("prove", "walnut-123", "--out", str(proof), "--json").exit_code == 0
    assert json.loads(proof.read_text())["index"] == 123
    assert json.loads(run("prove", world.place(123)).stdout) == json.loads(proof.read_text())
    assert run("verify", str(proof)).stdout == f"VERIFIED {world.place(123)}\n"
    alone = [sys.executable, "-I", verify.__file__, str(proof), "--key", str(state_dir / "keys" / "audit.vkey")]
    assert subprocess.run(alone, check=False, timeout=30, capture_output=True).returncode == 0

    checked: dict[str, Any] = json.loads(run("verify", "--tape", "--json").stdout)
    assert checked == {"verified": True, "records": 2 * EVENTS_COUNT, "findings": []}

    out = state_dir / "range.ndjson"
    assert run("export", world.place(10), world.place(19), "--out", str(out)).exit_code == 0
    head, *lines = map(json.loads, out.read_text().splitlines())
    assert [line["event"]["event_type"] for line in lines] == ["OrderPlaced"] * 10
    for line in lines:
        assert verify.verify({**head, **line}, head["vkey"])["topic"] == world.topics[0]

    assert run("verify", str(out)).stdout == f"VERIFIED {world.place(10)} to 19\n"
    alone[3] = str(out)
    assert subprocess.run(alone, check=False, timeout=30, capture_output=True).returncode == 0
    out.write_text(out.read_text().replace('"walnut-12"', '"walnut-99"'))
    spoilt = run("verify", str(out))
    assert (spoilt.exit_code, "line 4" in spoilt.stderr) == (verify.NOT_INCLUDED, True)

    past = json.loads(run("replay", "--account", ACCOUNT, "--as-of", world.place(11), "--json").stdout)
    assert (past[world.context]["events"], len(past[world.context]["state"]["working"])) == (12, 10)
    assert past[world.context]["state"]["cash"] == CASH
    assert past[world.context]["state"]["working"]["walnut-2"]["quantity"] == "1"
    told = run("replay", "--account", ACCOUNT).stdout
    assert f"{world.context}: {EVENTS_COUNT} events" in told
    assert CASH in told
    at_ten = json.loads(
        run("replay", "--account", ACCOUNT, "--as-of", "1970-01-01T00:00:00.000010+00:00", "--json").stdout
    )
    assert at_ten[world.context]["sequence"] == 10


def test_a_second_life_goes_on_and_keeps_every_checkpoint(world: World, run: Run) -> None:
    asyncio.run(world.write(60))
    first = asyncio.run(world.sign())
    asyncio.run(world.write(70))
    second = asyncio.run(world.sign())
    assert sizes(second)[f"{world.topics[0]}/1"] == sizes(first)[f"{world.topics[0]}/1"] + 70
    assert run("verify", "--tape").exit_code == 0


def test_a_tape_that_somebody_signed_again_is_found_by_the_key_that_is_given(
    world: World, run: Run, state_dir: Path, tmp_path: Path
) -> None:
    asyncio.run(world.write(5))
    asyncio.run(world.sign())
    ours = (state_dir / "keys" / "audit.vkey").read_text()
    shutil.rmtree(state_dir / "audit")
    shutil.rmtree(state_dir / "keys")
    asyncio.run(world.sign())
    assert run("verify", "--tape").exit_code == 0
    signed_again = run("verify", "--tape", "--key", ours)
    assert (signed_again.exit_code, "checkpoint 0" in signed_again.stderr) == (cli.MISSING, True)


def test_what_is_missing_is_said(world: World, run: Run) -> None:
    asyncio.run(world.write(5))
    assert run("prove", world.place(1)).exit_code == cli.MISSING
    asyncio.run(world.sign())
    missing = run("prove", world.place(5), "--json")
    assert (missing.exit_code, "is not within them" in missing.stderr) == (cli.MISSING, True)
    assert "no event answers the command acorn" in run("prove", "acorn").stderr
    assert run("verify").exit_code == 2
    assert run("replay", "--account", ACCOUNT, "--as-of", "yesterday").exit_code == cli.MISSING
    stranger = run("replay", "--account", "acc-l")
    assert stranger.exit_code == cli.MISSING
    assert stranger.stderr == "refused: no event on the tape is of the account acc-l: check its id\n"
    before = run("replay", "--account", ACCOUNT, "--as-of", "1969-12-31T23:00:00+00:00")
    assert (before.exit_code, before.stdout) == (0, f"nothing by then in {world.context}\n")


def test_the_time_is_never_before_the_last_checkpoint(world: World) -> None:
    asyncio.run(world.write(5))
    assert asyncio.run(world.sign()).time <= Micros(wall())
