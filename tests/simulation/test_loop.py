"""The loop: time that is counted, an order that is drawn, deaths without last words."""

import asyncio
from random import Random

import pytest

from tests.simulation.loop import Endless, Process, VirtualLoop


def played(seed: int) -> list[str]:
    """Two processes of three steps each, and the order in which they came."""
    loop = VirtualLoop(Random(seed))
    seen: list[str] = []

    async def steps(name: str) -> None:
        for number in range(3):
            seen.append(f"{name}{number}")
            await asyncio.sleep(0)

    tasks = [loop.spawn(Process(name), steps(name)) for name in "ab"]

    async def all_of() -> None:
        await asyncio.wait(tasks)

    loop.run_until_complete(all_of())
    loop.close()
    return seen


def test_time_passes_only_when_nothing_is_ready() -> None:
    loop = VirtualLoop(Random(1))

    async def a_day() -> float:
        await asyncio.sleep(86_400)
        return loop.time()

    assert loop.run_until_complete(a_day()) == 86_400
    loop.close()


def test_within_a_process_steps_keep_their_order_and_between_processes_the_seed_draws() -> None:
    orders = {tuple(played(seed)) for seed in range(20)}
    assert len(orders) > 5
    assert all([s for s in order if s[0] == "a"] == ["a0", "a1", "a2"] for order in orders)
    assert played(3) == played(3)


def test_a_killed_process_has_no_last_words_and_a_stopped_one_goes_on() -> None:
    loop = VirtualLoop(Random(1))
    said: list[str] = []
    killed, stopped = Process("killed"), Process("stopped")

    async def live(name: str) -> None:
        try:
            await asyncio.sleep(1)
            said.append(name)
        finally:
            said.append(f"last words of {name}")

    async def history() -> None:
        loop.spawn(killed, live("killed"))
        loop.spawn(stopped, live("stopped"))
        await asyncio.sleep(0.5)
        loop.kill(killed)
        loop.stop_process(stopped)
        await asyncio.sleep(10)
        assert said == []
        loop.continue_process(stopped)
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        assert said == ["stopped", "last words of stopped"]

    loop.run_until_complete(history())
    loop.bury()
    loop.close()


def test_a_process_dies_at_the_step_that_is_named() -> None:
    loop = VirtualLoop(Random(1))
    said: list[int] = []
    process = Process("mortal")

    async def live() -> None:
        for number in range(10):
            said.append(number)
            await asyncio.sleep(0)

    async def history() -> None:
        process.steps_left = 3
        loop.spawn(process, live())
        await asyncio.sleep(1)

    loop.run_until_complete(history())
    assert said == [0, 1, 2]
    assert process.is_dead
    loop.bury()
    loop.close()


def test_a_history_in_which_nobody_will_ever_act_is_an_error() -> None:
    loop = VirtualLoop(Random(1))

    async def for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    waiting = loop.create_task(for_ever())
    with pytest.raises(Endless, match="nobody will ever act"):
        loop.run_until_complete(waiting)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(waiting)
    loop.close()
