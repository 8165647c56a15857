"""What the library lets pass and the door does not, by the names of the faults; tests/security/frames.py found it."""

import logging
import random
import struct
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateways import patience, server
from gateways.auth import SUBPROTOCOL
from gateways.orders import websocket
from tests.kit.doors import Client
from tests.security.frame_kinds import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame, socket_input
from tests.security.handshake_kinds import opening
from tests.security.http_kinds import get, post
from tests.security.kinds import CLOSED, SENTINEL, SERVED, Input, Who
from tests.security.wire import Outcome, thrown

QUOTES = b'{"type":"subscribe","quotes":["AAPL"]}'
DRIPS = 100


def who(trader: Client) -> Who:
    return Who(token=trader.token, account_id=trader.account_id)


async def outcome_of(trader: Client, thing: Input) -> Outcome:
    port = urlsplit(trader.url).port
    assert port is not None
    return await thrown(port, thing, who(trader), random.Random(1))


async def end_of(trader: Client, data: bytes) -> str:
    """How a websocket ends on which these bytes were sent, and a goodbye."""
    thing = socket_input(random.Random(1), data, frozenset(), is_subscribed=False)
    return (await outcome_of(trader, thing)).end


def sent(data: bytes, *more: bytes, pause_s: float = 0.0) -> Input:
    return Input(kind="", pieces=(data, *more), wants=frozenset(), pause_s=pause_s)


async def test_a_frame_without_a_mask_ends_the_socket(trader: Client) -> None:
    assert await end_of(trader, frame(TEXT, QUOTES)) == SERVED
    assert await end_of(trader, frame(TEXT, QUOTES, mask=None)) == "1002"
    assert await end_of(trader, frame(TEXT, QUOTES) + frame(PING, b"x", mask=None)) == "1002"


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535])
async def test_a_close_code_that_nobody_may_send_is_a_breach(trader: Client, code: int) -> None:
    assert await end_of(trader, frame(CLOSE, struct.pack("!H", code))) == "1002"


@pytest.mark.parametrize("begun", [b"", b"{"])
async def test_a_message_inside_another_is_a_breach(trader: Client, begun: bytes) -> None:
    data = frame(TEXT, begun, fin=False) + frame(TEXT, QUOTES)
    assert await end_of(trader, data) == "1002"
    parts = frame(TEXT, b"", fin=False) + frame(CONTINUATION, QUOTES[:9], fin=False) + frame(CONTINUATION, QUOTES[9:])
    assert await end_of(trader, parts) == SERVED


@pytest.mark.parametrize("before", [b"", frame(TEXT, QUOTES)])
async def test_bytes_are_told_that_text_is_spoken_here(trader: Client, before: bytes) -> None:
    assert await end_of(trader, before + frame(BINARY, QUOTES)) == "1003"


async def test_frames_that_come_with_the_opening_are_held_to_the_protocol_too(trader: Client) -> None:
    data = opening(who(trader)) + frame(TEXT, QUOTES, mask=None)
    found = await outcome_of(trader, sent(data))
    assert (found.answers, found.end) == (("101",), CLOSED)


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/0.9", "HTTP/9.9"])
async def test_another_http_opens_no_websocket(trader: Client, version: str) -> None:
    found = await outcome_of(trader, sent(opening(who(trader), version=version)))
    assert found.answers == ("400",)


async def test_a_token_that_is_offered_alone_as_a_protocol_is_not_logged(
    trader: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    alone = opening(who(trader), Authorization=None, Sec_WebSocket_Protocol=f"bearer.{trader.token}")
    assert (await outcome_of(trader, sent(alone))).answers == ("400",)
    assert trader.token not in caplog.text
    both = opening(who(trader), Authorization=None, Sec_WebSocket_Protocol=f"{SUBPROTOCOL}, bearer.{trader.token}")
    goodbye = frame(CLOSE, struct.pack("!H", 1000))
    assert (await outcome_of(trader, sent(both + goodbye))).answers == ("101",)


async def test_pings_buy_no_time_for_a_subscription(trader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "SUBSCRIBE_WAIT_S", 0.4)
    pings = (frame(PING, b"still here"),) * DRIPS
    thing = Input(kind="", pieces=pings, wants=frozenset(), is_socket=True, pause_s=0.1)
    found = await outcome_of(trader, thing)
    assert found.end == "1008"
    assert found.seconds < DRIPS * 0.1


async def test_a_head_that_never_ends_is_let_go(doors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS_MAX", 0.4)
    async with doors.open() as trader:
        head = get(who(trader), "X: " + "x" * 2 * DRIPS)
        drips = [head[place : place + 1] for place in range(len(head) - DRIPS, len(head))]
        found = await outcome_of(trader, sent(head[:-DRIPS], *drips, pause_s=0.1))
    assert (found.answers, found.end) == ((), CLOSED)
    assert found.seconds < DRIPS * 0.1


@pytest.mark.parametrize("path", ["/v1/accounts/{}/orders", "/v1/webhooks/onfido"])
async def test_a_body_that_never_ends_is_told_so(trader: Client, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(patience, "BODY_SECONDS_MAX", 0.3)
    found = await outcome_of(trader, sent(post(who(trader), "Content-Length: 100", body=b"{", path=path), b" ", b" "))
    assert found.answers == ("408",)


@pytest.mark.parametrize("protocol", ["websocketx", "h2c"])
async def test_a_refused_upgrade_ends_its_connection(trader: Client, protocol: str) -> None:
    begun, ended = opening(who(trader), Upgrade=protocol)[:-9], opening(who(trader))[-9:]
    found = await outcome_of(trader, sent(begun, ended + SENTINEL))
    assert (found.answers, found.end) == (("400",), CLOSED)
    assert found.seconds < patience.IDLE_SECONDS_MAX


async def test_a_compressed_body_is_refused_and_not_unfolded(trader: Client) -> None:
    order = {"symbol": "AAPL", "side": "BUY", "kind": "LIMIT", "quantity": "10", "limit_price": "100.00"}
    response, problem = await trader.ask("POST", "/v1/accounts/{}/orders", order, Content_Encoding="gzip")
    assert (response.status, problem["field"]) == (415, "Content-Encoding")


async def test_what_is_no_http_does_not_fill_the_log(trader: Client, caplog: pytest.LogCaptureFixture) -> None:
    for data in (b"GET  / HTTP/1.1\r\n\r\n", get(who(trader), "no colon"), post(who(trader), "Content-Length: -1")):
        assert (await outcome_of(trader, sent(data))).answers == ("400",)
    assert caplog.text == ""
