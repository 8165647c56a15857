"""The stream of an account over a bus in memory, as far as it needs no journal: quotes, refusals, heartbeats."""

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from gateways.orders import websocket
from infra.telemetry import STREAM_CLIENTS
from tests.kit.doors import Client, Doors


async def connect(client: Client, **options: Any) -> ClientWebSocketResponse:
    headers = {"Authorization": f"Bearer {client.token}"}
    socket: ClientWebSocketResponse = await client.session.ws_connect(
        client.url + "/v1/stream", headers=headers, **options
    )
    return socket


async def test_tells_the_prices_that_changed_and_no_others(trader: Client, doors: Doors) -> None:
    socket = await connect(trader)
    await socket.send_json({"type": "subscribe", "quotes": ["AAPL", "MSFT"]})
    first = await socket.receive_json(timeout=5)
    assert [quote["symbol"] for quote in first["quotes"]] == ["AAPL", "MSFT"]
    await doors.market.move(AAPL="101.00")
    second = await socket.receive_json(timeout=5)
    assert [(quote["symbol"], quote["last"]) for quote in second["quotes"]] == [("AAPL", "101.00")]
    await socket.close()


async def test_conflates_prices_for_a_client_that_reads_late(trader: Client, doors: Doors) -> None:
    socket = await connect(trader)
    await socket.send_json({"type": "subscribe", "quotes": ["AAPL"]})
    await socket.receive_json(timeout=5)
    for cents in range(50):
        await doors.market.move(AAPL=f"101.{cents:02}")
    heard = 0
    async with asyncio.timeout(5):
        while (await socket.receive_json())["quotes"][0]["last"] != "101.49":
            heard += 1
    assert heard < 50
    await socket.close()


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        '{"type": "subscribe", "accounts": ["other"]}',
        '{"type": "subscribe", "nonsense": 1}',
        '{"type": "shout"}',
        '{"type": "subscribe", "accounts": ["a", "b"]}',
    ],
)
async def test_says_what_is_wrong_and_closes(trader: Client, message: str) -> None:
    socket = await connect(trader)
    await socket.send_str(message)
    refusal = await socket.receive_json(timeout=5)
    assert refusal["type"] == "error"
    assert refusal["remedy"]
    assert (await socket.receive(timeout=5)).type is WSMsgType.CLOSE
    assert socket.close_code == 1008


async def test_refuses_a_cursor_of_another_account(trader: Client) -> None:
    socket = await connect(trader)
    subscribe = {"type": "subscribe", "accounts": [trader.account_id], "cursor": "nonsense"}
    await socket.send_str(msgspec.json.encode(subscribe).decode())
    assert "cursor" in (await socket.receive_json(timeout=5))["detail"]


async def test_opens_to_a_browser_with_its_token_as_a_subprotocol(trader: Client) -> None:
    socket = await trader.session.ws_connect(
        trader.url + "/v1/stream", protocols=("tapeline.v1", f"bearer.{trader.token}")
    )
    assert socket.protocol == "tapeline.v1"
    await socket.close()
    with pytest.raises(WSServerHandshakeError) as refused:
        await trader.session.ws_connect(trader.url + "/v1/stream", protocols=("tapeline.v1", "bearer.x"))
    assert refused.value.status == 401


async def test_speaks_when_nothing_happens(trader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "HEARTBEAT_S", 0.1)
    socket = await connect(trader)
    await socket.send_json({"type": "subscribe"})
    assert (await socket.receive_json(timeout=5))["type"] == "heartbeat"
    await socket.close()


async def test_lets_go_of_a_client_that_answers_no_ping(trader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "HEARTBEAT_S", 0.1)
    socket = await connect(trader, autoping=False)
    await socket.send_json({"type": "subscribe"})
    async with asyncio.timeout(10):
        while (last := await socket.receive()).type in (WSMsgType.PING, WSMsgType.TEXT):
            pass
    assert last.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)


async def test_says_goodbye_when_the_gateway_stops(trader: Client, doors: Doors) -> None:
    socket = await connect(trader)
    await socket.send_json({"type": "subscribe", "quotes": ["AAPL"]})
    await socket.receive_json(timeout=5)
    closing = asyncio.create_task(doors.services.sockets.close())
    assert (await socket.receive(timeout=5)).type is WSMsgType.CLOSE
    await closing
    assert socket.close_code == 1001


async def test_lets_go_of_a_client_that_does_not_read(
    trader: Client, doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "SEND_WAIT_S", 0.3)
    symbols = [f"S{number}" for number in range(400)]
    await doors.market.move(**dict.fromkeys(symbols, "1.00"))
    socket = await connect(trader)
    await socket.send_json({"type": "subscribe", "quotes": symbols})
    transport = socket._response.connection and socket._response.connection.transport
    assert transport is not None
    transport.pause_reading()
    async with asyncio.timeout(30):
        tick = 0
        while STREAM_CLIENTS._value.get():
            tick += 1
            await doors.market.move(**dict.fromkeys(symbols, f"1.{tick % 100:02}"))
            await asyncio.sleep(0)
    await socket.close()
