"""Programs that a machine may have or not: what is missing skips its tests, and the skip says what to install."""

import shutil

import pytest


def program(name: str, package: str) -> str:
    """Where the program is. Skips where the machine has none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(
            f"there is no {name} on this machine: install Debian's {package}, as deploy/local/packages.txt says"
        )
    return found
