"""A bus without a broker: every command is decided at once by the real decider and answered with its event."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from domain.kernel.ids import event_id
from domain.kernel.messages import GENESIS, Command, Issued, Recorded
from infra.avro.codec import Codec
from infra.bus import Answer, DifferentRequest, NoDecision
from infra.kafka.sender import murmur2_partition
from infra.readback import Seen
from infra.settings import ANSWER_WAIT_MS, PARTITIONS
from tests.kit.tape import DECIDERS


class MemoryBus:
    """Decides in memory; `trouble` makes every new command end in this way."""

    def __init__(self, codec: Codec) -> None:
        self.sent: list[Issued[Any]] = []
        self.trouble: NoDecision | None = None
        self._codec = codec
        self._answers: dict[str, Answer] = {}
        self._states: dict[tuple[str, str], Any] = {}
        self._tails: dict[tuple[str, int], tuple[int, bytes]] = {}
        self._listeners: list[Callable[[Seen], None]] = []

    def listen(self, listener: Callable[[Seen], None]) -> None:
        """Call this for every event from here on."""
        self._listeners.append(listener)

    async def send(
        self, context: str, issued: Issued[Command], wait_ms: int = ANSWER_WAIT_MS, *, traceparent: str = ""
    ) -> Answer:
        """The decision."""
        digest = self._codec.digest(issued)
        known = self._answers.get(issued.command_id)
        if known is not None:
            if known.recorded.digest != digest:
                raise DifferentRequest(issued.command_id)
            return known
        self.sent.append(issued)
        if self.trouble is not None:
            raise self.trouble
        return self.decide(context, issued, digest)

    async def find(self, command_id: str) -> Answer | None:
        """The decision on a command that was sent before."""
        return self._answers.get(command_id)

    def decide(self, context: str, issued: Issued[Command], digest: bytes = bytes(32)) -> Answer:
        """Decide, write down, tell the listeners."""
        decider = DECIDERS[context]
        place = (f"{context}.events", murmur2_partition(issued.stream_id.encode(), PARTITIONS))
        state = self._states.get((context, issued.stream_id), decider.initial)
        event = decider.decide(state, issued.command)
        self._states[context, issued.stream_id] = decider.evolve(state, event)
        sequence, previous = self._tails.get(place, (-1, GENESIS))
        recorded: Recorded[Any] = Recorded(
            event=event,
            event_id=event_id(*place, sequence + 1),
            tenant=issued.tenant,
            stream_id=issued.stream_id,
            version=sequence + 2,
            sequence=sequence + 1,
            previous=previous,
            term=1,
            command_position=sequence + 1,
            command_id=issued.command_id,
            digest=digest,
            causation_id=issued.causation_id,
            correlation_id=issued.correlation_id,
            actor=issued.command.actor,
            at=issued.command.at,
            recorded_at=issued.command.at,
        )
        value = self._codec.encode_event(recorded)
        self._tails[place] = (sequence + 1, hashlib.sha256(value).digest())
        answer = Answer(topic=place[0], partition=place[1], recorded=recorded)
        self._answers[issued.command_id] = answer
        for listener in self._listeners:
            listener(Seen(*place, sequence + 1, issued.command_id, value, recorded))
        return answer

    def as_saga(self, context: str, account_id: str, command: Command) -> Answer:
        """What a saga would have sent."""
        stamped = msgspec.structs.replace(command, actor="saga:test")
        number = len(self._answers)
        issued = Issued(
            command=stamped,
            command_id=f"saga-{number}",
            tenant="acme",
            stream_id=account_id,
            causation_id="",
            correlation_id="",
        )
        return self.decide(context, issued)
