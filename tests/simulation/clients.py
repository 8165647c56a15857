"""Customers and the desk: what they ask, what they were told, and how they behave when they were told nothing.

A command whose outcome is unknown is repeated under its id until there is an answer, or given up, as people do. An
answered one is now and then asked again, and must find its first answer.
"""

import asyncio
from random import Random
from typing import Any

import msgspec

from domain.accounts import commands as a
from domain.accounts.events import WithdrawalRequested
from domain.kernel.ids import CheckId, DepositId, Micros, OrderId, Symbol, WithdrawalId
from domain.kernel.market import Market, Phase
from domain.kernel.messages import Command, Issued
from domain.kernel.money import SCALE, Money, Price, Quantity
from domain.onboarding import commands as k
from domain.orders import commands as c
from domain.orders.commands import Kind, Side, TimeInForce
from domain.orders.events import OrderPlaced
from domain.risk import commands as r
from infra.bus import Answer, NoDecision
from tests.simulation.auditor import Asked, Auditor
from tests.simulation.loop import Process
from tests.simulation.options import Options
from tests.simulation.system import EPOCH_US, GatewayLost, System
from tests.simulation.venue import Venue

SYMBOLS = (Symbol("AAPL"), Symbol("MSFT"))
MARKET_US = 1_330_966_800_000_000
"""Noon in New York of 2012-03-05, when every history begins on the market."""
SESSION = "2012-03-05"
GIVE_UP = 0.03
"""How often a client that was told nothing does not ask again."""
WORKERS = 2
"""Who speak for one account side by side: its own commands overlap."""
WHATS = (
    *["place"] * 22,
    *["sell"] * 10,
    *["cancel"] * 6,
    *["replace"] * 7,
    *["deposit"] * 4,
    *["withdraw"] * 4,
    *["halt", "lift", "limits", "day", "expire", "check"],
)


class Clients:
    """Everybody who asks."""

    def __init__(self, system: System, venue: Venue, auditor: Auditor, options: Options) -> None:
        self.system = system
        self.venue = venue
        self.auditor = auditor
        self.options = options
        self.process = Process("clients")
        self.random = Random(f"{options.seed}|clients")
        self.is_over = False
        """The faults are over: nobody gives up any more."""
        self._numbers = 0
        self._left = options.commands

    def begin(self) -> "asyncio.Task[None]":
        """All of them, until every command was asked and answered or given up."""
        return self.system.loop.spawn(self.process, self._all())

    async def _all(self) -> None:
        accounts = [Account(self, f"account-{number}") for number in range(self.options.accounts)]
        await asyncio.gather(*(account.live() for account in accounts))

    def take(self) -> bool:
        """One more command may be asked."""
        self._left -= 1
        return self._left >= 0

    def name(self, kind: str) -> str:
        """A name that nothing else has."""
        self._numbers += 1
        return f"{kind}-{self._numbers}"

    def market(self) -> Market:
        """What a gateway would have seen of a symbol."""
        now = self.system.loop.now_us
        return Market(
            sequence=now // 1_000_000,
            market_time=Micros(MARKET_US + now),
            observed_at=Micros(EPOCH_US + now - self.random.randrange(1_000_000)),
            phase=Phase.OPEN if self.random.random() < 0.98 else Phase.CLOSED,
            price=Price(100 * SCALE + self.random.randrange(-2 * SCALE, 2 * SCALE)),
        )

    async def ask(self, account: str, tenant: str, context: str, command: Command) -> Any:
        """The event that was decided, or None when the client gave up."""
        asked = Asked(self.name("c"), context, account, self.system.loop.now_us)
        self.auditor.asked(asked)
        answer = await self._until_told(asked, tenant, command, may_give_up=True)
        if answer is not None and self.random.random() < self.options.repeat_command:
            await asyncio.sleep(self.random.random() * 3)
            await self._until_told(asked, tenant, command, may_give_up=False)
        return None if answer is None else answer.recorded.event

    async def _until_told(self, asked: Asked, tenant: str, command: Command, *, may_give_up: bool) -> Answer | None:
        pause_s = 0.05
        while True:
            stamped = msgspec.structs.replace(command, at=Micros(EPOCH_US + self.system.loop.now_us))
            issued = Issued(
                command=stamped,
                command_id=asked.command_id,
                tenant=tenant,
                stream_id=asked.account,
                causation_id="",
                correlation_id=asked.command_id,
            )
            try:
                answer = await self.system.door.ask(asked.context, issued, self.random.choice((200, 1_000, 5_000)))
            except (NoDecision, GatewayLost):
                if may_give_up and not self.is_over and self.random.random() < GIVE_UP:
                    return None
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, 2.0)
            else:
                self.auditor.told(asked, answer, self.system.loop.now_us)
                return answer


