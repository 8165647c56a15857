"""accounts.events -> risk.commands, orders.commands: give a new account its limits and open its book."""

from collections.abc import Iterator

from domain.accounts.events import AccountEvent, AccountOpened
from domain.kernel.messages import Recorded
from domain.kernel.money import Money
from domain.orders.commands import OpenTrading
from domain.risk.commands import SetLimits
from streams.sagas import Saga, Step

ORDER_NOTIONAL_MAX = Money(2_500_000_00)
"""First limit of one order: two and a half million; an officer raises or lowers it per account."""
GROSS_EXPOSURE_MAX = Money(10_000_000_00)
"""First limit of the sum of all positions and working purchases: ten million."""
ORDERS_PER_MINUTE_MAX = 600
"""First limit of the order rate: ten a second of market time, what a fast human with a script may need."""


def on_event(recorded: Recorded[AccountEvent]) -> Iterator[Step]:
    """An opened account is held to the first limits before its book may trade."""
    if isinstance(recorded.event, AccountOpened):
        yield Step(
            "risk",
            SetLimits(
                order_notional_max=ORDER_NOTIONAL_MAX,
                gross_exposure_max=GROSS_EXPOSURE_MAX,
                orders_per_minute_max=ORDERS_PER_MINUTE_MAX,
                reason="first limits of a new account",
            ),
        )
        yield Step("orders", OpenTrading(currency=recorded.event.currency))


opening = Saga("accounts.opening", ("accounts",), on_event)
