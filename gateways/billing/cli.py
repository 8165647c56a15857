"""`tapeline billing publish | prices | accruals | issue | invoices | invoice | notes | note | verify` -> its doors."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateways import client, terminal
from gateways.billing import verify as offline
from gateways.billing.reads import ACCOUNT, PRICE_LISTS
from gateways.client import Json, Refused, account_of
from gateways.terminal import AccountOption, AfterOption, AsJson, KeyOption, LimitOption, TokenOption
from infra.kafka.reader import ReadFailed
from infra.settings import settings

FILE_BYTES_MAX = 1 << 20
"""Largest file that is read as a price list: the gateway takes less, and says so."""
ACCRUAL_COLUMNS = ("fill_event_id", "session_date", "symbol", "quantity", "price", "commission", "invoice_id")
INVOICE_COLUMNS = ("invoice_id", "month", "fills", "total", "corrected", "owed", "issued_at")
LINE_COLUMNS = ("fill_event_id", "position", "session_date", "symbol", "quantity", "price", "commission")
NOTE_COLUMNS = ("credit_note_id", "invoice_id", "month", "list_version", "total", "invoice_total")
CREDIT_COLUMNS = ("fill_event_id", "position", "billed", "corrected")
PRICE_COLUMNS = ("list_version", "begins_on", "ends_on", "per_share", "basis_points", "minimum", "maximum")

app = typer.Typer(no_args_is_help=True, help="What trading costs: price lists, charges, invoices, credit notes.")


def attach(tapeline: typer.Typer) -> None:
    """Add the verbs to the command line."""
    tapeline.add_typer(app, name="billing")


@app.command()
def publish(
    rows: Annotated[Path, typer.Argument(help="A JSON file: a list of rows with begins_on, per_share and so on.")],
    reason: Annotated[str, typer.Option(help="Why; it stands on the tape for ever.")],
    token: TokenOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Publish a price list for all accounts of the tenant."""
    body = {"rows": _rows_in(rows), "reason": reason}
    terminal.show(
        terminal.ask(token, lambda gateway: gateway.send("POST", PRICE_LISTS, body, key=key)), as_json=as_json
    )


@app.command()
def prices(token: TokenOption = "", limit: LimitOption = 10, after: AfterOption = "", as_json: AsJson = False) -> None:
    """Show the price lists, the newest first."""
    found = terminal.ask(token, lambda gateway: gateway.read(PRICE_LISTS, **terminal.page(limit, after)))
    if as_json:
        terminal.say_json(found)
        return
    rows = [{"list_version": each["list_version"], **row} for each in found["price_lists"] for row in each["rows"]]
    terminal.show_rows({"rows": rows, "next": found["next"]}, "rows", PRICE_COLUMNS, as_json=False)


@app.command()
def accruals(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List the fills that were charged, newest first."""
    found = _list("accruals", token, account, limit, after)
    terminal.show_rows(found, "accruals", ACCRUAL_COLUMNS, as_json=as_json)


@app.command()
def issue(
    month: Annotated[str, typer.Argument(help="Month of market dates, such as 2012-03.")],
    token: TokenOption = "",
    account: AccountOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Invoice a month before the market is past it."""
    path = f"{_path(token, account)}/invoices"
    terminal.show(
        terminal.ask(token, lambda gateway: gateway.send("POST", path, {"month": month}, key=key)), as_json=as_json
    )


@app.command()
def invoices(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List the invoices, newest first."""
    terminal.show_rows(_list("invoices", token, account, limit, after), "invoices", INVOICE_COLUMNS, as_json=as_json)


@app.command()
def invoice(  # noqa: PLR0913  one option each
    invoice_id: str,
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """Show an invoice and the event on the tape that each line counts."""
    found = _list(f"invoices/{invoice_id}", token, account, limit, after)
    if not as_json:
        terminal.show(found["invoice"], as_json=False)
    terminal.show_rows(found, "lines", LINE_COLUMNS, as_json=as_json)


@app.command()
def notes(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List the credit notes, newest first."""
    found = _list("credit-notes", token, account, limit, after)
    terminal.show_rows(found, "credit_notes", NOTE_COLUMNS, as_json=as_json)


@app.command()
def note(  # noqa: PLR0913  one option each
    credit_note_id: str,
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """Show a credit note and the fills that it corrects."""
    found = _list(f"credit-notes/{credit_note_id}", token, account, limit, after)
    if not as_json:
        terminal.show(found["credit_note"], as_json=False)
    terminal.show_rows(found, "lines", CREDIT_COLUMNS, as_json=as_json)


@app.command()
def verify(token: TokenOption = "", account: AccountOption = "", as_json: AsJson = False) -> None:
    """Compute every invoice and note of the account again from the tape; exit 1 when there is a doubt."""
    try:
        tenant, account_id = str(client.claims(token)["tenant"]), account_of(token, account)
        verdict = asyncio.run(offline.verify(settings().kafka, tenant, account_id))
    except (Refused, ReadFailed) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if as_json:
        terminal.say_json(verdict)
    else:
        typer.echo(f"{verdict.invoices} invoices with {verdict.fills} fills, {len(verdict.doubts)} doubts")
        typer.echo(f"{len(verdict.waiting)} fills are not charged yet")
    for doubt in verdict.doubts:
        typer.echo(doubt, err=True)
    if verdict.doubts:
        raise typer.Exit(1)


def _list(what: str, token: str, account: str, limit: int, after: str) -> Json:
    """A page of something of the account."""
    path = f"{_path(token, account)}/{what}"
    return terminal.ask(token, lambda gateway: gateway.read(path, **terminal.page(limit, after)))


def _rows_in(path: Path) -> Json:
    """The rows in a file; exit 1 with one line when there are none to read."""
    try:
        return msgspec.json.decode(path.read_bytes()[:FILE_BYTES_MAX])
    except (OSError, msgspec.DecodeError) as error:
        typer.echo(f"refused: {path} cannot be read: {error} remedy: name a JSON file with a list of rows.", err=True)
        raise typer.Exit(1) from error


def _path(token: str, account: str) -> str:
    return ACCOUNT.format(account_id=account_of(token, account))
