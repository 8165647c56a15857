"""The checker adds up for itself: a number that is wrong on a tape that is sound otherwise is named at its event."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.kernel.money import Money
from domain.orders.events import LimitsSet
from infra.avro.codec import Codec
from tests.faults.checker.judge import judge
from tests.faults.worlds import World

replace = msgspec.structs.replace
Lie = Callable[[World], None]


def changed(world: World, kind: str, change: Callable[[Any], dict[str, Any]], topic: str = "orders.events") -> None:
    """The first event of this kind that the change applies to says something else, and every hash fits."""
    for place, index, recorded in world.events(kind, topic):
        fields = change(recorded.event)
        if fields:
            event = replace(recorded.event, **fields)
            world.rewrite(place, index, lambda r: replace(r, event=event))  # noqa: B023  (it is called at once)
            return
    raise AssertionError(f"the world has no {kind} for this lie")


def dropped(world: World, kind: str, topic: str = "orders.events") -> None:
    place, index, _ = next(world.events(kind, topic))
    del world.committed[place][index]
    world.rechain(place, index)


def doubled(world: World, kind: str, topic: str = "orders.events") -> None:
    """The same again under another command, right behind the first."""
    place, index, recorded = next(world.events(kind, topic))
    records = world.committed[place]
    again = replace(recorded, command_id="another", version=recorded.version + 1)
    value = world.codec.encode_event(again)
    records.insert(index + 1, replace(records[index], offset=records[index].offset + 1, value=value))
    world.rechain(place, index)


def _more(name: str, by: int = 1) -> Callable[[Any], dict[str, Any]]:
    return lambda event: {name: getattr(event, name) + by}


def _shown_less(event: Any) -> dict[str, Any]:
    return {"released": event.released - 1} if event.released else {}


def _left_more(event: Any) -> dict[str, Any]:
    return {"unfilled": event.unfilled + 1} if event.unfilled else {}


def _halted_without_orders(event: Any) -> dict[str, Any]:
    return {"working": (*event.working, "another")}


def _costs(event: Any) -> dict[str, Any]:
    return {"commission": event.commission + 1}


def _rated(event: Any) -> dict[str, Any]:
    return {"rates": replace(event.rates, minimum=5_000), "commission": 5_000}


def _line_costs(event: Any) -> dict[str, Any]:
    first, *rest = event.lines
    return {"lines": (replace(first, commission=first.commission + 1), *rest), "total": event.total + 1}


def _corrects(event: Any) -> dict[str, Any]:
    first, *rest = event.lines
    return {"lines": (replace(first, billed=first.billed + 1), *rest), "total": event.total - 1}


LIES: dict[str, tuple[Lie, str]] = {
    "a fill that costs a cent more": (
        lambda w: changed(w, "OrderFilled", _more("amount")),
        "unbalanced: OrderFilled: ",
    ),
    "a fill of more shares": (lambda w: changed(w, "OrderFilled", _more("quantity", 10**8)), "unbalanced: execution"),
    "a fill that frees less": (lambda w: changed(w, "OrderFilled", _shown_less), "unbalanced: OrderFilled: "),
    "a fill that leaves more": (lambda w: changed(w, "OrderFilled", _left_more), "unbalanced: OrderFilled: "),
    "a fill that is called late": (
        lambda w: changed(w, "OrderFilled", lambda e: {} if e.late else {"late": True}),
        "unbalanced: OrderFilled: late is True",
    ),
    "a fill that is not there": (lambda w: dropped(w, "OrderFilled"), "lost: execution"),
    "a fill that counts twice": (lambda w: doubled(w, "OrderFilled"), "duplicated: OrderFilled: execution"),
    "an execution that the venue never told": (
        lambda w: changed(w, "OrderFilled", lambda _: {"execution_id": "invented"}),
        "unbalanced: execution invented: the book has",
    ),
    "an order beyond its account's cash": (
        lambda w: changed(
            w,
            "OrderPlaced",
            lambda e: (
                {"quantity": 10**13, "reserved": 10**13 * e.limit_price // 10**14}
                if e.limit_price and e.reserved
                else {}
            ),
        ),
        "beyond-limit: OrderPlaced: ",
    ),
    "an order that reserves too little": (
        lambda w: changed(w, "OrderPlaced", lambda e: {"reserved": e.reserved - 1} if e.reserved else {}),
        "unbalanced: OrderPlaced: ",
    ),
    "an order before its account's owner was checked": (
        lambda w: dropped(w, "TradingApproved"),
        "beyond-limit: OrderPlaced: placed in a book that takes no orders",
    ),
    "a sale of shares that are not held": (
        lambda w: changed(w, "OrderPlaced", lambda e: {"side": "SELL", "reserved": 0} if e.reserved else {}),
        "beyond-limit: OrderPlaced: ",
    ),
    "an end that frees less": (lambda w: changed(w, "OrderCancelled", _shown_less), "unbalanced: OrderCancelled: "),
    "a halt that lists another order": (
        lambda w: changed(w, "TradingHalted", _halted_without_orders),
        "unbalanced: TradingHalted: its working orders",
    ),
    "a deposit credited with another amount": (
        lambda w: changed(w, "CashCredited", lambda e: {"amount": e.amount + 1, "cash": e.cash + 1}),
        "unbalanced: 900001 of first is credited",
    ),
    "cash that is not what came in": (
        lambda w: changed(w, "CashCredited", _more("cash")),
        "unbalanced: CashCredited: the account has",
    ),
    "a deposit that is never credited": (
        lambda w: dropped(w, "CashCredited"),
        "unbalanced: the account has transfers that are never credited",
    ),
    "a deposit that is credited twice": (lambda w: doubled(w, "CashCredited"), "duplicated: CashCredited: deposit"),
    "a credit without a deposit": (lambda w: dropped(w, "CashDeposited", "accounts.events"), "unbalanced: "),
    "a withdrawal beyond the cash": (
        lambda w: changed(w, "CashReserved", _more("amount", 10**9)),
        "beyond-limit: CashReserved: ",
    ),
    "a withdrawal paid with another amount": (
        lambda w: changed(w, "CashWithdrawn", _more("amount"), "accounts.events"),
        "unbalanced: CashWithdrawn: ",
    ),
    "a withdrawal that never ends": (
        lambda w: dropped(w, "WithdrawalRefused", "accounts.events"),
        "liveness: withdrawals have not",
    ),
    "a commission a cent too high": (
        lambda w: changed(w, "CommissionAccrued", _costs, "billing.events"),
        "unbalanced: CommissionAccrued: ",
    ),
    "a commission by rates of no list": (
        lambda w: changed(w, "CommissionAccrued", _rated, "billing.events"),
        "unbalanced: CommissionAccrued: list 1 has other rates",
    ),
    "a fill that is charged twice": (lambda w: doubled(w, "CommissionAccrued", "billing.events"), "duplicated: fill"),
    "a charge for a fill that never was": (
        lambda w: dropped(w, "OrderFilled"),
        "unbalanced: CommissionAccrued: the fill is not",
    ),
    "an invoice with a dearer line": (
        lambda w: changed(w, "InvoiceIssued", _line_costs, "billing.events"),
        "unbalanced: InvoiceIssued: fill",
    ),
    "an invoice that does not add up": (
        lambda w: changed(w, "InvoiceIssued", _more("total"), "billing.events"),
        "unbalanced: InvoiceIssued: its lines make",
    ),
    "an invoice issued twice": (lambda w: doubled(w, "InvoiceIssued", "billing.events"), "duplicated: invoice"),
    "a note for another invoice than was sent": (
        lambda w: changed(w, "CreditNoteIssued", _corrects, "billing.events"),
        "unbalanced: CreditNoteIssued: fill",
    ),
    "a note that does not add up": (
        lambda w: changed(w, "CreditNoteIssued", _more("invoice_total"), "billing.events"),
        "unbalanced: CreditNoteIssued: its lines make",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_wrong_sum_is_named_at_its_event(name: str, codec: Codec, tmp_path: Path) -> None:
    lie, named = LIES[name]
    world = World(codec)
    lie(world)
    found = [f"{each.what}: {each.says}" for each in judge(world.write(tmp_path / "run")).findings]
    assert any(each.startswith(named) for each in found), found


def test_a_deposit_may_be_on_its_way_while_the_run_goes_on(codec: Codec, tmp_path: Path) -> None:
    world = World(codec)
    dropped(world, "CashCredited")
    world.is_quiet = False
    found = judge(world.write(tmp_path / "run"))
    assert not [each for each in found.findings if "never credited" in each.says], found.findings


def test_an_order_beyond_the_limit_of_its_account_is_named(codec: Codec, tmp_path: Path) -> None:
    """What changes no sum becomes a limit of a cent, before an order of the same account."""
    world = World(codec)
    harmless = [each for kind in ("OrderAccepted", "CancelRejected", "OrderRefused") for each in world.events(kind)]
    place, index, account = next(
        (place, index, before.stream_id)
        for place, index, before in harmless
        for there, later, placed in world.events("OrderPlaced")
        if there == place and later > index and placed.stream_id == before.stream_id
    )
    world.rewrite(place, index, lambda r: replace(r, event=LimitsSet(order_notional_max=Money(1))))
    found = judge(world.write(tmp_path / "run")).findings
    named = [each for each in found if each.account == account and "the limit is 1" in each.says]
    assert named
    assert named[0].invariant == "I5"
