"""What the tests of the Faust wrapper share: a tape of their own, workers to start and kill, and what came out."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local import ports
from domain.executions.messages import VenueMessage
from domain.kernel.ids import AccountId, DepositId, Micros, event_id
from domain.kernel.market import Phase
from domain.kernel.messages import GENESIS, Event, Observed, Recorded
from domain.kernel.money import Money, Price
from domain.market_data.marks import Mark, MarkPrice
from domain.orders.events import CashCredited
from infra.avro.codec import Codec
from infra.faust.agent import App
from infra.faust.batch import BATCH_EVENTS_MAX
from infra.faust.table import SHARED_KEY
from infra.faust.topics import topics
from infra.faust.values import Values
from infra.kafka.sender import murmur2_partition
from infra.kafka.topics import TopicSpec, declare
from infra.settings import PARTITIONS
from tests.infra.faust.counting import Count, Known, agents_of

READY_SECONDS_MAX = 40.0
STOP_SECONDS_MAX = 20.0


class Tape:
    """Chained events in transactions, some of them aborted, and marks in every partition."""

    def __init__(self, bootstrap: str, codec: Codec, run: str) -> None:
        self.run = run
        self._codec = codec
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": f"{run}-tape", "linger.ms": 2, "acks": "all"}
        )
        self._producer.init_transactions(20)
        self._previous: dict[tuple[str, int], bytes] = defaultdict(lambda: GENESIS)
        self._sequence: dict[tuple[str, int], int] = defaultdict(int)
        self._marks = 0
        self._heard = 0
        self._lists = 0
        self._newest: dict[tuple[str, int], int] = {}

    @property
    def newest(self) -> dict[tuple[str, int], int]:
        """The offset of the newest record that counts in each partition."""
        return dict(self._newest)

    def commit(self, topic: str, events: list[tuple[str, Event]]) -> None:
        """One transaction of events; an account of no name has no key."""
        self._producer.begin_transaction()
        for account, event in events:
            self._produce(f"{self.run}.{topic}", account, event)
        self._commit()

    def abort(self, topic: str, accounts: list[str]) -> None:
        """One transaction that nobody may ever see: its events follow nothing and count a million."""
        self._producer.begin_transaction()
        for account in accounts:
            ghost = CashCredited(deposit_id=DepositId("ghost"), amount=Money(1_000_000), cash=Money(0))
            value = self._codec.encode_event(recorded(ghost, account, f"{self.run}.{topic}", 0, 10**6, GENESIS))
            partition = murmur2_partition(account.encode(), PARTITIONS)
            self._producer.produce(f"{self.run}.{topic}", value, account.encode(), partition)
        self._producer.flush(20)
        self._producer.abort_transaction(20)

    def poison(self, topic: str, account: str) -> None:
        """A record that is no message at all."""
        self._producer.begin_transaction()
        partition = murmur2_partition(account.encode(), PARTITIONS)
        self._producer.produce(f"{self.run}.{topic}", b"poison", account.encode(), partition, on_delivery=self._written)
        self._commit()

    def skip_one(self) -> None:
        """The next event of each partition will seem to have lost the one before it."""
        for place in self._sequence:
            self._sequence[place] += 1

    def everywhere(self, topic: str, message: Observed) -> None:
        """One record, the same in every partition."""
        self._producer.begin_transaction()
        value = self._codec.encode_observed(message)
        for partition in range(PARTITIONS):
            self._producer.produce(f"{self.run}.{topic}", value, None, partition, on_delivery=self._written)
        self._commit()

    def mark(self, count: int = 1, phase: Phase = Phase.OPEN, session_date: str = "2012-03-05", **last: int) -> None:
        """So many marks, each in every partition."""
        self._producer.begin_transaction()
        for _ in range(count):
            at = Micros(1_000_000 * self._marks)
            prices = {name: MarkPrice(bid=Price(p), ask=Price(p), last=Price(p)) for name, p in last.items()}
            mark = Mark(
                sequence=self._marks,
                market_time=at,
                session_date=session_date,
                phase=phase,
                observed_at=at,
                is_complete=False,
                prices=prices,
            )
            value = self._codec.encode_observed(mark)
            for partition in range(PARTITIONS):
                self._producer.produce(
                    f"{self.run}.market_data.marks", value, None, partition, on_delivery=self._written
                )
            self._marks += 1
        self._commit()

    def hear(self, *names: str, body: bytes = b"said") -> None:
        """One message of the outside about each of these accounts, on the keyed feed."""
        self._producer.begin_transaction()
        for account in names:
            self._say(
                "executions.messages", account, murmur2_partition(account.encode(), PARTITIONS), self._heard, body
            )
            self._heard += 1
        self._commit()

    def broadcast(self, count: int) -> None:
        """So many messages, each in every partition."""
        self._producer.begin_transaction()
        for _ in range(count):
            for partition in range(PARTITIONS):
                self._say("lists", "", partition, self._lists, b"list")
            self._lists += 1
        self._commit()

    def _say(self, topic: str, account: str, partition: int, sequence: int, body: bytes) -> None:
        message = VenueMessage(
            source_id=f"{topic}-{sequence}",
            venue="v",
            tenant="t",
            account_id=AccountId(account),
            sequence=sequence,
            body=body,
            received_at=Micros(0),
        )
        value, key = self._codec.encode_observed(message), account.encode() or None
        self._producer.produce(f"{self.run}.{topic}", value, key, partition, on_delivery=self._written)

    def _produce(self, topic: str, account: str, event: Event) -> None:
        partition = murmur2_partition(account.encode(), PARTITIONS)
        place = (topic, partition)
        made = recorded(event, account, topic, partition, self._sequence[place], self._previous[place])
        value = self._codec.encode_event(made)
        self._previous[place] = hashlib.sha256(value).digest()
        self._sequence[place] += 1
        self._producer.produce(topic, value, account.encode() or None, partition, on_delivery=self._written)

    def _commit(self) -> None:
        self._producer.flush(20)
        self._producer.commit_transaction(20)

    def _written(self, error: Any, message: Any) -> None:
        assert error is None, error
        self._newest[message.topic(), message.partition()] = message.offset()


def recorded(event: Event, account: str, topic: str, partition: int, sequence: int, previous: bytes) -> Recorded[Event]:
    return Recorded(
        event=event,
        event_id=event_id(topic, partition, sequence),
        tenant="t",
        stream_id=account,
        version=sequence + 1,
        sequence=sequence,
        previous=previous,
        term=1,
        command_position=sequence,
        command_id="",
        digest=bytes(32),
        causation_id="",
        correlation_id="",
        actor="",
        at=Micros(0),
        recorded_at=Micros(0),
    )


def credit(amount: int) -> CashCredited:
    return CashCredited(deposit_id=DepositId(f"D{amount}"), amount=Money(amount), cash=Money(0))


class Bench:
    """Topics of one run, and the workers that live on them."""

    def __init__(
        self, bootstrap: str, codec: Codec, run: str, folder: Path, agents: Sequence[str] = ("counting",)
    ) -> None:
        self.run = run
        self.bootstrap = bootstrap
        self.folder = folder
        self.agents = tuple(agents)
        made = agents_of(run, agents)
        self.agent = made[0]
        self.changelog = f"{run}-{self.agent.name}-changelog"
        names = {name for agent in made for name in (*agent.sources, agent.commands)}
        sources = [TopicSpec(name=name, partitions=PARTITIONS, flush_each=False) for name in names]

        def attach(app: App) -> None:
            for agent in made:
                app.add(agent)

        declare(bootstrap, [*sources, *topics([attach], run)])
        self.tape = Tape(bootstrap, codec, run)
        self._started: list[Worker] = []
        self._admin = AdminClient({"bootstrap.servers": bootstrap})

    def start(self, name: str = "one", step: str = "", times: int = 0, batch: int = BATCH_EVENTS_MAX) -> "Worker":
        """A worker with a state folder of this name, that dies at this step; its batches have so many events."""
        order = {"run": self.run, "agents": self.agents, "step": step, "times": times, "batch": batch}
        worker = Worker(self, name, order)
        self._started.append(worker)
        return worker

    def await_done(self, worker: "Worker") -> None:
        """Until this worker is ready and everything on the tape is committed."""
        worker.await_ready()
        worker.await_that(lambda: not self._undone())

    def _undone(self) -> dict[tuple[str, int], int]:
        answer = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self.run)])[self.run].result(10)
        committed = {(place.topic, place.partition): place.offset for place in answer.topic_partitions}
        return {place: at for place, at in self.tape.newest.items() if committed.get(place, 0) <= at}

    def stop_all(self) -> None:
        for worker in self._started:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()

    def await_owners(self, count: int) -> None:
        """Until so many workers share all partitions of the first source; nobody owns none."""
        until = time.monotonic() + READY_SECONDS_MAX
        while (len(shares := self._shares()), sum(shares)) != (count, PARTITIONS if count else 0):
            assert time.monotonic() < until, f"partitions per worker are still {shares}"
            time.sleep(0.2)

    def _shares(self) -> list[int]:
        described = self._admin.describe_consumer_groups([self.run])
        members = described[self.run].result(10).members
        owned = [
            sum(place.topic == self.agent.events[0] for place in member.assignment.topic_partitions)
            for member in members
            if member.assignment is not None
        ]
        return [share for share in owned if share]

    def read(self, topic: str) -> list[Any]:
        """Every committed record of a topic."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.run}-reads",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        ended: set[int] = set()
        found: list[Any] = []
        while len(ended) < PARTITIONS:
            for message in consumer.consume(5_000, 1.0):
                if message.error():
                    ended.add(message.partition() or 0)
                else:
                    found.append(message)
        consumer.close()
        return found

    def states(self) -> dict[str, Count]:
        """What the changelog says of every account: the truth after the last worker has gone."""
        values = Values(Count)
        latest = {message.key(): message.value() for message in self.read(self.changelog)}
        return {key.decode(): values.decode(value)[1] for key, value in latest.items() if not key.startswith(b"\x00")}

    def known(self) -> list[int]:
        """How many broadcasts each partition that has met one has folded, as its changelog says."""
        values = Values(Known)
        latest = {message.partition(): message for message in self.read(self.changelog) if message.key() == SHARED_KEY}
        return [values.decode(message.value())[1].count for message in latest.values()]

    def commands(self, topic: str = "") -> dict[str, list[tuple[int, bytes, bytes]]]:
        """Every command by its id, with each place and payload it was seen in."""
        found: dict[str, list[tuple[int, bytes, bytes]]] = defaultdict(list)
        for message in self.read(topic or self.agent.commands):
            command_id = dict(message.headers())["command-id"].decode()
            found[command_id].append((message.partition(), message.key(), message.value()))
        return dict(found)


