"""The journal and the live queue -> every event of some streams after a cursor, once, in the order of its partition.

The live queue begins first; what came before it is read from the journal up to the sequences at which it began; what
both have is told once. So nothing is lost or doubled, whatever the two are apart. Who reads too slowly loses the queue,
is told of the gap, and catches up the same way from where it was. Every door that streams follows the tape with this.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeAlias

import msgspec

from domain.kernel.messages import Recorded
from gateways.routes import Services
from infra.fanout import Behind
from infra.kafka.records import Partition
from infra.postgres import DatabaseDown
from infra.telemetry import STREAM_GAPS
from projections import generations
from projections.orders import journal

PAGE = 500
"""Events read from the journal at once."""
WINDOW = 10_000
"""Sequences of a partition that one look into the journal covers: it bounds what is passed over of other tenants."""
CATCH_UP_POLL_S = 0.02
CATCH_UP_WAIT_S = 30.0
"""How long the journal may stand still before it has what was on the tape when somebody came."""


class Told(msgspec.Struct, frozen=True):
    """One event, with its place and, when it is live, the trace it goes on with."""

    place: Partition
    recorded: Recorded[Any]
    trace: str = ""


class Gap(msgspec.Struct, frozen=True):
    """The live queue overflowed: what follows comes from the journal."""


class CaughtUp(msgspec.Struct, frozen=True):
    """Everything that was on the tape at `begin`, or at the last gap, has been told; what follows is live."""


Next: TypeAlias = Told | Gap | CaughtUp


class Following:
    """One follower: `positions` are its cursor, after what it was told last."""

    def __init__(
        self, services: Services, tenant: str, stream_ids: Sequence[str] | None, places: Sequence[Partition]
    ) -> None:
        self.places = tuple(places)
        self.positions: dict[Partition, int] = dict.fromkeys(self.places, -1)
        self._services = services
        self._tenant = tenant
        self._stream_ids = stream_ids
        self._live = services.fanout.subscription(tenant, stream_ids)
        self._joined: dict[Partition, int] = {}

    def begin(self) -> dict[Partition, int]:
        """Keep live events from now on; gives what the tape's end is for this gateway."""
        self._joined = self._live.begin(self.places)
        return self._joined

    def end(self) -> None:
        """Keep nothing any more."""
        self._live.end()

    async def events(self) -> AsyncGenerator[Next, None]:
        """What happened after `positions`, then what happens. Raises DatabaseDown when the journal does not move."""
        while True:
            async for told in self._past():
                yield told
            yield CaughtUp()
            try:
                while True:
                    seen = await self._live.next()
                    place = (seen.topic, seen.partition)
                    if seen.recorded.sequence > self.positions[place]:
                        self.positions[place] = seen.recorded.sequence
                        yield Told(place, seen.recorded, seen.trace)
            except Behind:
                STREAM_GAPS.inc()
                yield Gap()
                self.begin()

    async def _past(self) -> AsyncGenerator[Told, None]:
        """What the journal has up to where the live queue began."""
        database, decode = self._services.database, self._services.codec.decode_event
        until = time.monotonic() + CATCH_UP_WAIT_S
        while any(sequence > self.positions[place] for place, sequence in self._joined.items()):
            spans = self._spans(await generations.all_reflected(database, journal.journal.name))
            if not spans:
                if time.monotonic() > until:
                    raise DatabaseDown(f"the journal does not reach {self._joined} in {CATCH_UP_WAIT_S:.0f} s")
                await asyncio.sleep(CATCH_UP_POLL_S)
                continue
            rows = await journal.between(database, self._tenant, self._stream_ids, spans, PAGE)
            for row in rows:
                place = (row.topic, row.partition)
                self.positions[place] = row.sequence
                yield Told(place, decode(row.payload))
            if len(rows) < PAGE:
                self.positions |= {place: span.upto for place, span in spans.items()}
            until = time.monotonic() + CATCH_UP_WAIT_S

    def _spans(self, reached: dict[Partition, int]) -> dict[Partition, journal.Span]:
        """What can be read now of each partition that is behind."""
        spans = {
            place: journal.Span(after, min(reached.get(place, -1), self._joined[place], after + WINDOW))
            for place, after in self.positions.items()
        }
        return {place: span for place, span in spans.items() if span.upto > span.after}
