"""The key that signs checkpoints: `<state_dir>/keys/audit.key`, made once, for its owner only; the vkey beside it."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.audit.note import Signer, Verifier
from infra import files

ORIGIN = "tapeline.example/tape"
"""The name of a key that is made here unless another is asked for; the installation's own domain is better."""


class KeyUnsafe(Exception):
    """The key file can be read by others or is no Ed25519 key; the message names the remedy."""


def signer(state_dir: Path, origin: str = ORIGIN) -> Signer:
    """The signing key of this installation, made at the first call; its vkey keeps the name it was made with."""
    path, vkey_path = _paths(state_dir)
    if not path.exists():
        _make(path)
    if path.stat().st_mode & ~files.OWNER_ONLY & 0o777:
        raise KeyUnsafe(f"{path} can be read by others: chmod 600 it, and think about a new key")
    private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyUnsafe(f"{path} is no Ed25519 key: restore it from its copy")
    if not vkey_path.exists():
        vkey_path.write_text(Signer(origin, private).verifier.vkey() + "\n")
    public = verifier(state_dir)
    loaded = Signer(public.name, private)
    if loaded.verifier != public:
        raise KeyUnsafe(f"{path} does not belong to {vkey_path.name}: restore both from the same copy")
    return loaded


def verifier(state_dir: Path) -> Verifier:
    """The public key of this installation."""
    _, vkey_path = _paths(state_dir)
    try:
        return Verifier.parse(vkey_path.read_text())
    except FileNotFoundError as error:
        raise KeyUnsafe(f"{vkey_path} is missing: start the audit process once, it makes the key") from error


def _make(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files.create(path, pem)


def _paths(state_dir: Path) -> tuple[Path, Path]:
    return state_dir / "keys" / "audit.key", state_dir / "keys" / "audit.vkey"
