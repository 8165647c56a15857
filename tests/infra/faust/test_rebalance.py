"""Workers come, die and go while events come in: nothing is lost, whoever had the partition."""

import random
import signal
import threading

import pytest

from infra.faust.batch import EXIT_CODE
from tests.infra.faust.bench import Bench, Tape, accounts, credit

pytestmark = pytest.mark.kafka

ACCOUNTS = 40
PER_TRANSACTION = 10
HEARD_EACH = 2
PAUSE_SECONDS = 0.05


class Load(threading.Thread):
    """Two hundred credits, forty messages of the outside and a few marks a second, until told to stop.

    A credit that was lost would break its chain, loudly; a message of the outside would only be missing.
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.credits = 0
        self.total = 0
        self.heard = 0
        self.transactions = 0
        self._tape = tape
        self._stopping = threading.Event()

    def run(self) -> None:
        chance = random.Random(2)
        names = list(accounts(ACCOUNTS))
        while not self._stopping.wait(PAUSE_SECONDS):
            amounts = [chance.randrange(1, 100) for _ in range(PER_TRANSACTION)]
            self._tape.commit("orders.events", [(chance.choice(names), credit(amount)) for amount in amounts])
            self.credits += len(amounts)
            self.total += sum(amounts)
            self._tape.hear(*chance.sample(names, HEARD_EACH))
            self.heard += HEARD_EACH
            self.transactions += 1
            if self.transactions % 5 == 0:
                self._tape.mark()
            if self.transactions % 20 == 0:
                self._tape.abort("orders.events", names[:5])

    def stop(self) -> None:
        self._stopping.set()
        self.join()


def test_a_worker_that_stood_still_longer_than_its_session_ends_when_it_goes_on(bench: Bench) -> None:
    bench.tape.commit("orders.events", [(name, credit(1)) for name in accounts(ACCOUNTS)])
    worker = bench.start()
    worker.await_ready()
    worker.process.send_signal(signal.SIGSTOP)
    bench.await_owners(0)
    worker.process.send_signal(signal.SIGCONT)
    assert worker.await_death() == EXIT_CODE
    assert "the process stood still" in worker.log.read_text()


def test_joining_kill_9_coming_back_and_sigterm_under_load_lose_nothing(bench: Bench) -> None:
    load = Load(bench.tape)
    load.start()
    try:
        first = bench.start("one")
        first.await_ready()
        second = bench.start("two")
        bench.await_owners(2)
        second.await_ready()
        second.kill()
        bench.await_owners(1)  # The broker gives the dead worker its session first.
        first.await_ready()
        again = bench.start("two")
        bench.await_owners(2)
        again.await_ready()
        assert again.terminate() == 0
        bench.await_owners(1)
        first.await_ready()
    finally:
        load.stop()
    bench.await_done(first)
    assert first.terminate() == 0

    states = bench.states()
    assert sum(state.events.get("CashCredited", 0) for state in states.values()) == load.credits
    assert sum(state.total for state in states.values()) == load.total
    assert sum(state.heard for state in states.values()) == load.heard
    for account, state in states.items():
        assert state.marks == state.mark_last - state.mark_first + 1, f"{account}: a mark was missed or doubled"
    commands = bench.commands()
    assert len(commands) == load.credits + load.heard
    assert all(len(set(places)) == 1 for places in commands.values()), "one id, two payloads"
