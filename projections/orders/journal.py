"""All event topics -> journal: every event as it stands on the tape, found by its account, its place or its command.

A door that catches a client up reads here and joins the live feed at a tape position; a repeated command finds its
first answer here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

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

OF_STREAMS = """
SELECT found.*
FROM unnest($3::text[], $4::integer[], $5::bigint[], $6::bigint[]) AS span (topic, partition, after, upto)
CROSS JOIN unnest($2::text[]) AS wanted (stream_id)
CROSS JOIN LATERAL (
    SELECT * FROM journal
    WHERE tenant = $1 AND stream_id = wanted.stream_id
      AND topic = span.topic AND partition = span.partition AND sequence > span.after AND sequence <= span.upto
    ORDER BY sequence LIMIT $7
) AS found
ORDER BY recorded_at, topic, partition, sequence LIMIT $7
"""
OF_TENANT = """
SELECT found.*
FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[]) AS span (topic, partition, after, upto)
CROSS JOIN LATERAL (
    SELECT * FROM journal
    WHERE tenant = $1
      AND topic = span.topic AND partition = span.partition AND sequence > span.after AND sequence <= span.upto
    ORDER BY sequence LIMIT $6
) AS found
ORDER BY recorded_at, topic, partition, sequence LIMIT $6
"""
BY_COMMANDS = "SELECT * FROM journal WHERE command_id = ANY($1) ORDER BY topic, partition, sequence"

# nosemgrep: read-without-a-tenant  # who reigns over a partition concerns no tenant
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


class Span(msgspec.Struct, frozen=True):
    """Sequences of one partition: above `after`, where -1 is before the first, and not above `upto`."""

    after: int = -1
    upto: int = 2**62


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


async def between(
    db: Database, tenant: str, stream_ids: Sequence[str] | None, spans: Mapping[tuple[str, int], Span], limit: int
) -> list[JournalRow]:
    """The events of these streams, or of the whole tenant, within these spans of these partitions only.

    Events of one partition come in its order; between topics the time of recording decides, so that a page is the same
    whenever it is read. The next page begins after the last sequence of each partition on this one.
    """
    topics = [topic for topic, _ in spans]
    partitions = [partition for _, partition in spans]
    after, upto = [span.after for span in spans.values()], [span.upto for span in spans.values()]
    if stream_ids is None:
        return await db.rows(JournalRow, OF_TENANT, tenant, topics, partitions, after, upto, limit)
    return await db.rows(JournalRow, OF_STREAMS, tenant, list(stream_ids), topics, partitions, after, upto, limit)


async def reigns(db: Database, partitions: int) -> list[JournalRow]:
    """The newest `OwnershipTaken` of every partition: who reigns there."""
    return await db.rows(JournalRow, REIGNS, [f"owner/{number}" for number in range(partitions)])


async def by_commands(db: Database, command_ids: Collection[str]) -> list[JournalRow]:
    """What these commands led to: one event each, or none yet; the caller checks tenant, stream and digest.

    A command id is unique within one stream, so one that was sent to two contexts is found twice.
    """
    return await db.rows(JournalRow, BY_COMMANDS, list(command_ids))


journal = ReadModel(
    name="journal",
    version=2,
    ddl=DDL,
    events=(
        "orders.events",
        "accounts.events",
        "reconciliation.events",
        "onboarding.events",
        "billing.events",
        "partners.events",
        "risk.events",
    ),
    tables=(Appended(name="journal", row=JournalRow, rows_of=rows_of),),
)
"""Every event of all contexts."""
