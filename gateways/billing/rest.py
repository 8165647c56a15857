"""Requests of those who bill -> billing.commands: publish a price list, invoice a month of one account."""

from typing import Annotated

import msgspec
from aiohttp import web
from pydantic import Field, StringConstraints

from domain.billing import events as e
from domain.billing.commands import IssueInvoice, PublishPriceList
from domain.billing.price_lists import ROWS_MAX
from domain.billing.rates import PriceRow, Rates
from domain.kernel.money import Money
from gateways.amounts import BasisPointsText, LimitText, RateText
from gateways.answers import accepted
from gateways.billing import reads
from gateways.billing.reads import ACCOUNT, PRICE_LISTS
from gateways.billing.refusals import BILLING_REFUSALS
from gateways.http import Body
from gateways.problems import Problem
from gateways.reads import belongs_to_tenant
from gateways.routes import Call, Route, reply
from gateways.views import shown
from infra.tokens import EVERY_ACCOUNT, Scope

Date = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Month = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{4}-[0-9]{2}$")]
Reason = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500, strip_whitespace=True)]


class PriceRowBody(Body):
    """The rates of some market dates, both ends included; without `ends_on` they hold for good."""

    begins_on: Date
    ends_on: Date | None = None
    per_share: RateText
    basis_points: BasisPointsText
    minimum: LimitText
    maximum: LimitText | None = None

    def to_row(self) -> PriceRow:
        """The row."""
        rates = Rates(
            per_share=self.per_share, basis_points=self.basis_points, minimum=self.minimum, maximum=self.maximum
        )
        return PriceRow(begins_on=self.begins_on, ends_on=self.ends_on, rates=rates)


class PriceListBody(Body):
    """A whole price list, and why it takes the place of the one before."""

    rows: Annotated[tuple[PriceRowBody, ...], Field(min_length=1, max_length=ROWS_MAX)]
    reason: Reason

    def to_command(self) -> PublishPriceList:
        """The command."""
        return PublishPriceList(rows=tuple(row.to_row() for row in self.rows), reason=self.reason)


class InvoiceBody(Body):
    """The month of market dates to invoice."""

    month: Month

    def to_command(self, invoice_id: str) -> IssueInvoice:
        """The command."""
        return IssueInvoice(invoice_id=invoice_id, month=self.month)


class PublishedView(msgspec.Struct, frozen=True, kw_only=True):
    """A list that fills are charged by from now on."""

    list_version: int
    rows: int
    reason: str


class IssuedView(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that was issued."""

    invoice_id: str
    account_id: str
    month: str
    fills: int
    total: Money


def prices_of(tenant: str) -> str:
    """The stream of a tenant's price lists; no account can have this name."""
    return f"prices/{tenant}"


async def publish(call: Call, body: PriceListBody) -> web.Response:
    """201 with the list's number, or the refusal."""
    if call.caller.account != EVERY_ACCOUNT:
        raise Problem(
            403,
            "account-named",
            "A price list concerns every account of the tenant.",
            remedy="Use a token that was minted for all accounts (`--account '*'`).",
        )
    answer = await call.decide("billing", body.to_command(), stream_id=prices_of(call.caller.tenant))
    headers = accepted(answer, e.REFUSALS, BILLING_REFUSALS)
    headers["Location"] = PRICE_LISTS
    published = answer.recorded.event
    view = PublishedView(list_version=published.list_version, rows=len(published.rows), reason=published.reason)
    return reply(201, shown(view), headers)


async def issue(call: Call, body: InvoiceBody) -> web.Response:
    """201 with the invoice, or the refusal."""
    await belongs_to_tenant(call)
    answer = await call.decide("billing", body.to_command(call.command_id))
    headers = accepted(answer, e.REFUSALS, BILLING_REFUSALS)
    issued = answer.recorded.event
    headers["Location"] = f"{ACCOUNT.format(account_id=call.account_id)}/invoices/{issued.invoice_id}"
    view = IssuedView(
        invoice_id=issued.invoice_id,
        account_id=call.account_id,
        month=issued.month,
        fills=len(issued.lines),
        total=issued.total,
    )
    return reply(201, shown(view), headers)


ROUTES = (
    Route(
        method="POST",
        path=PRICE_LISTS,
        handler=publish,
        summary="Publish a price list for all accounts of the tenant",
        scope=Scope.BILLING,
        body=PriceListBody,
        answers={201: PublishedView},
        needs_key=True,
    ),
    Route(
        method="POST",
        path=f"{ACCOUNT}/invoices",
        handler=issue,
        summary="Invoice what a month's fills cost and is on no invoice yet",
        scope=Scope.BILLING,
        body=InvoiceBody,
        answers={201: IssuedView},
        needs_key=True,
    ),
    *reads.ROUTES,
)
"""Routes of billing."""
