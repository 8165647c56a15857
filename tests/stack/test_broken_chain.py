"""Somebody writes past the owner of a partition: the loop of the sagas stops there and names the tape position.

The other readers have this test at home: read models, gateways, agents, the audit forest, the deciders themselves.
"""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from deploy.local.kafka import LocalKafka
from domain.accounts.commands import DepositCash, OpenAccount
from domain.accounts.decide import accounts
from domain.accounts.events import AccountEvent
from domain.kernel.ids import DepositId, Micros
from domain.kernel.messages import Issued, Recorded
from domain.kernel.money import Money
from infra.avro.codec import Codec
from infra.kafka.chain import ChainBroken
from infra.kafka.groups import Groups
from infra.kafka.reader import Reader
from infra.kafka.sender import Sender
from streams.following import Follower
from streams.partition import Deciding
from streams.sagas import Saga, Sagas, Step
from tests.kit.deciding import Installation

pytestmark = pytest.mark.kafka

STOPS_WITHIN_SECONDS = 20.0


@pytest.mark.parametrize(("ahead", "said"), [(2, "sequence 4 follows 2"), (1, "previous is not the hash"), (0, "")])
async def test_sagas_stop_at_a_record_that_no_owner_wrote(
    ahead: int, said: str, kafka: LocalKafka, codec: Codec
) -> None:
    installation = Installation(kafka.bootstrap, codec, Deciding("accounts", accounts, (OpenAccount, DepositCash)))
    await installation.command([_deposit("first"), _deposit("second")])
    async with installation.running():
        await installation.events(2)
    _, last = (await installation.everything())[-1]
    forged = msgspec.structs.replace(last, sequence=last.sequence + ahead)
    topic, sender = f"{installation.context}.events", Sender(kafka.bootstrap, "forger")
    offset = await sender.send(topic, b"a", codec.encode_event(forged), {}, 0)
    reacted: list[int] = []

    def react(recorded: Recorded[AccountEvent]) -> Iterator[Step]:
        reacted.append(recorded.sequence)
        yield from ()

    group = f"{installation.context}-sagas"
    reader, groups = Reader(kafka.bootstrap, group), Groups(kafka.bootstrap)
    follower = Follower(group, [topic], reader, groups, codec)
    sagas = Sagas([Saga("test", (installation.context,), react)], follower, sender, codec)
    with pytest.raises(ChainBroken, match=rf"{topic}\[0\]@{offset}.*{said}"):
        await asyncio.wait_for(sagas.run(asyncio.Event()), STOPS_WITHIN_SECONDS)
    assert reacted == [0, 1, 2]
    for client in (reader, groups, sender):
        await client.close()


def _deposit(name: str) -> Issued[DepositCash]:
    command = DepositCash(deposit_id=DepositId(name), amount=Money(100), at=Micros(len(name)), actor="sub:x")
    return Issued(command=command, command_id=name, tenant="t", stream_id="a", causation_id="", correlation_id="")
