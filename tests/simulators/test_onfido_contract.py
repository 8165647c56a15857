"""The simulated KYC vendor says nothing that the real one's OpenAPI does not allow, its webhooks included."""

import asyncio
import hashlib
import hmac
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from onfido import ApiClient, Configuration, DefaultApi, WebhookEventVerifier
from onfido.models.applicant_builder import ApplicantBuilder
from onfido.models.workflow_run_builder import WorkflowRunBuilder
from onfido.webhook_event_verifier import OnfidoInvalidSignatureError

from tests.kit.onfido import RUN, SECRET, TOKEN, WORKFLOW, Contract, Json, ask, inbox, vendor

PERSON: Json = {
    "first_name": "Jane",
    "last_name": "Planted",
    "dob": "1990-01-31",
    "email": "jane@planted.example",
    "address": {"country": "GBR", "postcode": "SW4 6EH", "street": "Second Street", "town": "London"},
    "id_numbers": [{"type": "other", "value": "check:1"}],
}
NOBODY = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def contract() -> Contract:
    return Contract()


@pytest.mark.parametrize("last_name", ["Planted", "Consider", "Declined", "Abandoned", "Error", "Waiting"])
async def test_a_check_from_applicant_to_notice_is_by_the_contract(
    tmp_path: Path, contract: Contract, last_name: str
) -> None:
    async with inbox() as door, vendor(tmp_path, door.url) as onfido:
        status, applicant, _ = await ask(onfido, "POST", "/applicants", PERSON | {"last_name": last_name})
        assert (status, contract.answer("POST", "/applicants", status, applicant)) == (201, [])
        assert (PERSON | {"last_name": last_name}).items() <= applicant.items()
        asked = {
            "applicant_id": applicant["id"],
            "workflow_id": WORKFLOW,
            "tags": ["check:1"],
            "customer_user_id": "a/1",
        }
        status, run, _ = await ask(onfido, "POST", "/workflow_runs", asked)
        assert (status, contract.answer("POST", "/workflow_runs", status, run)) == (201, [])
        assert asked.items() <= run.items()
        if last_name != "Waiting":
            await door.until(lambda told: len(told) == 1)
        for path, template in (
            (f"/workflow_runs/{run['id']}", RUN),
            ("/workflow_runs?tags=check:1", "/workflow_runs"),
            (f"/applicants/{applicant['id']}", "/applicants/{applicant_id}"),
            ("/applicants?page=1&per_page=5", "/applicants"),
        ):
            status, found, _ = await ask(onfido, "GET", path)
            assert (status, contract.answer("GET", template, status, found)) == (200, []), path
        assert [fault for payload in door.payloads for fault in contract.notice({"payload": payload})] == []
        status, nothing, _ = await ask(onfido, "DELETE", f"/applicants/{applicant['id']}")
        assert (status, contract.answer("DELETE", "/applicants/{applicant_id}", status, nothing)) == (204, [])


WRONG: list[tuple[str, str, str, Any, int]] = [
    ("POST", "/applicants", "/applicants", {}, 422),
    ("POST", "/applicants", "/applicants", [1], 422),
    ("POST", "/applicants", "/applicants", PERSON | {"first_name": "<script>"}, 422),
    ("POST", "/applicants", "/applicants", PERSON | {"first_name": ["Jane"]}, 422),
    ("POST", "/applicants", "/applicants", PERSON | {"dob": "1990-02-31"}, 422),
    ("POST", "/applicants", "/applicants", PERSON | {"address": {"country": "GBR"}}, 422),
    ("POST", "/applicants", "/applicants", PERSON | {"id_numbers": [{"type": "shoe", "value": "43"}]}, 422),
    ("POST", "/applicants", "/applicants", PERSON | {"email": "x" * 70_000}, 413),
    ("POST", "/workflow_runs", "/workflow_runs", {"applicant_id": NOBODY, "workflow_id": WORKFLOW}, 422),
    ("POST", "/workflow_runs", "/workflow_runs", {"applicant_id": "me", "workflow_id": WORKFLOW}, 422),
    ("POST", "/workflow_runs", "/workflow_runs", {"applicant_id": NOBODY, "workflow_id": WORKFLOW, "tags": [""]}, 422),
    ("GET", f"/workflow_runs/{NOBODY}", RUN, None, 404),
    ("GET", f"/applicants/{NOBODY}", "/applicants/{applicant_id}", None, 404),
    ("GET", "/applicants?page=0", "/applicants", None, 422),
    ("DELETE", f"/applicants/{NOBODY}", "/applicants/{applicant_id}", None, 404),
]


async def test_every_no_is_an_error_of_the_contract_and_keeps_nothing(tmp_path: Path, contract: Contract) -> None:
    async with vendor(tmp_path, "http://127.0.0.1:9/") as onfido:
        for verb, path, template, body, expected in WRONG:
            status, error, _ = await ask(onfido, verb, path, body)
            assert (status, contract.answer(verb, template, status, error)) == (expected, []), (path, body)
            assert error["error"]["type"]
        for token in (None, "another"):
            status, error, _ = await ask(onfido, "GET", "/applicants", token=token)
            assert (status, contract.answer("GET", "/applicants", status, error)) == (401, [])
        assert (await ask(onfido, "GET", "/applicants"))[1] == {"applicants": []}


async def test_the_vendors_own_library_is_served_and_believes_the_notice(tmp_path: Path) -> None:
    async with inbox() as door, vendor(tmp_path, door.url) as onfido:

        def speak() -> tuple[Any, Any]:
            where = Configuration(api_token=TOKEN)
            where.host = f"http://127.0.0.1:{onfido.port}/v3.6"
            with ApiClient(where) as client:
                api = DefaultApi(client)
                made = api.create_applicant(ApplicantBuilder(first_name="Jane", last_name="Planted"))
                run = api.create_workflow_run(WorkflowRunBuilder(applicant_id=made.id, workflow_id=UUID(WORKFLOW)))
                return run, api.find_workflow_run(run.id)

        run, found = await asyncio.to_thread(speak)
        assert found.id == run.id
        await door.until(lambda told: len(told) == 1)
    body, signature = door.came[0]
    assert signature == hmac.new(SECRET.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
    event: Any = WebhookEventVerifier(SECRET.get_secret_value()).read_payload(body.decode(), signature)
    assert (event.payload.action.value, event.payload.object.id) == ("workflow_run.completed", str(run.id))
    with pytest.raises(OnfidoInvalidSignatureError):
        WebhookEventVerifier("another secret").read_payload(body.decode(), signature)
