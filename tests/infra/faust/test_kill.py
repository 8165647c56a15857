"""Killed at each step, again and again: the totals are exact all the same."""

import random
import shutil

import pytest

from domain.risk.events import HaltOrdered
from infra.faust.agent import Step
from infra.settings import PARTITIONS
from tests.infra.faust.bench import Bench, accounts, credit
from tests.infra.faust.counting import UNREADABLE

pytestmark = pytest.mark.kafka

ACCOUNTS = 60
CREDITS = 2_000
HALTS = 300
MARKS = 120
MARKS_AFTER = 5
HEARD = 600
BROADCASTS = 15
PER_TRANSACTION = 50
BATCH_EVENTS = 50
KILLS = (
    (Step.COMMANDS, 1),
    (Step.PUT, 21),
    (Step.CHANGELOG, 2),
    (Step.PUT, 42),
    (Step.CHANGELOG, 7),
    (Step.COMMANDS, 2),
)
"""Changelog and put are counted by partition: the process dies with some partitions of a batch done, and some not."""

LOST_DISK_BEFORE = 3


def load(bench: Bench) -> int:
    """Everything that comes in, with runs that were aborted, a poison and an event without a key; gives the sum."""
    chance = random.Random(1)
    names = list(accounts(ACCOUNTS))
    total = 0
    for number in range(0, CREDITS, PER_TRANSACTION):
        amounts = [chance.randrange(1, 100) for _ in range(PER_TRANSACTION)]
        bench.tape.commit("orders.events", [(chance.choice(names), credit(amount)) for amount in amounts])
        total += sum(amounts)
        if number % 400 == 0:
            bench.tape.abort("orders.events", chance.sample(names, 20))
        if number < HALTS:
            bench.tape.commit("risk.events", [(chance.choice(names), HaltOrdered(reason="r"))] * PER_TRANSACTION)
        if number % 100 == 0:
            bench.tape.mark(MARKS * 100 // CREDITS)
            bench.tape.hear(*chance.sample(names, 30))
        if number % 400 == 0:
            bench.tape.broadcast(3)
        if number == 500:
            bench.tape.hear(names[2], body=UNREADABLE)
            bench.tape.poison("orders.events", names[1])
            bench.tape.commit("orders.events", [("", credit(0))])
    bench.tape.abort("orders.events", names)
    return total


def test_kill_9_at_each_step_loses_nothing_doubles_nothing_and_contradicts_nothing(bench: Bench) -> None:
    total = load(bench)
    for number, (step, times) in enumerate(KILLS):
        if number == LOST_DISK_BEFORE:
            shutil.rmtree(bench.folder / "one" / "faust")
        victim = bench.start(step=step, times=times, batch=BATCH_EVENTS)
        assert victim.await_death() == -9, f"{step}: {victim.log.read_text()[-3000:]}"
    last = bench.start(batch=BATCH_EVENTS)
    bench.await_done(last)
    bench.tape.mark(MARKS_AFTER)  # An account may be younger than all marks before: topics are not read in step.
    bench.await_done(last)
    assert last.terminate() == 0

    states = bench.states()
    counts = [state.events for state in states.values()]
    assert sum(count.get("CashCredited", 0) for count in counts) == CREDITS
    assert sum(count.get("HaltOrdered", 0) for count in counts) == HALTS
    assert sum(state.total for state in states.values()) == total + HALTS
    for account, state in states.items():
        assert state.marks == state.mark_last - state.mark_first + 1, f"{account}: a mark was missed or doubled"
        assert state.mark_last == MARKS + MARKS_AFTER - 1, account

    assert sum(state.heard for state in states.values()) == HEARD
    assert bench.known() == [BROADCASTS] * PARTITIONS
    assert {state.known for state in states.values()} == {BROADCASTS}

    commands = bench.commands()
    assert len(commands) == CREDITS + HALTS + HEARD
    assert all(len(set(places)) == 1 for places in commands.values()), "one id, two payloads"

    unread = [dict(message.headers()) for message in bench.read(f"{bench.run}.executions.messages.dead")]
    assert {(letter["id"], letter["cause"]) for letter in unread} == {(unread[0]["id"], b"UNREADABLE")}
    letters = [dict(message.headers()) for message in bench.read(f"{bench.run}.orders.events.dead")]
    causes = {letter["id"]: letter["cause"] for letter in letters}
    assert sorted(causes.values()) == [b"NO_FRAME", b"NO_KEY"]
    assert all(letter["source"].startswith(f"{bench.run}.orders.events|".encode()) for letter in letters)
