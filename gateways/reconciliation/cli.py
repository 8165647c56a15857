"""`tapeline reconciliation breaks | open | explain | close | statements` -> the doors of reconciliation."""

from typing import Annotated

import typer

from gateways import terminal
from gateways.client import account_of
from gateways.reconciliation.reads import BREAKS, OPEN_BREAKS
from gateways.terminal import AccountOption, AfterOption, AsJson, KeyOption, LimitOption, TokenOption

BREAK_COLUMNS = ("break_id", "kind", "reference", "order_id", "opened_at", "explanation", "closed_reason")
OPEN_COLUMNS = ("account_id", "break_id", "kind", "reference", "order_id", "opened_at", "explanation")
DIFFERENCE_COLUMNS = ("symbol", "ours", "theirs", "our_price", "their_price")
EVIDENCE_COLUMNS = ("said_by", "origin", "id", "topic", "partition", "place")
STATEMENT_COLUMNS = ("statement_id", "session_date", "executions", "matched_at")

Break = Annotated[str, typer.Argument(help="Id of the break.")]

app = typer.Typer(no_args_is_help=True, help="Where we and the venue do not agree, and why.")


def attach(tapeline: typer.Typer) -> None:
    """Add the verbs to the command line."""
    tapeline.add_typer(app, name="reconciliation")


@app.command()
def breaks(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List an account's breaks, newest first."""
    path = _path(token, account)
    found = terminal.ask(token, lambda gateway: gateway.read(path, **terminal.page(limit, after)))
    terminal.show_rows(found, "breaks", BREAK_COLUMNS, as_json=as_json)


@app.command("open")
def open_(token: TokenOption = "", limit: LimitOption = 100, after: AfterOption = "", as_json: AsJson = False) -> None:
    """List what is open in the whole tenant."""
    found = terminal.ask(token, lambda gateway: gateway.read(OPEN_BREAKS, **terminal.page(limit, after)))
    terminal.show_rows(found, "breaks", OPEN_COLUMNS, as_json=as_json)


@app.command()
def explain(  # noqa: PLR0913  one option each
    break_id: Break,
    reason: Annotated[str, typer.Option(help="What was found out; it stands on the tape for ever.")] = "",
    token: TokenOption = "",
    account: AccountOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """List the messages of both sides behind a break; with a reason, keep that as its explanation first."""
    path = f"{_path(token, account)}/{break_id}"
    if reason:
        terminal.ask(token, lambda gateway: gateway.send("POST", f"{path}/explain", {"reason": reason}, key=key))
    found = terminal.ask(token, lambda gateway: gateway.read(path))
    if as_json:
        terminal.say_json(found)
        return
    terminal.show({**found["summary"], "opened_event_id": found["opened_event_id"]}, as_json=False)
    terminal.show_rows(found, "differences", DIFFERENCE_COLUMNS, as_json=False)
    terminal.show_rows(found, "evidence", EVIDENCE_COLUMNS, as_json=False)


@app.command()
def close(  # noqa: PLR0913  one option each
    break_id: Break,
    reason: Annotated[str, typer.Option(help="Why it is settled; it stands on the tape for ever.")],
    token: TokenOption = "",
    account: AccountOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Close a break that was settled outside."""
    path = f"{_path(token, account)}/{break_id}/close"
    made = terminal.ask(token, lambda gateway: gateway.send("POST", path, {"reason": reason}, key=key))
    terminal.show(made, as_json=as_json)


@app.command()
def statements(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List the venue's statements that agreed, newest first."""
    path = _path(token, account).removesuffix("breaks") + "statements"
    found = terminal.ask(token, lambda gateway: gateway.read(path, **terminal.page(limit, after)))
    terminal.show_rows(found, "statements", STATEMENT_COLUMNS, as_json=as_json)


def _path(token: str, account: str) -> str:
    return BREAKS.format(account_id=account_of(token, account))
