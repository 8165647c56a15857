"""Erasing a person takes the key, not the record: every proof made before or after is as good as it was."""

import json
from pathlib import Path

import pytest

from domain.audit import bundle, note
from domain.audit.bundle import Bundle
from domain.audit.check import Record, check
from domain.audit.checkpoint import Checkpoint, TreeName
from gateways.audit import verify
from infra import audit_key, sealing
from infra.audit_files import AuditFiles
from infra.sealing import Erased, Vault
from infra.settings import Settings
from tests.projections.audit.signing import read_all
from tests.projections.audit.tape import ORDERS, TENANT, Tape

PEOPLE = {f"acc-{number}": f"Planted Name {number}".encode() for number in range(20)}
GONE = [f"acc-{number}" for number in range(0, 20, 3)]
FIELD = "onboarding.applicant"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return sealing.vault(Settings(state_dir=tmp_path))


async def sealed_on(tape: Tape, vault: Vault) -> dict[str, bytes]:
    """Everybody's name as ciphertext, in an event and in a message of a feed."""
    sealed = {account: await vault.seal(TENANT, account, name, FIELD) for account, name in PEOPLE.items()}
    for number, ciphertext in enumerate(sealed.values()):
        tape.event(ciphertext.hex(), number % 2)
        tape.message(ciphertext.hex(), number % 2)
    return sealed


def proofs(state_dir: Path, tape: Tape) -> list[Bundle]:
    """A proof of every record under the newest checkpoint."""
    files, verifier = AuditFiles(state_dir), audit_key.verifier(state_dir)
    found = files.newest()
    assert found is not None
    heads = Checkpoint.parse(note.verified(found[1], verifier)).trees
    return [
        bundle.prove(
            tree=name,
            index=index,
            key=record.key,
            value=record.value,
            nodes=files.nodes(name, head.size),
            signed=found[1],
            verifier=verifier,
        )
        for name, head in heads.items()
        for index, record in enumerate(tape.logs[name.topic, name.partition])
    ]


def verified(proof: Bundle, state_dir: Path) -> int:
    """What the program says that an auditor runs: it knows our key and nothing else."""
    shown = verify.verify(json.loads(bundle.to_json(proof)), audit_key.verifier(state_dir).vkey())
    return int(shown["index"])


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]


async def test_every_proof_stays_valid_when_keys_are_destroyed(tmp_path: Path, vault: Vault) -> None:
    tape = Tape()
    sealed = await sealed_on(tape, vault)
    read_all(tmp_path, tape)
    before = proofs(tmp_path, tape)
    for account in GONE:
        assert await vault.erase(TENANT, account)
    assert len(before) == 2 * len(PEOPLE)
    assert [verified(proof, tmp_path) for proof in before] == [proof.index for proof in before]
    assert [(p.topic, p.index, p.value, p.path) for p in proofs(tmp_path, tape)] == [
        (p.topic, p.index, p.value, p.path) for p in before
    ]
    for account, ciphertext in sealed.items():
        if account in GONE:
            with pytest.raises(Erased):
                await vault.unseal(TENANT, account, ciphertext, FIELD)
        else:
            assert await vault.unseal(TENANT, account, ciphertext, FIELD) == PEOPLE[account]


async def test_the_tape_goes_on_after_an_erasure_and_is_still_what_was_signed(tmp_path: Path, vault: Vault) -> None:
    tape = Tape()
    await sealed_on(tape, vault)
    first = read_all(tmp_path, tape)
    await vault.erase(TENANT, GONE[0])
    tape.event("life goes on", 0)
    second = read_all(tmp_path, tape)
    assert first is not None
    assert second is not None
    assert second.head(TreeName(ORDERS, 0)).size == first.head(TreeName(ORDERS, 0)).size + 1
    records = [Record(TreeName(*place), each.key, each.value) for place, log in tape.logs.items() for each in log]
    assert check(records, second, kept=[first]) == []
    assert [verified(proof, tmp_path) for proof in proofs(tmp_path, tape)]


async def test_no_name_stands_on_the_tape_or_in_any_file_beside_it(tmp_path: Path, vault: Vault) -> None:
    tape = Tape()
    await sealed_on(tape, vault)
    read_all(tmp_path, tape)
    texts = [record.value for log in tape.logs.values() for record in log] + contents(tmp_path)
    planted = [form for name in PEOPLE.values() for form in (name, name.hex().encode())]
    assert len(texts) > 2 * len(PEOPLE)
    assert not [text for text in texts if any(name in text for name in planted)]
