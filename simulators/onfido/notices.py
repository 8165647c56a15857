"""Notices that the vendor owes -> signed webhooks, tried until they are accepted; or lost, late, twice, forged."""

import asyncio
import hashlib
import hmac
import logging
from collections import Counter

import aiohttp

from simulators.onfido.misbehaviour import Dice
from simulators.onfido.records import Records

SIGNATURE_HEADER = "X-SHA2-Signature"
TRIES_MAX = 5
"""Tries of one notice until the vendor gives it up."""
ANSWER_S = 10.0
"""Longest wait for a customer's answer to a webhook."""
HOLD_S = 2.0
"""How long a notice waits for another one to go before it when they are to be swapped."""
OK = range(200, 300)
log = logging.getLogger("onfido")


class Notices:
    """Sends what is owed, each notice on its own."""

    def __init__(self, records: Records, dice: Dice, url: str, secret: str, retry_ms: int) -> None:
        self._records = records
        self._dice = dice
        self._url = url
        self._secret = secret
        self._retry_ms = retry_ms
        self._sent = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter(sent=0, accepted=0, failed=0, lost=0, duplicated=0, forged=0)

    def resume(self) -> None:
        """Send what an earlier life owed."""
        for notice_id in tuple(self._records.owed):
            self.send(notice_id)

    def send(self, notice_id: str) -> None:
        """Begin to send."""
        task = asyncio.create_task(self._deliver(notice_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop trying; what is owed stays owed in the journal."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, notice_id: str) -> None:
        body = self._records.owed[notice_id]
        if self._dice.happens("lost"):
            self.counts["lost"] += 1
            self._records.settle(notice_id)
            return
        if self._dice.happens("late"):
            await asyncio.sleep(self._dice.bad.late_ms / 1000)
        if self._dice.happens("reorder"):
            await self._let_another_go_first()
        twice = self._dice.happens("duplicate")
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as http:
            if not await self._try(http, body):
                log.warning("notice %s is given up", notice_id)
            elif twice:
                self.counts["duplicated"] += 1
                await self._post(http, body, self._signature(body))
        self._records.settle(notice_id)

    async def _let_another_go_first(self) -> None:
        self._sent.clear()
        try:
            await asyncio.wait_for(self._sent.wait(), HOLD_S)
        except TimeoutError:
            log.info("nothing to swap with")

    async def _try(self, http: aiohttp.ClientSession, body: bytes) -> bool:
        for number in range(TRIES_MAX):
            if number:
                await asyncio.sleep(self._retry_ms * 2 ** (number - 1) / 1000)
            signature = self._signature(body)
            if self._dice.happens("wrong_signature"):
                self.counts["forged"] += 1
                signature = hashlib.sha256(signature.encode()).hexdigest()
            if await self._post(http, body, signature):
                self.counts["accepted"] += 1
                return True
        self.counts["failed"] += 1
        return False

    async def _post(self, http: aiohttp.ClientSession, body: bytes, signature: str) -> bool:
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: signature}
        try:
            async with http.post(self._url, data=body, headers=headers) as answer:
                is_accepted = answer.status in OK
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("no answer to a webhook: %s", type(error).__name__)
            is_accepted = False
        self.counts["sent"] += 1
        self._sent.set()
        return is_accepted

    def _signature(self, body: bytes) -> str:
        return hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
