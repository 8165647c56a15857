"""`tapeline projections`: what is live, how far behind it is, and how to build one again."""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from infra.avro.codec import Codec
from infra.kafka.reader import Reader
from infra.kafka.records import Partition
from infra.postgres import Database, DatabaseDown
from infra.settings import PARTITIONS, POLL_WAIT_MS, Settings
from projections import analysts, generations
from projections.intake import BATCH_RECORDS_MAX
from projections.read_model import ReadModel
from projections.rebuild import Outcome, Rebuild, RebuildFailed

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]

COUNTED_MAX = 50_000
"""Records that `lag` counts in one partition; beyond that it says so."""

GENERATIONS = "SELECT * FROM projections.generations ORDER BY name, generation"
LIVE_POSITIONS = """
SELECT p.* , g.name FROM projections.positions AS p JOIN projections.generations AS g USING (schema)
WHERE g.state = 'live' ORDER BY g.name, p.topic, p.partition
"""


class LivePosition(msgspec.Struct, kw_only=True):
    """How far a live read model has come in one partition."""

    name: str
    topic: str
    partition: int
    next_offset: int
    sequence: int

    @property
    def place(self) -> Partition:
        """The partition."""
        return self.topic, self.partition


def app(settings: Callable[[], Settings], codec: Callable[[], Codec], models: Sequence[ReadModel]) -> typer.Typer:
    """The commands; settings and codec are made when one runs."""
    cli = typer.Typer(help="Read models: what is live, how far behind, build one again.", no_args_is_help=True)
    console = Console()
    by_name = {model.name: model for model in models}

    @cli.command("list")
    def list_generations(*, as_json: AsJson = False) -> None:
        """Show every read model with its generations."""
        rows = _with(settings(), lambda db: db.rows(generations.Generation, GENERATIONS))
        if as_json:
            _print(rows)
            return
        table = Table("projection", "declared", "generation", "version", "state")
        for row in rows:
            declared = by_name.get(row.name)
            table.add_row(row.name, str(declared.version) if declared else "-", row.schema, str(row.version), row.state)
        console.print(table)

    @cli.command()
    def lag(*, as_json: AsJson = False) -> None:
        """Show how many records each live read model has not taken yet."""
        found = _with(settings(), lambda db: behind(db, settings()))
        if as_json:
            _print([{**msgspec.to_builtins(position), "behind": count} for position, count in found])
            return
        table = Table("projection", "topic", "partition", "sequence", "behind")
        for position, count in found:
            shown = f"{COUNTED_MAX}+" if count >= COUNTED_MAX else str(count)
            table.add_row(position.name, position.topic, str(position.partition), str(position.sequence), shown)
        console.print(table)

    @cli.command()
    def rebuild(name: str, *, accept_differences: bool = False, as_json: AsJson = False) -> None:
        """Build a read model again beside the live one, compare the two, and switch.

        Differences between equal versions keep the live one, unless --accept-differences is given.
        """
        model = by_name.get(name)
        if model is None:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(sorted(by_name))}")
        outcome = _with(
            settings(),
            lambda db: _rebuilt(db, settings(), codec(), model, is_accepted=accept_differences),
        )
        if as_json:
            _print(outcome)
        for difference in () if as_json else outcome.differences:
            console.print(f"[bold]{difference.table}[/bold] live {difference.live}, rebuilt {difference.rebuilt}")
            for line in difference.only_live:
                console.print(f"  - {line}", markup=False)
            for line in difference.only_rebuilt:
                console.print(f"  + {line}", markup=False)
        if not outcome.is_switched:
            typer.echo("The live read model serves on. Look at the rows; --accept-differences switches.", err=True)
            raise typer.Exit(1)

    cli.command("analyst")(_analyst(settings))
    return cli


def _analyst(settings: Callable[[], Settings]) -> Callable[..., None]:
    def admit_analyst(tenant: str, *, dismiss: bool = False, as_json: AsJson = False) -> None:
        """Give the analysts of TENANT a read-only login to schema `analyst`, or a new password; --dismiss takes it."""
        if dismiss:
            if not _with(settings(), lambda db: analysts.dismiss(db, tenant)):
                raise typer.BadParameter(f"{tenant!r} has no login")
            return
        try:
            login = _with(settings(), lambda db: analysts.admit(db, tenant))
        except analysts.TenantRefused as refused:
            raise typer.BadParameter(str(refused)) from refused
        if as_json:
            _print({**msgspec.to_builtins(login), "dsn": dsn_of(settings().postgres, login)})
        else:
            typer.echo(dsn_of(settings().postgres, login))

    return admit_analyst


def dsn_of(own: str, login: analysts.Login) -> str:
    """The address of our database with this login in it."""
    parts = urlsplit(own)
    place = parts.netloc.rpartition("@")[2]
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("user", "password")]
    netloc = f"{quote(login.role)}:{quote(login.password)}@{place}"
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query)))


def _print(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def _with(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do this work with a database; what cannot be done is said without a traceback."""

    async def done() -> T:
        db = Database(settings.postgres, name="tapeline")
        try:
            await generations.prepare(db)
            return await work(db)
        finally:
            await db.close()

    try:
        return asyncio.run(done())
    except (DatabaseDown, RebuildFailed) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


async def _rebuilt(db: Database, settings: Settings, codec: Codec, model: ReadModel, *, is_accepted: bool) -> Outcome:
    reader = Reader(settings.kafka, "rebuild", with_headers=False)
    try:
        return await Rebuild(db, reader, codec, model, PARTITIONS).run(
            is_accepted=is_accepted, say=lambda line: typer.echo(line, err=True)
        )
    finally:
        await reader.close()


async def behind(db: Database, settings: Settings) -> list[tuple[LivePosition, int]]:
    """The records between each position and the end, counted: offsets alone would count transaction markers too.

    Each partition is read once, from where the last of its read models is.
    """
    live = await db.rows(LivePosition, LIVE_POSITIONS)
    reader = Reader(settings.kafka, "lag")
    try:
        ends = {
            (topic, n): end for topic in {each.topic for each in live} for n, end in (await reader.ends(topic)).items()
        }
        late = [each for each in live if each.next_offset < ends.get(each.place, 0)]
        counts = await _counted(reader, late, ends)
    finally:
        await reader.close()
    return [(each, counts[each.name, each.place]) for each in live]


async def _counted(
    reader: Reader, late: Sequence[LivePosition], ends: Mapping[Partition, int]
) -> Counter[tuple[str, Partition]]:
    """How many records each of these has not taken, by name and partition; nobody counts beyond COUNTED_MAX."""
    counts: Counter[tuple[str, Partition]] = Counter()
    waiting = {each.place: each.next_offset for each in sorted(late, key=lambda each: each.next_offset, reverse=True)}
    while waiting:
        await reader.assign(waiting)
        full: set[Partition] = set()
        while not full and any(reader.position().get(place, at) < ends[place] for place, at in waiting.items()):
            for arrived in await reader.take(BATCH_RECORDS_MAX, POLL_WAIT_MS):
                place = (arrived.topic, arrived.partition)
                for each in late:
                    if each.place == place and each.next_offset <= arrived.offset < ends[place]:
                        counts[each.name, place] += 1
                        if counts[each.name, place] >= COUNTED_MAX:
                            full.add(place)
        reached = {place: reader.position().get(place, at) for place, at in waiting.items()}
        waiting = {place: at for place, at in reached.items() if place not in full and at < ends[place]}
    return counts
