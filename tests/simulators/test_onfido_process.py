"""The KYC vendor as a program: who passes, notices that come as badly as told, and a kill that loses nothing."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from infra.kyc.notices import NoticeRefused, read_notice
from tests.kit.onfido import SECRET, WORKFLOW, Inbox, Json, ask, inbox, vendor
from tests.simulators.kit import PATIENCE_S, POLL_S, Program

NOWHERE = "http://127.0.0.1:9/"


async def check(onfido: Program, last_name: str = "Planted", tag: str = "check:1") -> str:
    """The id of a run for a new applicant."""
    _, applicant, _ = await ask(onfido, "POST", "/applicants", {"first_name": "Jane", "last_name": last_name})
    asked = {"applicant_id": applicant["id"], "workflow_id": WORKFLOW, "tags": [tag]}
    status, run, _ = await ask(onfido, "POST", "/workflow_runs", asked)
    assert status == 201
    return str(run["id"])


async def until(onfido: Program, enough: Callable[[Json], bool]) -> Json:
    """Wait until the vendor's own state is enough."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            _, state, _ = await ask(onfido, "GET", "/_simulator/state")
            if enough(state):
                return dict(state)
            await asyncio.sleep(POLL_S)


def settled(count: int) -> Callable[[Json], bool]:
    """That many notices went their whole way."""
    ends = ("accepted", "failed", "lost")
    return lambda state: state["notices"]["owed"] == 0 and sum(state["notices"][end] for end in ends) == count


def genuine(door: Inbox) -> list[str]:
    """The runs of the notices whose signature is good."""
    found = []
    for body, signature in door.came:
        with contextlib.suppress(NoticeRefused):
            found.append(read_notice(body, signature, SECRET).object_id)
    return found


async def test_the_last_word_of_the_last_name_decides(tmp_path: Path) -> None:
    outcomes = {"Planted": "approved", "van der Consider": "review", "DECLINED": "declined", "Considerate": "approved"}
    outcomes |= {"Abandoned": "abandoned", "Error": "error", "Consider Smith": "approved"}
    async with inbox() as door, vendor(tmp_path, door.url) as onfido:
        runs = {await check(onfido, last_name): status for last_name, status in outcomes.items()}
        told = await door.until(lambda told: len(told) == len(outcomes))
        found = {run_id: (await ask(onfido, "GET", f"/workflow_runs/{run_id}"))[1]["status"] for run_id in runs}
    assert {payload["object"]["id"]: payload["object"]["status"] for payload in told} == runs
    assert found == runs


async def test_a_run_that_waits_is_decided_by_hand_and_told_of_again_on_request(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url, "--processing-ms", 0) as onfido:
        run_id = await check(onfido, "Waiting")
        assert (await ask(onfido, "GET", f"/workflow_runs/{run_id}"))[1]["status"] == "processing"
        for status in ("review", "approved"):
            answered, run, _ = await ask(onfido, "POST", f"/_simulator/runs/{run_id}", {"status": status})
            assert (answered, run["status"]) == (200, status)
        await ask(onfido, "POST", f"/_simulator/runs/{run_id}/notify")
        told = await door.until(lambda told: len(told) == 3)
        assert (await ask(onfido, "POST", f"/_simulator/runs/{run_id}", {"status": "happy"}))[0] == 422
        assert (await ask(onfido, "POST", "/_simulator/runs/none", {"status": "approved"}))[0] == 404
    assert Counter(payload["object"]["status"] for payload in told) == {"review": 1, "approved": 2}


async def test_a_notice_is_tried_until_it_is_accepted_and_not_again(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url) as onfido:
        door.statuses = [500, 401, 302]
        run_id = await check(onfido)
        state = await until(onfido, settled(1))
    assert genuine(door) == [run_id] * 4
    assert (state["notices"]["sent"], state["notices"]["accepted"]) == (4, 1)


async def test_a_notice_that_nobody_takes_is_given_up(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE, "--retry-ms", 1) as onfido:
        await check(onfido)
        state = await until(onfido, settled(1))
    assert (state["notices"]["failed"], state["notices"]["sent"]) == (1, 5)


async def test_accepted_notices_come_twice_when_told(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url, "--duplicate", 1) as onfido:
        run_id = await check(onfido)
        await door.until(lambda told: len(told) == 2)
    assert genuine(door) == [run_id, run_id]


async def test_lost_notices_never_come_but_the_run_is_decided(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url, "--lost", 1) as onfido:
        run_id = await check(onfido)
        await until(onfido, settled(1))
        assert (await ask(onfido, "GET", f"/workflow_runs/{run_id}"))[1]["status"] == "approved"
    assert door.came == []


