"""The client of the KYC vendor: one run for one check whatever fails, and no secret in any error."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from pydantic import SecretStr

from infra.kyc import onfido
from infra.kyc.onfido import Access, Onfido, VendorRefused, VendorUnavailable
from infra.kyc.records import Run, RunStatus
from tests.kit.onfido import TOKEN, WORKFLOW, Json, access, ask, inbox, person, vendor
from tests.simulators.kit import PATIENCE_S, POLL_S

NOWHERE = "http://127.0.0.1:9/"
PLANTED = ("Planted", "planted", "Jane", "1990-01-31", "SW4", TOKEN)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def started(client: Onfido, check_id: str = "c-1", last_name: str = "Planted") -> Run:
    return await client.ensure_run(person(last_name), check_id=check_id, customer="acme/ann", workflow_id=WORKFLOW)


async def ended(client: Onfido, run_id: str) -> Run:
    async with asyncio.timeout(PATIENCE_S):
        while not (run := await client.run(run_id)).status.is_ended:
            await asyncio.sleep(POLL_S)
    return run


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[Onfido]:
    """A client of a vendor that answers like this."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with Onfido.open(Access(f"http://127.0.0.1:{runner.addresses[0][1]}", SecretStr(TOKEN))) as client:
            yield client
    finally:
        await runner.cleanup()


async def test_a_check_is_started_once_and_read_back(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url) as program, Onfido.open(access(program)) as client:
        first, again = await started(client), await started(client)
        other = await started(client, "c-2", "Declined")
        run, declined = await ended(client, first.run_id), await ended(client, other.run_id)
        state = (await ask(program, "GET", "/_simulator/state"))[1]
        assert (await ask(program, "GET", f"/workflow_runs/{run.run_id}"))[1] == json.loads(run.raw)
    assert (again.run_id, state["applicants"], state["runs"]) == (first.run_id, 2, 2)
    assert (run.status, run.check_id, run.customer, run.reasons) == (RunStatus.APPROVED, "c-1", "acme/ann", ())
    assert (declined.status, declined.check_id) == (RunStatus.DECLINED, "c-2")
    assert declined.reasons


async def test_the_vendor_is_told_everything_about_the_person(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program)) as client:
        run = await started(client)
        _, applicant, _ = await ask(program, "GET", f"/applicants/{run.applicant_id}")
    given = msgspec.to_builtins(person())
    given["dob"] = given.pop("date_of_birth")
    given["address"] = {name: value for name, value in given["address"].items() if value is not None}
    assert given.items() <= applicant.items()


async def test_a_failing_vendor_gets_one_run_for_one_check_from_whoever_calls_again(tmp_path: Path) -> None:
    bad = ("--fail", 0.6, "--too-many", 0.2, "--seed", 5)
    async with vendor(tmp_path, NOWHERE, *bad) as program, Onfido.open(access(program)) as client:
        tries = 0
        for number in range(8):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    tries += 1
                    try:
                        assert (await started(client, f"c-{number}")).check_id == f"c-{number}"
                        break
                    except VendorUnavailable:
                        continue
        state = (await ask(program, "GET", "/_simulator/state"))[1]
    assert (state["applicants"], state["runs"]) == (8, 8)
    assert tries > 8


async def test_an_applicant_that_a_crash_left_without_a_run_is_used(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program)) as client:
        left = await client._create_applicant(person(), "c-1")
        for number in range(onfido.APPLICANTS_PAGE):
            await client._create_applicant(person(), f"later-{number}")
        assert (await started(client)).applicant_id == left


async def test_the_first_of_two_runs_is_the_run(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program)) as client:
        first = await started(client)
        body = {"applicant_id": first.applicant_id, "workflow_id": WORKFLOW, "tags": ["check:c-1"]}
        assert (await ask(program, "POST", "/workflow_runs", body))[0] == 201
        found = await client.find_run("c-1")
        assert found is not None
        assert found.run_id == first.run_id
        assert await client.find_run("c-2") is None


async def test_a_person_is_forgotten_also_twice(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program)) as client:
        run = await started(client)
        await client.forget(run.applicant_id)
        await client.forget(run.applicant_id)
        assert (await ask(program, "GET", f"/applicants/{run.applicant_id}"))[0] == 404


async def test_the_person_of_a_check_is_forgotten_with_a_run_or_without(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program)) as client:
        run = await started(client)
        left = await client._create_applicant(person(), "c-2")
        assert [await client.forget_check(check) for check in ("c-1", "c-2", "c-3")] == [True, True, False]
        for applicant_id in (run.applicant_id, left):
            assert (await ask(program, "GET", f"/applicants/{applicant_id}"))[0] == 404


