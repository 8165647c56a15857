"""`tapeline orders place | replace | cancel | cancel-all | list | show | positions` -> the doors of orders."""

from typing import Annotated

import typer

from domain.orders.commands import Kind, Side, TimeInForce
from gateways import terminal
from gateways.client import account_of
from gateways.orders.rest import ORDER, ORDERS
from gateways.terminal import AccountOption, AfterOption, AsJson, KeyOption, LimitOption, TokenOption

OrderId = Annotated[str, typer.Argument(help="The order's id, as `place` or `list` gave it.")]
Shares = Annotated[str, typer.Argument(help="Shares as decimal text.")]
ORDER_COLUMNS = (
    "order_id", "status", "side", "quantity", "symbol", "limit_price", "filled", "average_price", "reason",
)  # fmt: skip
POSITION_COLUMNS = ("symbol", "quantity", "cost", "last", "value", "unrealized", "realized")

app = typer.Typer(no_args_is_help=True, help="Orders of one account, and what they have bought.")


def attach(tapeline: typer.Typer) -> None:
    """Add the verbs to the command line."""
    tapeline.add_typer(app, name="orders")


@app.command()
def place(  # noqa: PLR0913  one option each
    side: Annotated[Side, typer.Argument(case_sensitive=False)],
    quantity: Shares,
    symbol: Annotated[str, typer.Argument(help="Such as AAPL; `tapeline quotes` lists them.")],
    limit: Annotated[str, typer.Option(help="The limit price; a MARKET order without it.")] = "",
    time_in_force: Annotated[TimeInForce, typer.Option("--tif", case_sensitive=False)] = TimeInForce.DAY,
    token: TokenOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Place an order: `tapeline orders place BUY 10 AAPL --limit 101.25`."""
    body = {
        "symbol": symbol.upper(),
        "side": side,
        "kind": Kind.LIMIT if limit else Kind.MARKET,
        "quantity": quantity,
        "limit_price": limit or None,
        "time_in_force": time_in_force,
    }
    made = terminal.ask(token, lambda gateway: gateway.send("POST", _orders(token), body, key=key))
    terminal.show(made, as_json=as_json)


@app.command()
def replace(  # noqa: PLR0913  one option each
    order_id: OrderId,
    quantity: Annotated[str, typer.Option(help="The new total, filled shares included.")],
    limit: Annotated[str, typer.Option(help="The new limit price.")],
    token: TokenOption = "",
    key: KeyOption = "",
    as_json: AsJson = False,
) -> None:
    """Ask the venue for new terms of a working LIMIT order."""
    body = {"quantity": quantity, "limit_price": limit}
    made = terminal.ask(token, lambda gateway: gateway.send("PUT", _order(token, order_id), body, key=key))
    terminal.show(made, as_json=as_json)


@app.command()
def cancel(order_id: OrderId, *, token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False) -> None:
    """Ask the venue to take an order back; a fill may still come first."""
    made = terminal.ask(token, lambda gateway: gateway.send("DELETE", _order(token, order_id), key=key))
    terminal.show(made, as_json=as_json)


@app.command("cancel-all")
def cancel_all(token: TokenOption = "", key: KeyOption = "", as_json: AsJson = False) -> None:
    """Ask the venue to take every open order of the account back."""
    made = terminal.ask(token, lambda gateway: gateway.send("POST", f"{_orders(token)}/cancel-all", key=key))
    terminal.show_rows(made, "orders", ("order_id", "status"), as_json=as_json)


@app.command("list")
def list_(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List the orders, newest first."""
    found = terminal.ask(token, lambda gateway: gateway.read(_orders(token, account), **terminal.page(limit, after)))
    terminal.show_rows(found, "orders", ORDER_COLUMNS, as_json=as_json)


@app.command()
def show(order_id: OrderId, token: TokenOption = "", account: AccountOption = "", as_json: AsJson = False) -> None:
    """Show one order."""
    found = terminal.ask(token, lambda gateway: gateway.read(_order(token, order_id, account)))
    terminal.show(found, as_json=as_json)


@app.command()
def positions(
    token: TokenOption = "",
    account: AccountOption = "",
    limit: LimitOption = 100,
    after: AfterOption = "",
    as_json: AsJson = False,
) -> None:
    """List what the account holds, valued at the last trade."""
    found = terminal.ask(
        token,
        lambda gateway: gateway.read(
            f"/v1/accounts/{account_of(token, account)}/positions", **terminal.page(limit, after)
        ),
    )
    terminal.show_rows(found, "positions", POSITION_COLUMNS, as_json=as_json)


def _orders(token: str, account: str = "") -> str:
    return ORDERS.format(account_id=account_of(token, account))


def _order(token: str, order_id: str, account: str = "") -> str:
    return ORDER.format(account_id=account_of(token, account), order_id=order_id)