async def test_wrongly_signed_notices_are_found_out_and_good_ones_follow(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url, "--wrong-signature", 1) as onfido:
        door.statuses = [401]
        run_id = await check(onfido)
        await door.until(lambda told: len(told) == 1)
        assert genuine(door) == []
        await ask(onfido, "PUT", "/_simulator/misbehaviour", {"wrong_signature": 0})
        await check(onfido)
        await until(onfido, settled(2))
    assert len(genuine(door)) >= 1
    assert run_id in {payload["object"]["id"] for payload in door.payloads}


async def test_notices_change_places_when_told(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url, "--reorder", 1, "--processing-ms", 0) as onfido:
        run_id = await check(onfido, "Waiting")
        await ask(onfido, "POST", f"/_simulator/runs/{run_id}", {"status": "review"})
        await ask(onfido, "PUT", "/_simulator/misbehaviour", {"reorder": 0})
        await ask(onfido, "POST", f"/_simulator/runs/{run_id}", {"status": "approved"})
        told = await door.until(lambda told: len(told) == 2)
    assert [payload["object"]["status"] for payload in told] == ["approved", "review"]


async def test_late_notices_come_when_the_run_says_something_else_already(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url, "--late", 1, "--late-ms", 1500) as onfido:
        run_id = await check(onfido, "Consider")
        await until(onfido, lambda state: state["notices"]["owed"] == 1)
        await ask(onfido, "PUT", "/_simulator/misbehaviour", {"late": 0})
        await ask(onfido, "POST", f"/_simulator/runs/{run_id}", {"status": "approved"})
        told = await door.until(lambda told: len(told) == 2)
    assert [payload["object"]["status"] for payload in told] == ["approved", "review"]


async def test_requests_are_refused_for_a_while_when_told(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE, "--too-many", 1) as onfido:
        status, error, headers = await ask(onfido, "GET", "/applicants")
        assert (status, error["error"]["type"], headers["Retry-After"]) == (429, "rate_limit", "1")
        await ask(onfido, "PUT", "/_simulator/misbehaviour", {"too_many": 0})
        assert (await ask(onfido, "GET", "/applicants"))[0] == 200


async def test_a_failing_vendor_has_done_half_of_what_it_denies(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE, "--fail", 1, "--seed", 3) as onfido:
        person = {"first_name": "Jane", "last_name": "Planted"}
        statuses = Counter([(await ask(onfido, "POST", "/applicants", person))[0] for _ in range(20)])
        done = (await ask(onfido, "GET", "/_simulator/state"))[1]["applicants"]
    assert statuses == {500: done, 503: 20 - done}
    assert 0 < done < 20


async def test_misbehaviour_out_of_bounds_is_refused(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as onfido:
        before = (await ask(onfido, "GET", "/_simulator/misbehaviour"))[1]
        for told in ({"lost": 2}, {"lost": True}, {"late_ms": -1}, {"late_ms": 0.5}, {"tired": 1}, [1]):
            assert (await ask(onfido, "PUT", "/_simulator/misbehaviour", told))[0] == 422, told
        assert (await ask(onfido, "GET", "/_simulator/misbehaviour"))[1] == before


async def test_a_killed_vendor_comes_back_with_its_people_runs_and_owed_notices(tmp_path: Path) -> None:
    async with inbox() as door:
        async with vendor(tmp_path, door.url, "--late", 1, "--late-ms", 60_000) as onfido:
            waiting = await check(onfido, "Waiting", "check:1")
            owed = await check(onfido, "Declined", "check:2")
            await until(onfido, lambda state: state["notices"]["owed"] == 1)
            before = [(await ask(onfido, "GET", path))[1] for path in ("/applicants", "/workflow_runs")]
            await onfido.kill()
        with (tmp_path / "journal").open("ab") as torn:
            torn.write(b'["run","11111111')
        async with vendor(tmp_path, door.url) as onfido:
            await door.until(lambda told: len(told) == 1)
            after = [(await ask(onfido, "GET", path))[1] for path in ("/applicants", "/workflow_runs")]
            assert (await ask(onfido, "GET", "/workflow_runs?tags=check:1"))[1][0]["id"] == waiting
            await onfido.stop()
    assert after == before
    assert genuine(door) == [owed]


async def test_neither_token_nor_secret_is_in_the_log(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url) as onfido:
        door.statuses = [500]
        await check(onfido)
        await until(onfido, settled(1))
        assert await onfido.stop() == 0
    log = (tmp_path / "log").read_text()
    assert "is approved" in log
    assert not [word for word in ("planted", "Planted", "Jane") if word in log]
