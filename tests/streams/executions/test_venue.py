"""The venue effect: everything is asked until it is answered, nothing is done twice, every answer is kept."""

import asyncio
import contextlib
import uuid
from pathlib import Path

import msgspec
import pytest

from domain.kernel.money import quantity_text
from domain.orders.events import OrderFilled
from infra.commands import TRACE
from streams.executions import interpret, venue
from tests.kit.hosting import Broker, Life, at_work, dies
from tests.kit.orders import place, record_acceptance, record_replace
from tests.kit.tape import ACME
from tests.simulators.kit import Program, ScriptedMarket, becomes, read
from tests.streams.executions.floor import ANN, Desk, ToldVenue, fills, paper_venue, said, settings

pytestmark = pytest.mark.kafka
WIDE = 100_000
"""Characters of an order's id that fills a socket soon."""
POINTS = ("taken", "send", "sent", "commit")
LIES = ("--duplicate", 0.2, "--reorder", 0.2, "--delay-ms", 3, "--drop-connection", 0.01, "--seed", 11)


async def executions(running: Program) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await read(running, f"/drop-copy?account={ACME}/{ANN}"))["executions"]
    return found


async def test_orders_reach_the_venue_and_its_words_the_feed(broker: Broker, tmp_path: Path) -> None:
    desk = Desk(broker)
    async with ScriptedMarket.open() as market, paper_venue(market, tmp_path) as running:
        async with broker.tools(settings(broker, running.port)) as tools, at_work(venue.venue, tools):
            names = await desk.buy(3)
            heard = await desk.hears(fills(3))
        copy = await executions(running)
    assert [said(each) for each in heard if said(each)["type"] == "filled"] == copy
    assert [each["client_order_id"] for each in copy] == [f"{name}-1" for name in names]
    assert {(each.tenant, each.account_id, each.venue) for each in heard} == {(ACME, ANN, "paper")}
    assert [each.sequence for each in heard] == list(range(1, 7))


async def test_what_the_venue_says_of_an_order_goes_on_in_its_trace(broker: Broker) -> None:
    desk, trace = Desk(broker), f"00-{uuid.uuid4().hex}-b7ad6b7169203331-01".encode()
    desk.tape.decide("orders", ANN, place("walnut", quantity=1, limit=101))
    desk.tape.decide("orders", ANN, place("acorn", quantity=1, limit=101))
    records = [
        msgspec.structs.replace(each, headers={TRACE: trace} if b"walnut" in each.value else {})
        for each in desk.tape.arrived
    ]
    async with (
        ToldVenue.open() as told,
        broker.tools(settings(broker, told.port)) as tools,
        at_work(venue.venue, tools),
        at_work(interpret.interpret, tools),
    ):
        await broker.write(venue.SOURCE, records)
        await told.is_asked(0, "resume", "new", "new")
        for name in ("walnut-1", "acorn-1"):
            await told.say("accepted", name, venue_order_id=f"v-{name}")
        kept = await broker.read(interpret.FEED, 2)
        sent = await broker.read("orders.commands", lambda found: trace in [each.headers.get(TRACE) for each in found])
    assert {b"walnut" in each.value: each.headers.get(TRACE) for each in kept} == {True: trace, False: None}
    (command,) = [each for each in sent if each.headers.get(TRACE) == trace]
    assert b"walnut" in command.value


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_point_leaves_nothing_undone_and_nothing_twice(
    broker: Broker, tmp_path: Path, point: str
) -> None:
    desk, life = Desk(broker), Life(point, after=3 if point in {"send", "sent"} else 1)
    async with ScriptedMarket.open() as market, paper_venue(market, tmp_path) as running:
        where = settings(broker, running.port)
        await desk.buy(20)
        async with broker.tools(where, life) as tools:
            with contextlib.suppress(BaseExceptionGroup, Exception):
                async with at_work(venue.venue, tools) as task:
                    await dies(task, life)
        assert life.is_over
        async with broker.tools(where) as tools, at_work(venue.venue, tools):
            heard = await desk.hears(fills(20))
        copy = await executions(running)
    assert len(copy) == 20
    assert len({each["client_order_id"] for each in copy}) == 20
    believed = desk.believe(heard)
    assert sorted(each.execution_id for each in believed) == sorted(each["execution_id"] for each in copy)


