"""Signed notes after C2SP: a text, an empty line, signatures. Text in, signed text out; keys come as values.

Key id = the first four bytes of SHA-256(name ‖ newline ‖ 0x01 ‖ public key). A signature line is an em dash, the key's
name and base64(key id ‖ Ed25519 signature of the text). A verifier key (vkey) is `name+key id+base64(0x01 ‖ key)`.
"""

import base64
import binascii
import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
KEY_ID_BYTES = 4
KEY_BYTES = 32
SIGNATURES_MAX = 16
"""Signatures that one note may carry: ours and its witnesses'."""
NOTE_CHARS_MAX = 1_000_000
"""A note is read whole; ours grows by one line of about a hundred characters for each partition."""

_SIGNATURE_MARK = "\u2014 "


class NoteRefused(ValueError):
    """The note or key is malformed, or no signature of the key holds; the message says which."""


class Verifier(msgspec.Struct, frozen=True):
    """A public key with its name."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """What stands before each of its signatures."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_BYTES]

    def vkey(self) -> str:
        """The key as one line of text."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """The key from its line of text."""
        name, _, rest = vkey.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        _check_name(name)
        key = _decoded(encoded, "the verifier key")
        if key[:1] != ED25519 or len(key) != 1 + KEY_BYTES:
            raise NoteRefused("the verifier key is not an Ed25519 key of C2SP signed-note")
        verifier = cls(name, key[1:])
        if verifier.key_id.hex() != key_id:
            raise NoteRefused(f"the verifier key says id {key_id}, its name and key give {verifier.key_id.hex()}")
        return verifier


class Signer:
    """A private key with its name."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        """The name must have no space and no plus sign."""
        _check_name(name)
        self._private = private
        self.verifier = Verifier(name, private.public_key().public_bytes_raw())

    def line(self, text: str) -> str:
        """The signature line for this text."""
        signature = self.verifier.key_id + self._private.sign(text.encode())
        return f"{_SIGNATURE_MARK}{self.verifier.name} {base64.b64encode(signature).decode()}\n"


def sign(text: str, *signers: Signer) -> str:
    """The signed note; the text must end with a newline."""
    _check_text(text)
    return text + "\n" + "".join(signer.line(text) for signer in signers)


def cosign(note: str, signer: Signer) -> str:
    """The note with one more signature, as a witness adds it."""
    return note + signer.line(split(note)[0])


def split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of a note and its signatures as (name, key id ‖ signature), none of them verified yet."""
    if len(note) > NOTE_CHARS_MAX:
        raise NoteRefused(f"the note is longer than {NOTE_CHARS_MAX} characters")
    at = note.rfind("\n\n")
    if at < 0 or not note.endswith("\n"):
        raise NoteRefused("the note has no empty line between text and signatures, or does not end with a newline")
    text, lines = note[: at + 1], note[at + 2 : -1].split("\n")
    _check_text(text)
    if len(lines) > SIGNATURES_MAX:
        raise NoteRefused(f"the note has more than {SIGNATURES_MAX} signatures")
    return text, [_signature(line) for line in lines]


def verified(note: str, verifier: Verifier) -> str:
    """The text of the note, if this key signed it; signatures of other keys are passed over."""
    text, signatures = split(note)
    ours = [
        found[KEY_ID_BYTES:]
        for name, found in signatures
        if name == verifier.name and found[:KEY_ID_BYTES] == verifier.key_id
    ]
    if not ours:
        raise NoteRefused(f"the note carries no signature of {verifier.name}+{verifier.key_id.hex()}")
    public = Ed25519PublicKey.from_public_bytes(verifier.public)
    for signature in ours:
        try:
            public.verify(signature, text.encode())
        except InvalidSignature as error:
            raise NoteRefused(f"the signature of {verifier.name} does not fit the text of the note") from error
    return text


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_SIGNATURE_MARK).partition(" ")
    if not line.startswith(_SIGNATURE_MARK):
        raise NoteRefused("a signature line does not begin with an em dash and a space")
    _check_name(name)
    signature = _decoded(encoded, f"the signature of {name}")
    if len(signature) <= KEY_ID_BYTES:
        raise NoteRefused(f"the signature of {name} is too short")
    return name, signature


def _decoded(encoded: str, what: str) -> bytes:
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise NoteRefused(f"{what} is not base64") from error
    if base64.b64encode(data).decode() != encoded:
        raise NoteRefused(f"{what} is base64 with bits left over")
    return data


def _check_name(name: str) -> None:
    if not name or "+" in name or any(letter.isspace() for letter in name):
        raise NoteRefused("the name of a key must not be empty and must hold no space and no plus sign")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteRefused("the text of a note must end with a newline")
    if any(ord(letter) < ord(" ") and letter != "\n" for letter in text):
        raise NoteRefused("the text of a note holds a control character")
