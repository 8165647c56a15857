"""The straight-line readers and writers: numbers of every length, blocks of every shape, and what they refuse."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.avro import straightline, varints

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [sign * 2**power + off for power in range(0, 63, 7) for sign in (1, -1) for off in (-1, 0, 1)]
)


@settings(deadline=None, max_examples=1_000)
@given(NUMBERS)
def test_a_number_has_the_bytes_that_fastavro_gives_it(number: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema("long"), number)
    assert varints.packed(number) == out.getvalue()
    assert varints.zigzag(b"\xff" + out.getvalue() + b"\xff" * 8, 1) == (number, 1 + len(out.getvalue()))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 2**100, -(2**100)])
def test_a_number_of_more_than_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(OverflowError):
        varints.packed(number)


def test_remembered_high_parts_do_not_grow_without_bound() -> None:
    for number in range(2 * varints.REMEMBERED_MAX):
        large = number << 40
        assert varints.zigzag(varints.packed(large) + b"\0" * 8, 0)[0] == large
    assert len(varints.HIGH_WRITTEN) <= varints.REMEMBERED_MAX


@pytest.mark.parametrize(
    "value", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10 + b"\x01", b"\xff" * 9 + b"\x02", b"\xff" * 30]
)
def test_a_number_that_does_not_end_is_garbage(value: bytes) -> None:
    with pytest.raises((IndexError, ValueError)):
        varints.zigzag(value, 0)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(), max_size=9), st.integers(1, 3))
def test_items_in_several_blocks_with_their_sizes_are_read(names: list[str], size: int) -> None:
    """Apache's writers cut long arrays into blocks, and tell the size of each behind a negative count."""
    schema = {"type": "record", "name": "Names", "namespace": "t", "fields": [{"name": "names", "type": ARRAY}]}
    out = b""
    for at in range(0, len(names), size):
        items = [varints.counted(name.encode()) for name in names[at : at + size]]
        out += varints.packed(-len(items)) + varints.packed(sum(map(len, items))) + b"".join(items)
    assert straightline.reader(schema)(out + b"\0", 0) == ({}, {"names": names})


ARRAY = {"type": "array", "items": "string"}


@pytest.mark.parametrize(
    ("body", "why"),
    [(b"\x04", "names no branch"), (b"\x02", "ends before the value"), (b"\x02\x02\x00", "goes on after the record")],
)
def test_a_union_that_is_none_is_garbage(body: bytes, why: str) -> None:
    field = {"name": "limit", "type": ["null", "long"]}
    read = straightline.reader({"type": "record", "name": "One", "namespace": "t", "fields": [field]})
    with pytest.raises((IndexError, ValueError)):
        assert not read(body, 0), why


@pytest.mark.parametrize(
    "kind", ["double", "int", ["null", "long", "string"], {"type": "fixed", "name": "F", "size": 4}]
)
def test_a_type_that_contracts_are_not_made_of_is_refused_by_name(kind: Any) -> None:
    schema = {"type": "record", "name": "Odd", "namespace": "t", "fields": [{"name": "odd", "type": kind}]}
    with pytest.raises(TypeError, match=r"contracts are made of|null and one other"):
        straightline.reader(schema)
