"""The recording client: what was asked stands on the disk before it is sent, what was told before it is used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from gateways import cursor
from tests.faults.checker import ids
from tests.faults.checker.evidence import Entry
from tests.faults.histories import Client, Log

ROUTE = "/v1/accounts/{account_id}/orders"
POSITION = cursor.encode({("orders.events", 3): 41})


def entries(path: Path) -> list[Entry]:
    return msgspec.json.Decoder(Entry).decode_lines(path.read_bytes())


@asynccontextmanager
async def asking(answer: bytes | None, path: Path) -> AsyncIterator[tuple[Client, list[list[Entry]]]]:
    """A client of a door that gives this answer, or hangs up; and what stood in the history when it was asked."""
    seen: list[list[Entry]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        seen.append(entries(path))
        writer.write(answer or b"")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, aiohttp.ClientSession() as session:
        with Log(path) as log:
            yield Client(session, url, "token", log, name="ann", tenant="acme"), seen


def http(status: int, body: object, position: str = "") -> bytes:
    """An answer as it travels."""
    told = msgspec.json.encode(body)
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(told)}\r\nConnection: close\r\n"
    return (head + (f"Tape-Position: {position}\r\n" if position else "") + "\r\n").encode() + told


@pytest.mark.parametrize(
    ("status", "body", "position", "kind"),
    [
        (201, {"order_id": "o"}, POSITION, "ok"),
        (409, {"reason": "HALTED"}, POSITION, "fail"),
        (404, {"type": "not-found"}, "", "fail"),
        (202, {"status": "PENDING"}, "", "info"),
        (429, {}, "", "info"),
        (503, {}, "", "info"),
    ],
)
async def test_every_answer_has_its_kind_and_its_place(
    status: int, body: dict[str, str], position: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "history.ndjson"
    async with asking(http(status, body, position), path) as (client, seen):
        told = await client.ask("POST", ROUTE, {"symbol": "IBM"}, account="a", key="k")
    invoked, answered = entries(path)
    assert seen == [[invoked]]
    assert (invoked.kind, invoked.attempt, msgspec.json.decode(invoked.body)) == ("invoke", 1, {"symbol": "IBM"})
    assert invoked.command == ids.command_id("acme", "a", f"POST {ROUTE}", "k")
    assert (told.kind, answered.kind, answered.status) == (kind, kind, status)
    assert (answered.topic, answered.partition, answered.sequence) == (
        ("orders.events", 3, 41) if position else ("", -1, -1)
    )
    assert answered.reason == ("HALTED" if status == 409 else "")
    assert answered.mono_ns >= invoked.mono_ns


async def test_a_lost_connection_is_an_unknown_outcome_and_a_repeat_another_operation(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    async with asking(None, path) as (client, _):
        assert (await client.until_known("POST", ROUTE, account="a", within_s=0.6)).kind == "info"
    found = entries(path)
    assert [entry.kind for entry in found] == ["invoke", "info"] * (len(found) // 2)
    assert len({entry.command for entry in found}) == 1
    assert [entry.attempt for entry in found[::2]] == list(range(1, len(found) // 2 + 1))
    assert len({entry.op for entry in found}) == len(found) // 2


async def test_a_request_that_is_given_up_is_an_unknown_outcome(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    async with asking(http(200, {}), path) as (client, _):
        asked = asyncio.create_task(client.ask("POST", ROUTE, account="a"))
        async with asyncio.timeout(10):
            while not path.read_bytes():
                await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    assert [entry.kind for entry in entries(path)] == ["invoke", "info"]


async def test_reads_and_requests_of_many_commands_have_no_command_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    async with asking(http(200, {"orders": []}), path) as (client, _):
        await client.ask("GET", ROUTE, account="a")
        await client.ask("POST", f"{ROUTE}/cancel-all", account="a")
    read, many = entries(path)[1], entries(path)[3]
    assert (read.command, bytes(read.body)) == ("", b'{"orders":[]}')
    assert (many.command, bytes(many.body)) == ("", b"null")


def test_histories_of_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "history.ndjson"
    entry = Entry(kind="invoke", mono_ns=1, op=1, client="c" * 5_000, tenant="t", account="a", asked="GET /")
    with Log(path) as one, Log(path) as other:
        for log in (one, other) * 20:
            log.write(entry)
    assert entries(path) == [entry] * 40
