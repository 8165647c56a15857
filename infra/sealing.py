"""Personal data in the clear <-> ciphertext that may stand on the tape, one data key for each subject.

The tape holds ciphertext for ever, and the audit forest hashes it. The data key of a subject lies wrapped by the key
service (`infra/kms`) in a file of its own; erasing replaces that file by a tombstone, after which nothing of the
subject can be read or sealed, and every proof is as good as before. A data key is in memory for one call only.

The nonce follows from key, place and plaintext (as in SIV), so that the same words sealed again are the same bytes: a
request that is repeated stays the same request. Only that two ciphertexts of one subject are equal can be seen.
A copy of the folder outlives an erasure: keep copies of the vault no longer than the law lets you answer an erasure.
"""

import asyncio
import hashlib
import hmac
import os
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra import files
from infra.kms.local import LocalKeys
from infra.kms.port import DATA_KEY_BYTES, KeyPort, KeyRefused
from infra.settings import Settings

FORMAT = b"\x01"
"""First byte of what is sealed: AES-256-GCM, 12 bytes of nonce, ciphertext, tag."""
NONCE_BYTES = 12
OVERHEAD_BYTES = len(FORMAT) + NONCE_BYTES + 16
"""How much longer the ciphertext is."""
PLAIN_BYTES_MAX = 512 * 1024
"""Longest plaintext: it travels in a record, and records of command topics have a megabyte."""
WRAPPED: Final = "wrapped"
ERASED: Final = "erased"


class Status(StrEnum):
    """Whether the personal data of a subject can be read."""

    NONE = "none"
    SEALED = "sealed"
    ERASED = "erased"


class Erased(Exception):
    """The subject's key was destroyed: what was sealed for it is gone, and nothing more is sealed."""


class Unsealable(Exception):
    """This ciphertext was not sealed for this subject and place, or was changed, or its key is missing."""


class _Key(msgspec.Struct, frozen=True):
    """The file of one subject; `state` says what there is of its key."""

    tenant: str
    subject: str
    state: Literal["wrapped", "erased"]
    wrapped: bytes = b""


def vault(where: Settings) -> "Vault":
    """The vault of this installation, with the key service that the settings name."""
    return Vault(_keys(where), where.state_dir / "vault")


