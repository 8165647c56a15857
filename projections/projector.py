"""All event topics and market_data.marks -> every read model in PostgreSQL, each at its own position.

One reader feeds all read models, so that a record is decoded once; each takes what it has not got, checks the chain and
commits rows with positions. What cannot go on stops by itself and says so in /readyz: a partition whose chain broke, a
read model whose fold failed or whose tables are due for a rebuild. PostgreSQL away is no failure: the host waits.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from domain.kernel.messages import Observed
from infra import settings as limits
from infra import telemetry
from infra.avro.codec import Codec, Undecodable
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.records import Arrived, Partition
from infra.postgres import Database, DatabaseDown
from infra.settings import Settings
from projections import generations
from projections.generations import PositionMoved, RebuildDue
from projections.intake import Intake
from projections.projection import Projection
from projections.read_model import OnTape, ReadModel

GATHER_MS = 50
"""Pause after a batch that was not full, so that the next one gathers: a round of commits costs 6 to 14 ms of processor
here and in PostgreSQL, whether it brings one event (6 to 14 ms each) or twenty (0.8 ms each)."""
WATCH_EVERY_MS = 1_000
"""How often lag is measured, and how often a read model that waits for its rebuild is tried again."""
READY_LAG_RECORDS_MAX = 2_000
"""A projector further behind than two seconds of a busy day is not ready: its readers would see the past."""

_log = telemetry.logger("projector")


class Projector:
    """The host of all read models: give it records in order, it does the rest."""

    def __init__(self, db: Database, codec: Codec, models: Sequence[ReadModel], partitions: int) -> None:
        self._db = db
        self._codec = codec
        self._models = {model.name: model for model in models}
        self._partitions = partitions
        self._feeds = {feed.topic: feed.message for model in models for feed in model.feeds}
        self._running: dict[str, Projection] = {}
        self._stopped: dict[str, str] = {}
        self._unreadable: dict[Partition, str] = {}
        self._waits_for_database = ""
        self._lag: dict[str, dict[str, int]] = {}
        self.is_assignment_due = True
        """The reader must go back (or on) to `starts()` before it takes more."""

    async def admit(self) -> None:
        """Take up every read model whose tables are there as declared, or make them."""
        waiting = [model for name, model in self._models.items() if name not in self._running]
        for model in waiting:
            try:
                generation = await generations.admit(self._db, model, self._partitions)
            except RebuildDue as due:
                if self._stopped.get(model.name) != str(due):
                    _log.error("read model refused", projection=model.name, why=str(due))
                self._stopped[model.name] = str(due)
                continue
            projection = Projection(self._db, model, generation)
            try:
                await projection.look()
            except PositionMoved:
                continue  # Switched between the two statements; the next watch finds the new generation.
            self._running[model.name] = projection
            self._stopped.pop(model.name, None)
            self.is_assignment_due = True

    def starts(self) -> dict[Partition, int]:
        """Where to read from: the oldest position that a read model still needs, in each partition."""
        starts: dict[Partition, int] = {}
        for projection in self._running.values():
            if projection.model.name in self._stopped:
                continue
            for place, position in projection.positions.items():
                if place not in projection.stopped and place not in self._unreadable:
                    starts[place] = min(position.next_offset, starts.get(place, position.next_offset))
        return starts

    async def take(self, records: Sequence[OnTape], *, is_more: bool = False) -> None:
        """Bring every read model past these records; returns when they are committed, however long that takes.

        If there are more, what was given before is committed then, and these are under way.
        """
        going = [each for each in self._running.values() if each.model.name not in self._stopped]
        await asyncio.gather(*(self._bring(each, _of(each.model, records), is_more) for each in going))

    async def stop(self) -> None:
        """End what is under way; nothing is lost by it."""
        for projection in self._running.values():
            await projection.drop()

    def trouble(self) -> list[str]:
        """Everything that stands still, in words."""
        breaks = {why for each in self._running.values() for why in each.stopped.values()}
        waits = [self._waits_for_database] if self._waits_for_database else []
        return [*waits, *self._stopped.values(), *self._unreadable.values(), *sorted(breaks)]

    def ready(self) -> tuple[bool, str]:
        """Caught up and nothing stands still."""
        trouble = self.trouble()
        if trouble:
            return False, "; ".join(trouble)
        lag = max((records for topics in self._lag.values() for records in topics.values()), default=None)
        if lag is None:
            return False, "positions and ends are not compared yet"
        return lag <= READY_LAG_RECORDS_MAX, f"{lag} records behind"

    def lag(self, ends: Mapping[Partition, int], taken: Mapping[Partition, int]) -> dict[str, dict[str, int]]:
        """Records that each read model is behind, by topic; `taken` is where the reader is, past markers too."""
        found: dict[str, dict[str, int]] = {}
        for name, projection in self._running.items():
            topics = found.setdefault(name, {})
            for place, position in projection.positions.items():
                is_going = place not in projection.stopped and name not in self._stopped
                at = max(0, position.next_offset, taken.get(place, 0) if is_going else 0)
                topics[place[0]] = topics.get(place[0], 0) + max(0, ends.get(place, 0) - at)
        return found

    async def watch(self, reader: Reader, taken: Mapping[Partition, int]) -> None:
        """Measure the lag, and try read models that wait for their rebuild; `taken` as in `lag`."""
        places = self.starts()
        ends: dict[Partition, int] = {}
        for topic in {topic for topic, _ in places}:
            ends |= {(topic, partition): end for partition, end in (await reader.ends(topic)).items()}
        self._lag = self.lag(ends, {} if self.is_assignment_due else taken)
        for name, topics in self._lag.items():
            for topic, records in topics.items():
                telemetry.LAG.labels(f"projections.{name}", topic).set(records)
        await self.admit()

    def forget_lag(self) -> None:
        """What was measured holds no longer: not ready until it is measured again."""
        self._lag = {}

    async def _bring(self, projection: Projection, records: Sequence[OnTape], is_more: bool) -> None:
        name = projection.model.name
        try:
            await self._brought(projection, records, is_more)
        except PositionMoved:
            # Another projector, or a rebuild that was switched to: begin again from what the database says.
            self._running.pop(name, None)
            await self._admit_when_up()
        except Exception as error:  # noqa: BLE001  (whatever it is, it is this read model's alone)
            # A fold that fails would fail again: this read model stands still, the others go on.
            _log.exception("read model failed", projection=name)
            self._stopped[name] = f"{name}: {error!r}. Mend the fold, then start the projector again"
            with contextlib.suppress(Exception):  # What was under way before may end; nothing is begun on top of it.
                await projection.settle()
        for broken in projection.new_breaks():
            telemetry.CHAIN_BREAKS.labels(f"projections.{name}").inc()
            _log.critical("partition stopped", projection=name, why=str(broken))

    async def _brought(self, projection: Projection, records: Sequence[OnTape], is_more: bool) -> None:
        """The records are taken, after however many outages of the database; and committed, unless there are more."""
        is_sure = True
        while True:
            try:
                if not is_sure:
                    await projection.recover()  # The batch may have been committed although nobody said so.
                await projection.take(records)
                if not is_more:
                    await projection.settle()
            except DatabaseDown as down:
                is_sure = False
                self._waits_for_database = str(down)
                _log.warning("waiting for the database", projection=projection.model.name, why=str(down))
                await self._db.until_up()
            else:
                self._waits_for_database = ""
                return

    async def _admit_when_up(self) -> None:
        while True:
            try:
                await self.admit()
            except DatabaseDown:
                await self._db.until_up()
            else:
                return

    def decoded(self, arrived: Sequence[Arrived]) -> list[OnTape]:
        """The records with their messages, less those of partitions that cannot be read any further."""
        records = []
        for record in arrived:
            place = (record.topic, record.partition)
            if place in self._unreadable:
                continue
            try:
                records.append(on_tape(self._codec, self._feeds, record))
            except Undecodable as error:
                where = f"{record.topic}[{record.partition}] offset {record.offset}"
                if record.topic in self._feeds:
                    _log.error("feed record skipped", place=where, why=str(error))
                    continue
                self._unreadable[place] = f"{where}: {error}. Deploy a projector that knows this schema"
                _log.critical("partition stopped", why=self._unreadable[place])
        return records


def on_tape(codec: Codec, feeds: Mapping[str, type[Observed]], record: Arrived) -> OnTape:
    """The record with its message; raises Undecodable."""
    kind = feeds.get(record.topic)
    message: Any = codec.decode_event(record.value) if kind is None else codec.decode_observed(record.value, kind)
    return OnTape(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        sequence=message.sequence,
        value=record.value,
        message=message,
    )


async def declare(settings: Settings, models: Sequence[ReadModel]) -> list[str]:
    """Make the tables of every read model that has none, so that readers find them; returns which rebuilds are due."""
    db = Database(settings.postgres, name="prepare")
    due: list[str] = []
    try:
        await db.until_up()
        await generations.prepare(db)
        for model in models:
            try:
                await generations.admit(db, model, limits.PARTITIONS)
            except RebuildDue as refused:
                due.append(str(refused))
    finally:
        await db.close()
    return due


async def run(settings: Settings, codec: Codec, models: Sequence[ReadModel]) -> None:
    """Project until cancelled."""
    db = Database(settings.postgres, name="projector")
    projector = Projector(db, codec, models, limits.PARTITIONS)
    reader = Reader(settings.kafka, "projector", with_headers=False)
    probes = await telemetry.serve_probes(settings.metrics_port, projector.ready)
    try:
        await db.until_up()
        await generations.prepare(db)
        await projector.admit()
        await _project(projector, reader)
    finally:
        await projector.stop()
        await reader.close()
        await db.close()
        if probes is not None:
            await probes.cleanup()


async def _project(projector: Projector, reader: Reader) -> None:
    clock = asyncio.get_running_loop().time
    intake = Intake(reader, projector.decoded, limits.POLL_WAIT_MS)
    watch_at = 0.0
    try:
        while True:
            if clock() >= watch_at:
                await _watched(projector, reader, intake)
                watch_at = clock() + WATCH_EVERY_MS / 1000
            if projector.is_assignment_due:
                await intake.assign(projector.starts())
                projector.is_assignment_due = False
            batch = await intake.next()
            await projector.take(batch.records, is_more=batch.is_full)
            if batch.taken and not batch.is_full:
                await asyncio.sleep(GATHER_MS / 1000)
    finally:
        await intake.stop()


async def _watched(projector: Projector, reader: Reader, intake: Intake) -> None:
    try:
        await projector.watch(reader, intake.position)
    except (DatabaseDown, ReadFailed) as failure:
        projector.forget_lag()
        _log.warning("lag was not measured", why=str(failure))


def _of(model: ReadModel, records: Sequence[OnTape]) -> list[OnTape]:
    feeds = {(feed.topic, feed.partition) for feed in model.feeds}
    return [each for each in records if each.topic in model.events or (each.topic, each.partition) in feeds]
