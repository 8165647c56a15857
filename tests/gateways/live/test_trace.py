"""One trace from a client's POST to its own websocket frame, as a real OTLP receiver was told of it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from infra import tracing
from tests.kit.live import Live
from tests.kit.otlp import ReceivedSpan, Receiver

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
ROUTE = "POST /v1/accounts/{account_id}/orders"
FRAME = "websocket frame"


@pytest.fixture
def receiver(tmp_path: Any) -> Iterator[Receiver]:
    """A receiver, and an installation that traces to it."""
    collector = Receiver(tmp_path)
    collector.start()
    tracing.configure("installation", collector.url)
    yield collector
    tracing.close()
    collector.stop()


def above(spans: list[ReceivedSpan], span: ReceivedSpan) -> list[str]:
    """The names from a span up to the caller."""
    by_id = {each.span_id: each for each in spans}
    names = [span.name]
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        names.append(span.name)
    return [*names, span.parent_id]


async def test_a_post_and_the_frame_that_tells_of_it_are_one_trace(live: Live, receiver: Receiver) -> None:
    async with live.trader() as trader:
        headers = {"Authorization": f"Bearer {trader.token}"}
        socket = await trader.session.ws_connect(trader.url + "/v1/stream", headers=headers)
        await socket.send_json({"type": "subscribe", "accounts": [trader.account_id]})
        await socket.receive_json(timeout=10)
        order = {"symbol": "AAPL", "side": "BUY", "kind": "LIMIT", "quantity": "10", "limit_price": "100.00"}
        response, placed = await trader.ask(
            "POST", "/v1/accounts/{}/orders", order, traceparent=f"00-{TRACE}-{CALLER}-01"
        )
        assert response.status == 201
        async with asyncio.timeout(20):
            frame = await socket.receive_json()
            while frame["type"] != "event" or frame["event"].get("order_id") != placed["order_id"]:
                frame = await socket.receive_json()
        await socket.close()
        spans = await receiver.trace(TRACE, ROUTE, FRAME, "append orders.events")
    told = next(span for span in spans if span.name == FRAME)
    assert told.attributes["tapeline.event_id"] == frame["event"]["event_id"]
    assert above(spans, told) == [
        FRAME,
        "read back orders.events",
        "decide orders.commands",
        "produce orders.commands",
        ROUTE,
        CALLER,
    ]
    appended = next(span for span in spans if span.name == "append orders.events")
    assert above(spans, appended)[1] == "decide orders.commands"


async def test_a_command_of_a_saga_stays_in_the_trace_of_what_caused_it(live: Live, receiver: Receiver) -> None:
    async with live.stranger() as stranger:
        trace = TRACE[::-1]
        response, _ = await stranger.ask("POST", "/v1/accounts", {}, traceparent=f"00-{trace}-{CALLER}-01")
        assert response.status == 201
        spans = await receiver.trace(trace, "saga accounts.opening", "read back orders.events")
    opened = next(span for span in spans if span.name == "read back orders.events")
    assert above(spans, opened) == [
        "read back orders.events",
        "decide orders.commands",
        "saga accounts.opening",
        "decide accounts.commands",
        "produce accounts.commands",
        "POST /v1/accounts",
        CALLER,
    ]


async def test_a_caller_that_asks_not_to_be_sampled_is_not(live: Live, receiver: Receiver) -> None:
    async with live.trader() as trader:
        ignored, wanted = TRACE.replace("0", "1"), TRACE.replace("0", "2")
        order = {"symbol": "AAPL", "side": "BUY", "kind": "LIMIT", "quantity": "1", "limit_price": "100.00"}
        for trace, flag in ((ignored, "00"), (wanted, "01")):
            response, _ = await trader.ask(
                "POST", "/v1/accounts/{}/orders", order, traceparent=f"00-{trace}-{CALLER}-{flag}"
            )
            assert response.status == 201
        await receiver.trace(wanted, ROUTE, "read back orders.events")
    assert {span.trace_id for span in receiver.spans()}.isdisjoint({ignored})
