"""risk.events, orders.events -> orders.commands: halt an account in breach, resume it after, copy its limits.

Every halt has a cause and a resume lifts its own cause only. The working orders of a halted account are cancelled.
"""

from collections.abc import Iterator

from domain.kernel.messages import Recorded
from domain.orders.commands import CancelOrder, HaltTrading, ResumeTrading, SetLimits
from domain.orders.events import OrderEvent, TradingHalted
from domain.risk import events as r
from domain.risk.events import RiskEvent
from streams.sagas import Saga, Step

BY_HAND = "HAND"
"""Cause of a halt that somebody ordered; the causes of breaches are their measures."""


def on_event(recorded: Recorded[RiskEvent | OrderEvent]) -> Iterator[Step]:
    """What the book must be told after this event."""
    match recorded.event:
        case r.LimitsSet() as event:
            yield Step("orders", SetLimits(order_notional_max=event.order_notional_max))
        case r.LimitBreached() as event:
            reason = f"{event.observed} of {event.allowed} at mark {event.mark_sequence}"
            yield Step("orders", HaltTrading(cause=event.measure, reason=reason))
        case r.BreachCleared() as event:
            yield Step("orders", ResumeTrading(cause=event.measure))
        case r.HaltOrdered() as event:
            yield Step("orders", HaltTrading(cause=BY_HAND, reason=event.reason))
        case r.HaltLifted():
            yield Step("orders", ResumeTrading(cause=BY_HAND))
        case TradingHalted() as event:
            for order_id in event.working:
                yield Step("orders", CancelOrder(order_id=order_id))
        case _:
            return


halts = Saga("risk.halts", ("risk", "orders"), on_event)
