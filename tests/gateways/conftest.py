"""Doors over a bus in memory: what routes do needs no broker."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.avro.codec import Codec
from tests.kit.doors import Client, Doors


@pytest.fixture
def doors(codec: Codec, state_dir: Path) -> Doors:
    """A gateway that is not open yet."""
    return Doors(codec, state_dir)


@pytest.fixture
async def trader(doors: Doors) -> AsyncIterator[Client]:
    """A trader before the open gateway, with an account that may trade."""
    async with doors.open() as client:
        yield client
