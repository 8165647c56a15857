"""The straight-line writers: numbers of every length, and what is refused. Whole messages are in test_codec.py."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.avro import straightline, varints

LONG = fastavro.parse_schema("long")
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [sign * 2**power + off for power in range(0, 63, 7) for sign in (1, -1) for off in (-1, 0, 1)]
)


@settings(deadline=None, max_examples=1_000)
@given(NUMBERS)
def test_a_number_has_the_bytes_that_fastavro_gives_it(number: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, LONG, number)
    assert varints.packed(number) == out.getvalue()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 2**100, -(2**100)])
def test_a_number_of_more_than_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(OverflowError):
        varints.packed(number)


def test_remembered_high_parts_do_not_grow_without_bound() -> None:
    for number in range(2 * varints.REMEMBERED_MAX):
        large = number << 40
        assert fastavro.schemaless_reader(io.BytesIO(varints.packed(large)), LONG, None) == large
    assert len(varints.HIGH_WRITTEN) <= varints.REMEMBERED_MAX


@pytest.mark.parametrize(
    "kind", ["double", "int", ["null", "long", "string"], {"type": "fixed", "name": "F", "size": 4}]
)
def test_a_type_that_contracts_are_not_made_of_is_refused_by_name(kind: Any) -> None:
    schema = {"type": "record", "name": "Odd", "namespace": "t", "fields": [{"name": "odd", "type": kind}]}
    with pytest.raises(TypeError, match=r"contracts are made of|null and one other"):
        straightline.writer(schema, b"")