async def test_a_restart_asks_the_venue_for_nothing_that_was_answered(broker: Broker, tmp_path: Path) -> None:
    desk = Desk(broker)
    async with ScriptedMarket.open() as market, paper_venue(market, tmp_path) as running:
        where = settings(broker, running.port)
        for first in (0, 5):
            async with broker.tools(where) as tools, at_work(venue.venue, tools):
                await desk.buy(5, first=first)
                heard = await desk.hears(fills(first + 5))
    assert [said(each)["seq"] for each in heard] == list(range(1, 21)), "nothing was said or kept twice"
    assert not [each for each in heard if said(each)["type"] == "rejected"]


async def test_a_venue_killed_in_the_midst_of_trading_is_asked_again(broker: Broker, tmp_path: Path) -> None:
    desk = Desk(broker)
    async with ScriptedMarket.open() as market, contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(paper_venue(market, tmp_path))
        where = settings(broker, running.port)
        async with broker.tools(where) as tools, at_work(venue.venue, tools):
            placing = asyncio.create_task(desk.buy(60))
            await desk.hears(fills(5))
            await running.kill()
            await placing
            again = await stack.enter_async_context(paper_venue(market, tmp_path, "--port", running.port))
            heard = await desk.hears(fills(60))
        copy = await executions(again)
    assert sorted(each["client_order_id"] for each in copy) == sorted({each["client_order_id"] for each in copy})
    assert len(copy) == 60
    assert {each.source_id for each in heard if said(each)["type"] == "filled"} == {e["message_id"] for e in copy}


async def test_a_line_that_lies_ends_in_the_fills_of_the_drop_copy(broker: Broker, tmp_path: Path) -> None:
    desk = Desk(broker)
    async with ScriptedMarket.open() as market, paper_venue(market, tmp_path, *LIES) as running:
        async with broker.tools(settings(broker, running.port)) as tools, at_work(venue.venue, tools):
            names = await desk.buy(60)
            for name in names[:10]:
                await desk.cancel(name)
            heard = await desk.hears(fills(60))
            last = (await read(running, "/healthz"))["last_seq"]
            heard = await desk.hears(lambda heard: {each["seq"] for each in heard} >= set(range(1, last + 1)))
        copy = await executions(running)
    assert len(heard) > last, "the line repeats, and the feed keeps what it says"
    assert len(copy) == 60
    believed = desk.believe(heard)
    assert sorted(map(fill, believed)) == sorted((e["execution_id"], e["quantity"], e["price"]) for e in copy)
    assert not desk.tape.states["orders", ANN].working


def fill(event: OrderFilled) -> tuple[str, str, str]:
    return event.execution_id, quantity_text(event.quantity), f"{event.price / 10**8:.2f}"


async def test_a_cut_in_a_batch_takes_no_request_with_it(broker: Broker) -> None:
    desk = Desk(broker)
    # Together they are more than a socket takes at once: the effect waits in the midst of the batch when the cut comes.
    names = [f"{number}{'x' * WIDE}" for number in range(100)]
    await desk.do(*(place(name, quantity=1, limit=101) for name in names))
    async with (
        ToldVenue.open(cuts=2) as told,
        broker.tools(settings(broker, told.port)) as tools,
        at_work(venue.venue, tools) as task,
    ):
        asked = await told.is_asked(2, "resume", *["new"] * 100)
        assert not task.done()
    assert [each["client_order_id"] for each in asked[1:]] == [f"{name}-1" for name in names]


async def test_a_rejected_id_does_not_answer_what_else_is_asked_of_its_order(broker: Broker) -> None:
    desk = Desk(broker)
    (walnut,) = await desk.buy(1)
    await desk.cancel(walnut)
    async with (
        ToldVenue.open() as told,
        broker.tools(settings(broker, told.port)) as tools,
        at_work(venue.venue, tools),
    ):
        await told.is_asked(0, "resume", "new", "cancel")
        await told.say("rejected", f"{walnut}-1", reason="duplicate_id")
        await desk.hears(bool)
        await told.hang_up()
        asked = await told.is_asked(1, "resume", "cancel")
    assert [each["type"] for each in asked] == ["resume", "cancel"]


