"""Requests of Kafka's protocol, in aiokafka's structures and ours -> the simulated tape -> their answers."""

from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch

from infra.kafka import codes
from infra.kafka.cluster import READ_COMMITTED, TRANSACTION_COORDINATOR
from infra.kafka.records import Outgoing
from tests.simulation.tape import Tape

HOST, PORT, BROKER = "simulated", 9092, 0
PRODUCE, OFFSETS, METADATA, COORDINATOR, INIT, END, MARKERS, PRODUCERS = 0, 2, 3, 10, 22, 26, 27, 61
VERSIONS = {
    PRODUCE: (12, 12),
    OFFSETS: (2, 2),
    METADATA: (1, 1),
    COORDINATOR: (1, 1),
    INIT: (0, 0),
    END: (5, 5),
    MARKERS: (1, 1),
    PRODUCERS: (0, 0),
}
"""The one version of each request that the simulated brokers speak."""


def answer(tape: Tape, struct: Any) -> Any:
    """What the brokers say to this request."""
    respond = struct.RESPONSE_TYPE
    match struct.API_KEY:
        case 0:
            return _produced(tape, struct)
        case 26:
            producer = (struct.producer_id, struct.producer_epoch)
            code, producer_id, epoch = tape.commit(struct.transactional_id, producer)
            return respond(0, code, producer_id, epoch, {})
        case 22:
            return respond(0, *tape.fence(struct.transactional_id))
        case 2:
            ((topic, ((number, _),)),) = struct.topics
            log = tape.logs[topic, number]
            end = log.stable if struct.isolation_level == READ_COMMITTED else len(log.slots)
            return respond(0, [(topic, [(number, codes.NONE, -1, end)])])
        case 3:
            topics = [(codes.NONE, topic, False, _partitions(tape, topic)) for topic in struct.topics]
            return respond([(BROKER, HOST, PORT, None)], BROKER, topics)
        case 10:
            assert struct.coordinator_type == TRANSACTION_COORDINATOR
            return respond(0, codes.NONE, "", BROKER, HOST, PORT)
        case 61:
            return _producers(tape, struct)
        case 27:
            return _marked(tape, struct)
        case other:
            raise AssertionError(f"no broker of the simulation knows request {other}")


def _produced(tape: Tape, struct: Any) -> Any:
    ((topic, ((number, batch, _),), _),) = struct.topics
    read = DefaultRecordBatch(bytearray(batch))
    records = [Outgoing(each.key or b"", each.value or b"", dict(each.headers)) for each in read]
    producer = (read.producer_id, read.producer_epoch)
    code, base = tape.produce(struct.transactional_id, (topic, number), producer, records)
    return struct.RESPONSE_TYPE([(topic, [(number, code, base, -1, 0, [], None, {})], {})], 0, {})


def _partitions(tape: Tape, topic: str) -> list[tuple[Any, ...]]:
    return [(codes.NONE, number, BROKER, [BROKER], [BROKER]) for number in range(tape.partitions[topic])]


def _producers(tape: Tape, struct: Any) -> Any:
    ((topic, (number,), _),) = struct.topics
    found: list[tuple[Any, ...]] = [(*each.producer, 0, 0, 0, each.first, {}) for each in tape.hanging((topic, number))]
    return struct.RESPONSE_TYPE(0, [(topic, [(number, codes.NONE, None, found, {})], {})], {})


def _marked(tape: Tape, struct: Any) -> Any:
    ((producer_id, epoch, _committed, ((topic, (number,), _),), _, _),) = struct.markers
    tape.abort_hanging((topic, number), (producer_id, epoch))
    return struct.RESPONSE_TYPE([(producer_id, [(topic, [(number, codes.NONE, {})], {})], {})], {})
