"""A bench per test: topics, a group and folders of its own."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from infra.avro.codec import Codec
from tests.infra.faust.bench import Bench


@pytest.fixture
def bench(kafka: LocalKafka, codec: Codec, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(kafka.bootstrap, codec, f"t{uuid.uuid4().hex[:8]}", tmp_path)
    yield made
    made.stop_all()
