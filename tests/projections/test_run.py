"""The projector as a process runs it: a real broker, a real database, stopped and started."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec
import pytest
from typer.testing import CliRunner

from deploy.local.kafka import LocalKafka
from infra.kafka.records import Arrived
from infra.kafka.sender import Sender
from infra.postgres import Database
from infra.settings import Settings
from projections import cli, intake, projector
from projections.orders.blotter import BlotterRow, blotter
from projections.orders.journal import journal
from projections.read_model import ReadModel
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
    kafka: LocalKafka,
    dsn: str,
    db: Database,
    tape: Tape,
    fresh_topic: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake, "BATCH_RECORDS_MAX", 20)
    topic = fresh_topic(4, f"orders-{uuid.uuid4().hex[:6]}")
    models = [msgspec.structs.replace(model, events=(topic,)) for model in (blotter, journal)]
    settings = Settings(kafka=kafka.bootstrap, postgres=dsn)
    commands = cli.app(lambda: settings, lambda: tape.codec, models)
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
        result = await asyncio.to_thread(CliRunner().invoke, commands, ["rebuild", "blotter"])
        assert result.exit_code == 0, result.output
        assert "blotter_v1_g2 is live" in result.output
        sent = len(tape.arrived)
        play(tape, choices_from(seed=33, count=20))
        await send(tape.arrived[sent:])
        await eventually(is_projected)

        async def nothing_is_behind() -> bool:
            return [behind for _, behind in await cli.behind(db, settings)] == [0] * 8

        await eventually(nothing_is_behind)
        listed = await asyncio.to_thread(CliRunner().invoke, commands, ["list"])
        assert "blotter_v1_g2" in listed.output
        assert "journal_v2_g1" in listed.output
        lag = await asyncio.to_thread(CliRunner().invoke, commands, ["lag"])
        assert lag.exit_code == 0, lag.output
        unknown = await asyncio.to_thread(CliRunner().invoke, commands, ["rebuild", "bolter"])
        assert unknown.exit_code == 2
        assert "blotter, journal" in unknown.output
    await sender.close()
    rows = {
        msgspec.structs.replace(row, topic="orders.events")
        for row in await db.rows(BlotterRow, "SELECT * FROM order_blotter")
    }
    assert rows == folded(tape, blotter)["order_blotter"]
