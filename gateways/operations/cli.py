"""`tapeline status | doctor | token | tape … | dead … | privacy …`: for the people who run it.

Everything takes `--json`; what is asked of Kafka is asked by `tape.py`, `dead.py` and `status.py`.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from gateways import terminal
from gateways.operations import dead as letters
from gateways.operations import privacy, tape, to_parquet
from gateways.operations import status as state
from gateways.views import time_text
from infra.avro.codec import Codec
from infra.kafka.reader import Reader, ReadFailed
from infra.kafka.sender import Sender
from infra.kafka.topics import TopicSpec
from infra.postgres import Database
from infra.settings import settings
from infra.tokens import EVERY_ACCOUNT, Mint, Scope

T = TypeVar("T")
DAY_S = 86_400
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
out = Console()


class System(msgspec.Struct, frozen=True):
    """What the commands must be told about the system."""

    contexts: Sequence[str]
    topics: Sequence[TopicSpec]
    codec: Callable[[], Codec]
    drift: Callable[[], Sequence[str]]
    database: Callable[[], Awaitable[Any]]
    feeds: Sequence[str] = ()


def attach(app: typer.Typer, system: System) -> None:
    """Add the operators' commands to the command line."""
    app.command("status")(_status(system))
    app.command("doctor")(_doctor(system))
    app.command("token")(token)
    app.add_typer(_tape(system), name="tape")
    app.add_typer(_dead(system), name="dead")
    app.add_typer(privacy.app, name="privacy")


def token(  # noqa: PLR0913  one option each
    tenant: Annotated[str, typer.Option(help="Tenant of the bearer.")] = "demo",
    sub: Annotated[str, typer.Option(help="Subject; a new one when empty.")] = "",
    account: Annotated[str, typer.Option(help="Account; a new one when empty, '*' for all of the tenant.")] = "",
    scope: Annotated[list[Scope] | None, typer.Option(help="May be given several times.")] = None,
    ttl_s: Annotated[int, typer.Option(min=1, help="Validity in seconds.")] = DAY_S,
    as_json: AsJson = False,
) -> None:
    """Mint a token with the local key set: for a trader by default, of a new account that it may open."""
    scopes = scope or [Scope.TRADE, Scope.READ]
    account_id = account or str(uuid.uuid4())
    made = Mint(settings().state_dir).mint(
        tenant=tenant, sub=sub or str(uuid.uuid4()), account_id=account_id, scopes=scopes, ttl_s=ttl_s
    )
    if as_json:
        _print({"token": made, "account_id": account_id, "tenant": tenant, "scopes": list(scopes)})
    else:
        typer.echo(made)
        note = "every account of the tenant" if account_id == EVERY_ACCOUNT else f"account {account_id}"
        print(f"{note}; scopes {', '.join(scopes)}; valid {ttl_s} s", file=sys.stderr)  # noqa: T201  beside the token


def _status(system: System) -> Callable[..., None]:
    def status(as_json: AsJson = False) -> None:
        """Owner, term, sequence and waiting commands of every partition."""

        async def look(reader: Reader) -> list[state.PartitionStatus]:
            codec, database = system.codec(), Database(settings().postgres, name="status")
            try:
                owners = await state.owners_of(database, codec)
            finally:
                await database.close()
            behind = await state.behind_of(settings().probes)
            return await state.partitions(reader, codec, system.contexts, owners, behind)

        found = _run(look)
        if as_json:
            _print(found)
            return
        table = Table(Column("partition", no_wrap=True), "owner", "term", "sequence", "waiting", "last recorded")
        for each in found:
            when = "never" if not each.recorded_at else time_text(each.recorded_at)
            table.add_row(
                f"{each.topic} {each.partition}",
                each.owner,
                str(each.term),
                str(each.sequence),
                str(each.commands_waiting),
                when,
            )
        out.print(table)

    return status


def _doctor(system: System) -> Callable[..., None]:
    def doctor(as_json: AsJson = False) -> None:
        """Look at everything that can be looked at from here; exit 1 when something is wrong."""
        found = asyncio.run(state.doctor(settings(), system.topics, system.drift(), system.database))
        if as_json:
            _print(found)
        for each in () if as_json else found:
            mark = "[green]good[/]" if each.is_good else "[red]wrong[/]"
            out.print(f"{mark:12} {each.what:10} {escape(each.detail)}", highlight=False)
            if not each.is_good:
                remedy = escape(each.remedy or "wait, or look at its log")
                out.print(f"      {'':10} remedy: {remedy}", highlight=False)
        if not all(each.is_good for each in found):
            raise typer.Exit(1)

    return doctor


