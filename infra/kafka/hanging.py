"""A transaction that its partition holds open though its coordinator has closed it -> aborted, once its id is fenced.

Kafka leaves one behind when it stops in order with an end half done: the coordinator finds no leader, takes the marker
as written, and every read_committed reader waits at that place for ever. Kafka's own remedy is `kafka-transactions.sh
abort`; here the owner does the same at take-over. Nobody was answered from such a batch, for nobody has read it.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, Int16, Int32, Int64

from infra.kafka.cluster import Cluster, NoAnswer
from infra.kafka.flexible import NO_TAGS, TEXT, array, structure

LOG = structlog.get_logger(__name__)


class _Producers(Response):  # type: ignore[misc]  # aiokafka brings no types. So with the others.
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = structure(
        ("throttle_time_ms", Int32),
        array(
            "topics",
            ("topic", TEXT),
            array(
                "partitions",
                ("partition", Int32),
                ("error_code", Int16),
                ("error_message", TEXT),
                array(
                    "producers",
                    ("producer_id", Int64),
                    ("producer_epoch", Int32),
                    ("last_sequence", Int32),
                    ("last_timestamp", Int64),
                    ("coordinator_epoch", Int32),
                    ("transaction_start", Int64),
                ),
            ),
        ),
    )


class _ProducersAsked(RequestStruct):  # type: ignore[misc]
    API_KEY = 61
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Producers
    SCHEMA = structure(array("topics", ("topic", TEXT), ("partitions", CompactArray(Int32))))


class _Marked(Response):  # type: ignore[misc]
    API_KEY = 27
    API_VERSION = 1
    SCHEMA = structure(
        array(
            "markers",
            ("producer_id", Int64),
            array("topics", ("topic", TEXT), array("partitions", ("partition", Int32), ("error_code", Int16))),
        )
    )


class _MarkAsked(RequestStruct):  # type: ignore[misc]
    API_KEY = 27
    API_VERSION = 1
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Marked
    SCHEMA = structure(
        array(
            "markers",
            ("producer_id", Int64),
            ("producer_epoch", Int16),
            ("committed", Boolean),
            array("topics", ("topic", TEXT), ("partitions", CompactArray(Int32))),
            ("coordinator_epoch", Int32),
        )
    )


class _DescribeProducers(Request[_ProducersAsked]):  # type: ignore[misc]
    API_KEY = 61

    def __init__(self, topic: str, partition: int) -> None:
        self._fields = ([(topic, [partition], NO_TAGS)], NO_TAGS)

    def build(self, request_struct_class: type[_ProducersAsked]) -> _ProducersAsked:
        return request_struct_class(*self._fields)


class _AbortMarker(Request[_MarkAsked]):  # type: ignore[misc]
    API_KEY = 27

    def __init__(self, topic: str, partition: int, producer: Any) -> None:
        producer_id, producer_epoch, _, _, coordinator_epoch, *_ = producer
        topics = [(topic, [partition], NO_TAGS)]
        self._fields = ([(producer_id, producer_epoch, False, topics, max(coordinator_epoch, 0), NO_TAGS)], NO_TAGS)

    def build(self, request_struct_class: type[_MarkAsked]) -> _MarkAsked:
        return request_struct_class(*self._fields)


async def abort_hanging(cluster: Cluster, topic: str, partition: int, fenced: Mapping[int, int]) -> None:
    """Abort what these producer ids still hold open from before the epoch under which we fenced each.

    A transaction of a later epoch is a successor's, which has fenced us in turn: it is left alone, as a stranger's is.
    """
    answer = await cluster.ask_leader(topic, partition, _DescribeProducers(topic, partition))
    ((_, partitions, _),) = answer.topics
    ((_, code, _, producers, _),) = partitions
    if code:
        raise NoAnswer(f"{topic}[{partition}]: its producers were not told: Kafka error {code}")
    for producer in producers:
        producer_id, epoch, _, _, _, start, _ = producer
        if start >= 0 and epoch < fenced.get(producer_id, -1):
            LOG.warning("hanging transaction aborted", topic=topic, partition=partition, offset=start)
            await cluster.ask_leader(topic, partition, _AbortMarker(topic, partition, producer))
