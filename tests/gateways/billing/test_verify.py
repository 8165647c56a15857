"""`tapeline billing verify` on the real broker: what it reads of the tape is what was billed."""

import pytest

from deploy.local.kafka import LocalKafka
from domain.billing.commands import Fill
from domain.kernel.ids import Micros
from domain.kernel.market import Phase
from domain.market_data.marks import Mark
from domain.orders.events import OrderFilled
from gateways.billing import verify
from infra.avro.codec import Codec
from infra.catalogue import Feed, deciding, fed
from infra.kafka.records import Arrived
from infra.kafka.topics import declare
from tests.kit.bills import accrue, invoice, publish, rates, row
from tests.kit.hosting import Broker
from tests.kit.orders import credit, may_trade, place, record_fill
from tests.kit.tape import ACME, Tape
from tests.streams.executions.floor import unique

pytestmark = pytest.mark.kafka
ANN = "ann"


def billed(tape: Tape, charged_by: str) -> None:
    """Two fills of ann's, charged by these rates although the list says a cent, and invoiced."""
    for command in (*may_trade(), credit(100_000), place("walnut", quantity=10, limit=101)):
        tape.decide("orders", ANN, command)
    for number in (1, 2):
        tape.decide("orders", ANN, record_fill(5, order_id="walnut", execution=f"x-{number}"))
    tape.decide("billing", f"prices/{ACME}", publish(row(charged=rates("0.01"))))
    for recorded in tape.recorded("orders"):
        if isinstance(recorded.event, OrderFilled):
            fill = Fill(
                event_id=recorded.event_id,
                sequence=recorded.sequence,
                order_id=recorded.event.order_id,
                execution_id=recorded.event.execution_id,
                symbol=recorded.event.symbol,
                session_date="2012-03-05",
                quantity=recorded.event.quantity,
                price=recorded.event.price,
            )
            tape.decide("billing", ANN, accrue(fill, rates(charged_by)))
    tape.decide("billing", ANN, invoice())


def mark(at: int) -> Mark:
    return Mark(
        sequence=at,
        market_time=Micros(at),
        session_date="2012-03-05",
        phase=Phase.OPEN,
        observed_at=Micros(at),
        is_complete=True,
        prices={},
    )


@pytest.mark.parametrize(("charged_by", "doubts"), [("0.01", 0), ("0.02", 2)])
async def test_an_account_is_computed_again_from_the_tape(
    kafka: LocalKafka, codec: Codec, monkeypatch: pytest.MonkeyPatch, charged_by: str, doubts: int
) -> None:
    run, tape, broker = unique("verify"), Tape(codec), Broker(kafka.bootstrap, codec)
    for name, topic in (("ORDERS", "orders.events"), ("BILLING", "billing.events"), ("MARKS", "marks")):
        monkeypatch.setattr(verify, name, f"{run}.{topic}")
    declare(
        kafka.bootstrap, [*deciding(f"{run}.orders"), *deciding(f"{run}.billing"), *fed(run, [Feed("marks", Mark)])]
    )
    billed(tape, charged_by)
    for topic in ("orders.events", "billing.events"):
        await broker.write(f"{run}.{topic}", [each for each in tape.arrived if each.topic == topic])
    for at in (1, 2**52):
        value = codec.encode_observed(mark(at))
        await broker.write(f"{run}.marks", [Arrived("", number, 0, b"", value, {}) for number in range(4)])
    verdict = await verify.verify(kafka.bootstrap, ACME, ANN)
    assert (verdict.invoices, verdict.fills, verdict.waiting) == (1, 2, ())
    assert len(verdict.doubts) == doubts, verdict.doubts
    nobody = await verify.verify(kafka.bootstrap, "rival", ANN)
    assert (nobody.invoices, nobody.fills) == (0, 0)