class Account:
    """One customer with an account."""

    def __init__(self, clients: Clients, account_id: str) -> None:
        self._clients = clients
        self._random = clients.random
        self._id = account_id
        self._tenant = clients.random.choice(("acme", "globex"))
        self._working: list[OrderId] = []
        self._withdrawn: list[WithdrawalId] = []
        self._check = CheckId("")

    async def live(self) -> None:
        """Open, be checked, pay in; then whatever comes to mind."""
        while await self._ask("accounts", a.OpenAccount(actor="sub:ann", owner="ann", currency="USD")) is None:
            continue
        await self._new_check()
        await self._deposit()
        await asyncio.gather(*(self._worker() for _ in range(WORKERS)))

    async def _worker(self) -> None:
        while self._clients.take():
            await asyncio.sleep(self._random.random() * self._clients.options.think_ms_max / 1_000)
            await self._one(self._random.choice(WHATS))

    async def _one(self, what: str) -> None:
        match what:
            case "place" | "sell":
                await self._place(Side.SELL if what == "sell" else Side.BUY)
            case "cancel":
                await self._ask("orders", c.CancelOrder(actor="sub:ann", order_id=self._some_order()))
            case "replace":
                await self._replace()
            case "deposit":
                await self._deposit()
            case "withdraw":
                await self._withdraw()
            case "halt":
                await self._ask("risk", r.OrderHalt(actor="sub:desk", reason="looks odd"))
            case "lift":
                await self._ask("risk", r.LiftHalt(actor="sub:desk", reason="was nothing"))
            case "limits":
                await self._limits()
            case "day":
                self._clients.venue.end_day()
                await self._ask("orders", c.EndDay(actor="agent:orders.day_end", session_date=SESSION))
            case "expire":
                command = k.ExpireKycCheck(actor="sub:officer", check_id=self._check, cause="papers changed")
                await self._ask("onboarding", command)
            case _:
                await self._new_check()

    async def _place(self, side: Side) -> None:
        market = self._clients.market()
        is_market = self._random.random() < 0.2
        command = c.PlaceOrder(
            actor="sub:ann",
            order_id=OrderId(self._clients.name("order")),
            symbol=self._random.choice(SYMBOLS),
            side=side,
            kind=Kind.MARKET if is_market else Kind.LIMIT,
            quantity=self._shares(),
            limit_price=None if is_market else self._limit(market),
            time_in_force=self._random.choice((TimeInForce.DAY, TimeInForce.GTC)),
            market=market,
        )
        placed = await self._ask("orders", command)
        if isinstance(placed, OrderPlaced):
            self._working.append(placed.order_id)
            del self._working[:-20]
        elif self._random.random() < 0.5:
            # What was refused, or of which nothing is known, is tried again under a new command: one of them counts.
            await self._ask("orders", command)

    async def _replace(self) -> None:
        market = self._clients.market()
        command = c.ReplaceOrder(
            actor="sub:ann",
            order_id=self._some_order(),
            quantity=self._shares(),
            limit_price=self._limit(market),
            market=market,
        )
        await self._ask("orders", command)

    async def _deposit(self) -> None:
        amount = Money(self._random.randrange(1, 5_000_000))
        command = a.DepositCash(actor="sub:ann", deposit_id=DepositId(self._clients.name("d")), amount=amount)
        while await self._ask("accounts", command) is None:
            continue

    async def _withdraw(self) -> None:
        is_again = bool(self._withdrawn) and self._random.random() < 0.2
        name = self._random.choice(self._withdrawn) if is_again else WithdrawalId(self._clients.name("w"))
        amount = Money(self._random.randrange(1, 3_000_000))
        event = await self._ask("accounts", a.RequestWithdrawal(actor="sub:ann", withdrawal_id=name, amount=amount))
        if isinstance(event, WithdrawalRequested):
            self._withdrawn.append(name)

    async def _limits(self) -> None:
        command = r.SetLimits(
            actor="sub:desk",
            order_notional_max=Money(self._random.choice((500_000, 5_000_000))),
            gross_exposure_max=Money(10_000_000_00),
            orders_per_minute_max=600,
            reason="review",
        )
        await self._ask("risk", command)

    async def _new_check(self) -> None:
        self._check = CheckId(self._clients.name("k"))
        await self._ask(
            "onboarding", k.RequestKycCheck(actor="sub:ann", check_id=self._check, applicant_sealed=b"sealed")
        )

    def _some_order(self) -> OrderId:
        return self._random.choice(self._working) if self._working else OrderId("order-0")

    def _shares(self) -> Quantity:
        whole = self._random.randrange(1, 200) * SCALE
        return Quantity(whole if self._random.random() < 0.7 else whole // 7)

    def _limit(self, market: Market) -> Price:
        return Price(market.price + self._random.randrange(-3, 4) * SCALE // 3)

    async def _ask(self, context: str, command: Command) -> Any:
        return await self._clients.ask(self._id, self._tenant, context, command)
