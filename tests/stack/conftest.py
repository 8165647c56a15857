"""One whole stack for all tests of this folder; they keep apart by their accounts."""

from collections.abc import AsyncIterator, Iterator

import pytest

from infra.avro.codec import Codec
from tests.kit import whole_stack
from tests.kit.trading import Market
from tests.kit.whole_stack import WholeStack


@pytest.fixture(scope="package")
def whole(codec: Codec, request: pytest.FixtureRequest) -> Iterator[WholeStack]:
    """The stack, up from the first test that asks for it to the last of the folder; kept on disk when a test failed."""
    with whole_stack.started(codec, lambda: request.session.testsfailed > 0) as started:
        yield started


@pytest.fixture
async def stack(whole: WholeStack) -> AsyncIterator[WholeStack]:
    """The stack under supervision for one test, everything ready."""
    async with whole.supervised():
        yield whole


@pytest.fixture
async def market(stack: WholeStack) -> AsyncIterator[Market]:
    """Customers with a history of this test's own."""
    async with stack.market() as made:
        yield made
