"""A note is signed as C2SP has it, and opens only for the key and the text that were signed."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from domain.audit import note
from domain.audit.note import NoteRefused, Signer, Verifier

# The example of the Go reference implementation (golang.org/x/mod/sumdb/note) and that of the C2SP document.
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = (
    GO_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def signer(name: str = "tapeline.example/tape", seed: int = 7) -> Signer:
    return Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def test_signs_the_published_example_byte_for_byte() -> None:
    neumann = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(GO_SEED))
    assert neumann.verifier.vkey() == GO_VKEY
    assert note.sign(GO_TEXT, neumann) == GO_NOTE


@pytest.mark.parametrize(("vkey", "signed"), [(GO_VKEY, GO_NOTE), (C2SP_VKEY, C2SP_NOTE)])
def test_opens_the_published_examples(vkey: str, signed: str) -> None:
    assert note.verified(signed, Verifier.parse(vkey)) == signed[: signed.rindex("\n\n") + 1]


@given(text=st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"])).map(lambda text: text + "\n"))
def test_any_text_opens_as_it_was_signed(text: str) -> None:
    assert note.verified(note.sign(text, signer()), signer().verifier) == text


@given(bit=st.integers(0, 7), data=st.data())
def test_a_note_with_any_bit_changed_does_not_open(bit: int, data: st.DataObject) -> None:
    signed = bytearray(note.sign("origin\ntree 1\n", signer()).encode())
    signed[data.draw(st.integers(0, len(signed) - 1))] ^= 1 << bit
    with pytest.raises(ValueError):  # noqa: PT011 - a changed byte may also end the UTF-8
        note.verified(signed.decode(), signer().verifier)


def test_a_note_of_another_key_with_the_same_name_does_not_open() -> None:
    with pytest.raises(NoteRefused, match="carries no signature of"):
        note.verified(note.sign("text\n", signer(seed=8)), signer().verifier)


def test_a_witness_adds_its_signature_and_both_keys_open_the_note() -> None:
    witness = signer("witness.example", seed=9)
    cosigned = note.cosign(note.sign("text\n", signer()), witness)
    assert note.verified(cosigned, signer().verifier) == note.verified(cosigned, witness.verifier) == "text\n"


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+12345678+AAAA",
        GO_VKEY.replace("c74f20a3", "c74f20a4"),
        GO_VKEY.replace("PeterNeumann", "Peter Neumann"),
        GO_VKEY[:-1],
    ],
)
def test_a_malformed_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(NoteRefused):
        Verifier.parse(vkey)


@pytest.mark.parametrize(
    "signed",
    [
        "",
        "text\n",
        "text",
        GO_NOTE[:-1],
        GO_NOTE.replace("— ", "- "),
        GO_TEXT + "\n— PeterNeumann !\n",
        "a\tb\n\n— n AAAA\n",
    ],
)
def test_a_malformed_note_is_refused(signed: str) -> None:
    with pytest.raises(NoteRefused):
        note.verified(signed, Verifier.parse(GO_VKEY))


def test_a_note_with_too_many_signatures_is_refused() -> None:
    with pytest.raises(NoteRefused, match="more than 16 signatures"):
        note.split(note.sign("text\n", *[signer(f"witness-{number}") for number in range(17)]))