class Worker:
    """A worker process; its log is kept beside its state."""

    def __init__(self, bench: Bench, name: str, order: dict[str, Any]) -> None:
        state = bench.folder / name
        state.mkdir(parents=True, exist_ok=True)
        self.log = state / "log"
        self.port = ports.one()
        env = {
            **os.environ,
            "TAPELINE_KAFKA": bench.bootstrap,
            "TAPELINE_STATE_DIR": str(state),
            "TAPELINE_METRICS_PORT": str(self.port),
        }
        argv = [sys.executable, "-m", "tests.infra.faust.counting", json.dumps(order)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=env, stderr=log, stdout=log)

    def ready(self) -> bool:
        return self._get("readyz")[0] == 200

    def await_ready(self) -> None:
        self.await_that(self.ready)

    def await_death(self) -> int:
        return self.process.wait(READY_SECONDS_MAX)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS_MAX)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def await_that(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + READY_SECONDS_MAX
        while not condition():
            assert self.process.poll() is None, f"the worker ended: {self.log.read_text()[-3000:]}"
            assert time.monotonic() < until, f"never happened: {self._get('readyz')} {self.log.read_text()[-3000:]}"
            time.sleep(0.1)

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""


def accounts(count: int) -> Iterator[str]:
    """Names of so many accounts."""
    return (f"A{number}" for number in range(count))
