"""A tape with something on it: one context under a name of its own, decided by its real owner on the real broker."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.kafka import LocalKafka
from domain.accounts.commands import DepositCash, OpenAccount
from domain.accounts.decide import accounts
from infra.avro.codec import Codec
from infra.kafka.reader import Reader
from streams.partition import Deciding
from tests.kit.deciding import Installation


@pytest.fixture
def installation(kafka: LocalKafka, codec: Codec) -> Installation:
    return Installation(kafka.bootstrap, codec, Deciding("accounts", accounts, (OpenAccount, DepositCash)))


@pytest.fixture
async def reader(kafka: LocalKafka) -> AsyncIterator[Reader]:
    made = Reader(kafka.bootstrap, "operations")
    yield made
    await made.close()
