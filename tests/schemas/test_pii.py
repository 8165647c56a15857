"""What is personal stands on the tape as ciphertext only, under a name that says so."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tidy.sources import ROOT, name

PERSONAL = {"first_name", "last_name", "name", "full_name", "email", "phone", "phone_number", "date_of_birth", "dob"}
PERSONAL |= {"address", "street", "postcode", "applicant", "document", "ssn", "passport", "id_number"}
"""Names that a field of personal data would have if somebody forgot to seal it."""
ENDING = "_sealed"
Field = tuple[str, dict[str, Any]]


def fields() -> Iterator[Field]:
    """Every field of every contract, with the place where it stands."""
    for path in sorted((ROOT / "schemas").rglob("*.avsc")):
        yield from _within(json.loads(path.read_text()), name(path))


def _within(node: object, place: str) -> Iterator[Field]:
    if isinstance(node, dict):
        for field in node.get("fields", ()):
            yield f"{place} {field['name']}", field
        for value in node.values():
            yield from _within(value, place)
    elif isinstance(node, list):
        for value in node:
            yield from _within(value, place)


def misfits(found: Iterator[Field]) -> list[str]:
    """Fields that say they are personal or sealed, and are not both."""
    return [
        place
        for place, field in found
        if (field.get("pii") is True, field["name"].endswith(ENDING)) != (False, False)
        and not (field.get("pii") is True and field["name"].endswith(ENDING) and _is_bytes(field["type"]))
    ]


def _is_bytes(declared: object) -> bool:
    return declared == "bytes" or (isinstance(declared, list) and set(map(str, declared)) == {"null", "bytes"})


def test_personal_fields_are_sealed_bytes_and_say_so() -> None:
    assert not misfits(fields()), f'declare it `"pii": true` with type bytes and a name that ends in {ENDING}'


def test_no_field_is_named_like_personal_data_in_the_clear() -> None:
    clear = [place for place, field in fields() if field["name"] in PERSONAL]
    assert not clear, f"seal it (infra/sealing.py) and name it …{ENDING}, or give it a name that is not a person's"


@pytest.mark.parametrize(
    ("field", "is_misfit"),
    [
        ({"name": "applicant_sealed", "type": "bytes", "pii": True}, False),
        ({"name": "report_sealed", "type": ["null", "bytes"], "pii": True}, False),
        ({"name": "applicant_sealed", "type": "string", "pii": True}, True),
        ({"name": "applicant_sealed", "type": "bytes"}, True),
        ({"name": "applicant", "type": "bytes", "pii": True}, True),
        ({"name": "applicant_sealed", "type": "bytes", "pii": "true"}, True),
        ({"name": "order_id", "type": "string"}, False),
    ],
)
def test_the_rule_sees_what_it_is_for(field: dict[str, Any], is_misfit: bool) -> None:
    nested = {"fields": [{"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [field]}}]}
    assert misfits(_within(nested, "x.avsc")) == (["x.avsc " + field["name"]] if is_misfit else [])
