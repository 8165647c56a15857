"""Somebody writes past the owner of a partition: sagas and effects stop there, name the place, and go on elsewhere.

The other readers have this test at home: read models, gateways, agents, the audit forest, the deciders themselves.
"""

import asyncio
import re
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
from infra.kafka.groups import Groups
from infra.kafka.reader import Reader
from infra.kafka.sender import Sender, murmur2_partition
from streams.following import Follower
from streams.partition import Deciding
from streams.sagas import Saga, Sagas, Step
from tests.kit.deciding import Installation

pytestmark = pytest.mark.kafka

STOPS_WITHIN_SECONDS = 20.0
HERE = next(name for name in "abcdefgh" if murmur2_partition(name.encode(), 2) == 0)
ELSEWHERE = next(name for name in "abcdefgh" if murmur2_partition(name.encode(), 2) == 1)


@pytest.mark.parametrize(("ahead", "said"), [(2, "sequence 4 follows 2"), (1, "previous is not the hash"), (0, "")])
async def test_sagas_stop_a_partition_at_a_record_that_no_owner_wrote_and_go_on_in_the_others(
    ahead: int, said: str, kafka: LocalKafka, codec: Codec
) -> None:
    deciding = Deciding("accounts", accounts, (OpenAccount, DepositCash))
    installation = Installation(kafka.bootstrap, codec, deciding, partitions=2)
    topic, sender = f"{installation.context}.events", Sender(kafka.bootstrap, "forger")
    reacted: list[tuple[str, int]] = []

    def react(recorded: Recorded[AccountEvent]) -> Iterator[Step]:
        reacted.append((recorded.stream_id, recorded.sequence))
        yield from ()

    group = f"{installation.context}-sagas"
    groups = Groups(kafka.bootstrap)
    follower = Follower(group, [topic], Reader(kafka.bootstrap, group), groups, codec)
    sagas, stop = Sagas([Saga("test", (installation.context,), react)], follower, sender, codec), asyncio.Event()
    async with installation.running():
        await installation.command([_deposit("first"), _deposit("second")])
        await installation.events(2)
        _, last = next(each for each in reversed(await installation.everything()) if each[1].stream_id == HERE)
        forged = msgspec.structs.replace(last, sequence=last.sequence + ahead)
        offset = await sender.send(topic, HERE.encode(), codec.encode_event(forged), {}, 0)
        running = asyncio.create_task(sagas.run(stop))
        async with asyncio.timeout(STOPS_WITHIN_SECONDS):
            while not follower.trouble():
                await asyncio.sleep(0.05)
            await installation.command([_deposit("elsewhere", ELSEWHERE)])
            while (ELSEWHERE, 1) not in reacted:
                await asyncio.sleep(0.05)
        is_ready, why = sagas.ready()
        stop.set()
        await running
    assert not is_ready
    assert re.search(rf"{topic}\[0\]@{offset}.*{said}", why)
    assert [sequence for account, sequence in reacted if account == HERE] == [1, 2]
    committed, _ = (await groups.committed(group, [(topic, 0)]))[topic, 0]
    assert committed == offset, "a restart begins at the break, never past it"
    for client in (groups, sender):
        await client.close()


def _deposit(name: str, account: str = HERE) -> Issued[DepositCash]:
    command = DepositCash(deposit_id=DepositId(name), amount=Money(100), at=Micros(len(name)), actor="sub:x")
    return Issued(command=command, command_id=name, tenant="t", stream_id=account, causation_id="", correlation_id="")
