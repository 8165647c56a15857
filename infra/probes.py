"""/metrics and /readyz of every process -> who is ready, how far each reader is behind, how long answers take.

Asked when somebody looks and at most once in a while, however many look. The figures are those that Prometheus has: the
same metrics, the same arithmetic over the same minute.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping

import aiohttp
import msgspec
from prometheus_client.parser import text_string_to_metric_families

LOOK_EVERY_S = 1.0
"""How old an answer may be before the processes are asked again."""
LOOK_WAIT_S = 0.8
"""Longest wait for one process; a later one is shown as down."""
WINDOW_S = 60.0
"""Answers of how long back the percentiles are of."""
LAG = "tapeline_lag_records"
ANSWERED = "tapeline_acknowledge_seconds"
_WANTED = (f"{LAG}{{", f"{ANSWERED}_bucket{{")


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """One process as its probe has it."""

    name: str
    is_ready: bool
    why: str


class ReaderLag(msgspec.Struct, frozen=True, kw_only=True):
    """How many records of a topic a reader has not taken yet."""

    reader: str
    topic: str
    records: int


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """From POST to the answer that was read back, over the last minute; nothing is known where nobody asked."""

    per_second: float
    p50_ms: float | None
    p99_ms: float | None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the probes told together."""

    processes: tuple[ProcessState, ...] = ()
    readers: tuple[ReaderLag, ...] = ()
    acknowledged: Acknowledged = Acknowledged(per_second=0.0, p50_ms=None, p99_ms=None)


class Probes:
    """The processes of one installation, by name and address."""

    def __init__(self, addresses: str = "") -> None:
        pairs = (each.partition("=") for each in addresses.split(",") if each)
        self._addresses = {name: address for name, _, address in pairs}
        self._looking = asyncio.Lock()
        self._looked_at = -math.inf
        self._look = Look()
        self._history: deque[tuple[float, dict[float, float]]] = deque()

    async def look(self) -> Look:
        """The newest figures, a second old at most."""
        async with self._looking:
            if time.monotonic() - self._looked_at > LOOK_EVERY_S:
                timeout = aiohttp.ClientTimeout(total=LOOK_WAIT_S)
                async with aiohttp.ClientSession(timeout=timeout) as session:
                    told = await asyncio.gather(*(_ask(session, *each) for each in self._addresses.items()))
                self._looked_at = time.monotonic()
                self._look = self._of(told)
        return self._look

    def _of(self, told: Iterable[tuple[ProcessState, str]]) -> Look:
        processes, readers, buckets = [], [], dict[float, float]()
        for process, metrics in told:
            processes.append(process)
            for family in text_string_to_metric_families(metrics):
                for sample in family.samples:
                    if sample.name == LAG:
                        labels = sample.labels
                        readers.append(
                            ReaderLag(reader=labels["reader"], topic=labels["topic"], records=int(sample.value))
                        )
                    else:
                        bound = float(sample.labels["le"])
                        buckets[bound] = buckets.get(bound, 0.0) + sample.value
        readers.sort(key=lambda each: (each.reader, each.topic))
        return Look(processes=tuple(processes), readers=tuple(readers), acknowledged=self._acknowledged(buckets))

    def _acknowledged(self, buckets: dict[float, float]) -> Acknowledged:
        now = self._looked_at
        self._history.append((now, buckets))
        while len(self._history) > 1 and now - self._history[1][0] >= WINDOW_S:
            self._history.popleft()
        then, before = self._history[0]
        # A gateway that was started again counts from nothing; then there is no difference to speak of.
        counted = {bound: max(0.0, count - before.get(bound, 0.0)) for bound, count in buckets.items()}
        total = counted.get(math.inf, 0.0)
        return Acknowledged(
            per_second=round(total / (now - then), 1) if now > then else 0.0,
            p50_ms=_ms(quantile(0.5, counted)),
            p99_ms=_ms(quantile(0.99, counted)),
        )


def quantile(q: float, buckets: Mapping[float, float]) -> float | None:
    """The value below which this share of all observations lies, as Prometheus' `histogram_quantile` has it."""
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank, low, below = q * buckets[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return low
            return low + (bound - low) * (rank - below) / (buckets[bound] - below)
        low, below = bound, buckets[bound]
    return low


async def _ask(session: aiohttp.ClientSession, name: str, address: str) -> tuple[ProcessState, str]:
    try:
        async with session.get(f"http://{address}/readyz") as answer:
            said = await answer.json()
            is_ready = answer.status < 300  # noqa: PLR2004  every status that says yes
        async with session.get(f"http://{address}/metrics") as answer:
            lines = (await answer.text()).splitlines()
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return ProcessState(name=name, is_ready=False, why=f"does not answer: {type(error).__name__}"), ""
    # Reading all of it would cost the gateway more than all the rest.
    wanted = "\n".join(line for line in lines if line.startswith(_WANTED))
    return ProcessState(name=name, is_ready=is_ready, why=str(said.get("why", ""))), wanted + "\n"


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1_000, 1)
