"""The life of a break: opened once by the agent, explained by anybody, closed once with a reason."""

from domain.kernel.ids import BreakId, Micros, OrderId
from domain.reconciliation import commands as c
from domain.reconciliation import events as e
from domain.reconciliation.commands import Evidence, Kind, Origin
from domain.reconciliation.decide import reconciliation
from domain.reconciliation.events import Refusal
from tests.kit.stories import Story

account = Story(reconciliation)
AGENT = "agent:reconciliation.matching"
EVIDENCE = (Evidence(origin=Origin.OURS, id="e1", topic="orders.events", place=7),)
B1 = BreakId("b1")


def open_break(actor: str = AGENT) -> c.OpenBreak:
    return c.OpenBreak(
        actor=actor,
        break_id=B1,
        kind=Kind.MISSING_AT_VENUE,
        reference="x1",
        order_id=OrderId("o1"),
        differences=(),
        evidence=EVIDENCE,
        since=Micros(1),
        market_time=Micros(7),
    )


def opened() -> e.BreakOpened:
    return e.BreakOpened(
        break_id=B1,
        kind=Kind.MISSING_AT_VENUE,
        reference="x1",
        order_id=OrderId("o1"),
        differences=(),
        evidence=EVIDENCE,
        since=Micros(1),
        market_time=Micros(7),
    )


def closed() -> e.BreakClosed:
    return e.BreakClosed(break_id=B1, reason="late", evidence=EVIDENCE)


def close(reason: str = "late") -> c.CloseBreak:
    return c.CloseBreak(actor="sub:ann", break_id=B1, reason=reason, evidence=EVIDENCE)


def match(as_of_ns: int, actor: str = AGENT) -> c.RecordMatch:
    return c.RecordMatch(
        actor=actor, statement_id="s1", session_date="2012-03-05", as_of_ns=as_of_ns, executions=2, evidence=EVIDENCE
    )


def matched(as_of_ns: int) -> e.StatementMatched:
    return e.StatementMatched(
        statement_id="s1", session_date="2012-03-05", as_of_ns=as_of_ns, executions=2, evidence=EVIDENCE
    )


def refused(reason: Refusal, reference: str = B1) -> e.ReconciliationRefused:
    return e.ReconciliationRefused(reference=reference, reason=reason)


def test_opens_a_break_once_on_the_word_of_the_agent() -> None:
    account.given().when(open_break()).then(opened())
    account.given().when(open_break("sub:ann")).then(refused(Refusal.FORBIDDEN_ACTOR))
    account.given(opened()).when(open_break()).then(refused(Refusal.ALREADY_OPEN))
    account.given(opened(), closed()).when(open_break()).then(refused(Refusal.ALREADY_CLOSED))


def test_closes_an_open_break_once_and_never_without_a_reason() -> None:
    account.given(opened()).when(close()).then(closed())
    account.given(opened()).when(close("")).then(refused(Refusal.REASON_MISSING))
    account.given().when(close()).then(refused(Refusal.UNKNOWN_BREAK))
    account.given(opened(), closed()).when(close()).then(refused(Refusal.ALREADY_CLOSED))


def test_keeps_what_is_found_out_about_a_break_open_or_closed() -> None:
    explain = c.ExplainBreak(break_id=B1, reason="their line was down")
    explained = e.BreakExplained(break_id=B1, reason="their line was down")
    account.given(opened()).when(explain).then(explained)
    account.given(opened(), closed()).when(explain).then(explained)
    account.given().when(explain).then(refused(Refusal.UNKNOWN_BREAK))
    account.given(opened()).when(c.ExplainBreak(break_id=B1, reason="")).then(refused(Refusal.REASON_MISSING))


def test_statements_match_in_the_order_of_their_time() -> None:
    account.given().when(match(5)).then(matched(5))
    account.given(matched(5)).when(match(5)).then(refused(Refusal.ALREADY_MATCHED, "s1"))
    account.given(matched(5)).when(match(6)).then(matched(6))
    account.given().when(match(5, "sub:ann")).then(refused(Refusal.FORBIDDEN_ACTOR, "s1"))
