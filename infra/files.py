"""Bytes -> files that are whole or not there, whatever is killed and when: the one way to write what must not be torn.

A file is written beside its place under a name of its own (a draft), is on disk, and only then gets its name.
"""

import contextlib
import os
import tempfile
from pathlib import Path

OWNER_ONLY = 0o600
FOLDER_OWNER_ONLY = 0o700
DRAFT = ".draft-"
"""Stands between a file's name and the random end of its draft's; a killed writer may leave one behind."""


def create(path: Path, data: bytes, *, mode: int = OWNER_ONLY) -> None:
    """Write a file once: of several processes that start together the first one wins, and nobody sees half of it."""
    folder(path.parent)
    draft = _draft(path, data, mode)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        # Somebody swept our draft away: that is done only where the file has been replaced.
        if not path.exists():
            raise
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


def replace(path: Path, data: bytes, *, mode: int) -> None:
    """Put the bytes where the path is, all or nothing; its name is safe once the folder is synchronised too."""
    draft = _draft(path, data, mode)
    try:
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sweep(path: Path) -> None:
    """Remove what killed writers left beside this path."""
    for draft in path.parent.glob(f"{path.name}{DRAFT}*"):
        draft.unlink(missing_ok=True)


def folder(path: Path) -> None:
    """Make a folder for its owner only, with all above it; their names are on disk when this returns."""
    if path.is_dir():
        return
    folder(path.parent)
    path.mkdir(exist_ok=True, mode=FOLDER_OWNER_ONLY)
    sync(path.parent)


def sync(path: Path) -> None:
    """Names in this folder are on disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _draft(path: Path, data: bytes, mode: int) -> Path:
    # mkstemp makes the file for its owner only, so a secret is never open to others, not even for a moment.
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}{DRAFT}")
    draft = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    return draft
