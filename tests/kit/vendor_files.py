"""Contracts and data of the outside world, no part of the project: found beside it, or named by a variable."""

import os
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT

VARIABLE = "TAPELINE_VENDOR"
BESIDE = ROOT.parent / "shared" / "vendor"


def vendor_file(name: str) -> Path:
    """A file of some vendor's, such as `onfido/openapi.json`. Skips with the reason where it is absent."""
    path = Path(os.environ.get(VARIABLE) or BESIDE) / name
    if not path.is_file():
        pytest.skip(f"{name} is neither in ../shared/vendor nor in the folder that {VARIABLE} names")
    return path
