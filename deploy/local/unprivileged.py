"""root, a folder -> an existing user that PostgreSQL may run as, and a folder which that user can reach.

PostgreSQL refuses root. We then run it as somebody who is there already; no user is made, no parent folder's mode is
changed, so below a private home folder the data stands under /var/tmp, in a folder of the project's own.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from deploy.local import folders

CANDIDATES = ("postgres", "nobody")
REACHABLE_ROOT = Path("/var/tmp")  # noqa: S108  # nosec B108  # of any user, survives a restart; ours below is private


class NoPlace(Exception):
    """There is no folder or user to run the database with."""


def user() -> str | None:
    """Whom to become: nobody else unless we are root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise NoPlace(
        f"PostgreSQL does not run as root and there is no user {' or '.join(CANDIDATES)}: run this as another user, or "
        f"set TAPELINE_POSTGRES to the DSN of a server that runs"
    )


def private_folder(wanted: Path, owner: str | None) -> Path:
    """The folder itself where its owner-to-be can reach it, else one of the project's own that it can."""
    if owner is None:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
        return wanted
    wanted.mkdir(parents=True, exist_ok=True)
    if may(owner, "-x", wanted):
        return _given_to(wanted, owner)
    wanted.rmdir()
    mark = hashlib.sha256(str(wanted).encode()).hexdigest()[:12]
    return _given_to(_project_folder(owner) / f"{wanted.name}-{mark}", owner)


def reachable_copy(source: Path, program: str, owner: str | None) -> Path:
    """A folder of programs that the owner can run: itself, or a copy where a parent is closed to it."""
    if owner is None or may(owner, "-x", source / program):
        return source
    installation = source.parent
    mark = hashlib.sha256(f"{installation}:{(source / program).stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _project_folder(owner) / f"programs-{mark}"
    if not copy.is_dir():
        with folders.whole(copy) as making:
            shutil.copytree(installation, making, dirs_exist_ok=True, symlinks=True)
    return copy / source.name


def may(owner: str, test: str, path: Path) -> bool:
    """Ask the kernel as that user; modes, lists and mounts are its business."""
    group = pwd.getpwnam(owner).pw_gid
    ran = subprocess.run(["test", test, path], user=owner, group=group, extra_groups=[], cwd="/", check=False)
    return ran.returncode == 0


def _project_folder(owner: str) -> Path:
    """One folder per checkout, which nobody else may have laid there before us."""
    mark = hashlib.sha256(str(folders.ROOT).encode()).hexdigest()[:12]
    return _given_to(REACHABLE_ROOT / f"tapeline-{mark}", owner)


def _given_to(folder: Path, owner: str) -> Path:
    """The owner's, and closed to all others."""
    account = pwd.getpwnam(owner)
    folder.mkdir(exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {0, account.pw_uid}:
        raise NoPlace(f"{folder} belongs to somebody else: remove it, or run from another checkout")
    os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o700)
    return folder
