"""`tapeline quotes` -> the doors of market data: prices as the gateway saw them last."""

from typing import Annotated

import typer

from gateways import terminal
from gateways.terminal import AsJson, TokenOption

COLUMNS = ("symbol", "bid", "ask", "last")


def attach(tapeline: typer.Typer) -> None:
    """Add the verb to the command line."""
    tapeline.command("quotes")(quotes)


def quotes(
    symbol: Annotated[str, typer.Argument(help="One symbol; all of them when empty.")] = "",
    token: TokenOption = "",
    as_json: AsJson = False,
) -> None:
    """Show the newest prices, with the market's own time and phase."""
    path = f"/v1/quotes/{symbol.upper()}" if symbol else "/v1/quotes"
    found = terminal.ask(token, lambda gateway: gateway.read(path))
    terminal.show_rows(found, "quotes", COLUMNS, as_json=as_json)
    if not as_json:
        terminal.out.print(
            f"{found['session_date']} {found['phase']}, market time {found['market_time']}, mark {found['sequence']}",
            highlight=False,
        )
