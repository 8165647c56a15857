"""`tapeline kyc request | list | show | expire` -> the doors of onboarding."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateways import terminal
from gateways.client import Json, account_of
from gateways.onboarding.reads import CHECKS
from gateways.terminal import AccountOption, AfterOption, AsJson, KeyOption, LimitOption, TokenOption

CheckArgument = Annotated[str, typer.Argument(help="Id of the check.")]
COLUMNS = ("check_id", "status", "cause", "requested_at", "ended_at", "due_at")

app = typer.Typer(no_args_is_help=True, help="Checks of who owns an account.")


def attach(tapeline: typer.Typer) -> None:
    """Add the verbs to the command line."""
    tapeline.add_typer(app, name="kyc")


@app.command()
def request(
    applicant: Annotated[
        str, typer.Argument(help="File of JSON with first_name, last_name, date_of_birth; - reads standard input.")
    ],
    *,
    token: TokenOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Have the owner of the token's account checked; who it is comes from a file, so that no shell remembers it."""
    body = _applicant(applicant)
    made = terminal.ask(token, lambda gateway: gateway.send("POST", _path(token, ""), body, key=key))
    terminal.show(made, as_json=as_json)


@app.command("list")
def list_(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List the checks, newest first."""
    found = terminal.ask(token, lambda gateway: gateway.read(_path(token, account), **terminal.page(limit, after)))
    terminal.show_rows(found, "checks", COLUMNS, as_json=as_json)


@app.command()
def show(
    check_id: CheckArgument, *, token: TokenOption = "", account: AccountOption = "", as_json: AsJson = False
) -> None:
    """Show one check."""
    found = terminal.ask(token, lambda gateway: gateway.read(f"{_path(token, account)}/{check_id}"))
    terminal.show(found, as_json=as_json)


@app.command()
def expire(  # noqa: PLR0913  one option each
    check_id: CheckArgument,
    *,
    cause: Annotated[str, typer.Option(help="Why; it stands on the tape for ever.")],
    token: TokenOption = "",
    account: AccountOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """End a check early; an account whose trading rests on it is halted."""
    path = f"{_path(token, account)}/{check_id}/expire"
    made = terminal.ask(token, lambda gateway: gateway.send("POST", path, {"cause": cause}, key=key))
    terminal.show(made, as_json=as_json)


def _applicant(source: str) -> Json:
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise typer.BadParameter(f"{source} cannot be read: {error.strerror}") from error
    except ValueError as error:
        # The parser's own words would repeat what the file holds.
        raise typer.BadParameter(f"{source} is no JSON in UTF-8: write one object with first_name, …") from error


def _path(token: str, account: str) -> str:
    return CHECKS.format(account_id=account_of(token, account))
