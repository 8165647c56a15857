"""Transactional clients as their users have them: librdkafka in Python is one arm, Kafka's own client in Java another.

Each speaks the six verbs of a consume-transform-produce loop. What a verb refuses is raised as Refused.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from deploy.local import jars, java
from deploy.local.kafka import class_path
from infra.kafka import codes

SOURCE = Path(__file__).with_name("TransactionalClient.java")
CALL_SECONDS_MAX = 20
END_SECONDS_MAX = 10.0


class Refused(Exception):
    """A verb did not succeed; the message is the client's own."""


class Client(Protocol):
    """What the loop needs."""

    def renew(self) -> None:
        """A new producer under the same id, as a process has that was started again: it fences the last."""
        ...

    def begin(self) -> None: ...

    def produce(self, topic: str, partition: int, value: str) -> None:
        """Returns when it is acknowledged."""
        ...

    def offsets(self, topic: str, next_offset: int, group: str) -> None:
        """Send the place of the next command with the transaction."""
        ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None: ...


class Textbook:
    """confluent-kafka, with the defaults of its own example but for the linger."""

    def __init__(self, bootstrap: str, past_the_proxy: str, transactional_id: str) -> None:
        self._settings = {
            "bootstrap.servers": bootstrap,
            "transactional.id": transactional_id,
            "linger.ms": 0,
            "log_level": 4,
        }
        self._member = {"bootstrap.servers": past_the_proxy, "group.id": transactional_id, "log_level": 4}
        self._producer: Producer | None = None

    @staticmethod
    def missing() -> str:
        """It is a library of the product."""
        return ""

    def renew(self) -> None:
        self._producer = None
        producer = Producer(self._settings, logger=codes.LOG)
        self._call(lambda: producer.init_transactions(CALL_SECONDS_MAX))
        self._producer = producer

    def begin(self) -> None:
        self._call(self._made.begin_transaction)

    def produce(self, topic: str, partition: int, value: str) -> None:
        refused: list[KafkaError] = []

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                refused.append(error)

        def written() -> None:
            self._made.produce(topic, value.encode(), partition=partition, on_delivery=report)
            left = self._made.flush(CALL_SECONDS_MAX)
            if left or refused:
                raise Refused(refused[0].str() if refused else "no delivery in time")

        self._call(written)

    def offsets(self, topic: str, next_offset: int, group: str) -> None:
        consumer = Consumer({**self._member, "group.id": group}, logger=codes.LOG)
        try:
            member = consumer.consumer_group_metadata()
            place = TopicPartition(topic, 0, next_offset)
            self._call(lambda: self._made.send_offsets_to_transaction([place], member, CALL_SECONDS_MAX))
        finally:
            consumer.close()

    def commit(self) -> None:
        self._call(lambda: self._made.commit_transaction(CALL_SECONDS_MAX))

    def abort(self) -> None:
        self._call(lambda: self._made.abort_transaction(CALL_SECONDS_MAX))

    def close(self) -> None:
        self._producer = None

    @property
    def _made(self) -> Producer:
        assert self._producer is not None, "renew() comes first"
        return self._producer

    @staticmethod
    def _call(verb: "object") -> None:
        assert callable(verb)
        try:
            verb()
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            raise Refused(f"{error.name()}: {error.str()}") from failure


class JavaClient:
    """kafka-clients under a line protocol: one program in one file, which Java compiles as it starts it."""

    def __init__(self, bootstrap: str, past_the_proxy: str, transactional_id: str) -> None:
        flags = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        argv = [str(java.find().path), *flags, "-cp", class_path(jars.ensure()), str(SOURCE), bootstrap]
        self._process = subprocess.Popen(
            [*argv, transactional_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    @staticmethod
    def missing() -> str:
        """A Java that brings its compiler: a bare runtime cannot run a source file."""
        if shutil.which(str(java.find().path)) is None:
            return "there is no Java"
        listed = subprocess.run([java.find().path, "--list-modules"], capture_output=True, text=True, check=False)
        return "" if "jdk.compiler" in listed.stdout else "this Java has no compiler, so that it runs no source file"

    def renew(self) -> None:
        self._call("renew")

    def begin(self) -> None:
        self._call("begin")

    def produce(self, topic: str, partition: int, value: str) -> None:
        self._call(f"produce {topic} {partition} {value}")

    def offsets(self, topic: str, next_offset: int, group: str) -> None:
        self._call(f"offsets {topic} {next_offset} {group}")

    def commit(self) -> None:
        self._call("commit")

    def abort(self) -> None:
        self._call("abort")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _call(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline().strip()
        if said != "ok":
            raise Refused(said or "the Java program ended")


CLIENTS: dict[str, type[Textbook] | type[JavaClient]] = {"textbook": Textbook, "java": JavaClient}
