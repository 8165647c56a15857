"""The file of one account's checks.

The life of a check (a dash means the event is kept but changes nothing):

    state     | Referred | Passed | Failed | Expired
    unknown   | -        | -      | -      | -
    waiting   | referred | passed | failed | expired
    referred  | -        | passed | failed | expired
    passed    | -        | -      | -      | expired
    failed    | -        | -      | -      | -
    expired   | -        | -      | -      | -

At most one check waits (or is referred) at a time.
"""

from enum import StrEnum
from typing import assert_never

import msgspec
from immutables import Map

from domain.kernel.ids import CheckId, Micros
from domain.onboarding import events as e


class CheckState(StrEnum):
    """How far a check has come."""

    WAITING = "WAITING"
    REFERRED = "REFERRED"
    PASSED = "PASSED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class Standing(StrEnum):
    """Whether the account's owner is known to us: no check passed yet, one holds, or it holds no longer."""

    NONE = "NONE"
    GOOD = "GOOD"
    LOST = "LOST"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check; `due_at` is when it expires, waiting or passed. `run_id` is the run that first answered it."""

    state: CheckState
    due_at: Micros
    run_id: str = ""


class KycFile(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one account, the one that is open, and the one that the account stands on."""

    checks: Map[CheckId, Check] = Map()
    open_check: CheckId = CheckId("")
    standing: Standing = Standing.NONE
    stands_on: CheckId = CheckId("")


def evolve(file: KycFile, event: e.OnboardingEvent) -> KycFile:
    """The file after this event."""
    replace = msgspec.structs.replace
    match event:
        case e.KycCheckRequested():
            waiting = Check(state=CheckState.WAITING, due_at=event.due_at)
            return replace(file, checks=file.checks.set(event.check_id, waiting), open_check=event.check_id)
        case e.KycCheckReferred():
            return _changed(file, event.check_id, CheckState.REFERRED, event.run_id)
        case e.KycCheckPassed():
            passed = _changed(file, event.check_id, CheckState.PASSED, event.run_id, event.valid_until)
            return replace(passed, standing=Standing.GOOD, stands_on=event.check_id)
        case e.KycCheckFailed():
            return _less(_changed(file, event.check_id, CheckState.FAILED, event.run_id), is_lost=event.revokes)
        case e.KycCheckExpired():
            return _less(_changed(file, event.check_id, CheckState.EXPIRED), is_lost=event.revokes)
        case e.KycRefused():
            return file
        case _:
            assert_never(event)


def _changed(
    file: KycFile, check_id: CheckId, state: CheckState, run_id: str = "", due_at: Micros | None = None
) -> KycFile:
    check = file.checks.get(check_id)
    if check is None:
        return file
    changed = Check(state=state, due_at=check.due_at if due_at is None else due_at, run_id=run_id or check.run_id)
    is_over = state is not CheckState.REFERRED and file.open_check == check_id
    open_check = CheckId("") if is_over else file.open_check
    return msgspec.structs.replace(file, checks=file.checks.set(check_id, changed), open_check=open_check)


def _less(file: KycFile, *, is_lost: bool) -> KycFile:
    if not is_lost:
        return file
    return msgspec.structs.replace(file, standing=Standing.LOST, stands_on=CheckId(""))
