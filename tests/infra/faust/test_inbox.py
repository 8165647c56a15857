"""An inbox gives its agent whole runs in their order, as many as a batch may have, and bounds what waits in it."""

import asyncio
from types import SimpleNamespace

from infra.faust.inbox import Inbox, Run


def run(first: int, count: int) -> Run:
    return Run("place", [SimpleNamespace(offset=first + number) for number in range(count)], 1)


def offsets(runs: list[Run]) -> list[int]:
    return [record.offset for each in runs for record in each.records]


async def test_what_is_there_is_taken_in_order_and_no_run_is_cut() -> None:
    inbox = Inbox(100)
    for each in (run(0, 3), run(3, 4), run(7, 3)):
        inbox.put(each)
    assert offsets(await inbox.take(8)) == list(range(7))
    assert offsets(await inbox.take(8)) == [7, 8, 9]


async def test_a_run_larger_than_a_batch_is_taken_alone() -> None:
    inbox = Inbox(100)
    inbox.put(run(0, 9))
    inbox.put(run(9, 1))
    assert offsets(await inbox.take(5)) == list(range(9))


async def test_an_empty_inbox_is_waited_for_and_one_record_is_enough() -> None:
    inbox = Inbox(100)
    waiting = asyncio.ensure_future(inbox.take(50))
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put(run(4, 1))
    assert offsets(await asyncio.wait_for(waiting, 1)) == [4]


async def test_a_full_inbox_has_no_room_until_something_is_taken() -> None:
    inbox = Inbox(5)
    inbox.put(run(0, 5))
    room = asyncio.ensure_future(inbox.room())
    await asyncio.sleep(0)
    assert not room.done()
    await inbox.take(5)
    await asyncio.wait_for(room, 1)


async def test_a_cleared_inbox_has_room_and_forgets_what_was_not_taken() -> None:
    inbox = Inbox(5)
    inbox.put(run(0, 5))
    inbox.clear()
    await asyncio.wait_for(inbox.room(), 1)
    inbox.put(run(7, 1))
    assert offsets(await inbox.take(5)) == [7]


async def test_idle_is_when_what_was_taken_is_done() -> None:
    inbox = Inbox(5)
    await asyncio.wait_for(inbox.idle(), 1)
    inbox.put(run(0, 1))
    taken = await inbox.take(5)
    idle = asyncio.ensure_future(inbox.idle())
    await asyncio.sleep(0)
    assert not idle.done()
    inbox.done(taken)
    await asyncio.wait_for(idle, 1)
    assert [each.waiting for each in taken] == [0]
