"""A take-over is one piece: between its first fence and its end no connection is lost unnoticed."""

from typing import Any

import pytest

from deploy.local.kafka import LocalKafka
from infra.kafka import fence
from infra.kafka.cluster import Cluster
from infra.kafka.writer import transactional_ids

pytestmark = pytest.mark.kafka


class Cut(Cluster):
    """Loses its connections once, when the first id has been fenced; remembers which ids were."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap, "test")
        self.fenced: list[str] = []

    async def ask_coordinator(self, transactional_id: str, request: Any) -> Any:
        answer = await super().ask_coordinator(transactional_id, request)
        if answer.error_code == 0:
            self.fenced.append(transactional_id)
            if len(self.fenced) == 1:
                for connection in self._connections.values():
                    connection.close()
        return answer


async def test_a_take_over_that_lost_a_connection_begins_again_with_the_first_id(
    kafka: LocalKafka, fresh_topic: Any
) -> None:
    """It went on with the next id on a new connection, and could then abort what somebody else took as written.

    A broker was stopped between its fences and forgot the marker of a batch; whoever wrote that batch still held the
    first id, saw nothing open, and wrote the next one behind the gap.
    """
    topic = fresh_topic(1)
    ids = transactional_ids(topic, 0)
    cluster = Cut(kafka.bootstrap)
    await fence.take(cluster, topic, 0, ids)
    await cluster.close()
    assert cluster.fenced[0] == ids[0]
    assert sorted(cluster.fenced[1:]) == sorted(ids), "every id is fenced after the cut"
    assert cluster.fenced[1] == ids[0]
