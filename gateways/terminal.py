"""What the verbs for people share: their options, one conversation with the gateway, tables, and one line for a no."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeAlias, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateways import client
from gateways.client import Client, Json, Refused
from infra.settings import settings

T = TypeVar("T")

TokenOption: TypeAlias = Annotated[
    str, typer.Option("--token", envvar="TAPELINE_TOKEN", help="Who is asking; `./tapeline token` mints one.")
]
AccountOption: TypeAlias = Annotated[str, typer.Option("--account", help="The account; the token's own when empty.")]
KeyOption: TypeAlias = Annotated[
    str, typer.Option("--key", help="Idempotency-Key; a new one when empty, the same one repeats a request.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
LimitOption: TypeAlias = Annotated[int, typer.Option("--limit", min=1, max=500, help="Rows of the page.")]
AfterOption: TypeAlias = Annotated[str, typer.Option("--after", help="The `next` of the page before.")]
out = Console()


def ask(token: str, question: Callable[[Client], Awaitable[T]]) -> T:
    """The answer to a question; a refusal is one line on standard error and exit code 1."""

    async def asked() -> T:
        where = settings()
        async with client.session() as session:
            client.claims(token)
            return await question(Client(session, f"http://{where.gateway_host}:{where.gateway_port}", token))

    try:
        return asyncio.run(asked())
    except Refused as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(1) from refused


def page(limit: int, after: str) -> dict[str, str | int | None]:
    """The query of a page."""
    return {"limit": limit, "after": after or None}


def show(answer: Json, *, as_json: bool) -> None:
    """One thing, a field a line."""
    if as_json:
        say_json(answer)
        return
    table = Table(show_header=False)
    for name, value in answer.items():
        table.add_row(name, _text(value))
    out.print(table)


def show_rows(answer: Json, rows: str, columns: Sequence[str], *, as_json: bool) -> None:
    """A page: its rows as a table, and the key of the page after it."""
    if as_json:
        say_json(answer)
        return
    table = Table()
    for name in columns:  # An id that is cut off is of no use: whatever else is long is broken into lines.
        table.add_column(name, no_wrap=name.endswith("_id"), overflow="fold")
    for row in answer[rows]:
        table.add_row(*(_text(row[name]) for name in columns))
    out.print(table)
    if answer.get("next"):
        typer.echo(f"more with --after {answer['next']}")


def say_json(answer: Json) -> None:
    """For programs."""
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")


def _text(value: Json) -> str:
    """Somebody's words may look like markup; they are shown as they were said."""
    if value is None:
        return "-"
    return escape(value if isinstance(value, str) else msgspec.json.encode(value).decode())
