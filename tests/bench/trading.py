"""Commands and events as a busy day has them: many accounts, purchases of one share at a limit."""

import uuid
from collections.abc import Iterator, Sequence

import msgspec

from domain.kernel.ids import Micros, derived
from domain.kernel.messages import Command, Issued
from infra.avro.codec import Codec
from infra.commands import outgoing
from infra.kafka.protocol2 import Protocol2Writer
from infra.kafka.records import Arrived, Outgoing
from infra.kafka.sender import murmur2_partition
from infra.settings import BATCH_COMMANDS_MAX, PARTITIONS
from streams.partition import Batch, Deciding, OwnedPartition
from tests.kit import orders as kit

ORDERS_PER_ACCOUNT_MAX = 800
"""Below the thousand working orders that a book takes, since nothing is ever filled here."""
CASH = 100_000_000


def accounts(orders: int, at_least: int = 200) -> list[str]:
    """As many accounts as so many orders need."""
    return [f"account-{number:05}" for number in range(max(at_least, -(-orders // ORDERS_PER_ACCOUNT_MAX)))]


def opening(account: str, at: int) -> list[Issued[Command]]:
    """What makes an account ready to trade: the commands of the sagas."""
    commands: list[Command] = [*kit.may_trade(), kit.credit(CASH)]
    return [_issued(account, msgspec.structs.replace(each, at=Micros(at))) for each in commands]


def new_id() -> str:
    """An id that no other order has."""
    return str(uuid.uuid4())


def buying(account: str, at: int) -> Issued[Command]:
    """One order; every one has an id of its own."""
    order_id = new_id()
    command = kit.place(order_id, quantity=1, seen=kit.market(observed_at=at), at=at)
    return _issued(account, command, order_id)


def day(names: Sequence[str], orders: int, begin: int = kit.NOW) -> Iterator[Issued[Command]]:
    """Every account opened, then so many orders, round and round the accounts."""
    at = begin
    for name in names:
        yield from opening(name, at)
    for number in range(orders):
        at += 1_000
        yield buying(names[number % len(names)], at)


def records(codec: Codec, issued: Iterator[Issued[Command]]) -> list[list[Outgoing]]:
    """The records of these commands, by partition."""
    found: list[list[Outgoing]] = [[] for _ in range(PARTITIONS)]
    for each in issued:
        record = outgoing(codec, each)
        found[murmur2_partition(record.key, PARTITIONS)].append(record)
    return found


async def fill(bootstrap: str, topic: str, by_partition: Sequence[Sequence[Outgoing]]) -> None:
    """Write these records, a thousand in a batch, each batch a transaction."""
    for number, rows in enumerate(by_partition):
        writer = Protocol2Writer(bootstrap, topic, number)
        await writer.take_over()
        for at in range(0, len(rows), BATCH_COMMANDS_MAX):
            await writer.append(rows[at : at + BATCH_COMMANDS_MAX])
        await writer.close()


async def fill_decided(
    bootstrap: str, codec: Codec, deciding: Deciding, by_partition: Sequence[Sequence[Outgoing]]
) -> int:
    """Decide these commands and write their events as an owner does; gives how many there are."""
    written = 0
    for number, rows in enumerate(by_partition):
        partition = OwnedPartition(deciding, number, codec, lambda: Micros(kit.NOW))
        writer = Protocol2Writer(bootstrap, partition.topic, number)
        await writer.take_over()
        partition.keep(await _appended(writer, partition.ownership("bench", 1)))
        for at in range(0, len(rows), BATCH_COMMANDS_MAX):
            pending = [
                Arrived(f"{deciding.context}.commands", number, at + offset, row.key, row.value, row.headers)
                for offset, row in enumerate(rows[at : at + BATCH_COMMANDS_MAX])
            ]
            batch = partition.decide(pending)
            assert batch.taken == len(pending) == len(batch.records)
            partition.keep(await _appended(writer, batch))
            written += len(batch.records)
        await writer.close()
    return written


async def _appended(writer: Protocol2Writer, batch: Batch) -> Batch:
    await writer.append(batch.records)
    return batch


def _issued(account: str, command: Command, command_id: str = "") -> Issued[Command]:
    command_id = command_id or derived("bench", account, type(command).__name__)
    return Issued(
        command=command,
        command_id=command_id,
        tenant="acme",
        stream_id=account,
        causation_id=command_id,
        correlation_id=command_id,
    )
