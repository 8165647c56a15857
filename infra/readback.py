"""<context>.events, every partition, read_committed -> listeners in this process: what was decided, checked, in order.

It begins a little before the end, so that it knows the last sequence of each partition and the newest answers from the
first moment on. A broken chain stops it for good: nothing past the break is passed on, and the process is not ready.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from domain.kernel.messages import Recorded
from infra.avro.codec import Codec, Undecodable
from infra.commands import TRACE
from infra.kafka import chain
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.records import Partition
from infra.settings import BATCH_COMMANDS_MAX, POLL_WAIT_MS
from infra.telemetry import CHAIN_BREAKS, LAG, logger
from infra.tracing import Kind, child

WARM_OFFSETS = 1_000
"""Offsets of each partition read before the end at the start: enough to meet a record between transaction markers."""
WARM_FACTOR = 10
"""How much further back the start looks when a partition showed no record."""
WARM_TIMEOUT_S = 60.0
"""Longest read of what was there at the start."""
LAG_EVERY_S = 1.0
"""How often the ends are asked for; they cost a request each."""
LAG_MAX = 10_000
"""Records behind which this process calls itself not ready: its answers would come too late to be waited for."""
LAG_AGE_MAX_S = 10.0
"""A lag measured longer ago says that the brokers do not answer."""
READ_RETRY_S = 0.5
"""Pause before reading is tried again."""
READ_FAILURES_IN_A_ROW_MAX = 120
"""A minute of failures is no election any more: the process ends and its supervisor starts it again."""

log = logger("readback")


class Seen(msgspec.Struct, frozen=True):
    """An event as it was read back, with its place; `command_id` is its header, by which answers are matched.

    `trace` is the trace that it belongs to, as those who tell of it go on with it.
    """

    topic: str
    partition: int
    offset: int
    command_id: str
    value: bytes
    recorded: Recorded[Any]
    trace: str = ""


Listener = Callable[[Seen], None]


class ReadBack:
    """One loop over all events; listeners are called in the order of each partition and must not block."""

    def __init__(self, reader: Reader, ends: Reader, codec: Codec, topics: Sequence[str]) -> None:
        self._reader = reader
        self._ends = ends  # A client of its own: asking for ends must not hold up the reading.
        self._codec = codec
        self._topics = topics
        self._links: dict[Partition, chain.Link] = {}
        self._offsets: dict[Partition, int] = {}
        self._listeners: list[Listener] = []
        self._stopped = "not started"
        self._lag: tuple[float, int] = (0.0, 0)

    def listen(self, listener: Listener) -> None:
        """Call this for every event from here on."""
        self._listeners.append(listener)

    def sequence(self, topic: str, partition: int) -> int:
        """The last sequence that was passed on; -1 when the partition is empty."""
        link = self._links.get((topic, partition))
        return -1 if link is None else link.sequence

    def ready(self) -> tuple[bool, str]:
        """Whether events are read as they are decided, and why not."""
        measured, lag = self._lag
        if self._stopped:
            return False, self._stopped
        if time.monotonic() - measured > LAG_AGE_MAX_S:
            return False, "the brokers have not told the ends of the tape for a while"
        if lag > LAG_MAX:
            return False, f"{lag} records behind the tape"
        return True, f"{lag} records behind the tape"

    async def begin(self) -> None:
        """Return when everything that was on the tape at the call is known as far as it is needed."""
        until = time.monotonic() + WARM_TIMEOUT_S
        begins: dict[Partition, int] = {}
        ends: dict[Partition, int] = {}
        for topic in self._topics:
            begins |= {(topic, number): begin for number, begin in (await self._reader.begins(topic)).items()}
            ends |= {(topic, number): end for number, end in (await self._reader.ends(topic)).items()}
        back = WARM_OFFSETS
        while True:
            starts = {place: max(begins[place], end - back) for place, end in ends.items()}
            await self._warm(starts, ends, until)
            if all(place in self._links or start == begins[place] for place, start in starts.items()):
                break
            back *= WARM_FACTOR  # Some partition had nothing but markers there.
        self._stopped = ""
        self._lag = (time.monotonic(), 0)

    async def run(self) -> None:
        """Read until cancelled, or until the chain of a partition is broken."""
        failures = 0
        measuring = asyncio.create_task(self._measure())
        try:
            while True:
                try:
                    await self._step()
                    failures = 0
                except ReadFailed as failure:
                    failures += 1
                    self._stopped = str(failure)
                    log.warning("reading failed", error=str(failure), failures=failures)
                    if failures > READ_FAILURES_IN_A_ROW_MAX:
                        raise
                    await asyncio.sleep(READ_RETRY_S)
                    await self._reader.assign(self._offsets)
                    self._stopped = ""
        except (chain.ChainBroken, Undecodable) as broken:
            self._stopped = str(broken)
            CHAIN_BREAKS.labels("gateway").inc()
            log.exception("the tape is broken")
            raise
        finally:
            self._stopped = self._stopped or "stopped"
            measuring.cancel()

    async def _warm(self, starts: dict[Partition, int], ends: dict[Partition, int], until: float) -> None:
        self._links.clear()
        self._offsets = dict(starts)
        await self._reader.assign(starts)
        while any(self._reader.position().get(place, starts[place]) < end for place, end in ends.items()):
            await self._step()
            if time.monotonic() > until:
                raise TimeoutError(f"the end of the tape was not reached in {WARM_TIMEOUT_S:.0f} s; look at the broker")

    async def _step(self) -> None:
        for record in await self._reader.take(BATCH_COMMANDS_MAX, POLL_WAIT_MS):
            place = (record.topic, record.partition)
            try:
                recorded = self._codec.decode_event(record.value)
            except Undecodable as error:
                raise Undecodable(error.kind, f"{record}: {error}; deploy readers first") from error
            self._links[place] = chain.follow(self._links.get(place), recorded, record.value, place=record)
            self._offsets[place] = record.offset + 1
            command_id = record.headers.get("command-id", b"").decode()
            with child(f"read back {record.topic}", record.headers.get(TRACE, b""), kind=Kind.CONSUMER) as span:
                trace = span.traceparent
                seen = Seen(record.topic, record.partition, record.offset, command_id, record.value, recorded, trace)
                for listener in self._listeners:
                    listener(seen)

    async def _measure(self) -> None:
        while True:
            try:
                behind = 0
                for topic in self._topics:
                    ends = await self._ends.ends(topic)
                    here = self._reader.position()
                    lag = sum(max(0, end - here.get((topic, n), end)) for n, end in ends.items())
                    LAG.labels("gateway", topic).set(lag)
                    behind += lag
                self._lag = (time.monotonic(), behind)
            except ReadFailed as failure:
                log.warning("the ends of the tape are not told", error=str(failure))
            await asyncio.sleep(LAG_EVERY_S)
