"""What our own producer leaves on disk, as Kafka's own tool reads it."""

import re
from collections.abc import Callable

import pytest

from deploy.local.kafka import LocalKafka
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.records import Outgoing

pytestmark = pytest.mark.kafka
DUMP = "org.apache.kafka.tools.DumpLogSegments"
TRANSACTIONS = 7


async def dumped(kafka: LocalKafka, topic: str) -> list[dict[str, str]]:
    """The batches of the first segment, each with its fields, and the lines of its records."""
    segment = kafka.folder / "data" / f"{topic}-0" / f"{0:020}.log"
    text = kafka.tool(DUMP, "--files", str(segment), "--print-data-log")
    batches: list[dict[str, str]] = []
    for line in text.splitlines():
        if line.startswith("baseOffset:"):
            batches.append(dict(re.findall(r"(\w+): (\S+)", line)))
            batches[-1]["records"] = ""
        elif line.startswith("| offset:"):
            batches[-1]["records"] += line + "\n"
    return batches


async def test_kafka_reads_each_transaction_as_one_valid_batch_under_a_new_epoch(
    kafka: LocalKafka, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(1)
    writer = Protocol2Writer(kafka.bootstrap, topic, 0)
    await writer.take_over()
    for n in range(TRANSACTIONS):
        headers = {"command-id": b"c-%d" % n, "ce_type": b"OrderPlaced"}
        await writer.append([Outgoing(b"account", b"%d.%d" % (n, each), headers) for each in range(3)])
    await writer.close()

    batches = await dumped(kafka, topic)
    assert all(batch["isvalid"] == "true" and batch["isTransactional"] == "true" for batch in batches)
    data = [batch for batch in batches if batch["isControl"] == "false"]
    markers = [batch for batch in batches if batch["isControl"] == "true"]
    assert [batch["count"] for batch in data] == ["3"] * TRANSACTIONS
    assert all("COMMIT" in marker["records"] for marker in markers)
    producers = [batch["producerId"] for batch in data]
    assert len(set(producers)) == 3
    assert producers == (producers[:3] * 3)[:TRANSACTIONS], "the three ids take turns"
    for producer in set(producers):
        epochs = [int(batch["producerEpoch"]) for batch in data if batch["producerId"] == producer]
        assert epochs == list(range(epochs[0], epochs[0] + len(epochs))), "the epoch rises with every transaction"
    assert {batch["baseSequence"] for batch in data} == {"0"}
    assert "headerKeys: [command-id,ce_type]" in data[0]["records"]
    assert "key: account" in data[0]["records"]
    assert "payload: 0.0" in data[0]["records"]
