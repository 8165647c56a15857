"""A real writer of the tape with something around it: what a test makes happen between its steps."""

from collections.abc import Sequence

from infra.kafka.records import Outgoing
from infra.kafka.writer import TapeWriter


class Around:
    """Passes everything on to a real writer; whoever extends it adds what happens."""

    def __init__(self, inner: TapeWriter) -> None:
        self._inner = inner
        self.topic = inner.topic
        self.partition = inner.partition

    @property
    def begun_at(self) -> int:
        return self._inner.begun_at

    async def take_over(self) -> None:
        await self._inner.take_over()

    async def send(self, records: Sequence[Outgoing]) -> None:
        await self._inner.send(records)

    async def end(self) -> None:
        await self._inner.end()

    async def append(self, records: Sequence[Outgoing]) -> None:
        await self.send(records)
        await self.end()

    async def close(self) -> None:
        await self._inner.close()
