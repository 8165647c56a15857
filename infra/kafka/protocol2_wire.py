"""The requests of Kafka's second transaction protocol that no Python client has: Produce v12 and EndTxn v5 (KIP-890).

They are laid out in aiokafka's own schema language, so that its connection frames, sends and decodes them.
"""

from collections.abc import Sequence
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactBytes, Int16, Int32, Int64
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from infra.kafka.flexible import NO_TAGS, TEXT, array, structure
from infra.kafka.records import Outgoing

MAGIC = 2
NO_COMPRESSION = 0  # One event hardly shrinks alone, and a batch of a thousand is bound by the flush, not by its size.
ALL_REPLICAS = -1


class ProduceResponseV12(Response):  # type: ignore[misc]  # aiokafka brings no types. So with the others.
    """What became of one batch."""

    API_KEY = 0
    API_VERSION = 12
    SCHEMA = structure(
        array(
            "topics",
            ("topic", TEXT),
            array(
                "partitions",
                ("partition", Int32),
                ("error_code", Int16),
                ("base_offset", Int64),
                ("log_append_time_ms", Int64),
                ("log_start_offset", Int64),
                array("record_errors", ("batch_index", Int32), ("message", TEXT)),
                ("error_message", TEXT),
            ),
        ),
        ("throttle_time_ms", Int32),
    )


class ProduceRequestV12(RequestStruct):  # type: ignore[misc]
    """From this version on a Produce adds its partition to the transaction by itself."""

    API_KEY = 0
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = ProduceResponseV12
    SCHEMA = structure(
        ("transactional_id", TEXT),
        ("acks", Int16),
        ("timeout_ms", Int32),
        array("topics", ("topic", TEXT), array("partitions", ("partition", Int32), ("records", CompactBytes))),
    )


class EndTxnResponseV5(Response):  # type: ignore[misc]
    """The end was accepted; the next transaction of this id goes under the epoch it gives."""

    API_KEY = 26
    API_VERSION = 5
    SCHEMA = structure(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
    )


class EndTxnRequestV5(RequestStruct):  # type: ignore[misc]
    """From this version on the epoch rises with every transaction, so that a late end fits no other."""

    API_KEY = 26
    API_VERSION = 5
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = EndTxnResponseV5
    SCHEMA = structure(
        ("transactional_id", TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("committed", Boolean),
    )


class Produce(Request[ProduceRequestV12]):  # type: ignore[misc]
    """One record batch to one partition, acknowledged by all its replicas."""

    API_KEY = 0

    def __init__(self, transactional_id: str, topic: str, partition: int, batch: bytes, timeout_ms: int) -> None:
        partitions = [(partition, batch, NO_TAGS)]
        self._fields = (transactional_id, ALL_REPLICAS, timeout_ms, [(topic, partitions, NO_TAGS)], NO_TAGS)

    def build(self, request_struct_class: type[ProduceRequestV12]) -> ProduceRequestV12:
        """The request in the one version we speak."""
        return request_struct_class(*self._fields)


class CommitTxn(Request[EndTxnRequestV5]):  # type: ignore[misc]
    """Commit the transaction of this producer id and epoch, and of no other."""

    API_KEY = 26

    def __init__(self, transactional_id: str, producer_id: int, epoch: int) -> None:
        self._fields = (transactional_id, producer_id, epoch, True, NO_TAGS)

    def build(self, request_struct_class: type[EndTxnRequestV5]) -> EndTxnRequestV5:
        """The request in the one version we speak."""
        return request_struct_class(*self._fields)


def record_batch(records: Sequence[Outgoing], producer_id: int, epoch: int) -> bytes:
    """All records as ONE transactional batch, stamped with the time of now; its sequence is 0, as in each new epoch."""
    room = 1 << 30  # The builder's own limit never bites: the size of a batch was judged before.
    builder = DefaultRecordBatchBuilder(MAGIC, NO_COMPRESSION, 1, producer_id, epoch, 0, room)
    for offset, record in enumerate(records):
        added = builder.append(offset, None, record.key, record.value, list(record.headers.items()))
        assert added is not None, "the batch builder is full below its own limit"
    return bytes(builder.build())


def produce_outcome(answer: Any) -> tuple[int, int, str]:
    """Error code, base offset and message of the one partition that was written to."""
    ((_topic, partitions, _tags),) = answer.topics
    ((_partition, code, base_offset, _time, _start, _errors, message, _more),) = partitions
    return int(code), int(base_offset), message or ""
