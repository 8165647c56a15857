"""`tapeline risk limits | set-limits | halt | resume | show`, `tapeline halt-all` -> the doors of risk."""

import time
import uuid
from typing import Annotated

import typer

from gateways import terminal
from gateways.client import account_of
from gateways.risk import halt_all as everywhere
from gateways.risk.rest import ACCOUNT
from gateways.terminal import AccountOption, AfterOption, AsJson, KeyOption, LimitOption, TokenOption

Reason = Annotated[str, typer.Option(help="Why; it stands on the tape for ever.")]
BREACH_COLUMNS = ("breach_id", "measure", "observed", "allowed", "mark_sequence", "opened_at", "cleared_at")
HALT_COLUMNS = ("cause", "reason", "halted_at")

app = typer.Typer(no_args_is_help=True, help="What accounts are held to, and halts by hand.")


def attach(tapeline: typer.Typer) -> None:
    """Add the verbs to the command line."""
    tapeline.add_typer(app, name="risk")
    tapeline.command("halt-all")(halt_all)


@app.command()
def limits(token: TokenOption = "", account: AccountOption = "", as_json: AsJson = False) -> None:
    """Show the limits, who set them and why."""
    found = terminal.ask(token, lambda gateway: gateway.read(f"{_path(token, account)}/limits"))
    terminal.show(found, as_json=as_json)


@app.command("set-limits")
def set_limits(  # noqa: PLR0913  one option each
    order_notional_max: Annotated[str, typer.Option(help="Largest order, in cash.")],
    gross_exposure_max: Annotated[str, typer.Option(help="All positions and working purchases, in cash.")],
    orders_per_minute_max: Annotated[int, typer.Option(help="Orders in a minute of market time.")],
    reason: Reason,
    token: TokenOption = "",
    account: AccountOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Set all limits of an account."""
    body = {
        "order_notional_max": order_notional_max,
        "gross_exposure_max": gross_exposure_max,
        "orders_per_minute_max": orders_per_minute_max,
        "reason": reason,
    }
    made = terminal.ask(token, lambda gateway: gateway.send("PUT", f"{_path(token, account)}/limits", body, key=key))
    terminal.show(made, as_json=as_json)


@app.command()
def halt(
    reason: Reason, token: TokenOption = "", account: AccountOption = "", key: KeyOption = "", as_json: AsJson = False
) -> None:
    """Halt an account's trading; its working orders are cancelled."""
    body = {"reason": reason}
    made = terminal.ask(token, lambda gateway: gateway.send("POST", f"{_path(token, account)}/halt", body, key=key))
    terminal.show(made, as_json=as_json)


@app.command()
def resume(
    reason: Reason, token: TokenOption = "", account: AccountOption = "", key: KeyOption = "", as_json: AsJson = False
) -> None:
    """Lift the halt by hand; limits that are breached may halt the account all the same."""
    body = {"reason": reason}
    made = terminal.ask(token, lambda gateway: gateway.send("POST", f"{_path(token, account)}/resume", body, key=key))
    terminal.show(made, as_json=as_json)


@app.command()
def show(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """Show limits, the halts that hold, and breaches, newest first."""
    found = terminal.ask(
        token, lambda gateway: gateway.read(f"{_path(token, account)}/risk", **terminal.page(limit, after))
    )
    if not as_json:
        terminal.show({"is_halted": found["is_halted"], **(found["limits"] or {})}, as_json=False)
        terminal.show_rows({"halts": found["halts"]}, "halts", HALT_COLUMNS, as_json=False)
    terminal.show_rows(found, "breaches", BREACH_COLUMNS, as_json=as_json)


def halt_all(reason: Reason, token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False) -> None:
    """Halt every account of the token's tenant, say how many and how long it took; exit 1 when one was missed."""
    key = key or uuid.uuid4().hex
    began = time.perf_counter()
    done = terminal.ask(token, lambda gateway: everywhere.halt_all(gateway, token, reason, key))
    seconds = time.perf_counter() - began
    if as_json:
        terminal.say_json({**done.summary(), "seconds": round(seconds, 3), "key": key})
    else:
        typer.echo(f"halted {done.halted} accounts, {done.were_halted} were halted already, in {seconds:.2f} s")
    for account_id, why in done.missed.items():
        typer.echo(f"NOT HALTED {account_id}: {why}", err=True)
    if done.missed:
        typer.echo(f"repeat with --key {key}: nothing is done twice", err=True)
        raise typer.Exit(1)


def _path(token: str, account: str) -> str:
    return ACCOUNT.format(account_id=account_of(token, account))
