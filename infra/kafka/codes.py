"""Kafka's error numbers by name: the broker's, and those librdkafka gives itself."""

import logging

from confluent_kafka import KafkaError

LOG = logging.getLogger("librdkafka")
"""Where every client of librdkafka writes what it would else print by itself, from threads of its own."""

NONE = 0
LEADER_NOT_AVAILABLE = 5
NOT_LEADER = 6
COORDINATOR_LOADING = 14
COORDINATOR_NOT_AVAILABLE = 15
NOT_COORDINATOR = 16
INVALID_PRODUCER_EPOCH = 47
CONCURRENT_TRANSACTIONS = 51
FENCED_LEADER_EPOCH = 74
UNKNOWN_LEADER_EPOCH = 75
PRODUCER_FENCED = 90

END_REACHED = KafkaError._PARTITION_EOF  # noqa: SLF001  # Public codes, in spite of the underscore. So with the others.
CLIENT_FENCED = KafkaError._FENCED  # noqa: SLF001
PURGED_UNSENT = KafkaError._PURGE_QUEUE  # noqa: SLF001
ALL_BROKERS_DOWN = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001
TRANSPORT = KafkaError._TRANSPORT  # noqa: SLF001
NO_SUCH_TOPIC = KafkaError._UNKNOWN_TOPIC  # noqa: SLF001
NO_SUCH_PARTITION = KafkaError._UNKNOWN_PARTITION  # noqa: SLF001

LEADERLESS = frozenset(
    {LEADER_NOT_AVAILABLE, NOT_LEADER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, KafkaError._NOENT}  # noqa: SLF001
)
"""A partition has no leader at the moment, not the one that was asked, or one that does not know yet that it leads, or
that leads anew since the client was told of it."""
MOVING = frozenset({COORDINATOR_LOADING, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR})
"""A group or a transactional id has no coordinator at the moment, or not the one that was asked."""
FENCED = frozenset({CLIENT_FENCED, INVALID_PRODUCER_EPOCH, PRODUCER_FENCED})
"""A later owner has the transactional id."""
CUT = frozenset({ALL_BROKERS_DOWN, TRANSPORT})
"""A broker was lost, if only for a moment."""
