"""Who owns what, how far everybody is, and whether the installation is what was declared: for operators.

Reads Kafka, and Postgres where it answers; writes nothing. Each finding of the doctor names its remedy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from domain.kernel.messages import OwnershipTaken
from gateways.operations import tape
from infra.avro.codec import Codec
from infra.kafka.reader import Reader
from infra.kafka.topics import TopicSpec, TopicState, topic_report
from infra.postgres import Database, DatabaseDown
from infra.probes import Probes
from infra.settings import PARTITIONS, Settings
from projections.orders import journal

UNKNOWN = "?"
PROBE_SECONDS_MAX = 2.0
"""Longest wait for a process to say how it is."""


class PartitionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One events partition: its term, its last sequence, and the commands that wait for their decision."""

    topic: str
    partition: int
    owner: str
    term: int
    sequence: int
    commands_waiting: int
    recorded_at: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the doctor looked at."""

    what: str
    is_good: bool
    detail: str
    remedy: str = ""


async def partitions(
    reader: Reader,
    codec: Codec,
    contexts: Sequence[str],
    owners: Mapping[tuple[str, int], str] | None = None,
    behind: int | None = None,
) -> list[PartitionStatus]:
    """The state of every events partition of these contexts, from the last record of each; `owners` by name.

    No event names a repeat or a poison record that came last. What the deciders themselves say they are `behind`, of
    all partitions together, tells whether such commands wait or are done with.
    """
    found = []
    for context in contexts:
        command_ends = await reader.ends(f"{context}.commands")
        last = await tape.last(reader, f"{context}.events")
        for number, end in sorted(command_ends.items()):
            arrived = last.get(number)
            if arrived is None:
                found.append(_empty(f"{context}.events", number, end))
                continue
            recorded = codec.decode_event(arrived.value)
            waiting = min(max(0, end - recorded.command_position - 1), end if behind is None else behind)
            found.append(
                PartitionStatus(
                    topic=f"{context}.events",
                    partition=number,
                    owner=(owners or {}).get((f"{context}.events", number), UNKNOWN),
                    term=recorded.term,
                    sequence=recorded.sequence,
                    commands_waiting=waiting,
                    recorded_at=recorded.recorded_at,
                )
            )
    return found


async def owners_of(database: Database, codec: Codec) -> dict[tuple[str, int], str]:
    """Who took each partition over last, as the journal has it; empty when the database does not answer."""
    try:
        rows = await journal.reigns(database, PARTITIONS)
    except DatabaseDown:
        return {}
    events = {(row.topic, row.partition): codec.decode_event(row.payload).event for row in rows}
    return {place: event.owner for place, event in events.items() if isinstance(event, OwnershipTaken)}


async def behind_of(probes: str) -> int | None:
    """How many commands the deciders have not taken yet, as they say themselves; None when they do not answer."""
    told = await Probes(probes).look()
    return next((each.records for each in told.readers if each.reader == "deciders"), None)


async def doctor(
    settings: Settings,
    specs: Sequence[TopicSpec],
    contracts_drift: Sequence[str],
    database: Callable[[], Awaitable[Any]],
) -> list[Finding]:
    """Everything that can be looked at from here, the most basic first."""
    findings = [await _kafka(settings, specs), await _postgres(database), _contracts(contracts_drift)]
    findings.append(_keys(settings))
    findings.append(await _gateway(settings))
    return findings


async def _kafka(settings: Settings, specs: Sequence[TopicSpec]) -> Finding:
    try:
        await _knock(settings.kafka)
        found = {state.name: state for state in topic_report(settings.kafka)}
    except Exception as error:  # noqa: BLE001  whatever the client says, the operator reads it here
        return Finding(
            what="kafka",
            is_good=False,
            detail=f"{settings.kafka} does not answer: {error!r}",
            remedy="start the broker (`make up`) or set TAPELINE_KAFKA",
        )
    missing = [spec.name for spec in specs if spec.name not in found]
    wrong = [line for spec in specs if spec.name in found for line in _drift(spec, found[spec.name])]
    if missing or wrong:
        detail = "; ".join([f"missing: {', '.join(missing)}"] * bool(missing) + wrong)
        return Finding(
            what="topics", is_good=False, detail=detail, remedy="run `./tapeline prepare`, or undo the change"
        )
    return Finding(what="kafka", is_good=True, detail=f"{len(specs)} topics are as declared")


async def _knock(bootstrap: str) -> None:
    """Raises when no broker of the list takes a connection; the client itself would try for half a minute."""
    refusals: list[str] = []
    for address in bootstrap.split(","):
        host, _, port = address.rpartition(":")
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), PROBE_SECONDS_MAX)
        except (OSError, TimeoutError) as error:
            refusals.append(repr(error))
        else:
            writer.close()
            return
    raise ConnectionError("; ".join(refusals))


def _drift(spec: TopicSpec, found: TopicState) -> Iterator[str]:
    if found.partitions != spec.partitions:
        yield f"{spec.name}: partitions are {found.partitions}, declared {spec.partitions}"
    for key, value in spec.config().items():
        if found.config.get(key) != value:
            yield f"{spec.name}: {key} is {found.config.get(key)}, declared {value}"


async def _postgres(database: Callable[[], Awaitable[Any]]) -> Finding:
    try:
        version = await database()
    except Exception as error:  # noqa: BLE001  whatever the driver says, the operator reads it here
        return Finding(
            what="postgres",
            is_good=False,
            detail=f"does not answer: {error}",
            remedy="start the database (`make up`) or set TAPELINE_POSTGRES; writes go on without it",
        )
    return Finding(what="postgres", is_good=True, detail=str(version))


def _contracts(drift: Sequence[str]) -> Finding:
    if drift:
        return Finding(
            what="contracts",
            is_good=False,
            detail=f"not as published: {', '.join(drift)}",
            remedy="run `./tapeline schemas lock` and deploy readers first",
        )
    return Finding(what="contracts", is_good=True, detail="every contract is published")


def _keys(settings: Settings) -> Finding:
    private = settings.state_dir / "keys" / "jwks.json"
    if not private.exists():
        return Finding(what="keys", is_good=False, detail=f"{private} is not there", remedy="run `./tapeline prepare`")
    if private.stat().st_mode & 0o077:
        return Finding(
            what="keys", is_good=False, detail=f"{private} is readable by others", remedy=f"chmod 600 {private}"
        )
    return Finding(what="keys", is_good=True, detail="the key set is there and private")


async def _gateway(settings: Settings) -> Finding:
    url = f"http://{settings.gateway_host}:{settings.gateway_port}/readyz"
    try:
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS_MAX)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            said = await answer.json()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Finding(
            what="gateway",
            is_good=False,
            detail=f"{url} does not answer: {error}",
            remedy="start it (`make up`), or set TAPELINE_GATEWAY_PORT",
        )
    is_ready = answer.status == 200  # noqa: PLR2004  the one status that means ready
    return Finding(what="gateway", is_good=is_ready, detail=str(said.get("why") or said.get("status")))


def _empty(topic: str, number: int, waiting: int) -> PartitionStatus:
    return PartitionStatus(
        topic=topic, partition=number, owner=UNKNOWN, term=0, sequence=-1, commands_waiting=waiting, recorded_at=0
    )
