"""Events -> rows of the read models that are judged, written down once more from what their columns say they hold."""

from collections.abc import Iterable
from typing import Any

from tests.faults.checker.rows import Key, Row, Table, plain
from tests.faults.checker.sums import half_even
from tests.faults.checker.tape import Event

ORDERS, ACCOUNTS = "orders.events", "accounts.events"
ALL = tuple(
    f"{name}.events" for name in ("orders", "accounts", "reconciliation", "onboarding", "billing", "partners", "risk")
)
NO_NEW_ORDER = {"UNKNOWN_ORDER", "FORBIDDEN_ACTOR", "ALREADY_CLOSED"}
"""Refusals that speak of an order which never was."""
ENDS = {"OrderRejected": "REJECTED", "OrderCancelled": "CANCELLED", "OrderExpired": "EXPIRED", "DayEnded": "EXPIRED"}


def tables() -> list[Table]:
    """Every table that is judged, empty."""
    account = ("tenant", "account_id")
    place = ("topic", "partition", "sequence")
    return [
        Table("order_blotter", "blotter", (ORDERS,), (*account, "order_id"), blotter),
        Table("positions", "positions", (ORDERS,), (*account, "symbol"), positions),
        Table("journal", "journal", ALL, place, journal),
        Table("ledger_lines", "ledger", (ORDERS, ACCOUNTS), (*place, "leg"), ledger_lines),
        Table("ledger_balances", "ledger", (ORDERS, ACCOUNTS), account, ledger_balances),
        Table("ledger_holdings", "ledger", (ORDERS, ACCOUNTS), (*account, "symbol"), ledger_holdings),
        Table("accounts", "account_list", (ACCOUNTS,), account, accounts),
        Table("withdrawals", "account_list", (ACCOUNTS,), (*account, "withdrawal_id"), withdrawals),
    ]


def blotter(rows: dict[Key, Row], event: Event) -> Iterable[Key]:
    """One row an order."""
    says, kind = event.says, event.kind
    if kind == "DayEnded":
        return [key for each in says["expired"] for key in _ordered(rows, event, each)]
    return _ordered(rows, event, says) if "order_id" in says else ()


def _ordered(rows: dict[Key, Row], event: Event, says: dict[str, Any]) -> Iterable[Key]:
    kind = event.kind
    key = (event.meta["tenant"], event.meta["stream_id"], says["order_id"])
    row = rows.get(key)
    if kind == "OrderPlaced":
        rows[key] = _new_order(event, "PLACED", **{n: says[n] for n in ("symbol", "side", "kind", "time_in_force")})
        rows[key] |= {n: says[n] for n in ("quantity", "limit_price", "reserved")} | {"unfilled": says["quantity"]}
        return [key]
    if kind == "OrderRefused":
        if row is not None or says["reason"] in NO_NEW_ORDER:
            return ()
        rows[key] = _new_order(event, "REFUSED", reason=says["reason"])
        return [key]
    if kind == "OrderFilled" and row is None:
        row = rows[key] = _new_order(event, "FILLED", symbol=says["symbol"], side=says["side"])
    if row is None:
        return ()
    row["version"], row["changed_at"] = event.meta["version"], event.meta["at"]
    if kind in ENDS:
        _ended(row, ENDS[kind], says.get("reason"))
    elif kind == "OrderFilled":
        _filled(row, says)
    else:
        _changed(row, kind, says)
    return [key]


def _changed(row: Row, kind: str, says: dict[str, Any]) -> None:
    match kind:
        case "OrderAccepted":
            row["status"] = "WORKING" if row["status"] == "PLACED" else row["status"]
            row["venue_order_id"] = says["venue_order_id"]
        case "CancelRequested":
            row["is_cancelling"] = True
        case "CancelRejected":
            row |= {"is_cancelling": False, "reason": says["reason"]}
        case "ReplaceRequested":
            row |= {"is_replacing": True, "reserved": says["reserved"]}
        case "ReplaceRejected":
            row |= {"is_replacing": False, "reason": says["reason"], "reserved": row["reserved"] - says["released"]}
        case "OrderReplaced":
            row |= {name: says[name] for name in ("quantity", "limit_price", "order_version", "unfilled")}
            row |= {"reserved": row["reserved"] - says["released"], "is_replacing": False}
            if not says["unfilled"]:
                _ended(row, "FILLED", None)


