"""Derived ids: UUIDs of version 5, whatever they are made of."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.ids import derived

NAMESPACE = uuid.UUID("6f1d1c0e-5a39-5d0a-9f0e-7a7065000000")


@given(st.lists(st.text() | st.integers(), min_size=1))
def test_a_derived_id_is_the_uuid5_of_its_parts(parts: list[str | int]) -> None:
    assert derived(*parts) == str(uuid.uuid5(NAMESPACE, "\x1f".join(map(str, parts))))
