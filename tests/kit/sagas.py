"""One grammar for every saga: given this event, these steps follow, in this order, whenever it is asked."""

from types import ModuleType
from typing import Any

import msgspec

from domain.kernel.ids import Micros, event_id
from domain.kernel.messages import GENESIS, Command, Event, Recorded
from streams.sagas import Saga, steps

RECORDED_AT = Micros(1_700_000_000_000_000)


def recorded(event: Event, *, actor: str = "sub:ann", sequence: int = 7, stream_id: str = "acc") -> Recorded[Any]:
    """The event in an envelope."""
    return Recorded(
        event=event,
        event_id=event_id("accounts.events", 1, sequence),
        tenant="acme",
        stream_id=stream_id,
        version=3,
        sequence=sequence,
        previous=GENESIS,
        term=1,
        command_position=5,
        command_id="asked",
        digest=bytes(32),
        causation_id="asked",
        correlation_id="request",
        actor=actor,
        at=Micros(RECORDED_AT - 1_000),
        recorded_at=RECORDED_AT,
    )


class Happened:
    """An event that a saga sees."""

    def __init__(self, seen: Recorded[Any]) -> None:
        self.seen = seen

    def makes(self, saga: Saga) -> list[tuple[str, Command]]:
        """The context and the command of every step, less what the host fills in, which is checked here."""
        made = steps(saga, self.seen)
        assert steps(saga, self.seen) == made, "the same event must make the same steps"
        assert len({issued.command_id for _, issued in made}) == len(made)
        found = []
        for context, issued in made:
            command = issued.command
            assert (command.at, command.actor) == (self.seen.recorded_at, f"saga:{saga.name}")
            assert (issued.tenant, issued.stream_id) == (self.seen.tenant, self.seen.stream_id)
            assert (issued.causation_id, issued.correlation_id) == (self.seen.event_id, self.seen.correlation_id)
            found.append((context, msgspec.structs.replace(command, at=Micros(0), actor="")))
        return found


def given(event: Event, *, actor: str = "sub:ann") -> Happened:
    """This event is on the tape, and this actor's command made it."""
    return Happened(recorded(event, actor=actor))


def wiring(module: ModuleType) -> tuple[str, str]:
    """What the first sentence of the module says it reads, and what it writes."""
    sources, _, targets = (module.__doc__ or "").partition(":")[0].partition(" -> ")
    return sources, targets
