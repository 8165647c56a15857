"""`<state_dir>/keys/vault.key` -> wrapped data keys: the key service of one machine, a file for its owner only.

The file is made at the first use. Without it nothing that was sealed can be read again: copy it, apart from the vault.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra import files
from infra.kms.port import DATA_KEY_BYTES, KeyRefused

FORMAT = b"\x01"
"""First byte of a wrapped key: AES-256-GCM, 12 bytes of nonce, ciphertext, tag."""
NONCE_BYTES = 12


class LocalKeys:
    """The local arm of the key port."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "keys" / "vault.key"
        self._master = AESGCM(_master(self._path))

    async def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """This data key, readable by `unwrap` alone."""
        nonce = os.urandom(NONCE_BYTES)
        return FORMAT + nonce + self._master.encrypt(nonce, key, _bound(context))

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The data key again. Raises KeyRefused."""
        nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
        if wrapped[:1] != FORMAT or len(nonce) < NONCE_BYTES:
            raise KeyRefused(f"this is no key that was wrapped by {self._path}: restore the vault from its copy")
        try:
            return self._master.decrypt(nonce, sealed, _bound(context))
        except InvalidTag:
            raise KeyRefused(
                f"{self._path} did not wrap this key for this subject: restore key and vault from the same copy"
            ) from None


def _master(path: Path) -> bytes:
    if not path.exists():
        files.create(path, os.urandom(DATA_KEY_BYTES).hex().encode() + b"\n")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~files.OWNER_ONLY:
        raise KeyRefused(f"{path} can be used by others (mode {mode:o}): chmod 600 it, and think about a new key")
    try:
        key = bytes.fromhex(path.read_text("ascii"))
    except ValueError:
        key = b""
    if len(key) != DATA_KEY_BYTES:
        raise KeyRefused(f"{path} is not {DATA_KEY_BYTES} bytes in hexadecimal: restore it from its copy")
    return key


def _bound(context: Mapping[str, str]) -> bytes:
    """One form for one context, whatever the order of its names."""
    return hashlib.sha256(msgspec.json.encode(sorted(context.items()))).digest()
