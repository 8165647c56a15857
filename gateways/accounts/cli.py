"""`tapeline accounts open | show | deposit | withdraw | cash | withdrawals` -> the doors of accounts."""

from typing import Annotated

import typer

from gateways import terminal
from gateways.accounts.rest import ACCOUNT
from gateways.client import Json, account_of
from gateways.terminal import AccountOption, AfterOption, AsJson, KeyOption, LimitOption, TokenOption

Amount = Annotated[str, typer.Argument(help="Cash as decimal text, such as 2500.00.")]
WITHDRAWAL_COLUMNS = ("withdrawal_id", "status", "amount", "reason", "requested_at", "ended_at")

app = typer.Typer(no_args_is_help=True, help="Accounts and the cash that comes in and goes out.")


def attach(tapeline: typer.Typer) -> None:
    """Add the verbs to the command line."""
    tapeline.add_typer(app, name="accounts")


@app.command("open")
def open_(currency: str = "USD", *, token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False) -> None:
    """Open the account that the token names."""
    body = {"currency": currency}
    terminal.show(
        terminal.ask(token, lambda gateway: gateway.send("POST", "/v1/accounts", body, key=key)), as_json=as_json
    )


@app.command()
def show(token: TokenOption = "", account: AccountOption = "", as_json: AsJson = False) -> None:
    """Show who owns the account and whether it is open."""
    terminal.show(terminal.ask(token, lambda gateway: gateway.read(_path(token, account))), as_json=as_json)


@app.command()
def deposit(amount: Amount, *, token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False) -> None:
    """Bring cash in."""
    terminal.show(_transfer("deposits", amount, token, key), as_json=as_json)


@app.command()
def withdraw(amount: Amount, *, token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False) -> None:
    """Ask for cash out; `tapeline accounts withdrawals` tells what became of it."""
    terminal.show(_transfer("withdrawals", amount, token, key), as_json=as_json)


@app.command()
def cash(token: TokenOption = "", account: AccountOption = "", as_json: AsJson = False) -> None:
    """Show what may be spent and what is set aside for withdrawals."""
    terminal.show(terminal.ask(token, lambda gateway: gateway.read(f"{_path(token, account)}/cash")), as_json=as_json)


@app.command()
def withdrawals(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List the withdrawals, newest first."""
    found = terminal.ask(
        token,
        lambda gateway: gateway.read(f"{_path(token, account)}/withdrawals", **terminal.page(limit, after)),
    )
    terminal.show_rows(found, "withdrawals", WITHDRAWAL_COLUMNS, as_json=as_json)


def _transfer(kind: str, amount: str, token: str, key: str) -> Json:
    """Cash moves for the token's own account only."""
    return terminal.ask(
        token, lambda gateway: gateway.send("POST", f"{_path(token, '')}/{kind}", {"amount": amount}, key=key)
    )


def _path(token: str, account: str) -> str:
    return ACCOUNT.format(account_id=account_of(token, account))
