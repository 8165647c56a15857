"""What is sealed opens at its own place only, as long as its subject's key is there; an erased subject stays erased."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import files, sealing
from infra.kms.local import LocalKeys
from infra.kms.port import KeyRefused
from infra.sealing import PLAIN_BYTES_MAX, Erased, Status, Unsealable, Vault
from infra.settings import Settings
from tests.tidy.sources import ROOT

NAME = b"Ann Example-Planted"
FIELD = "onboarding.applicant"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return sealing.vault(Settings(state_dir=tmp_path))


def subject_files(state_dir: Path) -> list[Path]:
    return [path for path in (state_dir / "vault").rglob("*") if path.is_file()]


async def test_opens_what_it_sealed_also_in_another_process(vault: Vault, tmp_path: Path) -> None:
    sealed = await vault.seal("acme", "ann", NAME, FIELD)
    assert NAME not in sealed
    assert await vault.status("acme", "ann") is Status.SEALED
    assert await sealing.vault(Settings(state_dir=tmp_path)).unseal("acme", "ann", sealed, FIELD) == NAME


async def test_the_same_words_are_the_same_bytes_and_others_are_not(vault: Vault) -> None:
    once = await vault.seal("acme", "ann", NAME, FIELD)
    assert await vault.seal("acme", "ann", NAME, FIELD) == once
    others = [("acme", "bob", NAME, FIELD), ("other", "ann", NAME, FIELD), ("acme", "ann", NAME + b".", FIELD)]
    others.append(("acme", "ann", NAME, "onboarding.report"))
    sealed = [await vault.seal(*other) for other in others]
    assert len({once[1:13], *(each[1:13] for each in sealed)}) == 5, "no nonce is used for two things"


@pytest.mark.parametrize(
    ("tenant", "subject", "context"),
    [("acme", "bob", FIELD), ("other", "ann", FIELD), ("acme", "ann", "onboarding.report"), ("acm", "eann", FIELD)],
)
async def test_opens_nowhere_else(vault: Vault, tenant: str, subject: str, context: str) -> None:
    sealed = await vault.seal("acme", "ann", NAME, FIELD)
    await vault.seal(tenant, subject, b"has a key of its own", context)
    with pytest.raises(Unsealable):
        await vault.unseal(tenant, subject, sealed, context)


async def test_no_bit_of_it_can_be_changed(vault: Vault) -> None:
    sealed = await vault.seal("acme", "ann", NAME, FIELD)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Unsealable):
            await vault.unseal("acme", "ann", bytes(changed), FIELD)
    for length in range(len(sealed)):
        with pytest.raises(Unsealable):
            await vault.unseal("acme", "ann", sealed[:length], FIELD)


@given(plaintext=st.binary(max_size=300), subject=st.text(), context=st.text())
async def test_whatever_is_sealed_comes_back(
    tmp_path_factory: pytest.TempPathFactory, plaintext: bytes, subject: str, context: str
) -> None:
    state_dir = tmp_path_factory.getbasetemp() / "law"
    vault = Vault(LocalKeys(state_dir), state_dir / "vault")
    sealed = await vault.seal("acme", subject, plaintext, context)
    assert await vault.unseal("acme", subject, sealed, context) == plaintext
    assert len(sealed) == len(plaintext) + sealing.OVERHEAD_BYTES


async def test_refuses_more_than_a_record_can_carry(vault: Vault) -> None:
    with pytest.raises(ValueError, match=FIELD):
        await vault.seal("acme", "ann", bytes(PLAIN_BYTES_MAX + 1), FIELD)


async def test_an_erased_subject_can_neither_be_read_nor_sealed(vault: Vault, tmp_path: Path) -> None:
    sealed, other = await vault.seal("acme", "ann", NAME, FIELD), await vault.seal("acme", "bob", NAME, FIELD)
    assert await vault.erase("acme", "ann")
    for each in (vault, sealing.vault(Settings(state_dir=tmp_path))):
        with pytest.raises(Erased):
            await each.unseal("acme", "ann", sealed, FIELD)
        with pytest.raises(Erased):
            await each.seal("acme", "ann", NAME, FIELD)
    assert await vault.unseal("acme", "bob", other, FIELD) == NAME


async def test_erases_once_and_also_who_was_never_known(vault: Vault) -> None:
    assert await vault.status("acme", "ann") is Status.NONE
    assert await vault.erase("acme", "ann")
    assert not await vault.erase("acme", "ann")
    assert await vault.status("acme", "ann") is Status.ERASED
    with pytest.raises(Erased):
        await vault.seal("acme", "ann", NAME, FIELD)


async def test_nothing_of_the_key_is_left_after_an_erasure(vault: Vault, tmp_path: Path) -> None:
    await vault.seal("acme", "ann", NAME, FIELD)
    (path,) = subject_files(tmp_path)
    wrapped = json.loads(path.read_bytes())["wrapped"]
    assert wrapped
    await vault.erase("acme", "ann")
    assert json.loads(path.read_bytes()) == {"tenant": "acme", "subject": "ann", "state": "erased", "wrapped": ""}
    assert not [each for each in subject_files(tmp_path) if wrapped.encode() in each.read_bytes()]


async def test_a_vault_that_lost_a_key_says_so_and_makes_no_other_to_read_with(vault: Vault, tmp_path: Path) -> None:
    sealed = await vault.seal("acme", "ann", NAME, FIELD)
    subject_files(tmp_path)[0].unlink()
    with pytest.raises(Unsealable, match="restore the vault"):
        await vault.unseal("acme", "ann", sealed, FIELD)
    assert not subject_files(tmp_path)


async def test_many_who_seal_first_share_one_key(tmp_path: Path) -> None:
    vaults = [sealing.vault(Settings(state_dir=tmp_path)) for _ in range(8)]
    sealed = await asyncio.gather(*(vault.seal("acme", "ann", NAME, FIELD) for vault in vaults))
    assert len(set(sealed)) == 1
    assert len(subject_files(tmp_path)) == 1


@pytest.mark.parametrize("data", [b"", b"{}", b'{"tenant":"acme","subject":"ann","state":"gone"}', b"\xff"])
async def test_a_damaged_key_is_refused_and_can_still_be_erased(vault: Vault, tmp_path: Path, data: bytes) -> None:
    await vault.seal("acme", "ann", NAME, FIELD)
    subject_files(tmp_path)[0].write_bytes(data)
    with pytest.raises(KeyRefused, match="restore it from its copy"):
        await vault.seal("acme", "ann", NAME, FIELD)
    assert await vault.erase("acme", "ann")
    with pytest.raises(Erased):
        await vault.seal("acme", "ann", NAME, FIELD)


async def test_a_key_that_stands_at_anothers_place_is_refused(vault: Vault, tmp_path: Path) -> None:
    await vault.seal("acme", "ann", NAME, FIELD)
    (of_ann,) = subject_files(tmp_path)
    await vault.seal("acme", "bob", NAME, FIELD)
    (of_bob,) = set(subject_files(tmp_path)) - {of_ann}
    of_bob.write_bytes(of_ann.read_bytes())
    with pytest.raises(KeyRefused, match="acme/ann"):
        await vault.seal("acme", "bob", NAME, FIELD)


async def test_keys_are_for_their_owner_only_and_named_by_no_name(vault: Vault, tmp_path: Path) -> None:
    await vault.seal("acme", "../../ann", NAME, FIELD)
    (path,) = subject_files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "ann" not in path.name
    assert all(stat.S_IMODE(each.stat().st_mode) & 0o077 == 0 for each in (path.parent, tmp_path / "vault"))
    await vault.erase("acme", "../../ann")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_no_error_says_what_was_sealed_or_by_which_key(vault: Vault, tmp_path: Path) -> None:
    sealed = await vault.seal("acme", "ann", NAME, FIELD)
    secrets = [NAME.decode(), (tmp_path / "keys" / "vault.key").read_text().strip(), sealed.hex()]
    with pytest.raises(Unsealable) as wrong_place:
        await vault.unseal("acme", "ann", sealed, "elsewhere")
    await vault.erase("acme", "ann")
    with pytest.raises(Erased) as erased:
        await vault.seal("acme", "ann", NAME, FIELD)
    shown = f"{wrong_place.value!r} {wrong_place.value.__cause__!r} {erased.value!r} {vault!r}"
    assert not [secret for secret in secrets if secret in shown]


KILLED = """
import asyncio, os, pathlib, signal, sys
from infra import files, sealing
from infra.settings import Settings

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

