"""The read models of accounts -> the account, its cash, its withdrawals."""

import msgspec
from aiohttp import web

from domain.kernel.ids import Micros
from domain.kernel.money import Money
from gateways.reads import Page, at_least, found
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.tokens import Scope
from projections.accounts import account_list, ledger
from projections.accounts.account_list import AccountRow, AccountStatus, WithdrawalRow, WithdrawalStatus

ACCOUNT = "/v1/accounts/{account_id}"


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """One account."""

    account_id: str
    owner: str
    currency: str
    status: AccountStatus
    opened_at: Micros


class CashView(msgspec.Struct, frozen=True, kw_only=True):
    """The account's cash: `free` may be spent, `reserved` is set aside for withdrawals; orders set aside besides."""

    account_id: str
    currency: str
    free: Money
    reserved: Money
    sequence: int


class WithdrawalView(msgspec.Struct, frozen=True, kw_only=True):
    """One withdrawal."""

    withdrawal_id: str
    status: WithdrawalStatus
    amount: Money
    reason: str | None
    requested_at: Micros
    ended_at: Micros | None


class WithdrawalPage(msgspec.Struct, frozen=True, kw_only=True):
    """Withdrawals, newest first; `next` is the key of the page after this one, if there is one."""

    withdrawals: tuple[WithdrawalView, ...]
    next: str | None


async def read_account(call: Call, _: None) -> web.Response:
    """The account."""
    row = await _account(call)
    return reply(
        200,
        shown(
            AccountView(
                account_id=row.account_id,
                owner=row.owner,
                currency=row.currency,
                status=row.status,
                opened_at=row.opened_at,
            )
        ),
    )


async def read_cash(call: Call, _: None) -> web.Response:
    """The account's cash as the ledger has it."""
    account = await _account(call)
    await at_least(call, ledger.ledger)
    row = await ledger.balances(call.services.database, tenant=call.caller.tenant, account_id=call.account_id)
    view = CashView(
        account_id=row.account_id,
        currency=account.currency,
        free=row.cash,
        reserved=row.reserved,
        sequence=row.sequence,
    )
    return reply(200, shown(view))


async def list_withdrawals(call: Call, page: Page) -> web.Response:
    """A page of the account's withdrawals, newest first."""
    await at_least(call, account_list.account_list)
    rows = await account_list.withdrawals(
        call.services.database,
        tenant=call.caller.tenant,
        account_id=call.account_id,
        limit=page.limit,
        before=page.after_number(),
    )
    following = str(rows[-1].opened_version) if len(rows) == page.limit else None
    return reply(200, shown(WithdrawalPage(withdrawals=tuple(map(_withdrawal_view, rows)), next=following)))


async def _account(call: Call) -> AccountRow:
    services, tenant = call.services, call.caller.tenant
    return await found(
        call,
        account_list.account_list,
        lambda: account_list.account(services.database, tenant=tenant, account_id=call.account_id),
    )


def _withdrawal_view(row: WithdrawalRow) -> WithdrawalView:
    return WithdrawalView(**{name: getattr(row, name) for name in WithdrawalView.__struct_fields__})


ROUTES = (
    Route(
        method="GET",
        path=ACCOUNT,
        handler=read_account,
        summary="The account",
        scope=Scope.READ,
        answers={200: AccountView},
    ),
    Route(
        method="GET",
        path=f"{ACCOUNT}/cash",
        handler=read_cash,
        summary="The account's cash",
        scope=Scope.READ,
        answers={200: CashView},
    ),
    Route(
        method="GET",
        path=f"{ACCOUNT}/withdrawals",
        handler=list_withdrawals,
        summary="The account's withdrawals, newest first",
        scope=Scope.READ,
        query=Page,
        answers={200: WithdrawalPage},
    ),
)
"""Reads of accounts."""
