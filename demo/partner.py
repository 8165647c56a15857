"""A partner of the demo's brokerage: follows its tenant's events, hangs up now and then, goes on from its cursor.

What it heard is set beside the tape at the end: each event once, each key's numbers without a gap.
"""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping

import aiohttp
import msgspec

from infra.kafka.records import Partition

CONTEXTS = ("orders", "risk", "billing")
"""What the partner may follow."""
HANG_UP_MEAN = 400
"""Events after which the partner hangs up, on average."""
RETRY_SECONDS = 0.5
REPLAY_SECONDS_MAX = 60.0
"""Longest replay at the end, of what came after the last connection."""


class Heard(msgspec.Struct, frozen=True):
    """What is kept of one frame."""

    type: str
    cursor: str
    topic: str = ""
    partition: int = 0
    sequence: int = 0
    key: str = ""
    number: int = 0


_read = msgspec.json.Decoder(Heard).decode


class Partner:
    """One subscription at one partner."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, seed: int) -> None:
        self.events = 0
        self.resumed = 0
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._random = random.Random(seed)
        self._cursor = ""
        self._numbers: Counter[str] = Counter()
        self._places: dict[Partition, list[int]] = defaultdict(list)
        self._faults: list[str] = []

    async def follow(self) -> None:
        """Follow until cancelled, with a new connection every few hundred events."""
        while True:
            left = max(1, int(self._random.expovariate(1 / HANG_UP_MEAN)))
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async for heard in self._connection({}):
                    left -= heard.type == "event"
                    if left <= 0 or heard.type == "end":
                        break
            self.resumed += 1
            await asyncio.sleep(RETRY_SECONDS)

    async def finish(self) -> None:
        """Replay whatever is left, to where the tape is now."""
        async with asyncio.timeout(REPLAY_SECONDS_MAX):
            async for heard in self._connection({"until": "now"}):
                if heard.type == "end":
                    return

    def differences(self, places: Mapping[Partition, Mapping[int, str]]) -> list[str]:
        """Where what was heard is not the tape: `places` has the stream of each sequence of each partition."""
        found = list(self._faults)
        for (topic, partition), streams in places.items():
            if topic.removesuffix(".events") in CONTEXTS:
                expected = sorted(each for each, stream in streams.items() if not stream.startswith("owner/"))
                heard = self._places[topic, partition]
                if heard != expected:
                    missing, twice = set(expected) - set(heard), len(heard) - len(set(heard))
                    found.append(f"partner: {topic}[{partition}]: {len(missing)} events missing, {twice} heard twice")
        return found

    async def _connection(self, query: dict[str, str]) -> AsyncIterator[Heard]:
        """The frames of one connection, each taken as it comes."""
        headers = self._headers | ({"Last-Event-ID": self._cursor} if self._cursor else {})
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self._url, params=query, headers=headers, timeout=timeout) as answer:
            answer.raise_for_status()
            waiting = b""
            async for chunk in answer.content.iter_any():
                *frames, waiting = (waiting + chunk).split(b"\n\n")
                for frame in frames:
                    data = [line[6:] for line in frame.split(b"\n") if line.startswith(b"data: ")]
                    if data:
                        heard = _read(b"\n".join(data))
                        self._take(heard)
                        yield heard

    def _take(self, heard: Heard) -> None:
        self._cursor = heard.cursor
        if heard.type != "event":
            return
        self.events += 1
        self._places[heard.topic, heard.partition].append(heard.sequence)
        if heard.number != self._numbers[heard.key] + 1:
            self._faults.append(f"partner: {heard.key}: number {heard.number} follows {self._numbers[heard.key]}")
        self._numbers[heard.key] = heard.number
