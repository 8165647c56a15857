"""The user's cache -> what is fetched or made once per machine; every folder in it appears whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder."""
DEPLOY = Path(__file__).resolve().parent


def cache() -> Path:
    """Where this user's machine keeps what all checkouts of the project share."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named) / "tapeline"
    home = os.environ.get("HOME")
    if home and Path(home).is_dir() and os.access(home, os.W_OK):
        return Path(home) / ".cache" / "tapeline"
    # No home of one's own (a service account, a container): the checkout keeps its own copy.
    return ROOT / ".tapeline" / "cache"


@contextlib.contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A folder to fill beside its target, renamed to it at the end: a reader never meets a half-made one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield making
        making.chmod(0o755)
        try:
            making.rename(target)
        except OSError:
            # Somebody else made the same thing at the same time: theirs is as good as ours.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
