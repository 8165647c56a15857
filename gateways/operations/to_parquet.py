"""`tapeline tape to-parquet`: the command before `lake.py`, with its progress on standard error."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from infra.avro.codec import Codec, Undecodable
from infra.kafka.chain import ChainBroken
from infra.kafka.reader import Reader, ReadFailed
from infra.settings import settings

if TYPE_CHECKING:
    from gateways.operations.lake import Cut, Exported

ROWS_PER_RANGE = 100_000
"""Records of a partition in one range unless it is said otherwise: files of some megabytes."""


def command(topics: Sequence[str], codec: Callable[[], Codec]) -> Callable[..., None]:
    """The command, for an installation with these event topics and feeds."""

    def to_parquet(  # noqa: PLR0913  one option each
        folder: Path,
        topic: Annotated[list[str] | None, typer.Option(help="May be given several times; all when left out.")] = None,
        by_day: Annotated[bool, typer.Option("--by-day", help="One range a day of recording (UTC).")] = False,
        rows: Annotated[int, typer.Option(help="Records of a partition in one range.")] = ROWS_PER_RANGE,
        begin: Annotated[str, typer.Option("--from", help="First range: a multiple of --rows, or a day.")] = "",
        until: Annotated[str, typer.Option(help="The range to stop before: only whole ones never change.")] = "",
        tenant: Annotated[str, typer.Option(help="Only this tenant's rows, and the market's.")] = "",
        as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")] = False,
    ) -> None:
        """Write the tape as Parquet into FOLDER, its chain checked: topic, message, partition, range; exact columns."""
        try:
            from gateways.operations import lake  # noqa: PLC0415  its libraries come with the extra `analyst`
        except ImportError as missing:
            raise typer.BadParameter(f"{missing.name} is not installed: install tapeline[analyst]") from missing
        chosen = topic or [each for each in topics if each.endswith(lake.EVENTS) or not by_day]
        unknown = sorted(set(chosen) - set(topics))
        if unknown:
            raise typer.BadParameter(f"{', '.join(unknown)}: no such topic; there are {', '.join(topics)}")
        try:
            wanted = lake.cut(by_day=by_day, rows=rows, begin=begin, until=until)
            found = asyncio.run(_exported(codec(), chosen, wanted, folder, tenant))
        except lake.RangeRefused as refused:
            raise typer.BadParameter(str(refused)) from refused
        except (ChainBroken, Undecodable, ReadFailed) as broken:
            typer.echo(f"PROBLEM: {broken}", err=True)
            raise typer.Exit(1) from broken
        if as_json:
            typer.echo(msgspec.json.encode(found))
            return
        for each in found:
            typer.echo(f"{each.topic} {each.partition}: {each.records} records, {each.rows} rows, {each.files} files")

    return to_parquet


async def _exported(codec: Codec, topics: list[str], wanted: "Cut", folder: Path, tenant: str) -> "list[Exported]":
    from gateways.operations import lake  # noqa: PLC0415  see above

    reader = Reader(settings().kafka, "to-parquet")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as bar:
            tasks = {each: bar.add_task(each, total=None) for each in topics}

            def progress(topic: str, done: int, every: int) -> None:
                bar.update(tasks[topic], completed=done, total=every)

            done = lake.export(reader, codec, topics, wanted, folder, tenant=tenant, progress=progress)
            return [each async for each in done]
    finally:
        await reader.close()