async def test_a_no_names_the_fields_and_nobody(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program)) as client:
        bad = person("Planted<script>", date_of_birth="31 January planted")
        with pytest.raises(VendorRefused) as refused:
            await client.ensure_run(bad, check_id="c-1", customer="acme/ann", workflow_id=WORKFLOW)
    assert (refused.value.status, refused.value.kind) == (422, "validation_error")
    assert refused.value.fields == ("dob", "last_name")
    assert not [word for word in (*PLANTED, "script") if word in f"{refused.value!r} {refused.value}"]


async def test_a_wrong_token_is_ours_to_mend_and_shown_nowhere(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program, "token-of-nobody")) as client:
        with pytest.raises(VendorUnavailable, match="401: is TAPELINE_ONFIDO_URL") as unavailable:
            await started(client)
    shown = f"{unavailable.value!r} {vars(client)!r} {access(program, 'token-of-nobody')!r}"
    assert "token-of-nobody" not in shown


async def test_a_wrong_address_refuses_no_check(tmp_path: Path) -> None:
    async with vendor(tmp_path, NOWHERE) as program:
        elsewhere = Access(f"http://127.0.0.1:{program.port}/v9", SecretStr(TOKEN))
        async with Onfido.open(elsewhere) as client:
            with pytest.raises(VendorUnavailable, match="TAPELINE_ONFIDO_URL"):
                await started(client)


async def test_a_run_that_a_notice_made_up_is_not_found(tmp_path: Path) -> None:
    made_up = ("", "../applicants", "a/b", "a?b", "a%2fb", "\u00e4", "11111111-2222-4333-8444-555555555555")
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program)) as client:
        for run_id in made_up:
            with pytest.raises(VendorRefused) as refused:
                await client.run(run_id)
            assert refused.value.status == 404, run_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id":"1"}',
        b"\xff\xfe",
        b'{"id":"r","applicant_id":"a","status":"jane-planted"}',
        b"<html>",
    ],
)
async def test_an_answer_that_is_no_run_is_no_answer_and_is_not_quoted(body: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async with answering(answer) as client:
        with pytest.raises(VendorUnavailable) as unavailable:
            await client.run("r")
    assert "planted" not in f"{unavailable.value!r} {unavailable.value.__cause__!r}"


@pytest.mark.parametrize(
    ("status", "headers", "retry_after_ms"),
    [
        (429, {"Retry-After": "7"}, 7_000),
        (503, {}, None),
        (500, {"Retry-After": "soon"}, None),
        (302, {"Location": "/"}, None),
    ],
)
async def test_a_busy_or_lost_vendor_says_when_to_come_again(
    status: int, headers: dict[str, str], retry_after_ms: int | None
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    async with answering(answer) as client:
        with pytest.raises(VendorUnavailable) as unavailable:
            await client.run("r")
    assert unavailable.value.retry_after_ms == retry_after_ms


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        endless = web.StreamResponse()
        await endless.prepare(request)
        for _ in range(10_000):
            await endless.write(b" " * 1_000)
        return endless

    monkeypatch.setattr(onfido, "ANSWER_BYTES_MAX", 5_000)
    async with answering(answer) as client:
        with pytest.raises(VendorUnavailable, match="longer than 5000 bytes"):
            await client.run("r")


async def test_a_vendor_that_hangs_or_hangs_up_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    monkeypatch.setattr(onfido, "ANSWER_S", 0.2)
    for answer in (hang, hang_up):
        async with answering(answer) as client:
            with pytest.raises(VendorUnavailable):
                await client.run("r")
    async with Onfido.open(Access(f"http://127.0.0.1:{unused_tcp_port}", SecretStr(TOKEN))) as client:
        with pytest.raises(VendorUnavailable) as unavailable:
            await client.run("r")
    assert TOKEN not in f"{unavailable.value!r} {unavailable.value.__cause__!r}"


def test_a_person_has_no_repr(tmp_path: Path) -> None:
    run: Json = {"run_id": "r", "applicant_id": "a", "status": RunStatus.REVIEW, "check_id": "", "customer": ""}
    shown = f"{person()!r} {person().address!r} {Run(**run, reasons=(), created_at='', raw=b'Planted')!r}"
    assert not [word for word in PLANTED if word in shown]
    assert "review" in shown
