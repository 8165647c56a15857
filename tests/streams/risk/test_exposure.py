"""The exposure agent and the agent of the day's end, in one worker on a real broker."""

import uuid
from pathlib import Path

import pytest

from deploy.local.kafka import LocalKafka
from domain.kernel.ids import Micros, OrderId, Symbol
from domain.kernel.market import Market, Phase
from domain.kernel.money import SCALE, Money, Price, Quantity
from domain.orders.commands import EndDay, Kind, Side, TimeInForce
from domain.orders.events import OrderPlaced
from domain.risk.commands import ReportBreach
from domain.risk.events import LimitsSet
from infra.avro.codec import Codec
from infra.faust.agent import App
from streams.risk import exposure
from tests.infra.faust.bench import Bench


def limits(exposure_max: int) -> LimitsSet:
    return LimitsSet(
        order_notional_max=Money(1), gross_exposure_max=Money(exposure_max), orders_per_minute_max=10, reason="r"
    )


def placed(order_id: str, shares: int) -> OrderPlaced:
    market = Market(
        sequence=0, market_time=Micros(0), observed_at=Micros(0), phase=Phase.OPEN, price=Price(100 * SCALE)
    )
    return OrderPlaced(
        order_id=OrderId(order_id),
        symbol=Symbol("AAPL"),
        side=Side.BUY,
        kind=Kind.MARKET,
        quantity=Quantity(shares * SCALE),
        limit_price=None,
        time_in_force=TimeInForce.DAY,
        reserved=Money(0),
        market=market,
    )


def test_the_wiring_sentence_names_what_the_agent_reads_and_writes() -> None:
    app = App()
    exposure.attach(app)
    (agent,) = app.agents
    wiring = (exposure.__doc__ or "").split(":")[0]
    assert wiring == f"{', '.join(agent.sources)} -> {agent.commands}"


@pytest.mark.kafka
def test_two_agents_share_their_sources_and_a_crash_asks_nothing_new(
    kafka: LocalKafka, codec: Codec, tmp_path: Path
) -> None:
    run = f"t{uuid.uuid4().hex[:8]}"
    bench = Bench(kafka.bootstrap, codec, run, tmp_path, agents=("risk.exposure", "orders.day_end"))
    tape = bench.tape
    tape.mark(AAPL=100 * SCALE)
    tape.commit("risk.events", [(name, limits(10_000_00)) for name in ("calm", "marked", "eager")])
    tape.commit(
        "orders.events", [("calm", placed("O1", 1)), ("marked", placed("O2", 99)), ("eager", placed("O3", 101))]
    )
    worker = bench.start()
    bench.await_done(worker)
    tape.mark(AAPL=102 * SCALE)
    bench.await_done(worker)
    tape.mark(phase=Phase.CLOSED)
    bench.await_done(worker)
    worker.kill()
    worker = bench.start()
    bench.await_done(worker)
    assert worker.terminate() == 0

    reports = [codec.decode_command(places[0][2]) for places in bench.commands(f"{run}.risk.commands").values()]
    seen = {issued.stream_id: issued.command for issued in reports}
    assert len(reports) == 2
    assert isinstance(seen["eager"], ReportBreach)
    assert seen["eager"].observed in {10_100_00, 10_302_00}, "whichever came first, the order or the second mark"
    assert isinstance(seen["marked"], ReportBreach)
    assert (seen["marked"].observed, seen["marked"].mark_sequence) == (10_098_00, 1)

    ends = [codec.decode_command(places[0][2]) for places in bench.commands(f"{run}.orders.commands").values()]
    assert sorted(issued.stream_id for issued in ends) == ["calm", "eager", "marked"]
    assert {issued.command.session_date for issued in ends if isinstance(issued.command, EndDay)} == {"2012-03-05"}
