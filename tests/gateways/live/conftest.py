"""One installation for all live tests of doors, on a broker and a database of its own."""

from collections.abc import Iterator

import pytest

from deploy.local.kafka import LocalKafka, Profile
from deploy.local.postgres import LocalPostgres
from infra.avro.codec import Codec
from tests.kit.live import Live


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory, codec: Codec) -> Iterator[Live]:
    """The installation; tests keep apart by their accounts."""
    broker = LocalKafka(tmp_path_factory.mktemp("doors-kafka"), profile=Profile.TEST)
    database = LocalPostgres(tmp_path_factory.mktemp("doors-postgres"))
    broker.start()
    database.start()
    installation = Live(broker, database.dsn, tmp_path_factory.mktemp("doors-state"), codec)
    installation.start()
    yield installation
    installation.stop()
    database.stop()
    broker.stop()
