"""Real servers for the tests that need them: one broker and one database a run, on free ports, gone at the end."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer

import contexts
from deploy.local.kafka import LocalKafka, Profile
from deploy.local.postgres import LocalPostgres
from infra.avro.codec import Codec
from infra.kafka.topics import TopicSpec, declare
from tests.kit import workers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest in one piece begins first; the rest keeps its order."""
    items.sort(key=lambda item: not workers.is_of_the_stack(item.nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> workers.Together:
    """How tests are dealt out."""
    return workers.Together(config, log)


@pytest.fixture(scope="session")
def codec() -> Codec:
    """The codec of all messages of the system."""
    return Codec(contexts.messages())


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A real broker for the whole run; tests keep apart by the names of their topics."""
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"), profile=Profile.TEST)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """A real database server for the whole run; tests keep apart by the names of their databases."""
    server = LocalPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.discard()


@pytest.fixture
def fresh_topic(kafka: LocalKafka) -> Callable[..., str]:
    """Makes a topic that no other test knows and gives its name."""

    def make(partitions: int = 4, name: str = "topic", **config: object) -> str:
        topic = f"{name}-{uuid.uuid4().hex[:8]}"
        declare(kafka.bootstrap, [TopicSpec(name=topic, partitions=partitions, **config)])  # type: ignore[arg-type]  # a test names fields
        return topic

    return make


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state folder of the test's own."""
    return tmp_path
