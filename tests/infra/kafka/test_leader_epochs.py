"""A leader that was elected anew while every connection lives on: the client's memory of its epoch is refused."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from deploy.local.kafka import LocalKafka
from infra.kafka import codes
from infra.kafka.reader import Reader

pytestmark = pytest.mark.kafka


async def test_the_cluster_is_asked_who_leads_before_a_fenced_leader_epoch_is_used_again(
    kafka: LocalKafka, fresh_topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, reader = fresh_topic(1), Reader(kafka.bootstrap)
    assert await reader.ends(topic) == {0: 0}
    admin, asked = reader._admin, list[str]()
    assert admin is not None

    def stale(*of: Any, **how: Any) -> Any:
        if "who leads" not in asked:
            raise KafkaException(KafkaError(codes.UNKNOWN_LEADER_EPOCH))
        return admin.list_offsets(*of, **how)

    def told(*of: Any) -> Any:
        asked.append("who leads")
        return admin.list_topics(*of)

    monkeypatch.setattr(reader, "_admin", SimpleNamespace(list_offsets=stale, list_topics=told))
    assert await reader.ends(topic) == {0: 0}
    await reader.close()
