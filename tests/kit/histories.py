"""Histories of accounts that trade, fund and withdraw, made by the real deciders from a list of small choices.

A choice is (what, which account, a number). Whatever is chosen is decided: much of it is refused, as in life, and sagas
do their part at once. The choices shrink, so that a law that breaks breaks in few steps.
"""

from domain.accounts import commands as a
from domain.accounts import events as ae
from domain.kernel.ids import BreachId, DepositId, WithdrawalId
from domain.kernel.money import Money
from domain.orders import events as oe
from domain.orders.commands import OrderCommand, Side, TimeInForce
from domain.risk import commands as r
from domain.risk.commands import Measure
from tests.kit import orders as o
from tests.kit.tape import Tape

Choice = tuple[str, int, int]
ACCOUNTS = tuple(f"account-{number}" for number in range(5))
SYMBOLS = ("AAPL", "MSFT")
WHATS = (
    "deposit",
    "withdraw",
    "buy",
    "buy",
    "sell",
    "accept",
    "fill",
    "fill",
    "late",
    "cancel",
    "cancelled",
    "replace",
    "replaced",
    "halt",
    "end_day",
    "breach",
)


def play(tape: Tape, choices: list[Choice]) -> None:
    """Decide everything that was chosen, in order."""
    for number, (what, account, amount) in enumerate(choices):
        account_id = ACCOUNTS[account % len(ACCOUNTS)]
        if ("accounts", account_id) not in tape.states:
            _open(tape, account_id)
        _play_one(tape, account_id, what, number, amount)


def _play_one(tape: Tape, account_id: str, what: str, number: int, amount: int) -> None:
    match what:
        case "deposit":
            _deposit(tape, account_id, f"d-{number}", amount)
        case "withdraw":
            _withdraw(tape, account_id, f"w-{number}", amount * 1_000)
        case "halt":
            tape.decide("orders", account_id, o.halt() if amount % 2 else o.resume())
        case "breach":
            _breach(tape, account_id, f"b-{number}", amount)
        case _:
            tape.decide("orders", account_id, _order_command(tape, account_id, what, number, amount))


def _open(tape: Tape, account_id: str) -> None:
    tape.decide("accounts", account_id, a.OpenAccount(actor="sub:ann", owner="ann", currency="USD"))
    for command in o.may_trade():
        tape.decide("orders", account_id, command)
    _deposit(tape, account_id, "first", 900_000)


def _deposit(tape: Tape, account_id: str, deposit_id: str, amount: int) -> None:
    command = a.DepositCash(actor="sub:ann", deposit_id=DepositId(deposit_id), amount=Money(amount))
    event = tape.decide("accounts", account_id, command)
    if isinstance(event, ae.CashDeposited):
        tape.decide("orders", account_id, o.credit(str(amount / 100), deposit=deposit_id))


def _withdraw(tape: Tape, account_id: str, withdrawal_id: str, amount: int) -> None:
    named = WithdrawalId(withdrawal_id)
    requested = a.RequestWithdrawal(actor="sub:ann", withdrawal_id=named, amount=Money(amount))
    if not isinstance(tape.decide("accounts", account_id, requested), ae.WithdrawalRequested):
        return
    answer = tape.decide("orders", account_id, o.reserve(str(amount / 100), withdrawal=withdrawal_id))
    if isinstance(answer, oe.CashReserved) and amount % 3:
        tape.decide("accounts", account_id, a.CompleteWithdrawal(actor="saga:test", withdrawal_id=named))
        tape.decide("orders", account_id, o.spend(withdrawal_id))
        return
    refusal = a.RefuseWithdrawal(actor="saga:test", withdrawal_id=named, reason="BUYING_POWER")
    tape.decide("accounts", account_id, refusal)
    tape.decide("orders", account_id, o.release(withdrawal_id))


def _breach(tape: Tape, account_id: str, breach_id: str, amount: int) -> None:
    if amount % 3 == 0:
        limits = r.SetLimits(
            actor="sub:desk",
            order_notional_max=Money(amount * 10_000),
            gross_exposure_max=Money(amount * 10_000),
            orders_per_minute_max=amount,
            reason="review",
        )
        tape.decide("risk", account_id, limits)
    elif amount % 3 == 1:
        report = r.ReportBreach(
            actor="agent:test",
            breach_id=BreachId(breach_id),
            measure=Measure.GROSS_EXPOSURE,
            observed=amount,
            allowed=100,
            mark_sequence=amount,
            book_version=1,
        )
        tape.decide("risk", account_id, report)
    else:
        recovery = r.ReportRecovery(
            actor="agent:test",
            measure=Measure.GROSS_EXPOSURE,
            observed=amount,
            allowed=100,
            mark_sequence=amount,
            book_version=1,
        )
        tape.decide("risk", account_id, recovery)


def _order_command(tape: Tape, account_id: str, what: str, number: int, amount: int) -> OrderCommand:
    book = tape.states["orders", account_id]
    working = sorted(book.working)
    order_id = working[amount % len(working)] if working else "unknown"
    order = book.working.get(order_id)
    symbol = SYMBOLS[amount % 2]
    price = f"{90 + amount % 20}.{amount % 100:02d}"
    match what:
        case "buy" | "sell":
            return o.place(
                f"order-{number}",
                side=Side.BUY if what == "buy" else Side.SELL,
                symbol=symbol,
                quantity=1 + amount % 40,
                limit=None if amount % 5 == 0 else price,
                time_in_force=TimeInForce.DAY if amount % 3 else TimeInForce.GTC,
            )
        case "accept":
            return o.record_acceptance(order_id)
        case "fill" if order is not None:
            return o.record_fill(
                1 + amount % 20,
                order_id=order_id,
                execution=f"x-{number}",
                symbol=order.symbol,
                side=order.side,
                price=price,
            )
        case "fill" | "late":
            closed = sorted(book.closed)
            return o.record_fill(
                1 + amount % 20,
                order_id=closed[amount % len(closed)] if closed else "stranger",
                execution=f"x-{number}" if amount % 4 else "x-again",
                symbol=symbol,
                side=Side.BUY if amount % 3 else Side.SELL,
                price=price,
            )
        case "cancel":
            return o.cancel(order_id)
        case "cancelled":
            return o.record_cancel(order_id) if amount % 2 else o.record_cancel_rejection(order_id)
        case "replace":
            return o.replace(order_id, quantity=1 + amount % 60, limit=price)
        case "replaced":
            version = order.version_newest if order is not None else 2
            if amount % 2:
                return o.record_replace(version, order_id=order_id)
            return o.record_replace_rejection(version, order_id=order_id)
        case _:
            return o.end_day()


def choices_from(seed: int, count: int) -> list[Choice]:
    """So many choices, the same for the same seed: for tests on a real database, where Hypothesis would be slow."""
    state = seed
    found = []
    for _ in range(count):
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        found.append((WHATS[(state >> 33) % len(WHATS)], (state >> 40) % len(ACCOUNTS), 1 + (state >> 20) % 997))
    return found
