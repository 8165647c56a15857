"""The breaks that are known: what each side says, what was found out, what ended them."""

import msgspec
import pytest

from domain.kernel.ids import BreakId, Micros, OrderId, Symbol
from domain.kernel.money import Price, Quantity
from domain.reconciliation import commands as c
from domain.reconciliation import events as e
from domain.reconciliation.commands import Difference, Evidence, Kind, Origin
from infra.postgres import Database
from projections.reconciliation import breaks as file
from projections.reconciliation.breaks import breaks
from tests.kit.tape import Tape
from tests.projections.folding import ACCOUNT, ANN, FIRST_AT, on_tape, row_after, table_of
from tests.projections.hosting import projector_of

BREAKS = table_of(breaks, "reconciliation_breaks")
OURS = Evidence(origin=Origin.OURS, id="e1", topic="orders.events", place=7)
THEIRS = Evidence(origin=Origin.VENUE, id="copy-x1", topic="reconciliation.messages", place=3)


def opened(name: str = "b1") -> e.BreakOpened:
    difference = Difference(
        symbol=Symbol("AAPL"), ours=Quantity(5), theirs=Quantity(0), our_price=Price(9), their_price=Price(0)
    )
    return e.BreakOpened(
        break_id=BreakId(name),
        kind=Kind.MISSING_AT_VENUE,
        reference="x1",
        order_id=OrderId("o1"),
        differences=(difference,),
        evidence=(OURS,),
        since=Micros(1),
        market_time=Micros(7),
    )


def explained() -> e.BreakExplained:
    return e.BreakExplained(break_id=BreakId("b1"), reason="their line was down")


def closed(name: str = "b1") -> e.BreakClosed:
    return e.BreakClosed(break_id=BreakId(name), reason="it came late", evidence=(OURS, THEIRS))


def test_a_break_is_open_until_it_is_closed() -> None:
    row = row_after(BREAKS, opened())
    assert (row.kind, row.reference, row.opened_version, row.closed_at) == (Kind.MISSING_AT_VENUE, "x1", 1, None)
    row = row_after(BREAKS, opened(), closed())
    assert (row.closed_reason, row.closed_by, row.closed_at) == ("it came late", ANN, FIRST_AT + 1_000_000)


def test_an_explanation_stays_beside_the_end() -> None:
    row = row_after(BREAKS, opened(), explained(), closed())
    assert (row.explanation, row.explained_by, row.closed_reason) == ("their line was down", ANN, "it came late")


def test_the_messages_of_both_sides_are_rows() -> None:
    records = list(on_tape((opened(), closed()), "reconciliation.events"))
    rows = [row for record in records for row in file.evidence_of(record)]
    assert [(row.said_by, row.origin, row.evidence_id, row.place) for row in rows] == [
        ("BreakOpened", Origin.OURS, "e1", 7),
        ("BreakClosed", Origin.OURS, "e1", 7),
        ("BreakClosed", Origin.VENUE, "copy-x1", 3),
    ]


@pytest.mark.postgres
async def test_breaks_are_found_by_account_and_by_tenant_and_never_by_another(db: Database, tape: Tape) -> None:
    agent, ann = "agent:reconciliation.matching", ANN
    for name in ("b1", "b2", "b3"):
        said = msgspec.structs.asdict(opened(name))
        tape.decide("reconciliation", ACCOUNT, c.OpenBreak(actor=agent, **said))
    tape.decide("reconciliation", ACCOUNT, c.ExplainBreak(actor=ann, break_id=BreakId("b1"), reason="why"))
    close = c.CloseBreak(actor=agent, break_id=BreakId("b2"), reason="late", evidence=(OURS, THEIRS))
    tape.decide("reconciliation", ACCOUNT, close)
    await (await projector_of(db, tape.codec, [breaks])).apply(tape.arrived)
    rows = await file.by_account(db, tenant="acme", account_id=ACCOUNT, limit=2)
    assert [row.break_id for row in rows] == ["b3", "b2"]
    rest = await file.by_account(db, tenant="acme", account_id=ACCOUNT, limit=2, before=rows[-1].opened_version)
    assert [row.break_id for row in rest] == ["b1"]
    found = await file.open_breaks(db, tenant="acme", limit=1)
    found += await file.open_breaks(db, tenant="acme", limit=9, after=(found[0].account_id, found[0].break_id))
    assert [row.break_id for row in found] == ["b1", "b3"]
    assert len(await file.evidence(db, of=rows[1], limit=9)) == 3
    assert (await file.differences(db, of=rows[1], limit=9))[0].ours == 5
    assert not await file.open_breaks(db, tenant="rival", limit=9)
    assert await file.by_id(db, tenant="rival", account_id=ACCOUNT, break_id="b1") is None
