"""The journal projection -> answers and events as the tape has them: what a door reads of the past."""

from infra.avro.codec import Codec
from infra.bus import Answer, Journal
from infra.kafka.records import Partition
from infra.kafka.sender import murmur2_partition
from infra.postgres import Database
from infra.settings import PARTITIONS
from projections.orders import journal


def journal_of(database: Database, codec: Codec) -> Journal:
    """Finds the decision on a command. Raises DatabaseDown."""

    async def find(command_id: str) -> Answer | None:
        rows = await journal.by_command(database, command_id)
        if not rows:
            return None
        row = rows[0]
        return Answer(topic=row.topic, partition=row.partition, recorded=codec.decode_event(row.payload))

    return find


async def is_known(database: Database, tenant: str, account_id: str) -> bool:
    """The tenant has an account of this id."""
    everything = dict.fromkeys(partitions_of(account_id, ("accounts.events",)), journal.Span())
    return bool(await journal.between(database, tenant, (account_id,), everything, 1))


def partitions_of(account_id: str, topics: tuple[str, ...]) -> list[Partition]:
    """Where an account's events stand: its partition has the same number in every topic."""
    number = murmur2_partition(account_id.encode(), PARTITIONS)
    return [(topic, number) for topic in topics]
