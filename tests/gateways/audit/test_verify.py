"""The verifier stands alone, believes a true proof, and names what is wrong with any other."""

import ast
import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from domain.audit import bundle, note
from domain.audit.checkpoint import Checkpoint, TreeHead, TreeName
from domain.audit.merkle import ProofRefused, record_hash
from domain.audit.note import Signer
from domain.audit.tiles import MemoryTiles
from domain.kernel.ids import Micros
from gateways.audit import verify
from gateways.audit.verify import Failed

PROGRAM = Path(verify.__file__)
ORDERS = TreeName("orders.events", 2)
SIGNER = Signer("tapeline.example/tape", Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
OTHER = Signer("tapeline.example/tape", Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
VKEY = SIGNER.verifier.vkey()
Proof = dict[str, Any]


def record(index: int) -> tuple[bytes, bytes]:
    return b"acc-%d" % (index % 7), b"order %d" % index


def proof(index: int = 5, size: int = 300, signer: Signer = SIGNER) -> Proof:
    tree = MemoryTiles(record_hash(*record(number)) for number in range(size))
    heads = {ORDERS: TreeHead(size, tree.root()), TreeName("risk.events", 0): TreeHead(0, b"\x00" * 32)}
    key, value = record(index)
    made = bundle.prove(
        tree=ORDERS,
        index=index,
        key=key,
        value=value,
        nodes=tree.nodes(),
        signed=note.sign(Checkpoint(signer.verifier.name, Micros(1), heads).text(), signer),
        verifier=signer.verifier,
    )
    decoded: Proof = json.loads(bundle.to_json(made))
    return decoded


def run(path: Path, *arguments: str, flags: tuple[str, ...] = ("-I",)) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *flags, str(PROGRAM), str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_imports_nothing_of_ours() -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(PROGRAM.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_runs_alone_and_prints_the_place(tmp_path: Path) -> None:
    file, key = tmp_path / "proof.json", tmp_path / "audit.vkey"
    file.write_text(json.dumps(proof()))
    key.write_text(VKEY + "\n")
    for given_key in (VKEY, str(key)):
        answer = run(file, "--key", given_key)
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.startswith("VERIFIED\n  topic: orders.events\n  partition: 2\n  index: 5\n  key: acc-5\n")


def test_says_so_when_cryptography_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof()))
    answer = run(file, "--key", VKEY, flags=("-I", "-S"))
    assert (answer.returncode, answer.stderr) == (
        4,
        "NOT VERIFIED: the package cryptography is missing: pip install cryptography\n",
    )


@given(size=st.integers(1, 300), data=st.data())
def test_believes_every_true_proof(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    assert verify.verify(proof(index, size), VKEY)["index"] == index


def changed(**fields: Any) -> Callable[[Proof], Proof]:
    return lambda true: {**true, **fields}


@pytest.mark.parametrize(
    ("change", "code", "names"),
    [
        (changed(value=base64.b64encode(b"order 6").decode()), 7, "record"),
        (changed(key=base64.b64encode(b"acc-6").decode()), 7, "record"),
        (changed(index=6), 7, "record"),
        (lambda true: changed(path=true["path"][:-1])(true), 7, "path"),
        (lambda true: changed(path=[*true["path"], true["path"][0]])(true), 7, "path"),
        (changed(size=299), 6, "size"),
        (changed(partition=1), 6, "tree"),
        (changed(topic="accounts.events"), 6, "tree"),
        (lambda true: changed(checkpoint=true["checkpoint"].replace("1970", "1971"))(true), 5, "signature"),
        (changed(checkpoint=proof(signer=OTHER)["checkpoint"]), 5, "signature"),
        (changed(checkpoint="no note"), 3, "checkpoint"),
        (changed(value="?"), 3, "value"),
        (changed(index=300), 3, "index"),
        (changed(index=True), 3, "index"),
        (changed(format="tapeline-proof/2"), 3, "format"),
        (changed(path="none"), 3, "path"),
        (lambda _: {}, 3, "format"),
    ],
)
def test_names_what_is_wrong(change: Callable[[Proof], Proof], code: int, names: str) -> None:
    with pytest.raises(Failed, match=f"^{names}") as failed:
        verify.verify(change(proof()), VKEY)
    assert failed.value.code == code


@given(bit=st.integers(0, 7), data=st.data())
def test_a_proof_with_any_bit_of_its_hashes_changed_fails(bit: int, data: st.DataObject) -> None:
    true = proof()
    step, at = data.draw(st.integers(0, len(true["path"]) - 1)), data.draw(st.integers(0, 31))
    hashes = bytearray(base64.b64decode(true["path"][step]))
    hashes[at] ^= 1 << bit
    path = [*true["path"][:step], base64.b64encode(hashes).decode(), *true["path"][step + 1 :]]
    with pytest.raises(Failed):
        verify.verify({**true, "path": path}, VKEY)


@pytest.mark.parametrize("key", ["name", "name+00000000+AAAA", VKEY[:-4], VKEY.replace("tapeline", "typeline")])
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(Failed, match=r"^--key") as failed:
        verify.verify(proof(), key)
    assert failed.value.code == 3


def test_a_record_that_is_not_signed_yet_gets_no_bundle() -> None:
    tree = MemoryTiles(record_hash(*record(number)) for number in range(9))
    signed = note.sign(Checkpoint(SIGNER.verifier.name, Micros(1), {ORDERS: TreeHead(8, b"0" * 32)}).text(), SIGNER)
    with pytest.raises(ProofRefused, match="is not signed yet"):
        bundle.prove(
            tree=ORDERS, index=8, key=b"", value=b"", nodes=tree.nodes(), signed=signed, verifier=SIGNER.verifier
        )
