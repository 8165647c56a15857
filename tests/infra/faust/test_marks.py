"""Marks stand in every partition and concern every account of it."""

import pytest

from tests.infra.faust.bench import Bench, accounts, credit

pytestmark = pytest.mark.kafka


def test_every_account_of_every_partition_meets_every_mark_across_a_restart(bench: Bench) -> None:
    names = list(accounts(12))
    bench.tape.commit("orders.events", [(name, credit(1)) for name in names])
    worker = bench.start()
    bench.await_done(worker)
    bench.tape.mark(5, AAPL=1)
    bench.await_done(worker)
    assert worker.terminate() == 0
    bench.tape.mark(5, IBM=2)
    worker = bench.start()
    bench.await_done(worker)
    assert worker.terminate() == 0
    states = bench.states()
    assert sorted(states) == sorted(names)
    assert {(state.mark_first, state.mark_last, state.marks) for state in states.values()} == {(0, 9, 10)}
    assert {state.total for state in states.values()} == {1}


def test_a_gap_in_a_chain_stops_the_worker_before_it_goes_on(bench: Bench) -> None:
    names = list(accounts(1))
    bench.tape.commit("orders.events", [(names[0], credit(1))])
    bench.tape.skip_one()
    bench.tape.commit("orders.events", [(names[0], credit(2))])
    worker = bench.start()
    assert worker.await_death() == 70
    assert "sequence 2 follows 0" in worker.log.read_text()
    # The event before the gap may have been a batch of its own; the one past it must not count.
    assert all(state.total <= 1 for state in bench.states().values())
