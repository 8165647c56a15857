"""`tapeline partners create | list | show | pause | resume | end | follow` -> the doors of partners."""

import asyncio
from contextlib import aclosing
from typing import Annotated

import aiohttp
import typer

from gateways import client, terminal
from gateways.client import Refused
from gateways.partners.reader import PartnerReader
from gateways.partners.rest import SUBSCRIPTIONS
from gateways.terminal import AfterOption, AsJson, KeyOption, LimitOption, TokenOption
from infra.settings import settings

COLUMNS = ("subscription_id", "label", "contexts", "status", "changed_at")
Reason = Annotated[str, typer.Option(help="Why; it stands on the tape for ever.")]

app = typer.Typer(no_args_is_help=True, help="Who follows the tape from outside.")


def attach(tapeline: typer.Typer) -> None:
    """Add the verbs to the command line."""
    tapeline.add_typer(app, name="partners")


@app.command()
def create(
    label: Annotated[str, typer.Option(help="What the subscription is for; no person's name.")],
    context: Annotated[list[str], typer.Option(help="What may be followed; may be given several times.")],
    token: TokenOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Let a partner follow the tenant's events; bind its token with `tapeline token --scope partner --account ID`."""
    body = {"label": label, "contexts": context}
    made = terminal.ask(token, lambda gateway: gateway.send("POST", SUBSCRIPTIONS, body, key=key))
    terminal.show(made, as_json=as_json)


@app.command("list")
def list_(token: TokenOption = "", limit: LimitOption = 100, after: AfterOption = "", as_json: AsJson = False) -> None:
    """Subscriptions of the tenant."""
    page = terminal.ask(token, lambda gateway: gateway.read(SUBSCRIPTIONS, **terminal.page(limit, after)))
    terminal.show_rows(page, "subscriptions", COLUMNS, as_json=as_json)


@app.command()
def show(subscription_id: str, token: TokenOption = "", as_json: AsJson = False) -> None:
    """One subscription and how far its newest connections were."""
    found = terminal.ask(token, lambda gateway: gateway.read(f"{SUBSCRIPTIONS}/{subscription_id}"))
    terminal.show(found, as_json=as_json)


@app.command()
def pause(
    subscription_id: str, reason: Reason, token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False
) -> None:
    """Deliver nothing until it is resumed."""
    _change(subscription_id, "pause", reason, token, key, as_json)


@app.command()
def resume(
    subscription_id: str, reason: Reason, token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False
) -> None:
    """Deliver again."""
    _change(subscription_id, "resume", reason, token, key, as_json)


@app.command()
def end(
    subscription_id: str, reason: Reason, token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False
) -> None:
    """Deliver nothing any more."""
    _change(subscription_id, "end", reason, token, key, as_json)


@app.command()
def follow(
    token: TokenOption = "",
    cursor: Annotated[str, typer.Option(help="Go on after this; from the beginning of the tape when empty.")] = "",
    replay: Annotated[bool, typer.Option("--replay", help="End when everything there is was told.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many frames.")] = None,
) -> None:
    """Read the stream of the token's own subscription, a frame a line, for ever and across broken connections."""
    query = {"until": "now"} if replay else {}

    async def followed() -> None:
        where = settings()
        subscription_id = str(client.claims(token)["account"])
        # Of what is no stream: a stream has its own limit, of silence.
        wait = aiohttp.ClientTimeout(total=client.ANSWER_SECONDS_MAX)
        async with aiohttp.ClientSession(timeout=wait) as session:
            url = f"http://{where.gateway_host}:{where.gateway_port}"
            reader = PartnerReader(session, url, token, subscription_id, cursor)
            told = 0
            async with aclosing(reader.frames(**query)) as frames:
                async for frame in frames:
                    terminal.say_json(frame)
                    told += 1
                    if told == limit:
                        return

    try:
        asyncio.run(followed())
    except Refused as refused:
        typer.echo(str(refused), err=True)
        raise typer.Exit(1) from refused


def _change(subscription_id: str, verb: str, reason: str, token: str, key: str, as_json: bool) -> None:  # noqa: PLR0913  as typed
    path = f"{SUBSCRIPTIONS}/{subscription_id}/{verb}"
    changed = terminal.ask(token, lambda gateway: gateway.send("POST", path, {"reason": reason}, key=key))
    terminal.show(changed, as_json=as_json)
