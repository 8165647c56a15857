"""`python -m tests.bench.peer_door textbook|library PORT ADDRESS CONTEXT`: the HTTP door before a peer of the gateway.

It is a small aiohttp handler without tokens, rules, limits or contract: whatever that costs, the peers do not pay it.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zlib import crc32

import msgspec
from aiohttp import web

import contexts
from infra import commands
from infra.avro.codec import Codec
from infra.clock import wall
from infra.kafka.reader import END, Reader
from infra.kafka.sender import Sender
from infra.settings import PARTITIONS, POLL_WAIT_MS
from tests.bench import library, trading
from tests.bench.stage import run

THREADS = 4
"""Threads of the library's door, each with the accounts of its own, so that no two write one account."""
READ_MAX = 1_000
PATIENCE_SECONDS = 60.0

Door = Callable[[str], Awaitable[None]]


async def textbook(bootstrap: str, context: str) -> Door:
    """Produce the command, wait until its event is read back, read_committed."""
    codec, sender, reader = Codec(contexts.messages()), Sender(bootstrap, "door"), Reader(bootstrap, "door-events")
    await reader.assign({(f"{context}.events", number): END for number in range(PARTITIONS)})
    waiting: dict[bytes, asyncio.Future[None]] = {}

    async def read_back() -> None:
        while True:
            for arrived in await reader.take(READ_MAX, POLL_WAIT_MS):
                future = waiting.pop(arrived.headers.get("command-id", b""), None)
                if future is not None and not future.done():
                    future.set_result(None)

    reading = asyncio.create_task(read_back())

    async def place(account: str) -> None:
        issued = trading.buying(account, wall())
        future = waiting[issued.command_id.encode()] = asyncio.get_running_loop().create_future()
        await commands.send(sender, codec, context, issued)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await future
        assert not reading.done()

    opening = [issued for account in trading.accounts(0) for issued in trading.opening(account, wall())]
    await sender.send_all(commands.topic_of(context), [commands.outgoing(codec, each) for each in opening])
    return place


async def of_library(dsn: str, _: str) -> Door:
    """Decide and save in threads; the answer comes when the save has returned."""
    app = library.application(dsn)
    names = trading.accounts(0)
    accounts = dict(zip(names, library.opened(app, len(names)), strict=True))
    threads = [ThreadPoolExecutor(1) for _ in range(THREADS)]

    def save(account: str) -> None:
        aggregate = accounts[account]
        aggregate.buy(trading.new_id(), "AAPL", 1, 100)
        app.save(aggregate)

    async def place(account: str) -> None:
        thread = threads[crc32(account.encode()) % THREADS]
        await asyncio.get_running_loop().run_in_executor(thread, save, account)

    return place


async def main(kind: str, port: str, address: str, context: str) -> None:
    """Serve until the input ends."""
    door = await (textbook if kind == "textbook" else of_library)(address, context)

    async def post(request: web.Request) -> web.Response:
        body: Any = msgspec.json.decode(await request.read())
        await door(request.match_info["account_id"])
        return web.json_response({"placed": body["symbol"]}, status=201)

    app = web.Application()
    app.add_routes([web.post("/v1/accounts/{account_id}/orders", post)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    run(lambda: main(*sys.argv[1:]))
