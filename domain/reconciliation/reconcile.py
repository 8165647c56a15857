"""One account message by message and mark by mark, and what must be told about its breaks.

What does not agree is no break yet: the other side's message may be on its way. Time runs from the first mark that was
made after the message, by the market's clock, and begins again where that clock is set back. A command is pending from
the moment it is sent until `reconciliation.events` answers it; unanswered, it is sent again.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from domain.kernel.ids import BreakId, ExecutionId, Micros, OrderId, derived
from domain.kernel.messages import Event, Heard, Issued, Recorded, Unreadable
from domain.kernel.money import Quantity
from domain.market_data.marks import Board
from domain.orders.commands import Side
from domain.orders.events import OrderEvent, OrderFilled
from domain.reconciliation import events as e
from domain.reconciliation import matching
from domain.reconciliation.commands import CloseBreak, Kind, OpenBreak, RecordMatch
from domain.reconciliation.events import ReconciliationEvent
from domain.reconciliation.matching import UNKNOWN, Matching, Ref, Stated, Told, Waiting
from domain.reconciliation.records import Copy, Statement, VenueRecord, interpret

ACTOR = "agent:reconciliation.matching"
RULE = "reconciliation"
GRACE_US = 5_000_000
"""Market time after which what does not agree is a break."""
ANSWER_US_MAX = 30_000_000
"""After this long without an answer we ask again: the command went to the dead letters as stale, or was never sent."""
BOTH_AGREE = "a late message came: both sides agree"
SUPERSEDED = "a newer statement takes its place"
COUNTED = "the statement agrees with all executions that are known"

Step: TypeAlias = tuple[Matching, Sequence[Issued[Any]]]
Asked: TypeAlias = OpenBreak | CloseBreak | RecordMatch
replace = msgspec.structs.replace


class Cause(msgspec.Struct, frozen=True):
    """What made us look, with the time and the ids that a command takes from it."""

    id: str
    at: Micros
    correlation_id: str = ""


def on_event(state: Matching, recorded: Recorded[OrderEvent | ReconciliationEvent], board: Board) -> Step:
    """The account after an event of ours: an execution, or an answer about a break."""
    state = replace(state, tenant=recorded.tenant, account_id=recorded.stream_id)
    event = recorded.event
    if not isinstance(event, OrderFilled):
        return _answered(state, event), ()
    told = Told(
        event.order_id,
        event.symbol,
        Quantity(event.quantity if event.side is Side.BUY else -event.quantity),
        event.price,
        event.venue_time_ns,
        Ref(recorded.event_id, recorded.sequence),
    )
    if event.execution_id in state.agreed:  # A person closed the break about it before we heard of it.
        return state, ()
    at = Micros(max(recorded.recorded_at, board.observed_at))
    before = state.waiting.get(event.execution_id, Waiting(None, None, UNKNOWN))
    now = replace(before, ours=told, seen_at=Micros(max(before.seen_at, recorded.recorded_at)))
    return _met(state, event.execution_id, now, Cause(recorded.event_id, at, recorded.correlation_id))


def on_feed(state: Matching, heard: Heard[VenueRecord], board: Board) -> Step:
    """The account after a record of the venue; raises Unreadable."""
    record = heard.message
    meaning = interpret(record)
    if state.tenant not in ("", record.tenant):
        raise Unreadable(f"venue record {record.source_id}: account {record.account_id} is not of {record.tenant}")
    state = replace(state, tenant=record.tenant, account_id=record.account_id)
    cause = Cause(record.source_id, Micros(max(record.received_at, board.observed_at)))
    ref = Ref(record.source_id, heard.offset)
    match meaning:
        case Copy():
            return _copied(state, meaning, ref, record.received_at, cause)
        case Statement():
            return _stated(state, meaning, ref, record.received_at, cause)


def on_mark(state: Matching, board: Board) -> Step:
    """The account as the market's clock goes on: what has waited too long is a break, what was asked is asked again."""
    if not (state.waiting or state.stated or state.opening or state.closing or state.recording):
        return state, ()
    cause = Cause(f"market_data.marks/{board.sequence}@{board.observed_at}", board.observed_at)
    commands: list[Issued[Any]] = []
    for execution_id, before in state.waiting.items():
        since = _since(before, board)
        now = before if since == before.since else replace(before, since=since)
        if not now.break_id and _is_old(since, board):
            now = replace(now, break_id=derived("break", state.account_id, execution_id))
            state, opened = _ask(state, _about_execution(execution_id, now, board), cause)
            commands.append(opened)
        if now is not before:
            state = replace(state, waiting=state.waiting.set(execution_id, now))
    state, more = _mark_statement(state, board, cause)
    state, again = _repeat(state, cause)
    return state, [*commands, *more, *again]


