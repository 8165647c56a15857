"""market_data.marks, one partition -> the board: the newest prices, for orders and for those who watch them."""

import asyncio

from domain.market_data.marks import Board, Mark, follow
from infra.avro.codec import Codec, Undecodable
from infra.kafka.reader import Reader, ReadFailed
from infra.settings import POLL_WAIT_MS
from infra.telemetry import logger

TOPIC = "market_data.marks"
PARTITION = 0
"""Every partition holds every mark: one is enough."""
MARKS_BACK = 200
"""Marks read before the end at the start: a complete one comes once a minute, and marks once a second."""
MARKS_TAKEN_MAX = 200
"""Marks taken at once: three minutes of them, more than a read ever finds but at the start."""
READ_RETRY_S = 0.5
"""Pause before reading is tried again; an old board is refused by the decider, so this may go on."""

log = logger("board")


class MarketBoard:
    """Follows the marks; `board` is what they say now."""

    def __init__(self, reader: Reader, codec: Codec) -> None:
        self._reader = reader
        self._codec = codec
        self._board = Board()
        self._changed = asyncio.Condition()
        self._next = 0

    def board(self) -> Board:
        """The newest prices."""
        return self._board

    async def changed(self, since: Board) -> Board:
        """The board, once it is another one than this."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._board is not since)
        return self._board

    async def begin(self) -> None:
        """Return when the marks that are there were read."""
        end = (await self._reader.ends(TOPIC))[PARTITION]
        begin = (await self._reader.begins(TOPIC))[PARTITION]
        self._next = max(begin, end - MARKS_BACK)
        await self._reader.assign({(TOPIC, PARTITION): self._next})
        while self._reader.position().get((TOPIC, PARTITION), self._next) < end:
            await self._step()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self._step()
            except ReadFailed as failure:
                log.warning("reading marks failed", error=str(failure))
                await asyncio.sleep(READ_RETRY_S)
                await self._reader.assign({(TOPIC, PARTITION): self._next})

    async def _step(self) -> None:
        before = self._board
        for record in await self._reader.take(MARKS_TAKEN_MAX, POLL_WAIT_MS):
            self._next = record.offset + 1
            try:
                mark = self._codec.decode_observed(record.value, Mark)
            except Undecodable as error:
                log.warning("a mark cannot be read", offset=record.offset, error=str(error))
                continue
            self._board = follow(self._board, mark)
        if self._board is not before:
            async with self._changed:
                self._changed.notify_all()
