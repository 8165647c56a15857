"""Whatever our client asks of the KYC vendor is legal by the vendor's OpenAPI: Prism serves it and refuses the rest."""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local import children, ports
from infra.kyc.onfido import Access, Onfido, VendorRefused
from infra.kyc.records import Applicant
from tests.kit import node
from tests.kit.onfido import WORKFLOW, person
from tests.kit.vendor_files import vendor_file

PRISM = Path(__file__).parents[1] / "kit" / "prism"
START_SECONDS_MAX = 90.0
"""It takes four on two idle cores."""
STOP_SECONDS_MAX = 5.0


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """Prism over the vendor's contract, as it is pinned by its lock."""
    document = vendor_file("onfido/openapi.json")
    program = node.modules(PRISM) / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
    (port,) = ports.free(1)
    log, url = tmp_path_factory.mktemp("prism") / "prism.log", f"http://127.0.0.1:{port}"
    argv: list[str | Path] = ["node", program, "mock", "--host", "127.0.0.1", "--port", str(port), "--errors", document]
    child = children.spawn(argv, log=log, env=dict(os.environ))
    try:
        children.await_ready(child, lambda: _answers(url), name="Prism", log=log, limit_s=START_SECONDS_MAX)
        yield Access(url, SecretStr("some-token"))
    finally:
        children.stop(child, limit_s=STOP_SECONDS_MAX)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=30):
            return True
    except urllib.error.HTTPError:
        return True  # It wants a token, so it is there.
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.parametrize(
    "applicant",
    [person(), person("O'Brien-Świątek"), Applicant(first_name="Jane", last_name="Doe", date_of_birth="1990-01-31")],
)
async def test_a_check_is_started_by_legal_requests(prism: Access, applicant: Applicant) -> None:
    async with Onfido.open(prism) as client:
        assert await client.find_run("0190c1b2-check") is None
        made = await client.ensure_run(
            applicant, check_id="0190c1b2-check", customer="acme/0190c1b2-account", workflow_id=WORKFLOW
        )
        again = await client.run(made.run_id)
        await client.forget(made.applicant_id)
    assert made.raw.startswith(b"{")
    assert again.run_id


async def test_the_judge_refuses_what_is_not_legal(prism: Access) -> None:
    async with Onfido.open(prism) as client:
        with pytest.raises(VendorRefused):
            await client._create_applicant(person("<script>"), "0190c1b2-check")
        with pytest.raises(VendorRefused):
            await client.ensure_run(person(), check_id="c", customer="acme/ann", workflow_id="no-uuid")
        with pytest.raises(VendorRefused):
            await client.ensure_run(person(), check_id="c" * 200, customer="acme/ann", workflow_id=WORKFLOW)
        with pytest.raises(VendorRefused):
            await client.run("not-a-uuid")
