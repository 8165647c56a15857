"""Erasing a person as it is typed: asked first, said plainly, done for every process, and never by a slip."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateways.operations import privacy
from infra import sealing
from infra.sealing import Erased, Vault
from infra.settings import settings

Verb = Callable[..., Coroutine[Any, Any, Any]]
FIELD = "onboarding.applicant"


@pytest.fixture
def verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Verb]:
    """Runs one verb of `tapeline privacy` over a vault of the test's own."""
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    settings.cache_clear()

    async def run(*args: str, said: str = "") -> Any:
        return await asyncio.to_thread(CliRunner().invoke, privacy.app, args, input=said)

    yield run
    settings.cache_clear()


@pytest.fixture
async def vault(verb: Verb) -> tuple[Vault, bytes]:
    """The vault and the name of ann, sealed."""
    made = sealing.vault(settings())
    return made, await made.seal("acme", "ann", b"Ann Example", FIELD)


async def test_a_person_is_erased_for_every_process(verb: Verb, vault: tuple[Vault, bytes]) -> None:
    args = ("erase", "ann", "--tenant", "acme", "--yes", "--json")
    first, second = await verb(*args), await verb(*args)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert json.loads(first.stdout) == {"tenant": "acme", "account_id": "ann", "status": "erased", "erased_now": True}
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
