"""A tape in memory, decided by the real deciders and written with the real codec: commands in, records in order out.

Each partition is a valid log: dense sequences, chained hashes, terms; offsets leave gaps, as transactions' markers
do. `arrived` is what one reader of everything would have taken, in order.
"""

import hashlib
from collections import defaultdict
from typing import Any

from domain.accounts.decide import accounts
from domain.billing.decide import billing
from domain.kernel.decider import Decider
from domain.kernel.ids import Micros, derived, event_id
from domain.kernel.messages import GENESIS, Command, Event, Issued, Observed, OwnershipTaken, Recorded
from domain.onboarding.decide import onboarding
from domain.orders.decide import orders
from domain.partners.decide import partners
from domain.reconciliation.decide import reconciliation
from domain.risk.decide import risk
from infra.avro.codec import Codec
from infra.kafka.records import Arrived
from infra.kafka.sender import murmur2_partition

DECIDERS: dict[str, Decider[Any, Any, Any]] = {
    "orders": orders,
    "accounts": accounts,
    "risk": risk,
    "billing": billing,
    "onboarding": onboarding,
    "partners": partners,
    "reconciliation": reconciliation,
}
ACME = "acme"
OFFSETS_PER_RECORD = 2  # The record and the marker of its transaction.


class Tape:
    """All topics of one installation; every command is decided at once."""

    def __init__(self, codec: Codec, partitions: int = 4) -> None:
        self.codec = codec
        self.partitions = partitions
        self.arrived: list[Arrived] = []
        self.states: dict[tuple[str, str], Any] = {}
        self._versions: dict[tuple[str, str], int] = defaultdict(int)
        self._sequences: dict[tuple[str, int], int] = defaultdict(int)
        self._hashes: dict[tuple[str, int], bytes] = {}
        self._terms: dict[tuple[str, int], int] = {}
        self._commands = 0
        self._newest = ""
        self._recorded_at = 1_700_000_000_000_000

    def partition_of(self, account_id: str) -> int:
        """Where the account's events stand, in every topic."""
        return murmur2_partition(account_id.encode(), self.partitions)

    def take_over(self, context: str, partition: int) -> Arrived:
        """The next term of a partition begins."""
        place = (f"{context}.events", partition)
        self._terms[place] = self._terms.get(place, 0) + 1
        event = OwnershipTaken(partition=partition, owner="test")
        return self._append(place, f"owner/{partition}", "owner", "", event, self._issued(event, place[0]))

    def decide(self, context: str, account_id: str, command: Command, tenant: str = ACME) -> Event:
        """Decide the command and write down what follows."""
        place = (f"{context}.events", self.partition_of(account_id))
        if place not in self._terms:
            self.take_over(context, place[1])
        decider = DECIDERS[context]
        state = self.states.get((context, account_id), decider.initial)
        event: Event = decider.decide(state, command)
        self.states[context, account_id] = decider.evolve(state, event)
        self._commands += 1
        issued = Issued(
            command=command,
            command_id=derived("command", self._commands),
            tenant=tenant,
            stream_id=account_id,
            causation_id="request",
            correlation_id="request",
        )
        self._append(place, account_id, tenant, command.actor, event, (issued.command_id, self.codec.digest(issued)))
        return event

    def observe(self, topic: str, message: Observed, partition: int = 0) -> Arrived:
        """What the outside said, on a feed."""
        return self._write((topic, partition), b"", self.codec.encode_observed(message))

    def recorded(self, context: str | None = None) -> list[Recorded[Any]]:
        """Every event in order, of one context or of all, but those of owners."""
        found = [
            self.codec.decode_event(each.value)
            for each in self.arrived
            if each.topic.endswith(".events") and (context is None or each.topic == f"{context}.events")
        ]
        return [each for each in found if not isinstance(each.event, OwnershipTaken)]

    def _issued(self, event: Event, topic: str) -> tuple[str, bytes]:
        return derived(topic, event), bytes(32)

    def _append(
        self,
        place: tuple[str, int],
        stream_id: str,
        tenant: str,
        actor: str,
        event: Event,
        command: tuple[str, bytes],
    ) -> Arrived:
        context = place[0]
        self._versions[context, stream_id] += 1
        self._recorded_at += 1_000
        sequence = self._sequences[place]
        # A saga's command follows from an event; here that is the one before it, of whichever account.
        cause = self._newest if actor.startswith("saga:") else "request"
        self._newest = event_id(*place, sequence)
        recorded = Recorded(
            event=event,
            event_id=event_id(*place, sequence),
            tenant=tenant,
            stream_id=stream_id,
            version=self._versions[context, stream_id],
            sequence=sequence,
            previous=self._hashes.get(place, GENESIS),
            term=self._terms[place],
            command_position=sequence,
            command_id=command[0],
            digest=command[1],
            causation_id=cause,
            correlation_id="request",
            actor=actor,
            at=Micros(self._recorded_at - 500),
            recorded_at=Micros(self._recorded_at),
        )
        return self._write(place, stream_id.encode(), self.codec.encode_event(recorded))

    def _write(self, place: tuple[str, int], key: bytes, value: bytes) -> Arrived:
        topic, partition = place
        arrived = Arrived(topic, partition, self._sequences[place] * OFFSETS_PER_RECORD, key, value, {})
        self._sequences[place] += 1
        self._hashes[place] = hashlib.sha256(value).digest()
        self.arrived.append(arrived)
        return arrived
