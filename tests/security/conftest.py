"""One gateway in a process of its own for all tests that throw something at it."""

from collections.abc import Iterator

import pytest

from infra.avro.codec import Codec
from tests.security.door import Door, opened


@pytest.fixture(scope="package")
def door(tmp_path_factory: pytest.TempPathFactory, codec: Codec) -> Iterator[Door]:
    """The door, with everything behind it."""
    with opened(tmp_path_factory.mktemp("door"), codec) as opening:
        yield opening
