"""`tapeline schemas lock | asyncapi | catalogue | publish`: the contracts of all messages, for people and programs.

Reads `schemas/` and the table of contexts; `publish` alone talks to somebody else.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
import typer

from gateways import asyncapi, catalogue, openapi
from gateways.routes import Route
from infra.avro import contracts, publishing
from infra.avro.publishing import PublishRefused
from infra.catalogue import Carried

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


class Declared(msgspec.Struct, frozen=True):
    """What the commands must be told: the topics of each message, every topic with its messages, every route."""

    subjects: Callable[[], dict[type, tuple[str, ...]]]
    carried: Callable[[], Sequence[Carried]]
    routes: Callable[[], Sequence[Route]]


def app(declared: Declared) -> typer.Typer:
    """The commands about contracts."""
    made = typer.Typer(no_args_is_help=True, help="The contracts of all messages.")

    @made.command()
    def lock() -> None:
        """Give every new or changed contract its id in schemas/ids.lock; ids that exist never change."""
        for entry in contracts.publish(declared.subjects()):
            typer.echo(f"{entry.id:4} {entry.name} version {entry.version}")

    @made.command("asyncapi")
    def print_asyncapi() -> None:
        """The AsyncAPI 3.0 document of all topics and streams, as /asyncapi.json serves it."""
        typer.echo(openapi.encoded(asyncapi.document(declared.carried(), declared.routes())))

    @made.command("catalogue")
    def print_catalogue(as_json: AsJson = False) -> None:
        """Every field of every message and what it means, in Markdown."""
        found = catalogue.entries(declared.carried())
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=1) if as_json else catalogue.markdown(found))

    @made.command()
    def publish(url: str, as_json: AsJson = False) -> None:
        """Fill the Confluent-compatible registry at URL with every schema ever published, under the same ids."""
        try:
            done = asyncio.run(publishing.publish(url))
        except PublishRefused as refused:
            raise typer.BadParameter(str(refused)) from refused
        if as_json:
            typer.echo(msgspec.json.encode(done))
        else:
            typer.echo(f"{done.published} published, {done.known} were there, ids 1 to {done.newest_id}")

    return made