def _tape(system: System) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="Look at the tape itself.")

    @app.command()
    def inspect(position: str, as_json: AsJson = False) -> None:
        """One record, decoded, and whether it follows from the one before it: POSITION is topic:partition:offset."""
        try:
            found = _run(lambda reader: tape.inspect(reader, system.codec(), tape.position(position)))
        except tape.PositionRefused as refused:
            raise typer.BadParameter(str(refused)) from refused
        _print(found) if as_json else _tell(found)
        if found.problem:
            print(f"PROBLEM: {found.problem}", file=sys.stderr)  # noqa: T201  for the person at the terminal
            raise typer.Exit(1)

    @app.command()
    def tail(topic: list[str], limit: int | None = None, as_json: AsJson = False) -> None:
        """Records of these topics as they come."""

        async def follow(reader: Reader) -> None:
            async for seen in tape.tail(reader, system.codec(), topic, limit):
                if as_json:
                    _print(seen)
                else:
                    said = escape(f"{seen.key}  {seen.payload or seen.problem}")
                    out.print(f"{seen.position}  [bold]{seen.type}[/]  {said}", highlight=False)

        _run(follow)

    exported = [each.name for each in system.topics if each.name.endswith(".events") or each.name in system.feeds]
    app.command("to-parquet")(to_parquet.command(exported, system.codec))

    @app.command()
    def count(topic: str, as_json: AsJson = False) -> None:
        """How many records of each type a topic holds."""
        found = _run(lambda reader: tape.count(reader, system.codec(), topic))
        if as_json:
            _print(found)
            return
        for name, number in found.items():
            typer.echo(f"{number:10} {name or '(unreadable)'}")

    return app


def _dead(system: System) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, help="Records that were set aside.")
    topics = [spec.name for spec in system.topics if spec.name.endswith(".dead")]

    async def all_of(reader: Reader) -> list[letters.DeadLetter]:
        return [letter async for letter in _letters(reader)]

    def _letters(reader: Reader) -> AsyncIterator[letters.DeadLetter]:
        return letters.letters(reader, topics)

    def one(letter_id: str) -> letters.DeadLetter:
        for letter in _run(all_of):
            if letter.id == letter_id:
                return letter
        raise typer.BadParameter(f"no dead letter has the id {letter_id}; see `tapeline dead list`")

    @app.command("list")
    def list_(as_json: AsJson = False) -> None:
        """Every dead letter: id, cause, where it stood."""
        for letter in _run(all_of):
            if as_json:
                _print(letter)
            else:
                typer.echo(f"{letter.id}  {letter.cause:15} {letter.source}  {letter.detail}")

    @app.command()
    def show(
        letter_id: str,
        to: Annotated[Path | None, typer.Option(help="Write the bytes here.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """One dead letter with its bytes: text where they are text, else hexadecimal."""
        letter = one(letter_id)
        terminal.show(letters.shown(letter), as_json=as_json)
        if to is not None:
            to.write_bytes(letter.value)

    @app.command()
    def redrive(letter_id: str, as_json: AsJson = False) -> None:
        """Send a dead letter again, exactly as it was, once its cause is mended."""
        letter = one(letter_id)

        async def send() -> str:
            sender = Sender(settings().kafka, "redrive")
            try:
                return await letters.redrive(sender, letter)
            finally:
                await sender.close()

        try:
            position = asyncio.run(send())
        except letters.NotRedriven as refused:
            raise typer.BadParameter(str(refused)) from refused
        _print({"position": position}) if as_json else typer.echo(f"sent again: {position}")

    return app


def _tell(found: tape.Seen) -> None:
    """A record, part by part, as it stands on the tape: amounts there are integers of a stated scale."""
    rows = {"position": found.position, "type": found.type or "(unreadable)", "key": found.key}
    for part in ("headers", "meta", "payload"):
        rows |= {f"{part}.{name}": value for name, value in getattr(found, part).items()}
    terminal.show(rows, as_json=False)


def _run(work: Callable[[Reader], Coroutine[Any, Any, T]]) -> T:
    """Run with a reader of its own, which is closed in the end."""

    async def run() -> T:
        reader = Reader(settings().kafka, "cli")
        try:
            return await work(reader)
        finally:
            await reader.close()

    try:
        return asyncio.run(run())
    except ReadFailed as failed:
        typer.echo(f"refused: {failed}", err=True)
        raise typer.Exit(1) from failed


def _print(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
