"""One golden record of every version that was ever published, read for ever."""

from typing import Any

import msgspec
import pytest

from infra.avro import contracts
from tests.schemas.examples import BY_NAME, decode, encode, example
from tests.schemas.write_golden import GOLDEN

LOCKED = [entry for entry in contracts.locked() if entry.name in BY_NAME]
NEWEST = {entry.name: entry for entry in LOCKED}
REMEDY = "run `python -m tests.schemas.write_golden` and commit what it writes"


def holds(decoded: Any, golden: Any) -> bool:
    """Every value of the golden record is there; fields that came later may stand beside them."""
    if isinstance(golden, dict):
        return all(key in decoded and holds(decoded[key], value) for key, value in golden.items())
    if isinstance(golden, list):
        return len(decoded) == len(golden) and all(map(holds, decoded, golden))
    return bool(decoded == golden)


@pytest.mark.parametrize("entry", LOCKED, ids=lambda entry: f"{entry.id}-{entry.name}")
def test_the_golden_record_is_read_as_it_was_written(entry: contracts.LockedSchema) -> None:
    path = GOLDEN / f"{entry.id}.bin"
    assert path.exists(), f"{entry.name} version {entry.version} has no golden record: {REMEDY}"
    value = path.read_bytes()
    assert int.from_bytes(value[1:5], "big") == entry.id
    decoded = msgspec.json.decode(msgspec.json.encode(decode(BY_NAME[entry.name], value)))
    assert holds(decoded, msgspec.json.decode(path.with_suffix(".json").read_bytes()))


@pytest.mark.parametrize("entry", NEWEST.values(), ids=lambda entry: f"{entry.id}-{entry.name}")
def test_the_newest_version_is_still_written_the_same(entry: contracts.LockedSchema) -> None:
    assert encode(example(BY_NAME[entry.name])) == (GOLDEN / f"{entry.id}.bin").read_bytes(), (
        f"bytes of {entry.name} changed under the same id: `./tapeline schemas lock` gives the new contract its own"
    )


def test_no_golden_record_is_without_its_schema() -> None:
    ids = {str(entry.id) for entry in contracts.locked()}
    assert {path.stem for path in GOLDEN.iterdir()} <= ids, "a golden record was kept whose id is not in ids.lock"
