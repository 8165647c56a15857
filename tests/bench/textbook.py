"""`python -m tests.bench.textbook BOOTSTRAP CONTEXT`: the consume-transform-produce loop as every textbook has it.

One consumer in a group, one transactional producer, the offsets sent in the transaction. It decides with our decider
and our codec on books in memory, so that what differs is the loop; it drains what is there without waiting, as we do,
which is kinder to it than a textbook. What must be aborted is taken back and decided again. It has no chain, no known
ids and no reading back.
"""

import select
import sys
from collections import defaultdict
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

import contexts
from domain.kernel.ids import event_id
from domain.kernel.messages import GENESIS, Issued, Recorded
from domain.orders.decide import orders
from domain.orders.state import Book
from infra.avro.codec import Codec
from infra.clock import wall
from infra.settings import BATCH_COMMANDS_MAX

POLL_SECONDS = 0.05
TRANSACTION_SECONDS_MAX = 20.0


class Loop:
    """Books in memory, a consumer and a producer."""

    def __init__(self, bootstrap: str, context: str) -> None:
        self._codec = Codec(contexts.messages())
        self._events = f"{context}.events"
        self._books: dict[str, Book] = defaultdict(lambda: orders.initial)
        self._versions: dict[str, int] = defaultdict(int)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"{context}-textbook",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 1,
            }
        )
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": f"{context}-textbook",
                "partitioner": "murmur2_random",
                "linger.ms": 1,
            }
        )
        self._producer.init_transactions(TRANSACTION_SECONDS_MAX)
        self._consumer.subscribe([f"{context}.commands"])

    def turn(self) -> None:
        """Take what is there, decide it, commit events and offsets together."""
        first = self._consumer.poll(POLL_SECONDS)
        if first is None:
            return
        messages = [first, *self._consumer.consume(BATCH_COMMANDS_MAX - 1, 0)]
        taken = [message for message in messages if message.error() is None]
        if not taken:
            return
        before = dict(self._books), dict(self._versions)
        try:
            self._commit(taken)
        except KafkaException as failure:
            if not failure.args[0].txn_requires_abort():
                raise
            self._abort(taken, before)

    def _commit(self, taken: list[Message]) -> None:
        self._producer.begin_transaction()
        for message in taken:
            self._decide(message)
        offsets = {(each.topic(), each.partition()): (each.offset() or 0) + 1 for each in taken}
        self._producer.send_offsets_to_transaction(
            [TopicPartition(topic or "", partition or 0, at) for (topic, partition), at in offsets.items()],
            self._consumer.consumer_group_metadata(),
            TRANSACTION_SECONDS_MAX,
        )
        self._producer.commit_transaction(TRANSACTION_SECONDS_MAX)

    def _abort(self, taken: list[Message], before: tuple[dict[str, Book], dict[str, int]]) -> None:
        """Nothing of this transaction counts: go back to where it began."""
        self._producer.abort_transaction(TRANSACTION_SECONDS_MAX)
        self._books.clear()
        self._books.update(before[0])
        self._versions.clear()
        self._versions.update(before[1])
        begins: dict[tuple[str, int], int] = {}
        for each in taken:
            begins.setdefault((each.topic() or "", each.partition() or 0), each.offset() or 0)
        for (topic, partition), offset in begins.items():
            self._consumer.seek(TopicPartition(topic, partition, offset))
        print(f"aborted: {len(taken)} commands are decided again", file=sys.stderr, flush=True)

    def _decide(self, message: Message) -> None:
        issued: Issued[Any] = self._codec.decode_command(message.value() or b"")
        account, now = issued.stream_id, wall()
        event = orders.decide(self._books[account], issued.command)
        self._books[account] = orders.evolve(self._books[account], event)
        self._versions[account] += 1
        recorded = Recorded(
            event=event,
            event_id=event_id(self._events, message.partition() or 0, message.offset() or 0),
            tenant=issued.tenant,
            stream_id=account,
            version=self._versions[account],
            sequence=0,
            previous=GENESIS,
            term=0,
            command_position=message.offset() or 0,
            command_id=issued.command_id,
            digest=GENESIS,
            causation_id=issued.causation_id,
            correlation_id=issued.correlation_id,
            actor=issued.command.actor,
            at=issued.command.at,
            recorded_at=now,
        )
        value = self._codec.encode_event(recorded)
        self._producer.produce(self._events, value, message.key(), headers=[("command-id", issued.command_id.encode())])


def main(bootstrap: str, context: str) -> None:
    """Turn until the input ends."""
    loop = Loop(bootstrap, context)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        loop.turn()


if __name__ == "__main__":
    main(*sys.argv[1:])
