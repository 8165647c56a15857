"""BACKWARD_TRANSITIVE: today's schema reads every earlier version of its record, by the word of Apache's checker."""

import json
from itertools import combinations
from typing import Any

import avro.schema
import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

from infra.avro import contracts

LOCKED = contracts.locked()
PAIRS = [(older, newer) for older, newer in combinations(LOCKED, 2) if older.name == newer.name]
OLD: dict[str, Any] = {
    "type": "record",
    "name": "Changed",
    "namespace": "tapeline.test",
    "fields": [{"name": "amount", "type": "long"}],
}


def reads(newer: Any, older: Any) -> bool:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # Apache's class has no types
    result = checker.get_compatibility(avro.schema.parse(json.dumps(newer)), avro.schema.parse(json.dumps(older)))
    return bool(result.compatibility is SchemaCompatibilityType.compatible)


@pytest.mark.parametrize("entry", LOCKED, ids=lambda entry: f"{entry.id}-{entry.name}")
def test_apache_reads_every_published_schema(entry: contracts.LockedSchema) -> None:
    schema = contracts.published(entry)
    assert reads(schema, schema)


def test_every_version_reads_all_earlier_ones() -> None:
    broken = [
        f"{newer.id}.avsc ({newer.name} {newer.version}) does not read {older.id}.avsc: give new fields a default,"
        " or add a new event name and an upcaster"
        for older, newer in PAIRS
        if not reads(contracts.published(newer), contracts.published(older))
    ]
    assert not broken


NEW_FIELD = {"name": "currency", "type": "string"}
CHANGES: list[tuple[str, list[dict[str, Any]], bool]] = [
    ("with_default", [*OLD["fields"], {**NEW_FIELD, "default": "USD"}], True),
    ("without_default", [*OLD["fields"], NEW_FIELD], False),
    ("renamed", [{"name": "value", "type": "long"}], False),
    ("retyped", [{"name": "amount", "type": "string"}], False),
    ("removed", [], True),
]


@pytest.mark.parametrize(("fields", "is_compatible"), [change[1:] for change in CHANGES], ids=[c[0] for c in CHANGES])
def test_the_checker_tells_a_change_that_breaks_from_one_that_does_not(
    fields: list[dict[str, Any]], *, is_compatible: bool
) -> None:
    assert reads({**OLD, "fields": fields}, OLD) is is_compatible
