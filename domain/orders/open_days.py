"""Which accounts have day orders open, and the command that ends them when their session has closed.

An order belongs to the session that was on the marks when it was placed. A board that shows an earlier market time
than the order says nothing about the order's own close: after a catch-up the two may be far apart.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
from immutables import Map

from domain.kernel.ids import Micros, OrderId, derived
from domain.kernel.market import Phase
from domain.kernel.messages import Issued, Recorded
from domain.market_data.marks import Board
from domain.orders import events as e
from domain.orders.commands import EndDay, TimeInForce
from domain.orders.events import OrderEvent

ACTOR = "agent:orders.day_end"
RULE = "day_end"


class OpenDay(msgspec.Struct, frozen=True, kw_only=True):
    """One account's open day orders, each with the market time it was placed at, and the session last asked to end."""

    tenant: str = ""
    account_id: str = ""
    placed_at: Map[OrderId, Micros] = Map()
    asked: str = ""


Step: TypeAlias = tuple[OpenDay, Sequence[Issued[EndDay]]]


def on_event(state: OpenDay, recorded: Recorded[OrderEvent], board: Board) -> Step:
    """Follow the account's day orders; one that arrives after its close was seen is ended at once."""
    event = recorded.event
    state = msgspec.structs.replace(state, tenant=recorded.tenant, account_id=recorded.stream_id)
    match event:
        case e.OrderPlaced() if event.time_in_force is TimeInForce.DAY:
            placed_at = state.placed_at.set(event.order_id, event.market.market_time)
            state = msgspec.structs.replace(state, placed_at=placed_at)
            if _is_over(board, event.market.market_time):
                return _ended(state, board, recorded.event_id, recorded.recorded_at, recorded.correlation_id)
            return state, ()
        case e.OrderRejected() | e.OrderCancelled() | e.OrderExpired():
            return _without(state, event.order_id), ()
        case e.OrderFilled() | e.OrderReplaced() if event.unfilled == 0:
            return _without(state, event.order_id), ()
        case e.DayEnded():
            return _without(state, *(order.order_id for order in event.expired)), ()
        case _:
            return state, ()


def on_mark(state: OpenDay, board: Board) -> Step:
    """At the close: one command to end the day of an account that still has day orders of that session."""
    if state.asked == board.session_date:
        return state, ()
    over = [order_id for order_id, placed_at in state.placed_at.items() if _is_over(board, placed_at)]
    # A replayed market shows the same dates again: the order keeps this close apart from that of an earlier run.
    return _ended(state, board, f"market_data.marks/{min(over)}", board.observed_at, "") if over else (state, ())


def _is_over(board: Board, placed_at: Micros) -> bool:
    return bool(board.session_date) and board.phase is Phase.CLOSED and placed_at <= board.market_time


def _ended(state: OpenDay, board: Board, cause: str, at: Micros, correlation_id: str) -> Step:
    command_id = derived(RULE, state.account_id, board.session_date, cause)
    command = Issued(
        command=EndDay(at=at, actor=ACTOR, session_date=board.session_date),
        command_id=command_id,
        tenant=state.tenant,
        stream_id=state.account_id,
        causation_id=cause,
        correlation_id=correlation_id or command_id,
    )
    return msgspec.structs.replace(state, asked=board.session_date), (command,)


def _without(state: OpenDay, *order_ids: OrderId) -> OpenDay:
    placed_at = state.placed_at
    for order_id in order_ids:
        placed_at = placed_at.delete(order_id) if order_id in placed_at else placed_at
    return msgspec.structs.replace(state, placed_at=placed_at, asked=state.asked if placed_at else "")
