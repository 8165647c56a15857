"""What the checker collects from a real broker is what the broker has: aborted, open and committed, kept apart."""

import uuid
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from deploy.local import jars, java
from deploy.local.kafka import LocalKafka
from infra.kafka.topics import TopicSpec, declare
from tests.faults.checker import collect, segments
from tests.faults.checker.avro import Schemas
from tests.faults.checker.evidence import End, Folder, Record, lines
from tests.faults.checker.tape import Partition, Tape
from tests.faults.checker.verdict import Findings

pytestmark = pytest.mark.kafka


def written(kafka: LocalKafka, topic: str) -> Producer:
    """Four transactions of three records: the second is aborted, and one more is left open."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    producer.init_transactions()
    for number in range(4):
        producer.begin_transaction()
        for each in range(3):
            producer.produce(
                topic, key=b"key", value=b"%d-%d" % (number, each), partition=0, headers={"command-id": b"c"}
            )
        producer.flush()
        (producer.abort_transaction if number == 1 else producer.commit_transaction)()
    producer.begin_transaction()
    producer.produce(topic, key=b"key", value=b"open", partition=0)
    producer.flush()
    return producer


def values(folder: Path, topic: str, level: str) -> list[bytes]:
    return [record.value for record in lines(folder / "topics" / topic / f"0.{level}.ndjson", Record)]


def end_of(path: Path, topic: str) -> End:
    """What the file says of the topic's first partition."""
    return next(end for end in lines(path, End) if (end.topic, end.partition) == (topic, 0))


def test_transactions_are_told_apart_by_two_readers_and_by_the_files(kafka: LocalKafka, tmp_path: Path) -> None:
    topic = f"judged-{uuid.uuid4().hex[:8]}.events"
    declare(kafka.bootstrap, [TopicSpec(name=topic, partitions=2)])
    producer = written(kafka, topic)
    collect.mark(kafka.bootstrap, tmp_path)
    collect.topics(kafka.bootstrap, tmp_path)
    producer.abort_transaction()
    kept = [b"%d-%d" % (number, each) for number in (0, 2, 3) for each in range(3)]
    assert values(tmp_path, topic, "committed") == kept
    assert sorted(values(tmp_path, topic, "uncommitted")) == sorted([*kept, b"1-0", b"1-1", b"1-2", b"open"])
    end, mark = (end_of(tmp_path / name, topic) for name in ("topics/ends.ndjson", "mark.ndjson"))
    assert (end.begin, end.stable, end.high) == (0, 16, 17)
    assert mark.stable == 16
    first = next(lines(tmp_path / "topics" / topic / "0.committed.ndjson", Record))
    assert (first.offset, first.key, msgspec.json.decode(first.headers)) == (0, b"key", {"command-id": "Yw=="})
    assert first.at_ms > 0


def test_the_files_of_a_broker_say_the_same_as_its_reader(kafka: LocalKafka, tmp_path: Path) -> None:
    topic = f"judged-{uuid.uuid4().hex[:8]}.events"
    declare(kafka.bootstrap, [TopicSpec(name=topic, partitions=1)])
    written(kafka, topic).abort_transaction()
    collect.topics(kafka.bootstrap, tmp_path)
    collect.segments(kafka.folder / "data", ":".join(map(str, jars.ensure())), str(java.find().path), tmp_path)
    for other in tmp_path.glob("segments/*"):
        if not other.name.startswith(topic):
            other.unlink()  # Topics of other tests on this broker are theirs to judge.
    collect.finish(tmp_path, is_quiet=False)
    findings, tape, partition = Findings(), Tape(), Partition(topic, 0)
    dump = lines(tmp_path / "topics" / topic / "0.committed.ndjson", Record)
    partition.offsets.extend(record.offset for record in dump)
    tape.topics[topic] = {0: partition}
    segments.judge(Folder(tmp_path), tape, findings)
    assert findings.verdict({}).found == {}
    assert findings.judged["batches"] >= 4
    del partition.offsets[1]
    segments.judge(Folder(tmp_path), tape, findings)
    assert findings.verdict({}).found == {"torn": 1}
    assert Schemas(tmp_path / "schemas").name(b"\0\0\0\0\1x") == "OwnershipTaken"
