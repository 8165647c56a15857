"""The market simulator's JSON lines -> the venue's quotes and clock; connects again for as long as it takes."""

import asyncio
import json
import logging
from typing import Protocol

from simulators import amounts
from simulators.venue.book import Quote
from simulators.venue.requests import Message

RETRY_S = 0.5
"""Pause before the next attempt: short, because a demo starts both at once."""

log = logging.getLogger("venue")


class Listener(Protocol):
    """Who wants to hear of the market."""

    def on_quote(self, quote: Quote, told: Message) -> None:
        """The street moved."""

    def on_clock(self, phase: str, date: str, told: Message) -> None:
        """Time passed."""

    def on_silence(self) -> None:
        """The market is gone until further notice."""


async def listen(host: str, port: int, listener: Listener) -> None:
    """Pass on what the market says, for ever."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            log.info("no market at %s:%d (%s), trying again", host, port, error)
            await asyncio.sleep(RETRY_S)
            continue
        log.info("listening to the market at %s:%d", host, port)
        try:
            while line := await reader.readline():
                _pass_on(json.loads(line), listener)
        except ConnectionError as error:
            log.warning("the market hung up: %s", error)
        finally:
            writer.close()
            listener.on_silence()
        await asyncio.sleep(RETRY_S)


def _pass_on(told: Message, listener: Listener) -> None:
    if told["type"] == "clock":
        listener.on_clock(str(told["phase"]), str(told["date"]), told)
    elif told["type"] == "quote":
        prices = (amounts.parse(told[name]) for name in ("bid", "bid_size", "ask", "ask_size"))
        listener.on_quote(Quote(str(told["symbol"]), *prices), told)
