"""One simulation for all tests of this folder, and silence: what processes log of each other's deaths is no news."""

import logging
from collections.abc import Iterator

import pytest
import structlog

import contexts
from tests.simulation.codec import SharedCodec
from tests.simulation.history import Simulation


@pytest.fixture(scope="session")
def simulation() -> Simulation:
    return Simulation(SharedCodec(contexts.messages()))


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    yield
    structlog.configure(**before)
