"""The eventsourcing library's own test case judges our recorder on the real broker."""

from collections.abc import Callable
from typing import Any

import pytest
from eventsourcing.persistence import AggregateRecorder, IntegrityError, StoredEvent
from eventsourcing.tests.persistence import AggregateRecorderTestCase

from deploy.local.kafka import LocalKafka
from domain.accounts.decide import accounts
from domain.accounts.events import AccountOpened, CashDeposited
from domain.kernel.ids import DepositId, Micros
from domain.kernel.messages import GENESIS, Event, Recorded
from domain.kernel.money import Money
from infra.avro.codec import Codec
from infra.event_store import AvroMapper, KafkaFactory, KafkaRecorder

pytestmark = pytest.mark.kafka


class TestKafkaRecorder(AggregateRecorderTestCase):
    """The library's conformance tests, run by pytest on this recorder."""

    _made: list[KafkaRecorder]

    @pytest.fixture(autouse=True)
    def _broker(self, kafka: LocalKafka, fresh_topic: Callable[..., str]) -> Any:
        self._bootstrap, self._fresh_topic, self._made = kafka.bootstrap, fresh_topic, []
        yield
        for recorder in self._made:
            recorder.close()

    def create_recorder(self) -> AggregateRecorder:
        recorder = KafkaRecorder(self._bootstrap, self._fresh_topic(partitions=1), 0)
        self._made.append(recorder)
        return recorder


def recorded(event: Event, version: int) -> Recorded[Event]:
    return Recorded(
        event=event,
        event_id=f"e{version}",
        tenant="t",
        stream_id="a",
        version=version,
        sequence=version,
        previous=GENESIS,
        term=1,
        command_position=version,
        command_id=f"c{version}",
        digest=b"",
        causation_id="",
        correlation_id="",
        actor="sub:x",
        at=Micros(1),
        recorded_at=Micros(2),
    )


def test_a_stream_is_read_as_it_was_after_a_restart(
    kafka: LocalKafka, codec: Codec, fresh_topic: Callable[..., str]
) -> None:
    topic, mapper = fresh_topic(partitions=1), AvroMapper(codec)
    events = [
        recorded(AccountOpened(owner="x", currency="USD"), 1),
        recorded(CashDeposited(deposit_id=DepositId("d"), amount=Money(5)), 2),
    ]
    factory = KafkaFactory({"KAFKA": kafka.bootstrap, "KAFKA_TOPIC": topic})
    first = factory.aggregate_recorder()
    assert isinstance(first, KafkaRecorder)
    first.insert_events([mapper.to_stored_event(each) for each in events])
    first.close()
    second = KafkaRecorder(kafka.bootstrap, topic, 0)
    found = [mapper.to_domain_event(stored) for stored in second.select_events("a", lte=1)]
    assert accounts.fold(each.event for each in found) == accounts.fold([AccountOpened(owner="x", currency="USD")])
    with pytest.raises(IntegrityError, match="version 2 follows 2"):
        second.insert_events([StoredEvent("a", 2, "again", b"")])
    second.close()
