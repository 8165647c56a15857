"""Inputs from a seed, thrown at a door by the thousand, beside canaries: what went wrong, and what it cost the door."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from tests.security import body_kinds, frame_kinds, handshake_kinds, http_kinds
from tests.security.canary import canaries
from tests.security.door import Door
from tests.security.kinds import Kind, Who
from tests.security.verdict import wrong
from tests.security.wire import thrown

KINDS: tuple[Kind, ...] = (*frame_kinds.KINDS, *handshake_kinds.KINDS, *http_kinds.KINDS, *body_kinds.KINDS)
SLOW_KINDS = body_kinds.SLOW_KINDS
AT_ONCE = 32
"""Inputs under way together."""
SLOW_SHARE = 500
"""One input in so many is a slow one; they wait beside the others."""
SLOW_MAX = 400
"""Slow ones of one run: each is a connection and lasts up to a minute."""
SENDERS = 16
"""Accounts whose tokens the inputs carry: one alone would be told to slow down."""
CANARIES = 3
SETTLE_S = 15.0
"""After the last input, until the door has let go of every connection."""
GROWN_MIB_MAX = 96.0
"""What the door may hold more at the end than when it was warm."""
PEAK_MIB_MAX = 400.0
"""What it may hold more at its worst: thirty-two bombs of fifty megabytes, unfolded, were sixteen hundred."""
LOOK_S = 0.5
FINDINGS_MAX = 50


class Barrage(msgspec.Struct, kw_only=True):
    """What became of a run."""

    thrown: Counter[str] = msgspec.field(default_factory=Counter)
    wrong: Counter[str] = msgspec.field(default_factory=Counter)
    findings: list[dict[str, str]] = []
    ends: Counter[str] = msgspec.field(default_factory=Counter)
    faults: list[str] = []
    """What is wrong with no input in particular: a crash, a canary, memory."""
    figures: dict[str, float] = {}

    def found(self, kind: str, seed: str, why: str) -> None:
        """One more input that was not answered as it should be."""
        self.wrong[kind] += 1
        if sum(each["kind"] == kind for each in self.findings) < 3 and len(self.findings) < FINDINGS_MAX:
            self.findings.append({"kind": kind, "input": seed, "why": why})

    @property
    def is_good(self) -> bool:
        """Nothing was found."""
        return not self.wrong and not self.faults


def chosen(seed: int, number: int, kinds: Sequence[Kind]) -> tuple[Kind, random.Random]:
    """The kind of an input, and the chance that it is made with: both follow from the seed and its number."""
    chance = random.Random(f"{seed}/{number}")
    return chance.choices(kinds, [kind.weight for kind in kinds])[0], chance


async def throw_one(
    port: int, kinds: Sequence[Kind], seed: int, number: int, senders: Sequence[Who], told: Barrage
) -> None:
    """Make one input, throw it, judge it."""
    kind, chance = chosen(seed, number, kinds)
    who = senders[number % len(senders)]
    thing = kind.make(chance, who)
    try:
        outcome = await thrown(port, thing, who, chance)
        why = wrong(thing, outcome)
        told.ends[outcome.answers[0] if outcome.answers else outcome.end] += 1
    except OSError as error:
        why = f"could not be thrown: {error!r}"
    told.thrown[kind.name] += 1
    if why:
        told.found(kind.name, f"{seed}/{number}", why)


async def throw(
    port: int,
    senders: Sequence[Who],
    *,
    seed: int,
    count: int,
    told: Barrage,
    kinds: Sequence[Kind] = KINDS,
    slow_kinds: Sequence[Kind] = SLOW_KINDS,
) -> None:
    """Throw so many inputs, the slow ones beside the others."""
    slow = min(SLOW_MAX, -(-count // SLOW_SHARE)) if slow_kinds else 0
    numbers = iter(range(count - slow))

    async def work() -> None:
        for number in numbers:
            await throw_one(port, kinds, seed, number, senders, told)

    # Each slow kind in its turn, so that a small run has them all the same.
    dripping = [
        throw_one(port, (slow_kinds[number % len(slow_kinds)],), seed, count + number, senders, told)
        for number in range(slow)
    ]
    await asyncio.gather(*(work() for _ in range(AT_ONCE)), *dripping)


async def barrage(door: Door, *, seed: int, count: int) -> Barrage:
    """Throw so many at the door with canaries beside, and look after it."""
    told, pid, stop = Barrage(), door.pid, asyncio.Event()
    senders = [door.who(f"thrower-{number}") for number in range(SENDERS)]
    async with canaries(door, CANARIES) as birds:
        singing = [asyncio.create_task(bird.sing(stop)) for bird in birds]
        await throw(door.port, senders, seed=seed, count=max(200, count // 50), told=Barrage(), slow_kinds=())
        warm, log_bytes = door.memory_mib(), len(door.said())
        watching = asyncio.create_task(_watched(door, stop))
        begun = time.monotonic()
        await throw(door.port, senders, seed=seed, count=count, told=told)
        seconds = time.monotonic() - begun
        left = await _let_go(door, len(birds))
        stop.set()
        peak = await watching
        await asyncio.gather(*singing)
        grown = (door.memory_mib() if door.pid == pid else 0.0) - warm
        waits = sorted(wait for bird in birds for wait in bird.waits_s)
        told.faults += [f"canary {number}: {fault}" for number, bird in enumerate(birds) for fault in bird.faults[:5]]
        told.figures = {
            "seconds": round(seconds, 1),
            "warm_mib": round(warm, 1),
            "grown_mib": round(grown, 1),
            "peak_over_warm_mib": round(peak - warm, 1),
            "log_bytes_an_input": round((len(door.said()) - log_bytes) / count, 1),
            "canary_answers": float(len(waits)),
            "canary_pongs": float(sum(bird.pinged for bird in birds)),
            "canary_p99_ms": round(waits[int(len(waits) * 0.99)] * 1000, 1) if waits else 0.0,
        }
    if door.pid != pid:
        told.faults.append("the gateway's process has died")
    if left:
        told.faults.append(f"{left} connections are still open {SETTLE_S:.0f} s after their clients left")
    if grown > GROWN_MIB_MAX or peak - warm > PEAK_MIB_MAX:
        told.faults.append(f"the gateway grew by {grown:.0f} MiB, {peak - warm:.0f} MiB at its worst")
    return told


async def _watched(door: Door, stop: asyncio.Event) -> float:
    """The most that the process held."""
    peak = 0.0
    while not stop.is_set() and door.pid is not None:
        peak = max(peak, door.memory_mib())
        await asyncio.sleep(LOOK_S)
    return peak


async def _let_go(door: Door, birds: int) -> int:
    """Connections that the door still holds of clients that are gone."""
    until = time.monotonic() + SETTLE_S
    of_birds = 2 * birds
    while door.pid is not None and (held := door.connections()) > of_birds:
        if time.monotonic() > until:
            return held - of_birds
        await asyncio.sleep(LOOK_S)
    return 0