class Vault:
    """Seals and unseals; several processes may hold one over the same folder."""

    def __init__(self, keys: KeyPort, folder: Path) -> None:
        self._keys = keys
        self._folder = folder

    async def seal(self, tenant: str, subject: str, plaintext: bytes, context: str) -> bytes:
        """Ciphertext for one place on the tape, named by `context`. Raises Erased, KeyRefused, KeysUnavailable."""
        if len(plaintext) > PLAIN_BYTES_MAX:
            raise ValueError(f"{context}: {len(plaintext)} bytes to seal, at most {PLAIN_BYTES_MAX}: keep less of it")
        key = await self._data_key(tenant, subject) or await self._new_key(tenant, subject)
        bound = _bound(tenant, subject, context)
        nonce = hmac.digest(_derived(key, b"nonce"), bound + plaintext, "sha256")[:NONCE_BYTES]
        return FORMAT + nonce + AESGCM(_derived(key, b"seal")).encrypt(nonce, plaintext, bound)

    async def unseal(self, tenant: str, subject: str, sealed: bytes, context: str) -> bytes:
        """The plaintext again. Raises Erased, Unsealable, KeyRefused, KeysUnavailable."""
        key = await self._data_key(tenant, subject)
        if key is None:
            raise Unsealable(f"{_name(tenant, subject)} has no key in {self._folder}: restore the vault from its copy")
        if len(sealed) < OVERHEAD_BYTES or sealed[:1] != FORMAT:
            raise Unsealable(f"{context} of {_name(tenant, subject)} is not sealed in a form that is known here")
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return AESGCM(_derived(key, b"seal")).decrypt(nonce, body, _bound(tenant, subject, context))
        except InvalidTag:
            raise Unsealable(
                f"{context} of {_name(tenant, subject)} was sealed for another subject or place, or was changed since"
            ) from None

    async def erase(self, tenant: str, subject: str) -> bool:
        """Destroy the subject's key for ever; whether this call did. Also a subject without a key gets none later."""
        return await asyncio.to_thread(self._erase, tenant, subject)

    async def status(self, tenant: str, subject: str) -> Status:
        """What there is of the subject's key."""
        found = await asyncio.to_thread(self._read, tenant, subject)
        if found is None:
            return Status.NONE
        return Status.ERASED if found.state == ERASED else Status.SEALED

    async def _data_key(self, tenant: str, subject: str) -> bytes | None:
        """The key in the clear; none if the subject never had one."""
        # The file is read at every use: whoever erases it may be another process.
        found = await asyncio.to_thread(self._read, tenant, subject)
        if found is None:
            return None
        if found.state == ERASED:
            raise Erased(f"the personal data of {_name(tenant, subject)} was erased: nothing can be read or sealed")
        return await self._keys.unwrap(found.wrapped, _holder(tenant, subject))

    async def _new_key(self, tenant: str, subject: str) -> bytes:
        wrapped = await self._keys.wrap(os.urandom(DATA_KEY_BYTES), _holder(tenant, subject))
        entry = _Key(tenant, subject, WRAPPED, wrapped)
        await asyncio.to_thread(files.create, self._path(tenant, subject), msgspec.json.encode(entry))
        # Another process may have been first, with another key or with an erasure: what is on disk holds.
        key = await self._data_key(tenant, subject)
        if key is None:
            raise KeyRefused(
                f"the new key of {_name(tenant, subject)} is not in {self._folder}: who removes files there?"
            )
        return key

    def _read(self, tenant: str, subject: str) -> _Key | None:
        path = self._path(tenant, subject)
        try:
            found = msgspec.json.decode(path.read_bytes(), type=_Key)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            raise KeyRefused(f"{path} is damaged: restore it from its copy") from None
        if (found.tenant, found.subject) != (tenant, subject):
            raise KeyRefused(
                f"{path} is the key of {_name(found.tenant, found.subject)}: restore the vault from its copy"
            )
        return found

    def _erase(self, tenant: str, subject: str) -> bool:
        path = self._path(tenant, subject)
        try:
            found = self._read(tenant, subject)
        except KeyRefused:
            found = None  # A damaged key is destroyed like any other.
        if found is None or found.state != ERASED:
            files.folder(path.parent)
            tombstone = _Key(tenant, subject, ERASED)
            files.replace(path, msgspec.json.encode(tombstone), mode=files.OWNER_ONLY)
        # A writer that was killed between its two steps has left the wrapped key in a draft beside it.
        files.sweep(path)
        files.sync(path.parent)
        return found is None or found.state != ERASED

    def _path(self, tenant: str, subject: str) -> Path:
        """Names of subjects are anybody's words: their hash is a safe name."""
        name = hashlib.sha256(_joined(tenant.encode(), subject.encode())).hexdigest()
        return self._folder / name[:2] / f"{name[2:]}.key"


def _keys(where: Settings) -> KeyPort:
    if where.kms == "local":
        return LocalKeys(where.state_dir)
    from infra.kms.aws import AwsKeys  # noqa: PLC0415  boto3 takes a quarter of a second that others need not wait

    return AwsKeys(where.kms_key_id, endpoint=where.kms_endpoint or None)


def _bound(tenant: str, subject: str, context: str) -> bytes:
    """What the ciphertext is bound to: in another place it does not open."""
    return hashlib.sha256(_joined(b"tapeline.sealed", tenant.encode(), subject.encode(), context.encode())).digest()


def _holder(tenant: str, subject: str) -> dict[str, str]:
    return {"tenant": tenant, "subject": subject}


def _derived(key: bytes, purpose: bytes) -> bytes:
    """One key for each use, so that none sees another's output; the data key is random, so one step is enough."""
    return hmac.digest(key, b"tapeline." + purpose, "sha256")


def _joined(*parts: bytes) -> bytes:
    """Parts with their lengths, so that no two lists look alike."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _name(tenant: str, subject: str) -> str:
    return f"{tenant}/{subject}"
