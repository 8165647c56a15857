"""Power cuts of a running PostgreSQL: copy its disk at a random instant, start a server on the copy, compare all rows.

The projector goes on. In the copy every read model must have at least what was committed before the cut began, its rows
must be the fold of the tape at its own position, and a projector must be able to go on from there.
"""

import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from deploy.local import children, ports, postgres_binaries
from deploy.local.folders import ROOT
from deploy.local.postgres import LocalPostgres
from infra.kafka.records import Partition
from infra.postgres import Database
from projections import generations, read_model
from projections.read_model import Appended, ReadModel
from tests.faults.power import images, projecting
from tests.faults.power.cuts import Cut, head, told
from tests.kit.tape import Tape
from tests.projections.hosting import MODELS, Rows, on_the_tape, projector_of, stored

WARM_COMMITS = 20
"""Commits before the first cut."""
WARM_SECONDS_MAX = 120.0
BETWEEN_SECONDS_MAX = 1.0
"""A cut comes at a random instant of this time after the one before was judged."""
LOOK_AGAIN_SECONDS = 0.05
STOP_SECONDS_MAX = 30.0
FURTHER_RECORDS = 20
"""Records that the recovered read models must take."""
FINDINGS_MAX = 5


class DatabaseServer:
    """A server on a disk of its own with a projector at work; `cut` as often as wanted."""

    def __init__(self, folder: Path, disk: images.Disk, seed: int) -> None:
        self._folder = folder
        self._disk = disk
        self._seed = seed
        self._tape = projecting.made(seed)
        self._places = list(_places(self._tape))
        self._records = {model.name: on_the_tape(self._tape, model) for model in MODELS}
        self._cuts = 0

    @contextlib.contextmanager
    def at_work(self, *, is_flushed: bool) -> Iterator[None]:
        """Batches are committed for as long as this lasts."""
        server = _server(self._disk.at, self._folder / "postgres.log").start()
        try:
            if not is_flushed:
                _forget_to_flush(server.dsn)
            argv: list[str | Path] = [sys.executable, "-m", projecting.__name__, self._folder, "--postgres"]
            argv += [server.dsn, "--seed", str(self._seed)]
            child = children.spawn(argv, log=self._folder / "projecting.log", cwd=ROOT)
            try:
                self._warm()
                yield
                if child.poll() is not None:
                    raise RuntimeError(f"the projector ended. {children.tail(self._folder / 'projecting.log')}")
            finally:
                children.stop(child, limit_s=STOP_SECONDS_MAX)
        finally:
            server.kill()
            ports.release(server.port)

    def cut(self, chance: random.Random) -> Cut:
        """One power cut, recovered and judged; its evidence is the caller's to keep or to remove."""
        time.sleep(chance.uniform(0, BETWEEN_SECONDS_MAX))
        evidence = self._folder / f"cut-{self._cuts}"
        evidence.mkdir()
        self._cuts += 1
        committed = self._committed()
        image = self._folder / "copy.image"
        waited_s = self._disk.cut(image)
        cut = Cut(evidence=evidence, what={"of": "postgres", "writes_waited_ms": round(waited_s * 1_000)})
        begun = time.monotonic()
        try:
            with images.mounted(image, self._folder / "recovered") as at:
                for lock in at.glob("postgres/data-*/postmaster.pid"):
                    lock.unlink()  # It names a process that still runs here; after a real cut none does.
                server = _server(at, evidence / "postgres.log")
                try:
                    server.start()
                    cut.recovered_s = time.monotonic() - begun
                    asyncio.run(self._compare(server.dsn, committed, cut))
                    cut.served_s = time.monotonic() - begun
                finally:
                    server.kill()
                    ports.release(server.port)
        except Exception as failure:  # noqa: BLE001  whatever keeps it from recovering is what a cut is to show
            cut.findings.append(f"not recovered: {failure!r}"[:500])
            images.copy(image, evidence / "disk.image")
        finally:
            image.unlink(missing_ok=True)
        return cut

    def _committed(self) -> int:
        said = told(head(self._folder / projecting.COMMITS), projecting.Committed)
        return said[-1].records if said else 0

    def _warm(self) -> None:
        until = time.monotonic() + WARM_SECONDS_MAX
        while head(self._folder / projecting.COMMITS).count(b"\n") < WARM_COMMITS:
            if time.monotonic() > until:
                raise RuntimeError(f"no commits. {children.tail(self._folder / 'projecting.log')}")
            time.sleep(LOOK_AGAIN_SECONDS)

    async def _compare(self, dsn: str, committed: int, cut: Cut) -> None:
        """Positions against commits, rows against the fold; then the same again some records later."""
        database = Database(dsn, name="judge")
        try:
            reached = await self._reached(database, committed, cut)
            projector = await projector_of(database, self._tape.codec)
            until = min(reached + FURTHER_RECORDS, len(self._tape.arrived))
            await projector.apply(self._tape.arrived[:until])
            cut.findings += [f"does not go on: {trouble}" for trouble in projector.trouble()]
            for model in MODELS:
                at = await generations.all_reflected(database, model.name)
                if at != self._positions(model, until) or await stored(database, model) != self._folded(model, at):
                    cut.findings.append(f"projection: {model.name} did not come on as it should")
        finally:
            await database.close()
        del cut.findings[FINDINGS_MAX:]
        cut.what |= {"acknowledged": committed, "beyond": reached - committed}

    async def _reached(self, database: Database, committed: int, cut: Cut) -> int:
        """How many records any read model reflects; what one lacks, or has otherwise than the tape, is a finding."""
        reached = 0
        for model in MODELS:
            at = await generations.all_reflected(database, model.name)
            has = [sequence <= at.get(place, -1) for place, sequence in self._places]
            fed = set(model.places(self._tape.partitions))
            lost = [number for number in range(committed) if self._places[number][0] in fed and not has[number]]
            if lost:
                cut.findings.append(f"lost: {model.name} lacks {len(lost)} of {committed} committed records")
            reached = max([reached, *(number for number, is_there in enumerate(has, 1) if is_there)])
            if await stored(database, model) != self._folded(model, at):
                cut.findings.append(f"projection: {model.name} is not the fold of the tape at its position")
        return reached

    def _folded(self, model: ReadModel, at: Mapping[Partition, int]) -> Rows:
        """What the tables hold at these positions, by the pure folds."""
        records = [each for each in self._records[model.name] if each.sequence <= at[each.topic, each.partition]]
        return {
            table.name: set(
                read_model.append_batch(table, records)
                if isinstance(table, Appended)
                else read_model.fold_batch(table, {}, records).values()
            )
            for table in model.tables
        }

    def _positions(self, model: ReadModel, count: int) -> dict[Partition, int]:
        """Where a read model is that reflects so many records of the tape."""
        here = Counter(place for place, _ in self._places[:count])
        return {place: here[place] - 1 for place in model.places(self._tape.partitions)}


def _places(tape: Tape) -> Iterator[tuple[Partition, int]]:
    """Where each record stands: its partition, and its number there."""
    counted: Counter[Partition] = Counter()
    for arrived in tape.arrived:
        place = (arrived.topic, arrived.partition)
        yield place, counted[place]
        counted[place] += 1


def _server(at: Path, log: Path) -> LocalPostgres:
    """Of this machine's programs, whatever server the environment names."""
    return LocalPostgres(at, source=postgres_binaries.find().source, log=log)


def _forget_to_flush(dsn: str) -> None:
    """The control: the server says that it committed, and leaves it to the kernel when that is true."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
