"""A folder with package.json and its lock -> its modules in the user's cache, each checked by npm against the lock."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local import folders

INSTALL_SECONDS_MAX = 150
"""Longest installation of two hundred small packages from a slow mirror."""
RUN_SECONDS_MAX = 60


def modules(folder: Path) -> Path:
    """A folder whose node_modules hold what the lock names. Skips where there is no node, or no registry to ask."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip(f"node and npm are not on this machine: nobody judges by {folder.name} here")
    lock = folder / "package-lock.json"
    home = folders.cache() / f"npm-{folder.name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not home.is_dir():
        with folders.whole(home) as making:
            for name in ("package.json", lock.name):
                shutil.copyfile(folder / name, making / name)
            _install(making, folder.name)
    return home


def run(script: Path, *arguments: str, given: bytes) -> bytes:
    """What the script prints."""
    argv = ["node", str(script), *arguments]
    done = subprocess.run(argv, input=given, capture_output=True, check=False, timeout=RUN_SECONDS_MAX)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _install(making: Path, name: str) -> None:
    argv = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(argv, cwd=making, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS_MAX)
    if done.returncode:
        said = done.stderr[-500:]
        if "EINTEGRITY" in said:
            pytest.fail(f"a package is not the one of the lock: {said}")
        pytest.skip(f"npm cannot bring {name} here: {said}")
