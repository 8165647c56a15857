"""One account event by event and mark by mark, and what must be told to its risk file.

Commands come out with ids derived from what caused them: the same cause asks the same thing again, and is known to the
decider. A report is pending from the moment it is asked for until `risk.events` answers it, and is not repeated.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from domain.kernel.ids import BreachId, Micros, derived
from domain.kernel.messages import Issued, Recorded
from domain.market_data.marks import Board
from domain.orders.events import OrderEvent
from domain.risk import events as r
from domain.risk.at_stake import Asked, Exposure, booked, forget, gross_exposure, order_rate, told
from domain.risk.commands import Measure, ReportBreach, ReportRecovery
from domain.risk.events import RiskEvent

ACTOR = "agent:risk.exposure"
RULE = "exposure"
RECOVERED_PER_CENT = 95
"""A breach ends below this share of the limit: a measure that trembles at its limit must not halt and resume."""
ANSWER_US_MAX = 30_000_000
"""After this long without an answer we ask again: the command went to the dead letters as stale, or was never sent."""

Report: TypeAlias = ReportBreach | ReportRecovery


class Cause(msgspec.Struct, frozen=True):
    """What made us look: an event or a mark, with the time and the ids that a command takes from it."""

    id: str
    at: Micros
    correlation_id: str


Step: TypeAlias = tuple[Exposure, Sequence[Issued[Report]]]


def on_event(state: Exposure, recorded: Recorded[OrderEvent | RiskEvent], board: Board) -> Step:
    """The account after this event, and what must be reported of it."""
    replace = msgspec.structs.replace
    state = replace(state, tenant=recorded.tenant, account_id=recorded.stream_id)
    event = recorded.event
    match event:
        case r.RiskRefused():
            # Asking at once could go round for ever; the next mark or order asks again.
            return forget(state, recorded.command_id), ()
        case r.LimitsSet() | r.LimitBreached() | r.BreachCleared() | r.HaltOrdered() | r.HaltLifted():
            state = told(state, event)
        case _:
            state = booked(replace(state, book_version=recorded.version), event)
    return _judged(state, board, Cause(recorded.event_id, recorded.recorded_at, recorded.correlation_id))


def on_mark(state: Exposure, board: Board) -> Step:
    """The account at new prices, and what must be reported of it."""
    # A feed that starts again counts from zero: the wall time keeps its marks apart from those of the run before.
    mark = f"market_data.marks/{board.sequence}@{board.observed_at}"
    return _judged(state, board, Cause(mark, board.observed_at, mark))


def _judged(state: Exposure, board: Board, cause: Cause) -> Step:
    commands: list[Issued[Report]] = []
    for index, (measure, observed, allowed) in enumerate(_measured(state, board)):
        asked = state.asked.get(measure)
        if asked is not None and cause.at - asked.at < ANSWER_US_MAX:
            continue
        report = _report(state, board, cause, measure, observed, allowed)
        if report is None:
            continue
        command_id = derived(RULE, cause.id, state.account_id, index)
        commands.append(
            Issued(
                command=report,
                command_id=command_id,
                tenant=state.tenant,
                stream_id=state.account_id,
                causation_id=cause.id,
                correlation_id=cause.correlation_id,
            )
        )
        state = msgspec.structs.replace(state, asked=state.asked.set(measure, Asked(command_id, cause.at)))
    return state, commands


def _measured(state: Exposure, board: Board) -> Iterator[tuple[Measure, int, int]]:
    if state.limits is not None:
        yield Measure.GROSS_EXPOSURE, gross_exposure(state, board), state.limits.gross_exposure_max
        yield Measure.ORDER_RATE, order_rate(state, board), state.limits.orders_per_minute_max


def _report(
    state: Exposure, board: Board, cause: Cause, measure: Measure, observed: int, allowed: int
) -> Report | None:
    if measure not in state.breached:
        if observed <= allowed:
            return None
        return ReportBreach(
            at=cause.at,
            actor=ACTOR,
            breach_id=BreachId(derived("breach", state.account_id, measure, cause.id)),
            measure=measure,
            observed=observed,
            allowed=allowed,
            mark_sequence=board.sequence,
            book_version=state.book_version,
        )
    # Nothing at stake is below any limit, one of zero too.
    if observed and observed * 100 >= allowed * RECOVERED_PER_CENT:
        return None
    return ReportRecovery(
        at=cause.at,
        actor=ACTOR,
        measure=measure,
        observed=observed,
        allowed=allowed,
        mark_sequence=board.sequence,
        book_version=state.book_version,
    )
