"""The local Kafka: ours and nobody else's, after a kill as before, with its tools."""

import os
import shutil
import subprocess
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local import jars, java, kafka, kafka_probe, ports
from deploy.local.kafka import LocalKafka, PortTaken, Profile

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    made = LocalKafka(tmp_path_factory.mktemp("kafka"), profile=Profile.TEST).start()
    yield made
    made.stop()


def produce(broker: LocalKafka, topic: str, value: bytes) -> None:
    administrator = AdminClient({"bootstrap.servers": broker.bootstrap})
    administrator.create_topics([NewTopic(topic, 1, 1, config={"flush.messages": "1"})])[topic].result(10)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True})
    producer.produce(topic, value)
    assert producer.flush(10) == 0


def consumed(broker: LocalKafka, topic: str) -> str:
    arguments = ("--bootstrap-server", broker.bootstrap, "--topic", topic)
    ending = ("--from-beginning", "--max-messages", "1", "--timeout-ms", "20000")
    return broker.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", *arguments, *ending)


def test_the_class_path_is_complete_for_the_console_consumer(broker: LocalKafka) -> None:
    produce(broker, "console", b"read by Kafka's own tool")
    assert "read by Kafka's own tool" in consumed(broker, "console")


def test_the_class_path_is_complete_for_the_dump_of_a_log(broker: LocalKafka) -> None:
    produce(broker, "dumped", b"value")
    segment = broker.folder / "data" / "dumped-0" / "00000000000000000000.log"
    told = broker.tool("org.apache.kafka.tools.DumpLogSegments", "--files", str(segment), "--print-data-log")
    assert "payload: value" in told


def test_what_was_acknowledged_survives_a_kill(broker: LocalKafka) -> None:
    produce(broker, "kept", b"still here")
    first = broker.pid
    broker.kill()
    assert not broker.is_alive
    broker.start()
    assert broker.pid not in {None, first}
    assert "still here" in consumed(broker, "kept")


def test_it_is_refused_when_another_broker_has_its_port(broker: LocalKafka, tmp_path: Path) -> None:
    second = LocalKafka(tmp_path, port=broker.port, profile=Profile.TEST)
    with pytest.raises(PortTaken, match=f"port {broker.port} is taken"):
        second.start()
    assert broker.is_ready()


def test_another_broker_on_the_port_does_not_make_it_ready(broker: LocalKafka, tmp_path: Path) -> None:
    second = LocalKafka(tmp_path, port=broker.port, profile=Profile.TEST)
    stand_in = subprocess.Popen(["sleep", "60"])
    second._child = stand_in  # a process that listens nowhere
    assert kafka_probe.brokers(broker.port) == 1
    assert not second.is_ready()
    stand_in.kill()
    stand_in.wait()


def test_a_ghost_listener_sends_clients_to_the_port_of_the_proxy(tmp_path: Path) -> None:
    listen, advertised = ports.free(2)
    haunted = LocalKafka(tmp_path, profile=Profile.TEST, ghost_listen_port=listen, ghost_port=advertised).start()
    try:
        answer = kafka_probe.ask(listen, kafka_probe.METADATA, 4, b"\x00\x00\x00\x00\x00")
        assert advertised.to_bytes(4, "big") in answer
        assert listen.to_bytes(4, "big") not in answer
    finally:
        haunted.stop()


def test_it_stops_in_order_and_frees_its_port(tmp_path: Path) -> None:
    short = LocalKafka(tmp_path, profile=Profile.TEST).start()
    pid = short.pid
    short.stop()
    assert short.pid is None
    assert not Path(f"/proc/{pid}").exists()
    assert ports.is_free(short.port)


def test_a_cluster_id_that_begins_with_a_dash_is_no_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(bytes=b"\xf8" * 16))
    dashed = LocalKafka(tmp_path, profile=Profile.TEST).start()
    dashed.stop()
    assert "cluster.id=-" in (dashed.folder / "data" / "meta.properties").read_text()


def test_the_wheel_runs_it_where_the_machine_has_no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java.find.cache_clear()
    try:
        assert java.find().path == java.bundled()
        LocalKafka(tmp_path / "kafka", profile=Profile.TEST).start().stop()
    finally:
        java.find.cache_clear()


def test_a_java_that_is_too_old_is_not_taken(tmp_path: Path) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    old.chmod(0o755)
    found = java.ask(old)
    assert found is not None
    assert found.release == 8
    assert found.release < java.RELEASE_MIN


def test_every_jar_on_the_class_path_is_in_the_list_and_in_the_lock() -> None:
    listed = {
        ":".join(one.split(":")[1:]) for one in tomllib.loads(jars.SPEC.read_text())["dependencies"]["coordinates"]
    }
    locked = {f"{row['artifactId']}:{row['version']}" for row in jars._locked()}
    assert listed == locked
    assert len(jars.ensure()) == len(locked)
    assert "*" not in kafka.class_path(jars.ensure())


def test_a_changed_jar_is_refused(tmp_path: Path) -> None:
    for jar in jars.ensure():
        (tmp_path / jar.name).symlink_to(jar)
    victim = tmp_path / jars.ensure()[0].name
    victim.unlink()
    shutil.copyfile(jars.ensure()[1], victim)
    with pytest.raises(jars.JarsMissing, match=victim.name):
        jars._verify(tmp_path)


def test_no_lock_names_a_host() -> None:
    root = Path(jars.LOCK).parents[2]
    for lock in (jars.LOCK, root / "requirements.lock"):
        assert "://" not in lock.read_text(), f"{lock.name} names a host: see `make lock`"


def test_the_cache_stays_in_the_checkout_when_there_is_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", os.devnull)
    assert jars.folder().is_relative_to(Path(jars.LOCK).parents[2])
