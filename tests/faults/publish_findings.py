"""`docs/findings.ndjson`, which people write, one line a bug -> what was found, how it was mended, and what is open."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.faults.ledger import ROOT

FINDINGS = ROOT / "docs" / "findings.ndjson"


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One bug of the product that a test of faults, a checker or a simulation found."""

    found_by: str
    what: str
    """What could happen, to somebody who has not read the code."""
    mended: str
    """The commit that mended it; empty as long as it is open."""
    test: str
    """`path::name` of the test that fails without the mend; empty as long as it is open."""


def read(path: Path = FINDINGS) -> Iterator[Found]:
    """Every bug in the order in which it was written down."""
    with path.open("rb") as file:
        for line in file:
            yield msgspec.json.decode(line, type=Found)
