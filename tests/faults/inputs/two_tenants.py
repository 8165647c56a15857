"""Two tenants at one gateway, each with one of everything that has an id: rows in PostgreSQL, books behind the bus.

All that belongs to one carries its mark in every name, so that a single byte of it can be found anywhere.
"""

import json
from collections.abc import Mapping

import msgspec

from domain.accounts.commands import DepositCash, OpenAccount, RequestWithdrawal
from domain.kernel.ids import BreakId, DepositId, Micros, OrderId, Symbol, WithdrawalId
from domain.kernel.messages import Command, Event, Issued
from domain.kernel.money import Money, Price, Quantity
from domain.partners.commands import CreateSubscription
from domain.reconciliation.commands import Difference, Evidence, ExplainBreak, Kind, OpenBreak, Origin
from domain.risk.commands import SetLimits
from infra.kafka.records import Arrived
from infra.readback import Seen
from tests.kit import bills, kyc
from tests.kit import orders as o
from tests.kit.doors import Doors

OURS, THEIRS = "walnut", "zebra"
"""The marks of the tenant that asks and of the one that must not be seen."""
Ids = Mapping[str, str]


class Tenant:
    """One tenant and the ids of what it has."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.name = f"{mark}-tenant"
        kinds = ("account_id", "order_id", "command_id", "check_id", "subscription_id", "break_id", "invoice_id")
        self.ids: Ids = {kind: f"{mark}-{kind.removesuffix('_id')}" for kind in (*kinds, "credit_note_id")}

    def story(self, doors: Doors) -> None:
        """Open, fund, trade, withdraw, bill, check, break, subscribe."""
        ids, mark = self.ids, self.mark
        account = ids["account_id"]

        def decide(context: str, stream: str, command: Command, command_id: str = "") -> Event:
            number = len(doors.bus._answers)
            issued = Issued(
                command=command,
                command_id=command_id or f"{mark}-command-{number}",
                tenant=self.name,
                stream_id=stream,
                causation_id=f"{mark}-cause",
                correlation_id=f"{mark}-correlation",
            )
            event: Event = doors.bus.decide(context, issued).recorded.event
            assert "Refused" not in type(event).__name__, event
            return event

        person = f"sub:{mark}"
        decide("accounts", account, OpenAccount(actor=person, owner=mark, currency="USD"))
        for command in o.may_trade():
            decide("orders", account, command)
        decide("accounts", account, DepositCash(actor=person, deposit_id=DepositId(f"{mark}-d"), amount=Money(10**9)))
        decide("orders", account, o.credit(10_000_000, deposit=f"{mark}-d"))
        withdrawal = RequestWithdrawal(actor=person, withdrawal_id=WithdrawalId(f"{mark}-w"), amount=Money(5))
        decide("accounts", account, withdrawal)
        placed = o.place(ids["order_id"], quantity=10)
        decide("orders", account, msgspec.structs.replace(placed, actor=person), ids["command_id"])
        decide("orders", account, o.record_acceptance(ids["order_id"]))
        decide("orders", account, o.record_fill(3, order_id=ids["order_id"], execution=f"{mark}-x"))
        limits = SetLimits(
            actor=person,
            order_notional_max=Money(10**12),
            gross_exposure_max=Money(10**12),
            orders_per_minute_max=500,
            reason=f"{mark} review",
        )
        decide("risk", account, limits)
        decide("onboarding", account, kyc.request(ids["check_id"]))
        decide("reconciliation", account, _break(ids["break_id"], f"{mark}-x", ids["order_id"]))
        decide("reconciliation", account, ExplainBreak(actor=person, break_id=BreakId(ids["break_id"]), reason=mark))
        prices = f"prices/{self.name}"
        decide("billing", prices, bills.publish(bills.row(), reason=f"{mark} first"))
        decide("billing", account, bills.accrue(bills.fill()))
        decide("billing", account, bills.invoice(invoice_id=ids["invoice_id"]))
        cheaper = bills.row(charged=bills.rates("0.005"))
        decide("billing", prices, bills.publish(cheaper, reason=f"{mark} cheaper"))
        note = bills.correct(cheaper, invoice_id=ids["invoice_id"])
        decide("billing", account, msgspec.structs.replace(note, credit_note_id=ids["credit_note_id"]))
        subscription = CreateSubscription(actor=person, label=f"{mark} mirror", contexts=("orders", "accounts"))
        decide("partners", ids["subscription_id"], subscription)


def _break(break_id: str, reference: str, order_id: str) -> OpenBreak:
    return OpenBreak(
        actor="agent:test",
        break_id=BreakId(break_id),
        kind=Kind.MISSING_AT_VENUE,
        reference=reference,
        order_id=OrderId(order_id),
        differences=(
            Difference(
                symbol=Symbol("AAPL"), ours=Quantity(5), theirs=Quantity(0), our_price=Price(9), their_price=Price(0)
            ),
        ),
        evidence=(Evidence(origin=Origin.OURS, id=reference, topic="orders.events", place=7),),
        since=Micros(1),
        market_time=Micros(7),
    )


class Heard:
    """Everything that the bus decided, as a reader of the tape would have it."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []

    def take(self, seen: Seen) -> None:
        """One more event."""
        key = seen.recorded.stream_id.encode()
        self.arrived.append(Arrived(seen.topic, seen.partition, 2 * seen.recorded.sequence, key, seen.value, {}))


def shown(text: bytes) -> str:
    """A body for people."""
    try:
        return json.dumps(json.loads(text))[:300]
    except ValueError:
        return repr(text[:300])
