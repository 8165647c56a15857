"""Kafka's own console consumer reads the tape, and finds the headers that the published contract names."""

import asyncio
import re

import pytest

from deploy.local.kafka import LocalKafka
from gateways.asyncapi import EVENT_HEADERS, SOMETIMES
from tests.kit.deciding import Installation
from tests.kit.hosting import Broker
from tests.streams.test_deciders import deposit, opened

pytestmark = pytest.mark.kafka
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
SHOWN = ("print.key=true", "print.headers=true", "print.partition=true", "print.offset=true")


@pytest.fixture
async def topic(installation: Installation) -> str:
    async with installation.running():
        await installation.command([opened(), deposit(1), deposit(2)])
        await installation.events(3)
    return f"{installation.context}.events"


async def test_reads_every_event_in_order_with_its_key_and_its_name(kafka: LocalKafka, topic: str) -> None:
    reading = ("--bootstrap-server", kafka.bootstrap, "--topic", topic, "--isolation-level", "read_committed")
    ending = ("--from-beginning", "--max-messages", "4", "--timeout-ms", "30000")
    properties = [word for each in SHOWN for word in ("--formatter-property", each)]
    said = await asyncio.to_thread(kafka.tool, CONSUMER, *reading, *ending, *properties)
    assert re.findall(r"ce_type:(\w+)", said) == ["OwnershipTaken", "AccountOpened", "CashDeposited", "CashDeposited"]
    assert re.findall(r"ce_source:([^,\s]+)", said) == [f"/{topic}/0"] * 4
    assert "\ta\t" in said, "the key is the account"
    assert said.rindex("\x04d1") < said.rindex("\x04d2"), "text within Avro is text after its length"


async def test_headers_are_those_of_the_contract(kafka: LocalKafka, topic: str, installation: Installation) -> None:
    events = await Broker(installation.bootstrap, installation.codec).all_of(topic)
    decided = [each for each in events if each.headers["ce_type"] != b"OwnershipTaken"]
    assert decided
    for each in decided:
        assert EVENT_HEADERS.keys() - SOMETIMES <= each.headers.keys() <= EVENT_HEADERS.keys()
