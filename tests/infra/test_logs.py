"""Log lines of a process: one JSON object each whoever writes it, with the ids of the command that it concerns."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from domain.kernel.messages import Issued
from domain.orders.commands import OpenTrading
from infra import commands, telemetry
from infra.avro.codec import Codec
from infra.kafka.dead_letters import DeadLetters
from infra.kafka.records import Arrived
from tests.kit.doors import Doors

PROGRAM = """
import logging, threading, warnings
from confluent_kafka import Consumer
from infra import telemetry
from infra.kafka import codes
telemetry.configure("{name}", "{level}")
{body}
"""


def lines(body: str, *, level: str = "INFO", name: str = "testing") -> list[dict[str, Any]]:
    """What a process writes to standard error that does this."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body, level=level, name=name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_of_ours_names_process_part_and_time() -> None:
    (line,) = lines("telemetry.logger('door').warning('it is late', by_ms=3)")
    assert (line["process"], line["part"], line["event"], line["level"]) == ("testing", "door", "it is late", "warning")
    assert (line["by_ms"], line["timestamp"][-1]) == (3, "Z")


def test_lines_of_libraries_are_lines_like_ours() -> None:
    (line,) = lines("logging.getLogger('faust.worker').warning('rebalance of %d', 4)")
    assert (line["process"], line["part"], line["event"]) == ("testing", "faust.worker", "rebalance of 4")
    assert line["level"] == "warning"


def test_librdkafka_writes_from_its_own_thread_in_the_same_form() -> None:
    told = lines(
        "reader = Consumer({'bootstrap.servers': '127.0.0.1:1', 'group.id': 'g', 'log_level': 7}, logger=codes.LOG)\n"
        "reader.subscribe(['topic'])\n"
        "for _ in range(100):\n"
        "    reader.poll(0.05)\n"
        "reader.close()\n"
    )
    assert {(line["process"], line["part"]) for line in told} == {("testing", "librdkafka")}
    assert any("127.0.0.1:1" in line["event"] for line in told)


def test_what_ends_a_process_or_a_thread_is_one_line() -> None:
    told = lines(
        "def fail():\n    raise ValueError('of a thread')\n"
        "thread = threading.Thread(target=fail)\nthread.start()\nthread.join()\n"
        "warnings.warn('this is old')\n"
        "raise RuntimeError('of the process')"
    )
    assert [line["level"] for line in told] == ["critical", "warning", "critical"]
    assert "ValueError: of a thread" in told[0]["exception"]
    assert "this is old" in told[1]["event"]
    assert "RuntimeError: of the process" in told[2]["exception"]


def test_a_failure_says_what_it_concerns_wherever_it_is_logged() -> None:
    (line,) = lines(
        "try:\n"
        "    with telemetry.concerning(correlation_id='trace-1', event_id=''):\n"
        "        raise ValueError('broken')\n"
        "except ValueError:\n"
        "    telemetry.logger('host').exception('the process ends')"
    )
    assert "concerns correlation_id trace-1\n" in line["exception"] + "\n"


async def test_a_command_on_its_way_is_logged_with_its_correlation(codec: Codec) -> None:
    class Sender:
        async def send(self, topic: str, key: bytes, value: bytes, *_: Any) -> int:
            telemetry.logger("sender").warning("slow")
            return 0

    issued = Issued(
        command=OpenTrading(at=0, actor="saga:x", currency="USD"),  # type: ignore[arg-type]  # plain values
        command_id="command-1",
        tenant="acme",
        stream_id="account-1",
        causation_id="event-1",
        correlation_id="trace-1",
    )
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as told:
        await commands.send(Sender(), codec, "orders", issued)
    assert [line["event"] for line in told] == ["slow", "command sent"]
    assert {(line["correlation_id"], line["command_id"]) for line in told} == {("trace-1", "command-1")}


async def test_a_dead_letter_names_its_command() -> None:
    class Sender:
        async def send(self, *_: Any) -> int:
            return 0

    arrived = Arrived("orders.commands", 1, 7, b"key", b"value", {"command-id": b"command-1"})
    bound = telemetry.concerning(correlation_id="trace-1")
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as told, bound:
        await DeadLetters(Sender()).bury(arrived, "STALE", "too old")  # type: ignore[arg-type]  # what it needs of one
    (line,) = [each for each in told if each["event"] == "dead letter"]
    assert (line["correlation_id"], line["command_id"], line["cause"]) == ("trace-1", "command-1", "STALE")


async def test_a_failed_request_is_found_by_its_trace(doors: Doors) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with doors.open() as trader:
        doors.bus.trouble = RuntimeError("unforeseen")  # type: ignore[assignment]  # what no door expects
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as told:
            response, _ = await trader.ask(
                "POST",
                "/v1/accounts/{}/deposits",
                {"amount": "1.00"},
                traceparent=f"00-{trace}-b7ad6b7169203331-01",
            )
    assert response.status == 500
    (line,) = [each for each in told if each["event"] == "a request failed"]
    assert line["correlation_id"] == trace
    assert line["command_id"]


async def test_two_requests_at_once_keep_their_ids_apart() -> None:
    async def request(name: str) -> list[str]:
        telemetry.concerns(correlation_id=name)
        await asyncio.sleep(0)
        return [structlog.contextvars.get_contextvars()["correlation_id"]]

    assert list(await asyncio.gather(request("a"), request("b"))) == [["a"], ["b"]]


@pytest.fixture
def doors(codec: Codec, state_dir: Any) -> Doors:
    """A gateway that is not open yet."""
    return Doors(codec, state_dir)
