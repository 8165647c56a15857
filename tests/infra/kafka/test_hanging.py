"""What is aborted of a partition's open transactions at a take-over, and what is somebody else's."""

from typing import Any

from infra.kafka.cluster import Cluster
from infra.kafka.hanging import abort_hanging

OURS, STRANGER = 7, 8
FENCED_AT = 5


class Told:
    """A leader that tells of these producers and remembers which it was asked to abort."""

    def __init__(self, *producers: tuple[int, int, int]) -> None:
        self.aborted: list[tuple[int, int]] = []
        self._producers: list[tuple[Any, ...]] = [
            (number, epoch, 0, 0, 0, start, {}) for number, epoch, start in producers
        ]

    async def ask_leader(self, topic: str, partition: int, request: Any) -> Any:
        if request.API_KEY == 61:
            return type("Answer", (), {"topics": [(topic, [(partition, 0, None, self._producers, {})], {})]})
        ((producer_id, epoch, is_committed, *_),) = request._fields[0]
        assert not is_committed
        self.aborted.append((producer_id, epoch))
        return None


async def aborted(told: Told) -> list[tuple[int, int]]:
    cluster: Cluster = told  # type: ignore[assignment]  # as much of one as is asked here
    await abort_hanging(cluster, "orders.events", 0, {OURS: FENCED_AT})
    return told.aborted


async def test_what_stood_open_before_our_fence_is_aborted() -> None:
    assert await aborted(Told((OURS, FENCED_AT - 1, 40))) == [(OURS, FENCED_AT - 1)]


async def test_a_successors_open_batch_is_left_alone() -> None:
    """It has the same producer id under a later epoch: an owner that slept through its own end must not touch it."""
    assert await aborted(Told((OURS, FENCED_AT, 40), (OURS, FENCED_AT + 1, 40))) == []


async def test_strangers_and_closed_transactions_are_left_alone() -> None:
    assert await aborted(Told((STRANGER, 0, 40), (OURS, FENCED_AT - 1, -1))) == []
