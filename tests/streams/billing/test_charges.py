"""The agent that charges fills, in a worker on a real broker, killed where it hurts."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import LocalKafka
from domain.billing import events as b
from domain.billing.commands import AccrueCommission, IssueInvoice
from domain.billing.decide import billing
from domain.billing.state import Bill
from domain.kernel.messages import Event, Issued
from domain.kernel.stream import Familiarity, Stream, advanced
from infra.avro.codec import Codec
from infra.faust.agent import App, Step
from streams.billing import charges
from tests.infra.faust.bench import Bench
from tests.kit import orders as o
from tests.kit.bills import row

ACCOUNTS = tuple(f"account-{number}" for number in range(6))
FILLS = 20
KILLS = ((Step.COMMANDS, 1), (Step.PUT, 3))


class Desk:
    """Decides what the agent asked, as the host does: each command once, by its account's bill."""

    def __init__(self, bench: Bench, codec: Codec) -> None:
        self._bench = bench
        self._codec = codec
        self.bills = {name: Stream(Bill()) for name in ACCOUNTS}
        self._taken: set[str] = set()

    def decide(self) -> list[Event]:
        """The new commands, decided and written to billing.events."""
        made: list[tuple[str, Event]] = []
        for command_id, places in self._bench.commands(f"{self._bench.run}.billing.commands").items():
            if command_id in self._taken:
                continue
            self._taken.add(command_id)
            issued: Issued[Any] = self._codec.decode_command(places[0][2])
            bill = self.bills[issued.stream_id]
            assert bill.familiarity(command_id, issued.command.at) is Familiarity.NEW
            event = billing.decide(bill.state, issued.command)
            self.bills[issued.stream_id] = advanced(
                bill, billing.evolve(bill.state, event), issued.tenant, command_id, issued.command.at, 1_024
            )
            made.append((issued.stream_id, event))
        if made:
            self._bench.tape.commit("billing.events", made)
        return [event for _, event in made]


@pytest.fixture
def bench(kafka: LocalKafka, codec: Codec, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(kafka.bootstrap, codec, f"t{uuid.uuid4().hex[:8]}", tmp_path, agents=("billing.charges",))
    yield made
    made.stop_all()


def test_the_wiring_sentence_names_what_the_agent_reads_and_writes() -> None:
    app = App()
    charges.attach(app)
    (agent,) = app.agents
    wiring = (charges.__doc__ or "").split(":")[0]
    assert wiring == f"{', '.join(agent.sources)} -> {agent.commands}"


@pytest.mark.kafka
def test_kill_9_loses_no_charge_and_counts_none_twice(bench: Bench, codec: Codec) -> None:
    tape, desk = bench.tape, Desk(bench, codec)
    tape.mark()
    # Everybody trades before there is any price list.
    for number in range(FILLS):
        tape.commit("orders.events", [(name, o.filled(10, execution=f"{name}-{number}")) for name in ACCOUNTS])
    tape.mark()
    tape.everywhere("billing.price_lists", b.PriceList(sequence=0, tenant="t", list_version=1, rows=(row(),)))
    tape.mark()
    for step, times in KILLS:
        victim = bench.start(step=step, times=times)
        assert victim.await_death() == -9, f"{step}: {victim.log.read_text()[-3000:]}"
        tape.mark()
    worker = bench.start()
    bench.await_done(worker)
    tape.mark()
    bench.await_done(worker)
    accrued = [event for event in desk.decide() if isinstance(event, b.CommissionAccrued)]
    assert len(accrued) == len({event.fill.event_id for event in accrued}) == FILLS * len(ACCOUNTS)
    assert {event.fill.session_date for event in accrued} == {"2012-03-05"}

    tape.mark(session_date="2012-04-02")
    bench.await_done(worker)
    invoices = desk.decide()
    assert [type(event).__name__ for event in invoices] == ["InvoiceIssued"] * len(ACCOUNTS)
    tape.everywhere("billing.price_lists", b.PriceList(sequence=1, tenant="t", list_version=1, rows=(row(),)))
    tape.mark(40, session_date="2012-04-02")
    bench.await_done(worker)
    assert desk.decide() == []
    assert worker.terminate() == 0
    for bill in desk.bills.values():
        (invoice,) = bill.state.invoices.values()
        assert len(invoice.lines) == FILLS
        assert not bill.state.accrued
    kinds = [codec.decode_command(places[0][2]).command for places in bench.commands().values()]
    assert {type(command) for command in kinds} == {AccrueCommission, IssueInvoice}
