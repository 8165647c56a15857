"""Erasing a person as it is typed: asked first, said plainly, done for every process, and never by a slip."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from deploy.local.postgres import LocalPostgres
from gateways.operations import privacy
from infra import sealing
from infra.avro.codec import Codec
from infra.kyc.onfido import Onfido
from infra.postgres import Database
from infra.sealing import Erased, Vault
from infra.settings import settings
from projections.onboarding.checks import kyc_checks
from tests.kit import kyc
from tests.kit.onfido import TOKEN, WORKFLOW, access, ask, person, vendor
from tests.kit.tape import Tape
from tests.projections.hosting import projector_of

pytestmark = pytest.mark.postgres
Verb = Callable[..., Coroutine[Any, Any, Any]]
FIELD = "onboarding.applicant"
ERASE = ("erase", "ann", "--tenant", "acme", "--yes", "--json")
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
async def checks(postgres: LocalPostgres, codec: Codec, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of the test's own that knows of no check."""
    name, server = f"test_{uuid.uuid4().hex[:10]}", Database(postgres.dsn)
    await asyncio.wait_for(server.until_up(), 30)
    await server.execute(f"CREATE DATABASE {name}")
    await server.close()
    (tmp_path / "dsn").write_text(urlsplit(postgres.dsn)._replace(path=f"/{name}").geturl())
    database = Database((tmp_path / "dsn").read_text())
    await projector_of(database, codec, [kyc_checks])
    yield database
    await database.close()


@pytest.fixture
def verb(tmp_path: Path, checks: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Verb]:
    """Runs one verb of `tapeline privacy` over a vault of the test's own."""
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TAPELINE_POSTGRES", (tmp_path / "dsn").read_text())
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()

    async def run(*args: str, said: str = "") -> Any:
        settings.cache_clear()  # A test says where the vendor is once it is there.
        return await asyncio.to_thread(CliRunner().invoke, privacy.app, args, input=said)

    yield run
    settings.cache_clear()


@pytest.fixture
async def vault(verb: Verb) -> tuple[Vault, bytes]:
    """The vault and the name of ann, sealed."""
    made = sealing.vault(settings())
    return made, await made.seal("acme", "ann", b"Ann Example", FIELD)


async def test_a_person_is_erased_for_every_process(verb: Verb, vault: tuple[Vault, bytes]) -> None:
    first, second = await verb(*ERASE), await verb(*ERASE)
    assert (first.exit_code, second.exit_code) == (0, 0)
    said = json.loads(first.stdout)
    assert (said["tenant"], said["account_id"], said["status"], said["erased_now"]) == ("acme", "ann", "erased", True)
    assert json.loads(second.stdout)["erased_now"] is False
    with pytest.raises(Erased):
        await vault[0].unseal("acme", "ann", vault[1], FIELD)


async def test_nothing_is_erased_before_somebody_said_yes(verb: Verb, vault: tuple[Vault, bytes]) -> None:
    said_no = await verb("erase", "ann", "--tenant", "acme", said="n\n")
    assert said_no.exit_code == 1
    assert "acme/ann" in said_no.stderr
    assert await vault[0].unseal("acme", "ann", vault[1], FIELD) == b"Ann Example"
    said_yes = await verb("erase", "ann", "--tenant", "acme", said="y\n")
    assert said_yes.exit_code == 0


async def test_a_slip_of_the_account_or_tenant_is_told(verb: Verb, vault: tuple[Vault, bytes]) -> None:
    for args in (("anne", "--tenant", "acme"), ("ann", "--tenant", "demo")):
        told = await verb("erase", *args, "--yes")
        assert told.exit_code == 1
        assert "nothing was ever sealed" in told.stderr
    assert await vault[0].unseal("acme", "ann", vault[1], FIELD) == b"Ann Example"


@pytest.mark.parametrize(("account", "status"), [("ann", "sealed"), ("nobody", "none")])
async def test_shows_whether_personal_data_can_be_read(
    verb: Verb, vault: tuple[Vault, bytes], account: str, status: str
) -> None:
    shown = await verb("show", account, "--tenant", "acme", "--json")
    assert json.loads(shown.stdout) == {"tenant": "acme", "account_id": account, "status": status}
    assert "Ann Example" not in shown.output


async def test_a_key_file_that_is_open_to_others_is_one_line_and_exit_1(
    verb: Verb, vault: tuple[Vault, bytes], tmp_path: Path
) -> None:
    (tmp_path / "keys" / "vault.key").chmod(0o644)
    told = await verb("show", "ann", "--tenant", "acme")
    assert told.exit_code == 1
    assert "chmod 600" in told.stderr
    assert len(told.stderr.splitlines()) == 1


async def test_the_vendor_is_told_to_delete_whom_it_checked(
    verb: Verb,
    vault: tuple[Vault, bytes],
    checks: Database,
    codec: Codec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tape = Tape(codec)
    tape.decide("onboarding", "ann", kyc.request("c-1"))
    tape.decide("onboarding", "bob", kyc.request("c-2"))
    await (await projector_of(checks, codec, [kyc_checks])).apply(tape.arrived)
    async with vendor(tmp_path, NOWHERE) as program, Onfido.open(access(program)) as client:
        runs = [
            await client.ensure_run(person(), check_id=check, customer=f"acme/{who}", workflow_id=WORKFLOW)
            for check, who in (("c-1", "ann"), ("c-2", "bob"))
        ]
        monkeypatch.setenv("TAPELINE_ONFIDO_URL", access(program).url)
        monkeypatch.setenv("TAPELINE_ONFIDO_TOKEN", TOKEN)
        said = await verb(*ERASE)
        assert said.exit_code == 0, said.stderr
        assert json.loads(said.stdout)["vendor"] == "told to delete 1 applicants"
        known = [(await ask(program, "GET", f"/applicants/{run.applicant_id}"))[0] for run in runs]
        assert known == [404, 200]
        assert (await verb(*ERASE)).exit_code == 0


async def test_a_vendor_that_cannot_be_told_is_named_and_told_by_erasing_again(
    verb: Verb, vault: tuple[Vault, bytes], checks: Database, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape(codec)
    tape.decide("onboarding", "ann", kyc.request("c-1"))
    await (await projector_of(checks, codec, [kyc_checks])).apply(tape.arrived)
    monkeypatch.setenv("TAPELINE_ONFIDO_URL", "http://127.0.0.1:9/v3.6")
    said = await verb(*ERASE)
    assert said.exit_code == 1
    assert (json.loads(said.stdout)["status"], json.loads(said.stdout)["vendor"]) == ("erased", "not told")
    assert "the KYC vendor was not told" in said.stderr
    assert "erase again" in said.stderr
    with pytest.raises(Erased):
        await vault[0].unseal("acme", "ann", vault[1], FIELD)


async def test_a_database_that_is_away_does_not_keep_a_person(
    verb: Verb, vault: tuple[Vault, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPELINE_POSTGRES", "postgresql://127.0.0.1:1/none")
    said = await verb(*ERASE)
    assert (said.exit_code, json.loads(said.stdout)["vendor"]) == (1, "not told")
    with pytest.raises(Erased):
        await vault[0].unseal("acme", "ann", vault[1], FIELD)