def _copied(state: Matching, copy: Copy, ref: Ref, received_at: Micros, cause: Cause) -> Step:
    """A copy that was counted, or that says again what is agreed, changes nothing."""
    waiting = state.waiting.get(copy.execution_id)
    if waiting is None and (copy.execution_id in state.agreed or copy.time_ns <= state.counted_ns):
        return state, ()
    told = Told(copy.order_id, copy.symbol, copy.quantity, copy.price, copy.time_ns, ref)
    before = waiting or Waiting(None, None, UNKNOWN)
    if before.theirs is not None and not matching.agrees(before.ours, told):
        return state, ()
    now = replace(before, theirs=told, seen_at=Micros(max(before.seen_at, received_at)))
    return _met(state, copy.execution_id, now, cause)


def _stated(state: Matching, statement: Statement, ref: Ref, received_at: Micros, cause: Cause) -> Step:
    """A newer statement takes the place of the one before, and ends its break: what differs still is one of its own."""
    newest_ns = state.counted_ns if state.stated is None else state.stated.as_of_ns
    if statement.as_of_ns <= newest_ns:
        return state, ()
    stated = Stated(
        statement_id=ref.id,
        session_date=statement.session_date,
        as_of_ns=statement.as_of_ns,
        holdings={symbol: quantity for symbol, quantity in statement.holdings.items() if quantity},
        executions=statement.executions,
        place=ref.place,
        seen_at=received_at,
    )
    commands: list[Issued[Any]] = []
    if state.stated is not None and state.stated.break_id:
        state, closed = _close(state, state.stated.break_id, SUPERSEDED, None, ref, cause)
        commands.append(closed)
    state, more = _judge_statement(replace(state, stated=stated), cause)
    return state, [*commands, *more]


def _met(state: Matching, execution_id: ExecutionId, now: Waiting, cause: Cause) -> Step:
    """One more word on an execution: it waits on, or both sides agree and its break is over."""
    if not matching.agrees(now.ours, now.theirs):
        return _judge_statement(replace(state, waiting=state.waiting.set(execution_id, now)), cause)
    commands: list[Issued[Any]] = []
    if now.break_id:
        state, closed = _close(state, now.break_id, BOTH_AGREE, *matching.refs(now), cause)
        commands.append(closed)
    state, more = _judge_statement(_agreed(state, execution_id, now), cause)
    return state, [*commands, *more]


def _agreed(state: Matching, execution_id: ExecutionId, now: Waiting) -> Matching:
    waiting = state.waiting.delete(execution_id) if execution_id in state.waiting else state.waiting
    return replace(state, waiting=waiting, agreed=state.agreed.set(execution_id, matching.settled(now)))


def _judge_statement(state: Matching, cause: Cause) -> Step:
    """A statement that agrees ends its break; it is counted when all that it counts is agreed one by one."""
    stated = state.stated
    if stated is None or not _is_right(state, stated):
        return state, ()
    commands: list[Issued[Any]] = []
    if stated.break_id:
        state, closed = _close(state, stated.break_id, COUNTED, None, Ref(stated.statement_id, stated.place), cause)
        commands.append(closed)
        stated = replace(stated, break_id="", since=UNKNOWN)
        state = replace(state, stated=stated)
    if any(matching.settled(each).time_ns <= stated.as_of_ns for each in state.waiting.values()):
        return state, commands
    match = RecordMatch(
        statement_id=stated.statement_id,
        session_date=stated.session_date,
        as_of_ns=stated.as_of_ns,
        executions=stated.executions,
        evidence=matching.evidence_of(None, Ref(stated.statement_id, stated.place)),
    )
    state, recorded = _ask(matching.counted(state, stated), match, cause)
    return state, [*commands, recorded]


def _mark_statement(state: Matching, board: Board, cause: Cause) -> Step:
    stated = state.stated
    if stated is None or _is_right(state, stated):
        return _judge_statement(state, cause)
    if stated.break_id or stated.is_settled:
        return state, ()
    since = _since(stated, board)
    stated = stated if since == stated.since else replace(stated, since=since)
    commands: list[Issued[Any]] = []
    if _is_old(since, board):
        stated = replace(stated, break_id=derived("break", state.account_id, stated.statement_id, since))
        state, opened = _ask(state, _about_statement(state, stated, board), cause)
        commands.append(opened)
    return replace(state, stated=stated), commands


