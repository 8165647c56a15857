"""The matching agent in a worker on a real broker: killed, it loses no break and asks for none under another id."""

import uuid
from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from domain.kernel.ids import ExecutionId, OrderId, Symbol
from domain.kernel.money import SCALE, Money, Price, Quantity
from domain.orders.commands import Side
from domain.orders.events import OrderFilled
from domain.reconciliation.commands import Kind, OpenBreak
from infra.avro.codec import Codec
from infra.faust.agent import App, Step
from streams.reconciliation import matching
from tests.infra.faust.bench import Bench

ACCOUNTS = 12


def filled(number: int) -> OrderFilled:
    return OrderFilled(
        order_id=OrderId(f"o{number}"),
        execution_id=ExecutionId(f"x{number}"),
        symbol=Symbol("AAPL"),
        side=Side.BUY,
        quantity=Quantity(SCALE),
        price=Price(100 * SCALE),
        amount=Money(10_000),
        unfilled=Quantity(0),
        released=Money(0),
        late=False,
        venue_time_ns=number,
    )


def test_the_wiring_sentence_names_what_the_agent_reads_and_writes() -> None:
    app = App()
    matching.attach(app)
    (agent,) = app.agents
    wiring = (matching.__doc__ or "").split(":")[0]
    assert wiring == f"{', '.join(agent.sources)} -> {agent.commands}"


@pytest.mark.kafka
def test_kill_9_loses_no_break_and_opens_none_twice(kafka: LocalKafka, codec: Codec, tmp_path: Path) -> None:
    run = f"t{uuid.uuid4().hex[:8]}"
    bench = Bench(kafka.bootstrap, codec, run, tmp_path, agents=("reconciliation.matching",))
    bench.tape.commit("orders.events", [(f"A{number}", filled(number)) for number in range(ACCOUNTS)])
    worker = bench.start()
    bench.await_done(worker)
    assert worker.terminate() == 0
    bench.tape.mark(8)
    for step, times in ((Step.COMMANDS, 1), (Step.PUT, 3), (Step.CHANGELOG, 1)):
        victim = bench.start(step=step, times=times)
        assert victim.await_death() == -9, victim.log.read_text()[-3000:]
    worker = bench.start()
    bench.await_done(worker)
    assert worker.terminate() == 0

    commands = bench.commands(f"{run}.reconciliation.commands")
    assert all(len(set(places)) == 1 for places in commands.values()), "one id, two payloads"
    opened = [codec.decode_command(places[0][2]).command for places in commands.values()]
    asked = {each.break_id: each for each in opened if isinstance(each, OpenBreak)}
    assert sorted(each.reference for each in asked.values()) == sorted(f"x{number}" for number in range(ACCOUNTS))
    assert {each.kind for each in asked.values()} == {Kind.MISSING_AT_VENUE}
