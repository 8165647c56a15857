"""All event topics -> journal: every event as it stands on the tape, found by its account, its place or its command.

A door that catches a client up reads here and joins the live feed at a tape position; a repeated command finds its
first answer here.
"""

from collections.abc import Iterator, Mapping

from domain.kernel.ids import Micros
from infra.postgres import Database
from projections.read_model import Appended, OnTape, ReadModel, Row

DDL = """
CREATE TABLE journal (
    tenant text NOT NULL,
    stream_id text NOT NULL,
    version bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    sequence bigint NOT NULL,
    tape_offset bigint NOT NULL,
    command_id text NOT NULL,
    digest bytea NOT NULL,
    event_type text NOT NULL,
    event_id text NOT NULL,
    at bigint NOT NULL,
    recorded_at bigint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (topic, partition, sequence)
);
CREATE INDEX ON journal (tenant, stream_id, topic, partition, sequence);
CREATE INDEX ON journal (command_id);
CREATE INDEX ON journal (stream_id, topic, partition, sequence) WHERE event_type = 'OwnershipTaken';
"""

AFTER = """
SELECT found.* FROM unnest($3::text[], $4::integer[], $5::bigint[]) AS seen (topic, partition, sequence)
CROSS JOIN LATERAL (
    SELECT * FROM journal
    WHERE tenant = $1 AND stream_id = $2
      AND topic = seen.topic AND partition = seen.partition AND sequence > seen.sequence
    ORDER BY sequence LIMIT $6
) AS found
ORDER BY recorded_at, topic, partition, sequence LIMIT $6
"""
BY_COMMAND = "SELECT * FROM journal WHERE command_id = $1 ORDER BY topic, partition, sequence"

REIGNS = """
SELECT DISTINCT ON (topic, partition) * FROM journal WHERE event_type = 'OwnershipTaken' AND stream_id = ANY($1)
ORDER BY topic, partition, sequence DESC
"""


class JournalRow(Row, frozen=True, kw_only=True):
    """One event: `payload` is its record value, byte for byte; `tape_offset` is where this cluster keeps it."""

    tenant: str
    stream_id: str
    version: int
    tape_offset: int
    command_id: str
    digest: bytes
    event_type: str
    event_id: str
    at: Micros
    recorded_at: Micros
    payload: bytes


def rows_of(record: OnTape) -> Iterator[JournalRow]:
    """The event's row."""
    recorded = record.message
    yield JournalRow(
        tenant=recorded.tenant,
        stream_id=recorded.stream_id,
        version=recorded.version,
        tape_offset=record.offset,
        command_id=recorded.command_id,
        digest=recorded.digest,
        event_type=type(recorded.event).__name__,
        event_id=recorded.event_id,
        at=recorded.at,
        recorded_at=recorded.recorded_at,
        payload=record.value,
    )


async def after(
    db: Database, tenant: str, account_id: str, positions: Mapping[tuple[str, int], int], limit: int
) -> list[JournalRow]:
    """The account's events after these sequences, of these partitions only; -1 is before the first.

    Events of one partition come in its order; between topics the time of recording decides, so that a page is the same
    whenever it is read. The next page begins after the last sequence of each partition on this one.
    """
    topics = [topic for topic, _ in positions]
    partitions = [partition for _, partition in positions]
    return await db.rows(JournalRow, AFTER, tenant, account_id, topics, partitions, list(positions.values()), limit)


async def reigns(db: Database, partitions: int) -> list[JournalRow]:
    """The newest `OwnershipTaken` of every partition: who reigns there."""
    return await db.rows(JournalRow, REIGNS, [f"owner/{number}" for number in range(partitions)])


async def by_command(db: Database, command_id: str) -> list[JournalRow]:
    """What a command led to: one event, or none yet; the caller checks tenant, stream and digest.

    A command id is unique within one stream, so one that was sent to two contexts is found twice.
    """
    return await db.rows(JournalRow, BY_COMMAND, command_id)


journal = ReadModel(
    name="journal",
    version=2,
    ddl=DDL,
    events=("orders.events", "accounts.events", "risk.events", "billing.events"),
    tables=(Appended(name="journal", row=JournalRow, rows_of=rows_of),),
)
"""Every event of all contexts."""
