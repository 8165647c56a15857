"""The judge of the whole stack is judged: whatever is wrong with a tape or an answer, it names it."""

from collections.abc import Callable

import msgspec
import pytest

from domain.kernel.ids import ExecutionId
from domain.orders.events import OrderFilled
from tests.kit.books import Tape
from tests.kit.trading import Market
from tests.kit.whole_stack import WholeStack

pytestmark = pytest.mark.stack


def lost_fill(tape: Tape, account_id: str) -> None:
    del tape.records[_fill(tape, account_id)]


def doubled_fill(tape: Tape, account_id: str) -> None:
    tape.records.append(tape.records[_fill(tape, account_id)])


def invented_fill(tape: Tape, account_id: str) -> None:
    at = _fill(tape, account_id)
    record = tape.records[at]
    event = msgspec.structs.replace(record.message.event, execution_id=ExecutionId("invented"))
    recorded = msgspec.structs.replace(record.message, event=event)
    tape.records[at] = msgspec.structs.replace(record, message=recorded)


def cheaper_fill(tape: Tape, account_id: str) -> None:
    at = _fill(tape, account_id)
    record = tape.records[at]
    event = msgspec.structs.replace(record.message.event, amount=record.message.event.amount - 1)
    recorded = msgspec.structs.replace(record.message, event=event)
    tape.records[at] = msgspec.structs.replace(record, message=recorded)


def _fill(tape: Tape, account_id: str) -> int:
    """Where the account's only fill stands: later events of a busy account would mend its cash."""
    return next(
        at
        for at, record in enumerate(tape.records)
        if isinstance(record.message.event, OrderFilled) and record.message.stream_id == account_id
    )


FORGERIES: dict[Callable[[Tape, str], None], list[str]] = {
    lost_fill: ["executions missing here", "the venue says", "rows differ", "the ledger has"],
    doubled_fill: ["stands 2 times on the tape", "has version"],
    invented_fill: ["unknown there ['invented']", "rows differ"],
    cheaper_fill: ["deposits and executions make", "the ledger has"],
}


@pytest.mark.timeout(240)
async def test_every_forgery_of_a_tape_is_named(stack: WholeStack, market: Market) -> None:
    (trader,) = await market.open_and_fund(1)
    await trader.until_open()
    assert (await trader.place(symbol="IBM", side="BUY", kind="MARKET", quantity="2")).status == 201
    await stack.judge.until(lambda tape: "OrderFilled" in tape.kinds("orders", trader.account_id))
    await stack.judge.balanced(market.history)
    for forge, named in FORGERIES.items():
        tape = await stack.judge.tape()
        forge(tape, trader.account_id)
        faults = "\n".join(await stack.judge.faults(tape, market.history))
        for words in named:
            assert words in faults, f"{forge.__name__} was not told as `{words}`: {faults}"
    tape, told = await stack.judge.tape(), market.history.told("ok")[-1]
    market.history.add("ok", told.account_id, told.route, "never sent", status=201, position=told.position)
    assert "its command never sent stands at None" in "\n".join(await stack.judge.faults(tape, market.history))
