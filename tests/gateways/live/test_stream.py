"""The stream of an account before a whole installation: every event once, in order, whatever the client does."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse

from infra import fanout
from tests.gateways.test_asyncapi import keeps_its_promise
from tests.kit.doors import Client
from tests.kit.live import Live

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


async def subscribed(client: Client, cursor: str | None = None) -> ClientWebSocketResponse:
    headers = {"Authorization": f"Bearer {client.token}"}
    socket = await client.session.ws_connect(client.url + "/v1/stream", headers=headers, max_msg_size=0)
    await socket.send_json({"type": "subscribe", "accounts": [client.account_id], "cursor": cursor})
    return socket


async def heard(socket: ClientWebSocketResponse, orders: int) -> list[dict[str, Any]]:
    """Events until so many orders were placed."""
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(40):
        while sum(each["event"]["event_type"] == "OrderPlaced" for each in events) < orders:
            message = await socket.receive_json()
            if message["type"] == "event":
                events.append(message)
    return events


def once_and_in_order(events: list[dict[str, Any]]) -> None:
    places: dict[tuple[str, int], list[int]] = {}
    for each in events:
        places.setdefault((each["topic"], each["partition"]), []).append(each["sequence"])
    for sequences in places.values():
        assert sequences == sorted(set(sequences))


async def test_shows_what_is_open_then_tells_what_happens(live: Live) -> None:
    async with live.trader() as trader:
        response, placed = await trader.place()
        position = response.headers["Tape-Position"]
        await trader.ask("GET", "/v1/accounts/{}/orders", Tape_Position=position)
        socket = await subscribed(trader)
        snapshot = await socket.receive_json(timeout=10)
        assert snapshot["type"] == "snapshot"
        keeps_its_promise(snapshot)
        assert [order["order_id"] for order in snapshot["orders"]] == [placed["order_id"]]
        await trader.ask("DELETE", f"/v1/accounts/{{}}/orders/{placed['order_id']}")
        async with asyncio.timeout(10):
            while True:
                message = await socket.receive_json()
                if message["type"] == "event" and message["event"]["event_type"] == "CancelRequested":
                    break
        assert message["event"]["order_id"] == placed["order_id"]
        keeps_its_promise(message)
        await socket.close()


async def test_tells_nothing_of_another_account(live: Live) -> None:
    async with live.trader() as ann, live.trader() as bob:
        socket = await subscribed(ann)
        await bob.place()
        await ann.place()
        events = await heard(socket, 1)
        assert {each["event"]["account_id"] for each in events} == {ann.account_id}
        await socket.close()


async def test_resumes_from_a_cursor_with_nothing_lost_or_doubled(live: Live) -> None:
    async with live.trader() as trader:
        socket = await subscribed(trader)
        await trader.place()
        before = await heard(socket, 1)
        await socket.close()
        missed = [await trader.place(quantity=str(number + 2)) for number in range(10)]
        socket = await subscribed(trader, before[-1]["cursor"])
        placing = [asyncio.create_task(trader.place(quantity=str(number + 20))) for number in range(10)]
        after = await heard(socket, 20)
        live_orders = [(await each)[1] for each in placing]
        once_and_in_order(before + after)
        told = [each["event"]["order_id"] for each in after if each["event"]["event_type"] == "OrderPlaced"]
        wanted = [order["order_id"] for _, order in missed] + [order["order_id"] for order in live_orders]
        assert sorted(told) == sorted(wanted)
        await socket.close()


async def test_tells_a_slow_client_of_the_gap_and_then_everything(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "QUEUE_MAX", 3)
    async with live.trader() as trader:
        socket = await subscribed(trader)
        await socket.receive_json(timeout=10)
        placed = await asyncio.gather(*(trader.place(quantity="1") for _ in range(60)))
        events: list[dict[str, Any]] = []
        gaps = 0
        async with asyncio.timeout(40):
            while sum(each["event"]["event_type"] == "OrderPlaced" for each in events) < 60:
                message = await socket.receive_json()
                gaps += message["type"] == "gap"
                if message["type"] == "event":
                    events.append(message)
        once_and_in_order(events)
        assert gaps
        told = {each["event"]["order_id"] for each in events if each["event"]["event_type"] == "OrderPlaced"}
        assert told == {order["order_id"] for _, order in placed}
        await socket.close()


async def test_catches_up_when_the_journal_is_late(live: Live) -> None:
    async with live.trader() as trader:
        socket = await subscribed(trader)
        await trader.place()
        cursor = (await heard(socket, 1))[-1]["cursor"]
        await socket.close()
        live.stop_part("projector")
        _, order = await trader.place(quantity="7")
        socket = await subscribed(trader, cursor)
        live.start_part("projector")
        events = await heard(socket, 1)
        assert [each["event"]["order_id"] for each in events] == [order["order_id"]]
        await socket.close()
