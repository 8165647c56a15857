"""The projector as a process runs it: a real broker, a real database, stopped and started."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec
import pytest

from deploy.local.kafka import LocalKafka
from infra.kafka.reader import Reader
from infra.kafka.records import Arrived
from infra.kafka.sender import Sender
from infra.postgres import Database
from infra.settings import Settings
from projections import cli, projector
from projections.orders.blotter import BlotterRow, blotter
from projections.orders.journal import journal
from projections.read_model import ReadModel
from projections.rebuild import Rebuild
from tests.kit.histories import choices_from, play
from tests.kit.tape import Tape
from tests.projections.hosting import eventually, folded

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@contextlib.asynccontextmanager
async def running(settings: Settings, tape: Tape, models: list[ReadModel]) -> AsyncIterator[None]:
    """The projector at work; its end is a cancellation, as in the process."""
    work = asyncio.create_task(projector.run(settings, tape.codec, models))
    try:
        yield
        assert not work.done(), work.result()
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


async def test_a_real_tape_is_projected_across_a_restart_and_a_rebuild(
    kafka: LocalKafka, dsn: str, db: Database, tape: Tape, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(4, f"orders-{uuid.uuid4().hex[:6]}")
    models = [msgspec.structs.replace(model, events=(topic,)) for model in (blotter, journal)]
    settings = Settings(kafka=kafka.bootstrap, postgres=dsn)
    sender = Sender(kafka.bootstrap, "test")

    async def send(arrived: Iterable[Arrived]) -> None:
        for each in arrived:
            if each.topic == "orders.events":
                await sender.send(topic, each.key, each.value, each.headers, each.partition)

    async def is_projected() -> bool:
        sent = sum(each.topic == "orders.events" for each in tape.arrived)
        return int(await db.value("SELECT count(*) FROM journal")) == sent

    play(tape, choices_from(seed=31, count=60))
    await send(tape.arrived)
    assert await projector.declare(settings, models) == []
    async with running(settings, tape, models):
        await eventually(is_projected)
    sent = len(tape.arrived)
    play(tape, choices_from(seed=32, count=60))
    await send(tape.arrived[sent:])
    async with running(settings, tape, models):
        await eventually(is_projected)
        reader = Reader(kafka.bootstrap, "rebuild")
        outcome = await Rebuild(db, reader, tape.codec, models[0], 4).run()
        await reader.close()
        assert outcome.is_switched
        assert outcome.differences == []
        sent = len(tape.arrived)
        play(tape, choices_from(seed=33, count=20))
        await send(tape.arrived[sent:])
        await eventually(is_projected)

        async def nothing_is_behind() -> bool:
            return [behind for _, behind in await cli.behind(db, settings)] == [0] * 8

        await eventually(nothing_is_behind)
    await sender.close()
    rows = {
        msgspec.structs.replace(row, topic="orders.events")
        for row in await db.rows(BlotterRow, "SELECT * FROM order_blotter")
    }
    assert rows == folded(tape, blotter)["order_blotter"]