verb, step, state_dir = sys.argv[1:]
vault = sealing.vault(Settings(state_dir=state_dir))
if step == "write":
    os.fsync = die
elif step == "name":
    os.link = pathlib.Path.replace = die
else:
    pathlib.Path.unlink = files.sweep = die
work = vault.erase("acme", "ann") if verb == "erase" else vault.seal("acme", "ann", b"name", "field")
asyncio.run(work)
"""


def killed(verb: str, step: str, state_dir: Path) -> None:
    """A process that is killed in the midst of this."""
    argv = [sys.executable, "-c", KILLED, verb, step, str(state_dir)]
    ended = subprocess.run(argv, cwd=ROOT, check=False, timeout=60, env={**os.environ, "TAPELINE_KMS": "local"})
    assert ended.returncode == -9


@pytest.mark.parametrize("step", ["write", "name", "after"])
async def test_a_process_killed_while_it_makes_a_key_leaves_a_whole_one_or_none(tmp_path: Path, step: str) -> None:
    sealing.vault(Settings(state_dir=tmp_path))
    killed("seal", step, tmp_path)
    vault = sealing.vault(Settings(state_dir=tmp_path))
    sealed = await vault.seal("acme", "ann", NAME, FIELD)
    assert await vault.unseal("acme", "ann", sealed, FIELD) == NAME
    await vault.erase("acme", "ann")
    left = [path for path in subject_files(tmp_path) if files.DRAFT in path.name]
    assert not left, "a draft of a wrapped key would outlive the erasure"


@pytest.mark.parametrize("step", ["write", "name", "after"])
async def test_a_process_killed_while_it_erases_has_erased_or_can_erase_again(tmp_path: Path, step: str) -> None:
    vault = sealing.vault(Settings(state_dir=tmp_path))
    sealed = await vault.seal("acme", "ann", NAME, FIELD)
    killed("erase", step, tmp_path)
    if step == "after":
        assert await vault.status("acme", "ann") is Status.ERASED
    else:
        assert await vault.unseal("acme", "ann", sealed, FIELD) == NAME
        assert await vault.erase("acme", "ann")
    await vault.erase("acme", "ann")
    with pytest.raises(Erased):
        await vault.unseal("acme", "ann", sealed, FIELD)
    assert not [path for path in subject_files(tmp_path) if files.DRAFT in path.name]
