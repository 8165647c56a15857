"""Requests of owners -> accounts.commands: open the account, move cash in and out."""

from typing import Annotated

import msgspec
from aiohttp import web
from pydantic import StringConstraints

from domain.accounts import events as e
from domain.accounts.commands import DepositCash, OpenAccount, RequestWithdrawal
from domain.kernel.ids import DepositId, WithdrawalId
from domain.kernel.money import Money
from gateways.accounts import reads
from gateways.accounts.refusals import ACCOUNT_REFUSALS
from gateways.amounts import MoneyText
from gateways.answers import accepted
from gateways.http import Body
from gateways.problems import Problem
from gateways.routes import Call, Route, receipt_path, reply
from gateways.views import shown
from infra.tokens import EVERY_ACCOUNT, Scope

ACCOUNT = "/v1/accounts/{account_id}"


class OpenAccountBody(Body):
    """The account to open is the one that the token names."""

    currency: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")] = "USD"

    def to_command(self, *, owner: str) -> OpenAccount:
        """The command; the owner is the token's subject."""
        return OpenAccount(owner=owner, currency=self.currency)


class TransferBody(Body):
    """Cash in or out."""

    amount: MoneyText

    def to_deposit(self, deposit_id: str) -> DepositCash:
        """The command that brings cash in."""
        return DepositCash(deposit_id=DepositId(deposit_id), amount=self.amount)

    def to_withdrawal(self, withdrawal_id: str) -> RequestWithdrawal:
        """The command that asks for cash out."""
        return RequestWithdrawal(withdrawal_id=WithdrawalId(withdrawal_id), amount=self.amount)


class OpenedView(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was opened."""

    account_id: str
    owner: str
    currency: str


class TransferView(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit (RECEIVED) or a withdrawal (PENDING until the book has set its cash aside)."""

    transfer_id: str
    amount: Money
    status: str


async def open_account(call: Call, body: OpenAccountBody) -> web.Response:
    """201 with the account that the token names, or the refusal."""
    account_id = call.caller.account
    if account_id == EVERY_ACCOUNT:
        raise Problem(
            403,
            "account-missing",
            "This token names no account.",
            remedy="Use a token that was minted for one account.",
        )
    answer = await call.decide("accounts", body.to_command(owner=call.caller.sub))
    headers = accepted(answer, e.REFUSALS, ACCOUNT_REFUSALS)
    headers["Location"] = f"/v1/accounts/{account_id}"
    opened = answer.recorded.event
    return reply(201, shown(OpenedView(account_id=account_id, owner=opened.owner, currency=opened.currency)), headers)


async def deposit(call: Call, body: TransferBody) -> web.Response:
    """201 when the cash was received; the book may spend it a moment later."""
    answer = await call.decide("accounts", body.to_deposit(call.command_id))
    headers = accepted(answer, e.REFUSALS, ACCOUNT_REFUSALS)
    headers["Location"] = receipt_path(call.account_id, call.command_id)
    view = TransferView(transfer_id=call.command_id, amount=answer.recorded.event.amount, status="RECEIVED")
    return reply(201, shown(view), headers)


async def withdraw(call: Call, body: TransferBody) -> web.Response:
    """201 with a withdrawal that waits for the book to set its cash aside."""
    answer = await call.decide("accounts", body.to_withdrawal(call.command_id))
    headers = accepted(answer, e.REFUSALS, ACCOUNT_REFUSALS)
    headers["Location"] = receipt_path(call.account_id, call.command_id)
    view = TransferView(transfer_id=call.command_id, amount=answer.recorded.event.amount, status="PENDING")
    return reply(201, shown(view), headers)


ROUTES = (
    Route(
        method="POST",
        path="/v1/accounts",
        handler=open_account,
        summary="Open the token's account",
        scope=Scope.TRADE,
        body=OpenAccountBody,
        answers={201: OpenedView},
    ),
    Route(
        method="POST",
        path=f"{ACCOUNT}/deposits",
        handler=deposit,
        summary="Bring cash in",
        scope=Scope.TRADE,
        body=TransferBody,
        answers={201: TransferView},
        needs_key=True,
    ),
    Route(
        method="POST",
        path=f"{ACCOUNT}/withdrawals",
        handler=withdraw,
        summary="Ask for cash out",
        scope=Scope.TRADE,
        body=TransferBody,
        answers={201: TransferView},
        needs_key=True,
    ),
    *reads.ROUTES,
)
"""Routes of accounts."""
