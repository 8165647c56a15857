"""An account is opened: first its limits, then its book."""

from domain.accounts.events import AccountOpened, CashDeposited
from domain.kernel.ids import DepositId
from domain.kernel.money import Money
from domain.orders.commands import OpenTrading
from domain.risk.commands import SetLimits
from streams.accounts import opening
from tests.kit.sagas import given, wiring


def test_the_wiring_sentence_names_what_the_saga_reads_and_writes() -> None:
    assert wiring(opening) == ("accounts.events", "risk.commands, orders.commands")


def test_an_opened_account_gets_its_limits_before_its_book() -> None:
    limits, book = given(AccountOpened(owner="ann", currency="USD")).makes(opening.opening)
    assert limits == (
        "risk",
        SetLimits(
            order_notional_max=opening.ORDER_NOTIONAL_MAX,
            gross_exposure_max=opening.GROSS_EXPOSURE_MAX,
            orders_per_minute_max=opening.ORDERS_PER_MINUTE_MAX,
            reason="first limits of a new account",
        ),
    )
    assert book == ("orders", OpenTrading(currency="USD"))


def test_nothing_else_opens_a_book() -> None:
    assert given(CashDeposited(deposit_id=DepositId("d"), amount=Money(1))).makes(opening.opening) == []