def _filled(row: Row, says: dict[str, Any]) -> None:
    row["filled"] += says["quantity"]
    row["filled_amount"] += says["amount"]
    row["filled_value"] = str(int(row["filled_value"]) + says["quantity"] * says["price"])
    if says["late"]:
        row["unfilled"] = max(0, row["quantity"] - row["filled"])
    elif says["unfilled"]:
        row |= {"status": "PARTLY_FILLED", "unfilled": says["unfilled"], "reserved": row["reserved"] - says["released"]}
    else:
        _ended(row, "FILLED", None)
        row["unfilled"] = 0


def _ended(row: Row, status: str, reason: str | None) -> None:
    row |= {"status": status, "reserved": 0, "reason": reason, "is_cancelling": False, "is_replacing": False}


def _new_order(event: Event, status: str, **known: Any) -> Row:
    meta = event.meta
    return {
        "tenant": meta["tenant"],
        "account_id": meta["stream_id"],
        "order_id": event.says["order_id"],
        "opened_version": meta["version"],
        "version": meta["version"],
        "status": status,
        **dict.fromkeys(("symbol", "side", "kind", "time_in_force", "limit_price", "venue_order_id", "reason")),
        **dict.fromkeys(("quantity", "filled", "unfilled", "filled_amount", "reserved"), 0),
        "filled_value": "0",
        "order_version": 1,
        "is_cancelling": False,
        "is_replacing": False,
        "opened_at": meta["at"],
        "changed_at": meta["at"],
        **known,
    }


def positions(rows: dict[Key, Row], event: Event) -> Iterable[Key]:
    """One row an account and symbol: average cost, and what closing shares earned."""
    if event.kind != "OrderFilled":
        return ()
    says, meta = event.says, event.meta
    key = (meta["tenant"], meta["stream_id"], says["symbol"])
    if key not in rows:
        rows[key] = dict(zip(("tenant", "account_id", "symbol"), key, strict=True))
        rows[key] |= dict.fromkeys(("quantity", "cost", "realized", "bought", "sold"), 0)
    row, is_bought = rows[key], says["side"] == "BUY"
    quantity, amount = (says[name] if is_bought else -says[name] for name in ("quantity", "amount"))
    held = row["quantity"]
    if held * quantity < 0:
        closed = min(abs(quantity), abs(held))
        of_amount = half_even(amount * closed, abs(quantity))
        of_cost = half_even(row["cost"] * closed, abs(held))
        row["realized"] -= of_amount + of_cost
        row["cost"] += amount - of_amount - of_cost
    else:
        row["cost"] += amount
    row["quantity"] += quantity
    row["bought" if is_bought else "sold"] += says["quantity"]
    row["version"], row["changed_at"] = meta["version"], meta["at"]
    return [key]


def journal(rows: dict[Key, Row], event: Event) -> Iterable[Key]:
    """One row an event, with its record value."""
    meta = event.meta
    key = (event.topic, event.partition, meta["sequence"])
    names = ("tenant", "stream_id", "version", "command_id", "event_id", "at", "recorded_at")
    rows[key] = {name: meta[name] for name in names} | {
        "tape_offset": event.offset,
        "digest": plain(meta["digest"]),
        "event_type": event.kind,
        "payload": plain(event.record.value),
    }
    return [key]


