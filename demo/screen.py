"""The numbers and the tape -> the terminal, twice a second; plain lines every few seconds when it is no terminal."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.numbers import Numbers
from demo.watch import Watch
from domain.kernel.money import money_text, price_text

REFRESH_SECONDS = 0.5
PLAIN_EVERY_SECONDS = 5.0
REFUSALS_SHOWN = 8
NEW_YORK = ZoneInfo("America/New_York")


class Measured(msgspec.Struct):
    """What the processes say of themselves: records behind, by reader; leaves of the audit forest."""

    lag: dict[str, int] = {}
    leaves: int = 0


class Screen:
    """Shows until cancelled."""

    def __init__(self, numbers: Numbers, watch: Watch, measure: Callable[[], Awaitable[Measured]]) -> None:
        self._numbers = numbers
        self._watch = watch
        self._measure = measure
        self._console = Console()
        self._last = (time.monotonic(), 0)
        self._rate = 0

    async def run(self) -> None:
        """Redraw, or print a line now and then."""
        if not self._console.is_terminal:
            while True:
                await asyncio.sleep(PLAIN_EVERY_SECONDS)
                self._console.print(self._line(await self._measure()), highlight=False, soft_wrap=True)
        with Live(console=self._console, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(REFRESH_SECONDS)
                live.update(self._picture(await self._measure()), refresh=True)

    def _orders_per_second(self) -> int:
        now, orders = time.monotonic(), self._numbers.orders
        then, before = self._last
        if now - then >= 1.0:
            self._rate = round((orders - before) / (now - then))
            self._last = (now, orders)
        return self._rate

    def _line(self, measured: Measured) -> str:
        numbers, watch = self._numbers, self._watch
        parts = (
            self._market(),
            f"{self._orders_per_second()} orders/s",
            f"ack p50 {numbers.latency_ms('p50')} p99 {numbers.latency_ms('p99')} ms",
            f"{watch.events['orders OrderFilled']} fills",
            f"{sum(watch.refusals.values())} refused",
            f"exposure {money_text(watch.exposure)}",
            f"{watch.breaches} breaches",
            f"{self._halted()} halted",
            f"lag {max(measured.lag.values(), default=0)}",
            f"audit {measured.leaves} leaves",
        )
        return "  ".join(parts)

    def _picture(self, measured: Measured) -> Group:
        head = Text(f" Tapeline   {self._market()} ", style="bold reverse")
        tables = Table.grid(padding=(0, 2), expand=True)
        tables.add_row(self._flow(), self._risk(), self._readers(measured.lag, measured.leaves))
        return Group(head, tables, self._quotes())

    def _flow(self) -> Panel:
        numbers, watch = self._numbers, self._watch
        table = _pairs()
        table.add_row("orders per second", str(self._orders_per_second()))
        table.add_row("acknowledged p50", f"{numbers.latency_ms('p50')} ms")
        table.add_row("acknowledged p99", f"{numbers.latency_ms('p99')} ms")
        table.add_row("orders placed", str(watch.events["orders OrderPlaced"]))
        table.add_row("fills", str(watch.events["orders OrderFilled"]))
        table.add_row("cancelled", str(watch.events["orders OrderCancelled"]))
        table.add_row("replaced", str(watch.events["orders OrderReplaced"]))
        table.add_row("websocket frames", str(numbers.frames))
        return Panel(table, title="orders")

    def _risk(self) -> Panel:
        watch = self._watch
        table = _pairs()
        table.add_row("exposure", money_text(watch.exposure))
        table.add_row("breaches, cleared", f"{watch.breaches}, {watch.cleared}")
        table.add_row("accounts halted", str(self._halted()))
        for reason, number in watch.refusals.most_common(REFUSALS_SHOWN):
            table.add_row(f"refused {reason}", str(number))
        return Panel(table, title="risk")

    def _readers(self, lag: Mapping[str, int], leaves: int) -> Panel:
        table = _pairs()
        for reader, behind in sorted(lag.items()):
            table.add_row(f"{reader} behind", str(behind))
        table.add_row("audit leaves", str(leaves))
        table.add_row("events on the tape", str(sum(self._watch.events.values())))
        return Panel(table, title="readers")

    def _quotes(self) -> Panel:
        prices = self._watch.board.prices
        quotes = "   ".join(f"{symbol} {price_text(price.last)}" for symbol, price in sorted(prices.items()))
        return Panel(quotes or "no mark yet", title="last prices")

    def _halted(self) -> int:
        return sum(1 for causes in self._watch.halted.values() if causes)

    def _market(self) -> str:
        board = self._watch.board
        if not board.market_time:
            return "the market has not begun"
        when = datetime.fromtimestamp(board.market_time // 1_000_000, UTC).astimezone(NEW_YORK)
        return f"{when:%a %Y-%m-%d %H:%M} {board.phase}"


def _pairs() -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column()
    table.add_column(justify="right")
    return table
