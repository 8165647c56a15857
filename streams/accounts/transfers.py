"""accounts.events, orders.events -> orders.commands, accounts.commands: carry cash between an account and its book.

A deposit credits the book. A withdrawal first reserves cash there: reserved, it is paid and the reservation spent; not
reserved, it is refused. Should a payment be refused after its cash was reserved, the reservation is released.
"""

from collections.abc import Iterator

from domain.accounts import events as a
from domain.accounts.commands import CompleteWithdrawal, RefuseWithdrawal
from domain.accounts.events import AccountEvent
from domain.kernel.ids import WithdrawalId
from domain.kernel.messages import Recorded
from domain.orders import events as o
from domain.orders.commands import CreditCash, ReleaseReservation, ReserveCash, SpendReservation
from domain.orders.events import OrderEvent
from streams.sagas import Saga, Step

RESERVED_ACTOR = "saga:accounts.transfers"


def on_event(recorded: Recorded[AccountEvent | OrderEvent]) -> Iterator[Step]:
    """The next step of the deposit or withdrawal that this event belongs to."""
    match recorded.event:
        case a.CashDeposited() as event:
            yield Step("orders", CreditCash(deposit_id=event.deposit_id, amount=event.amount))
        case a.WithdrawalRequested() as event:
            yield Step("orders", ReserveCash(withdrawal_id=event.withdrawal_id, amount=event.amount))
        case o.CashReserved() as event:
            yield Step("accounts", CompleteWithdrawal(withdrawal_id=event.withdrawal_id))
        case o.BookRefused() as event if recorded.actor == RESERVED_ACTOR:
            # Only a refused ReserveCash leaves a withdrawal waiting; the account refuses this for any other reference.
            yield Step("accounts", RefuseWithdrawal(withdrawal_id=WithdrawalId(event.reference), reason=event.reason))
        case a.CashWithdrawn() as event:
            yield Step("orders", SpendReservation(withdrawal_id=event.withdrawal_id))
        case a.WithdrawalRefused() as event:
            yield Step("orders", ReleaseReservation(withdrawal_id=event.withdrawal_id))
        case _:
            return


transfers = Saga("accounts.transfers", ("accounts", "orders"), on_event)
