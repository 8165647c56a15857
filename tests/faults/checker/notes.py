"""Signed notes after C2SP -> who signed, and what a checkpoint says: origin, time, and a head for each tree."""

import base64
import hashlib
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_ID_BYTES = 4
Tree = tuple[str, int]


class Refused(ValueError):
    """The note or the key is not what it should be; the message says why."""


class Checkpoint(NamedTuple):
    """What was signed: for each tree its size and its root."""

    origin: str
    time: str
    heads: dict[Tree, tuple[int, bytes]]


class Key:
    """A verifier key, `name+id+base64(0x01, public key)`."""

    def __init__(self, line: str) -> None:
        self.name, _, rest = line.strip().partition("+")
        _, _, encoded = rest.partition("+")
        try:
            kind_and_key = base64.b64decode(encoded, validate=True)
            self._public = Ed25519PublicKey.from_public_bytes(kind_and_key[1:])
        except ValueError as error:
            raise Refused(f"{line!r} is no verifier key: {error}") from error
        self._id = hashlib.sha256(self.name.encode() + b"\n" + kind_and_key).digest()[:KEY_ID_BYTES]

    def text(self, note: str) -> str:
        """The text of a note that this key signed. Raises Refused."""
        text, gap, signatures = note.rpartition("\n\n")
        if not gap:
            raise Refused("no signature follows the text")
        text += "\n"
        for line in signatures.splitlines():
            mark, _, rest = line.partition(" ")
            name, _, encoded = rest.partition(" ")
            if mark != "\u2014" or name != self.name:
                continue
            try:
                blob = base64.b64decode(encoded, validate=True)
                if blob[:KEY_ID_BYTES] == self._id:
                    self._public.verify(blob[KEY_ID_BYTES:], text.encode())
                    return text
            except (ValueError, InvalidSignature) as error:
                raise Refused(f"the signature of {name} does not hold") from error
        raise Refused(f"{self.name} did not sign it")


def checkpoint(text: str) -> Checkpoint:
    """What the text of a checkpoint says. Raises Refused."""
    lines = text.splitlines()
    heads: dict[Tree, tuple[int, bytes]] = {}
    try:
        for line in lines[2:]:
            topic, number, size, root = line.split(" ")
            if (topic, int(number)) in heads:
                raise Refused(f"{topic}/{number} is listed twice")
            heads[topic, int(number)] = (int(size), base64.b64decode(root, validate=True))
        return Checkpoint(lines[0], lines[1], heads)
    except (ValueError, IndexError) as error:
        raise Refused(f"no checkpoint: {error}") from error