def movements(event: Event) -> list[tuple[str, str, str, int, str]]:
    """From, to, of what (cash is the empty symbol), how much, under which reference."""
    says = event.says
    cash = {
        "CashDeposited": ("BANK", "CLEARING", "deposit_id"),
        "CashCredited": ("CLEARING", "CASH", "deposit_id"),
        "CashReserved": ("CASH", "RESERVED", "withdrawal_id"),
        "ReservationReleased": ("RESERVED", "CASH", "withdrawal_id"),
        "ReservationSpent": ("RESERVED", "CLEARING", "withdrawal_id"),
        "CashWithdrawn": ("CLEARING", "BANK", "withdrawal_id"),
    }.get(event.kind)
    if cash is not None:
        return [(cash[0], cash[1], "", says["amount"], says[cash[2]])]
    if event.kind != "OrderFilled":
        return []
    sides = [("CASH", "MARKET", "", says["amount"]), ("MARKET", "HELD", says["symbol"], says["quantity"])]
    if says["side"] == "SELL":
        sides = [(target, source, symbol, amount) for source, target, symbol, amount in sides]
    return [(*side, says["execution_id"]) for side in sides]


def ledger_lines(rows: dict[Key, Row], event: Event) -> Iterable[Key]:
    """Two legs a movement."""
    meta, touched = event.meta, []
    for number, (source, target, symbol, amount, reference) in enumerate(movements(event)):
        for side, place, signed in ((0, source, -amount), (1, target, amount)):
            key = (event.topic, event.partition, meta["sequence"], 2 * number + side)
            rows[key] = {
                "tenant": meta["tenant"],
                "account_id": meta["stream_id"],
                "place": place,
                "symbol": symbol,
                "amount": signed,
                "cause": event.kind,
                "reference": reference,
                "recorded_at": meta["recorded_at"],
                "leg": 2 * number + side,
            }
            touched.append(key)
    return touched


def ledger_balances(rows: dict[Key, Row], event: Event) -> Iterable[Key]:
    """One row an account: its cash by place."""
    return _moved(rows, event, ("cash", "reserved", "clearing", "bank", "market"), is_cash=True)


def ledger_holdings(rows: dict[Key, Row], event: Event) -> Iterable[Key]:
    """One row an account and symbol: what it holds and where that came from."""
    return _moved(rows, event, ("held", "market"), is_cash=False)


def _moved(rows: dict[Key, Row], event: Event, places: tuple[str, ...], *, is_cash: bool) -> Iterable[Key]:
    touched: list[Key] = []
    for source, target, symbol, amount, _ in movements(event):
        if (symbol == "") is not is_cash:
            continue
        account = (event.meta["tenant"], event.meta["stream_id"])
        key: Key = account if is_cash else (*account, symbol)
        if key not in rows:
            named = {"tenant": account[0], "account_id": account[1]} | ({} if is_cash else {"symbol": symbol})
            rows[key] = named | dict.fromkeys(places, 0)
        rows[key][source.lower()] -= amount
        rows[key][target.lower()] += amount
        touched.append(key)
    return touched


def accounts(rows: dict[Key, Row], event: Event) -> Iterable[Key]:
    """One row an account."""
    if event.kind != "AccountOpened":
        return ()
    meta, says = event.meta, event.says
    key = (meta["tenant"], meta["stream_id"])
    known = {"owner": says["owner"], "currency": says["currency"], "status": "OPEN", "opened_at": meta["at"]}
    rows[key] = {"tenant": meta["tenant"], "account_id": meta["stream_id"]} | known
    return [key]


def withdrawals(rows: dict[Key, Row], event: Event) -> Iterable[Key]:
    """One row a withdrawal."""
    meta, says = event.meta, event.says
    if event.kind not in {"WithdrawalRequested", "CashWithdrawn", "WithdrawalRefused"}:
        return ()
    key = (meta["tenant"], meta["stream_id"], says["withdrawal_id"])
    if event.kind == "WithdrawalRequested":
        rows[key] = dict(zip(("tenant", "account_id", "withdrawal_id"), key, strict=True)) | {
            "opened_version": meta["version"],
            "status": "PENDING",
            "amount": says["amount"],
            "reason": None,
            "requested_at": meta["at"],
            "ended_at": None,
        }
        return [key]
    if key not in rows:
        return ()
    is_paid = event.kind == "CashWithdrawn"
    rows[key] |= {"status": "PAID" if is_paid else "REFUSED", "reason": says.get("reason"), "ended_at": meta["at"]}
    return [key]