async def test_a_replace_waits_for_the_id_that_it_asked_for(broker: Broker) -> None:
    desk = Desk(broker)
    (walnut,) = await desk.buy(1)
    async with (
        ToldVenue.open() as told,
        broker.tools(settings(broker, told.port)) as tools,
        at_work(venue.venue, tools),
    ):
        await told.is_asked(0, "resume", "new")
        await told.say("accepted", f"{walnut}-1", venue_order_id="v")
        await desk.do(record_acceptance(walnut))
        await desk.replace(walnut, 5)
        await told.is_asked(0, "resume", "new", "replace")
        await told.say("replaced", f"{walnut}-1", new_client_order_id=f"{walnut}-2", leaves="5")
        await desk.do(record_replace(2, order_id=walnut))
        await desk.replace(walnut, 6)
        await told.is_asked(0, "resume", "new", "replace", "replace")
        # Another message that speaks of the first replace, as a venue sends when it was asked twice.
        await told.say("replaced", f"{walnut}-1", new_client_order_id=f"{walnut}-2", leaves="5")
        await desk.hears(lambda heard: len(heard) == 3)
        await told.hang_up()
        asked = await told.is_asked(1, "resume", "replace")
    assert asked[1]["new_client_order_id"] == f"{walnut}-3"


async def test_a_repeat_of_an_old_answer_answers_nothing_new(broker: Broker) -> None:
    desk = Desk(broker)
    (walnut,) = await desk.buy(1)
    async with (
        ToldVenue.open() as told,
        broker.tools(settings(broker, told.port)) as tools,
        at_work(venue.venue, tools),
    ):
        await told.is_asked(0, "resume", "new")
        accepted = await told.say("accepted", f"{walnut}-1", venue_order_id="v")
        await desk.cancel(walnut)
        await told.is_asked(0, "resume", "new", "cancel")
        rejected = await told.say("cancel_rejected", f"{walnut}-1", reason="too late")
        heard = await desk.hears(lambda heard: len(heard) == 2)
        desk.believe(heard)
        await desk.cancel(walnut)
        await told.is_asked(0, "resume", "new", "cancel", "cancel")
        await told.say("cancel_rejected", f"{walnut}-1", seq=rejected, reason="too late")
        await desk.hears(lambda heard: len(heard) == 3)
        await told.hang_up()
        asked = await told.is_asked(1, "resume", "cancel")
    assert (accepted, asked[0]["after"]) == (1, 2)


async def test_a_venue_that_turns_us_away_is_called_with_a_pause(broker: Broker) -> None:
    loop = asyncio.get_running_loop()
    async with (
        ToldVenue.open() as told,
        broker.tools(settings(broker, told.port)) as tools,
        at_work(venue.venue, tools),
    ):
        began = loop.time()
        for connection in range(4):
            await told.is_asked(connection, "resume")
            await told.hang_up()
        took = loop.time() - began
    assert took > 3 * venue.RECONNECT_SECONDS


async def test_words_that_cannot_be_read_count_as_missing_and_stop_nothing(broker: Broker) -> None:
    desk = Desk(broker)
    (walnut,) = await desk.buy(1)
    async with (
        ToldVenue.open() as told,
        broker.tools(settings(broker, told.port)) as tools,
        at_work(venue.venue, tools) as task,
    ):
        await told.is_asked(0, "resume", "new")
        await told.raw('{"type":"accepted","seq":"one"}')
        await told.say("filled", f"{walnut}-1", seq=2, leaves="0")
        await desk.hears(lambda heard: [each["seq"] for each in heard] == [2])
        assert not task.done()
        await told.hang_up()
        asked = await told.is_asked(1, "resume")
    assert asked[0]["after"] == 0, "the first number is still to come"


async def test_what_a_closed_market_has_rejected_is_not_asked_again(broker: Broker, tmp_path: Path) -> None:
    desk = Desk(broker)
    async with ScriptedMarket.open() as market, paper_venue(market, tmp_path) as running:
        market.clock("CLOSED")
        await becomes(running, "phase", "CLOSED")
        where = settings(broker, running.port)
        async with broker.tools(where) as tools, at_work(venue.venue, tools):
            await desk.buy(1)
            await desk.hears(bool)
        async with broker.tools(where) as tools, at_work(venue.venue, tools):
            await desk.buy(1, first=1)
            heard = await desk.hears(lambda heard: len(heard) == 2)
    assert [(said(each)["client_order_id"], said(each)["reason"]) for each in heard] == [
        ("ann0-1", "market_closed"),
        ("ann1-1", "market_closed"),
    ]