def _is_right(state: Matching, stated: Stated) -> bool:
    differences, executions = matching.against(state, stated)
    return not differences and executions == stated.executions


def _since(waits: Waiting | Stated, board: Board) -> Micros:
    """The market time from which it has waited: that of the first mark made after it came."""
    if waits.since == UNKNOWN:
        return board.market_time if board.observed_at >= waits.seen_at else UNKNOWN
    return Micros(min(waits.since, board.market_time))


def _is_old(since: Micros, board: Board) -> bool:
    return since != UNKNOWN and board.market_time - since > GRACE_US


def _about_execution(execution_id: ExecutionId, waiting: Waiting, board: Board) -> OpenBreak:
    told = waiting.ours or waiting.theirs
    return OpenBreak(
        break_id=BreakId(waiting.break_id),
        kind=matching.kind_of(waiting),
        reference=execution_id,
        order_id=OrderId("") if told is None else told.order_id,
        differences=matching.differences_of(waiting),
        evidence=matching.evidence_of(*matching.refs(waiting)),
        since=waiting.since,
        market_time=board.market_time,
    )


def _about_statement(state: Matching, stated: Stated, board: Board) -> OpenBreak:
    differences, _ = matching.against(state, stated)
    return OpenBreak(
        break_id=BreakId(stated.break_id),
        kind=Kind.STATEMENT,
        reference=stated.statement_id,
        order_id=OrderId(""),
        differences=differences,
        evidence=matching.evidence_against(state, stated, differences),
        since=stated.since,
        market_time=board.market_time,
    )


def _close(
    state: Matching, break_id: str, reason: str, ours: Ref | None, theirs: Ref | None, cause: Cause
) -> tuple[Matching, Issued[Any]]:
    opening = state.opening.delete(break_id) if break_id in state.opening else state.opening
    close = CloseBreak(break_id=BreakId(break_id), reason=reason, evidence=matching.evidence_of(ours, theirs))
    return _ask(replace(state, opening=opening), close, cause)


def _ask(state: Matching, command: Asked, cause: Cause) -> tuple[Matching, Issued[Any]]:
    """The command in its envelope, pending until it is answered."""
    name: str
    match replace(command, at=cause.at, actor=ACTOR):
        case OpenBreak() as sent:
            name, state = sent.break_id, replace(state, opening=state.opening.set(sent.break_id, sent))
        case CloseBreak() as sent:
            name, state = sent.break_id, replace(state, closing=state.closing.set(sent.break_id, sent))
        case RecordMatch() as sent:
            name, state = sent.statement_id, replace(state, recording=state.recording.set(sent.statement_id, sent))
    command_id = derived(RULE, type(sent).__name__, state.account_id, name, sent.at)
    return state, Issued(
        command=sent,
        command_id=command_id,
        tenant=state.tenant,
        stream_id=state.account_id,
        causation_id=cause.id,
        correlation_id=cause.correlation_id or command_id,
    )


def _repeat(state: Matching, cause: Cause) -> Step:
    commands: list[Issued[Any]] = []
    pending: list[Asked] = [*state.opening.values(), *state.closing.values(), *state.recording.values()]
    for command in pending:
        if cause.at - command.at > ANSWER_US_MAX:
            state, again = _ask(state, command, cause)
            commands.append(again)
    return state, commands


def _answered(state: Matching, event: Event) -> Matching:
    """What was asked is done; a break that a person closed is not watched any more."""
    match event:
        case e.BreakOpened():
            return _without(state, event.break_id, closing=False)
        case e.BreakClosed():
            return _let_go(_without(state, event.break_id), event.break_id)
        case e.StatementMatched():
            return _without(state, event.statement_id)
        case e.ReconciliationRefused():
            return _without(state, event.reference)
        case _:
            return state


def _without(state: Matching, name: str, *, closing: bool = True) -> Matching:
    if name in state.opening:
        state = replace(state, opening=state.opening.delete(name))
    if name in state.closing and closing:
        state = replace(state, closing=state.closing.delete(name))
    if name in state.recording:
        state = replace(state, recording=state.recording.delete(name))
    return state


def _let_go(state: Matching, break_id: str) -> Matching:
    for execution_id, waiting in state.waiting.items():
        if waiting.break_id == break_id:
            return _agreed(state, execution_id, waiting)
    if state.stated is not None and state.stated.break_id == break_id:
        return replace(state, stated=replace(state.stated, break_id="", is_settled=True))
    return state
