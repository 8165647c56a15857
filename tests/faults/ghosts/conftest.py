"""A broker whose second listener sends every client to the proxy, so that a test stands between them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local import ports
from deploy.local.kafka import LocalKafka, Profile
from tests.faults.ghosts.proxy import GhostProxy


@pytest.fixture(scope="module")
def proxy_port() -> int:
    """Where the proxy listens, and where the broker's ghost listener says that it is."""
    return ports.one()


@pytest.fixture(scope="module")
def listener_port() -> int:
    """Where the broker's ghost listener really is."""
    return ports.one()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory, proxy_port: int, listener_port: int) -> Iterator[LocalKafka]:
    """In place of the run's broker, for the topics of these tests too."""
    folder = tmp_path_factory.mktemp("haunted-kafka")
    broker = LocalKafka(folder, profile=Profile.TEST, ghost_listen_port=listener_port, ghost_port=proxy_port)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def proxy(kafka: LocalKafka, proxy_port: int, listener_port: int) -> AsyncIterator[GhostProxy]:
    async with GhostProxy(proxy_port, listener_port) as proxy:
        yield proxy
