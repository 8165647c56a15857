"""Our executions against the venue's, of one account: the state that the matching agent keeps, and what it compares.

An execution waits until both sides have told the same of it; from then on only its sum matters, until a statement has
counted it. What a statement has counted is forgotten, and a copy of it that comes again is known by its time.
"""

from collections.abc import Iterator

import msgspec
from immutables import Map

from domain.kernel.ids import ExecutionId, Micros, OrderId, Symbol
from domain.kernel.money import Price, Quantity
from domain.reconciliation.commands import CloseBreak, Difference, Evidence, Kind, OpenBreak, Origin, RecordMatch

UNKNOWN = Micros(-1)
"""No mark has come since."""
EVENTS, RECORDS = "orders.events", "reconciliation.messages"
EVIDENCE_MAX = 100
"""Messages that a break about a statement names: the newest of the symbols that differ."""
NOTHING = Price(0)


class Ref(msgspec.Struct, frozen=True, array_like=True):
    """A message of one side: its id and where it stands."""

    id: str
    place: int


class Told(msgspec.Struct, frozen=True, array_like=True):
    """One side's word on an execution; `quantity` is below zero for a sale."""

    order_id: OrderId
    symbol: Symbol
    quantity: Quantity
    price: Price
    time_ns: int
    ref: Ref


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """An execution on which both sides have not agreed: since when by the market, and the break that is open."""

    ours: Told | None
    theirs: Told | None
    seen_at: Micros
    since: Micros = UNKNOWN
    break_id: str = ""


class Agreed(msgspec.Struct, frozen=True, array_like=True):
    """An execution that no statement has counted yet."""

    symbol: Symbol
    quantity: Quantity
    time_ns: int
    ours: Ref | None
    theirs: Ref | None


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """The newest statement, until all that it counts is agreed."""

    statement_id: str
    session_date: str
    as_of_ns: int
    holdings: dict[Symbol, Quantity]
    executions: int
    place: int
    seen_at: Micros
    since: Micros = UNKNOWN
    break_id: str = ""
    is_settled: bool = False


class Matching(msgspec.Struct, frozen=True, kw_only=True):
    """One account: what statements have counted, what waits, and what was asked and is not answered."""

    tenant: str = ""
    account_id: str = ""
    held: Map[Symbol, Quantity] = Map()
    executions: int = 0
    counted_ns: int = -1
    waiting: Map[ExecutionId, Waiting] = Map()
    agreed: Map[ExecutionId, Agreed] = Map()
    stated: Stated | None = None
    opening: Map[str, OpenBreak] = Map()
    closing: Map[str, CloseBreak] = Map()
    recording: Map[str, RecordMatch] = Map()


def agrees(one: Told | None, other: Told | None) -> bool:
    """Both have told, and the same; their clocks need not be equal."""
    if one is None or other is None:
        return False
    return (one.order_id, one.symbol, one.quantity, one.price) == (
        other.order_id,
        other.symbol,
        other.quantity,
        other.price,
    )


def kind_of(waiting: Waiting) -> Kind:
    """What does not agree about an execution."""
    if waiting.ours is None:
        return Kind.MISSING_HERE
    return Kind.MISSING_AT_VENUE if waiting.theirs is None else Kind.DIFFERENT


def evidence_of(ours: Ref | None, theirs: Ref | None) -> tuple[Evidence, ...]:
    """Both sides' messages, as far as there are any."""
    found = []
    if ours is not None:
        found.append(Evidence(origin=Origin.OURS, id=ours.id, topic=EVENTS, place=ours.place))
    if theirs is not None:
        found.append(Evidence(origin=Origin.VENUE, id=theirs.id, topic=RECORDS, place=theirs.place))
    return tuple(found)


def refs(waiting: Waiting) -> tuple[Ref | None, Ref | None]:
    """Where both sides' words stand."""
    ours, theirs = waiting.ours, waiting.theirs
    return (None if ours is None else ours.ref), (None if theirs is None else theirs.ref)


def differences_of(waiting: Waiting) -> tuple[Difference, ...]:
    """What each side says of an execution; two lines when they do not even name the same symbol."""
    ours, theirs = waiting.ours, waiting.theirs
    symbols = dict.fromkeys(told.symbol for told in (ours, theirs) if told is not None)
    found = []
    for symbol in symbols:
        our = ours if ours is not None and ours.symbol == symbol else None
        their = theirs if theirs is not None and theirs.symbol == symbol else None
        found.append(
            Difference(
                symbol=symbol,
                ours=Quantity(0) if our is None else our.quantity,
                theirs=Quantity(0) if their is None else their.quantity,
                our_price=NOTHING if our is None else our.price,
                their_price=NOTHING if their is None else their.price,
            )
        )
    return tuple(found)


def settled(waiting: Waiting) -> Agreed:
    """What counts of an execution from now on: the venue's word, where there is one."""
    told = waiting.theirs or waiting.ours
    assert told is not None, "an execution that nobody told of"
    ours, theirs = refs(waiting)
    return Agreed(told.symbol, told.quantity, told.time_ns, ours, theirs)


def known(state: Matching, as_of_ns: int) -> Iterator[Agreed]:
    """Every execution that either side told of up to this time and no statement has counted."""
    yield from (each for each in state.agreed.values() if each.time_ns <= as_of_ns)
    yield from (each for each in map(settled, state.waiting.values()) if each.time_ns <= as_of_ns)


def against(state: Matching, stated: Stated) -> tuple[tuple[Difference, ...], int]:
    """Where the statement differs from all executions that either side told of, and how many those are.

    An execution that one side lacks has a break of its own; the statement need not have one for the same cause.
    """
    held, executions = dict(state.held), state.executions
    for each in known(state, stated.as_of_ns):
        held[each.symbol] = Quantity(held.get(each.symbol, 0) + each.quantity)
        executions += 1
    found = tuple(
        Difference(symbol=symbol, ours=ours, theirs=theirs, our_price=NOTHING, their_price=NOTHING)
        for symbol in sorted(held.keys() | stated.holdings.keys())
        if (ours := held.get(symbol, Quantity(0))) != (theirs := stated.holdings.get(symbol, Quantity(0)))
    )
    return found, executions


def evidence_against(state: Matching, stated: Stated, differences: tuple[Difference, ...]) -> tuple[Evidence, ...]:
    """The statement, and the newest executions of the symbols that differ; of all, when only the count does."""
    symbols = {difference.symbol for difference in differences}
    told = sorted(known(state, stated.as_of_ns), key=lambda each: each.time_ns)
    of_both = [each for each in told if each.symbol in symbols or not symbols][-EVIDENCE_MAX // 2 :]
    found = [evidence for each in of_both for evidence in evidence_of(each.ours, each.theirs)]
    return (*evidence_of(None, Ref(stated.statement_id, stated.place)), *found)


def counted(state: Matching, stated: Stated) -> Matching:
    """The account after a statement that agrees: what it counts is forgotten."""
    held, agreed, executions = state.held, state.agreed, state.executions
    for execution_id, each in state.agreed.items():
        if each.time_ns <= stated.as_of_ns:
            held = held.set(each.symbol, Quantity(held.get(each.symbol, Quantity(0)) + each.quantity))
            agreed = agreed.delete(execution_id)
            executions += 1
    return msgspec.structs.replace(
        state, held=held, agreed=agreed, executions=executions, counted_ns=stated.as_of_ns, stated=None
    )
