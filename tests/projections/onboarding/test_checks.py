"""Checks, as their owner and an officer would read them."""

import pytest

from domain.onboarding.commands import Outcome
from domain.onboarding.events import Refusal
from infra.postgres import Database
from projections.onboarding import checks as file
from projections.onboarding.checks import CheckStatus, kyc_checks
from tests.kit import kyc
from tests.kit import orders as o
from tests.kit.tape import Tape
from tests.projections.folding import FIRST_AT, row_after, rows_after, table_of
from tests.projections.hosting import projector_of

ROWS = table_of(kyc_checks, "kyc_checks")


def test_a_check_waits_until_it_is_decided() -> None:
    row = row_after(ROWS, kyc.requested())
    assert (row.status, row.requested_at, row.ended_at, row.due_at) == (CheckStatus.WAITING, FIRST_AT, None, kyc.DUE)
    row = row_after(ROWS, kyc.requested(), kyc.referred(cause="document"))
    assert (row.status, row.run_id, row.cause) == (CheckStatus.REFERRED, kyc.RUN, "document")
    row = row_after(ROWS, kyc.requested(), kyc.referred(cause="document"), kyc.passed())
    assert (row.status, row.cause, row.due_at) == (CheckStatus.PASSED, None, kyc.VALID_UNTIL)


def test_a_failed_and_an_expired_check_have_their_cause() -> None:
    row = row_after(ROWS, kyc.requested(), kyc.failed(cause="DECLINED"))
    assert (row.status, row.cause, row.ended_at) == (CheckStatus.FAILED, "DECLINED", FIRST_AT + 1_000_000)
    row = row_after(ROWS, kyc.requested(), kyc.passed(), kyc.expired())
    assert (row.status, row.cause) == (CheckStatus.EXPIRED, "moved away")


def test_a_refused_request_is_no_check() -> None:
    assert rows_after(ROWS, kyc.kyc_refused(Refusal.CHECK_PENDING)) == []


@pytest.mark.postgres
async def test_queries_give_the_accounts_own_newest_first(db: Database, tape: Tape) -> None:
    for number in range(5):
        tape.decide("onboarding", "ann", kyc.request(f"c-{number}"))
        tape.decide("onboarding", "ann", kyc.report(Outcome.PASSED, f"c-{number}"))
    tape.decide("onboarding", "bob", kyc.request("of-bob"))
    for command in o.may_trade():
        tape.decide("orders", "ann", command)
    tape.decide("orders", "ann", o.approve_trading("c-1"))
    await (await projector_of(db, tape.codec, [kyc_checks])).apply(tape.arrived)
    first = await file.checks(db, tenant="acme", account_id="ann", limit=3)
    rest = await file.checks(db, tenant="acme", account_id="ann", limit=3, before=first[-1].opened_version)
    assert [row.check_id for row in (*first, *rest)] == ["c-4", "c-3", "c-2", "c-1", "c-0"]
    assert await file.check(db, tenant="acme", account_id="ann", check_id="c-1") == rest[0]
    assert [row.check_id for row in (*first, *rest) if row.approved_at is not None] == ["c-1"]
    assert await file.check(db, tenant="acme", account_id="ann", check_id="of-bob") is None
    assert await file.check(db, tenant="rival", account_id="ann", check_id="c-1") is None
