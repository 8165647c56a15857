"""Every bounded context of Tapeline: the first file to read, and the one place to add to.

A context is a row. Its name is its folder in every layer, its key is what its topics are partitioned by. Only `main.py`
and tests import this file; it imports everything else, so nothing is ever discovered by scanning.
"""

from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec
import typer

from domain.accounts.commands import AccountCommand
from domain.accounts.decide import accounts
from domain.accounts.events import AccountEvent
from domain.billing.commands import BillingCommand
from domain.billing.decide import billing
from domain.billing.events import BillingEvent, PriceList
from domain.executions.messages import VenueMessage
from domain.kernel.decider import Decider
from domain.kernel.messages import OwnershipTaken
from domain.market_data.marks import Mark, Quote
from domain.onboarding.commands import OnboardingCommand
from domain.onboarding.decide import onboarding
from domain.onboarding.events import OnboardingEvent
from domain.onboarding.reports import KycNotice, KycReport
from domain.orders.commands import OrderCommand
from domain.orders.decide import orders
from domain.orders.events import OrderEvent
from domain.partners.commands import PartnerCommand
from domain.partners.decide import partners
from domain.partners.events import PartnerEvent
from domain.reconciliation.commands import ReconciliationCommand
from domain.reconciliation.decide import reconciliation
from domain.reconciliation.events import ReconciliationEvent
from domain.reconciliation.records import VenueRecord
from domain.risk.commands import RiskCommand
from domain.risk.decide import risk
from domain.risk.events import RiskEvent
from gateways.accounts import cli as accounts_cli
from gateways.accounts import rest as accounts_rest
from gateways.billing import cli as billing_cli
from gateways.billing import rest as billing_rest
from gateways.market_data import cli as market_data_cli
from gateways.market_data import rest as market_data_rest
from gateways.onboarding import cli as onboarding_cli
from gateways.onboarding import rest as onboarding_rest
from gateways.orders import cli as orders_cli
from gateways.orders import rest as orders_rest
from gateways.orders import websocket as orders_websocket
from gateways.partners import cli as partners_cli
from gateways.partners import rest as partners_rest
from gateways.reconciliation import cli as reconciliation_cli
from gateways.reconciliation import rest as reconciliation_rest
from gateways.risk import cli as risk_cli
from gateways.risk import rest as risk_rest
from gateways.routes import Route
from infra.catalogue import Carried, Feed, deciding, fed
from infra.faust.agent import Attach
from infra.faust.topics import topics as topics_of_agents
from infra.kafka.topics import TopicSpec
from projections.accounts.account_list import account_list
from projections.accounts.ledger import ledger
from projections.billing.accruals import charged_fills
from projections.billing.credit_notes import notes_issued
from projections.billing.invoices import invoices_issued
from projections.billing.price_lists import price_lists
from projections.market_data.last_trades import last_trades
from projections.onboarding.checks import kyc_checks
from projections.orders.blotter import blotter
from projections.orders.journal import journal
from projections.orders.positions import positions
from projections.partners.subscriptions import subscriptions
from projections.read_model import ReadModel
from projections.reconciliation.breaks import breaks
from projections.risk.board import board
from streams.accounts.opening import opening
from streams.accounts.transfers import transfers
from streams.billing import charges
from streams.billing.price_lists import copy as copy_price_lists
from streams.effects import Effect
from streams.executions.interpret import interpret
from streams.executions.venue import venue
from streams.market_data.feed import feed
from streams.onboarding.expiry import expiry
from streams.onboarding.interpret import interpret as interpret_reports
from streams.onboarding.notices import notices
from streams.onboarding.trading import trading
from streams.onboarding.vendor import vendor
from streams.orders import day_end
from streams.partition import Deciding
from streams.reconciliation import matching
from streams.reconciliation.drop_copy import drop_copy
from streams.risk import exposure
from streams.risk.halts import halts
from streams.sagas import Saga


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One row: what the context decides, and what it reads and shows."""

    name: str
    key: str
    decider: Decider[Any, Any, Any] | None = None
    commands: tuple[type, ...] = ()
    events: tuple[type, ...] = ()
    feeds: tuple[Feed, ...] = ()
    sagas: tuple[Saga, ...] = ()
    effects: tuple[Effect, ...] = ()
    agents: tuple[Attach, ...] = ()
    projections: tuple[ReadModel, ...] = ()
    routes: tuple[Route, ...] = ()
    cli: Callable[[typer.Typer], None] | None = None


CONTEXTS = (
    # Trading
    Context(
        name="orders",
        key="account_id",
        decider=orders,
        commands=get_args(OrderCommand),
        events=get_args(OrderEvent),
        agents=(day_end.attach,),
        projections=(blotter, positions, journal),
        routes=(*orders_rest.ROUTES, *orders_websocket.ROUTES),
        cli=orders_cli.attach,
    ),
    Context(
        name="executions",
        key="account_id",
        feeds=(Feed("messages", VenueMessage),),
        effects=(venue, interpret),
    ),
    Context(
        name="market_data",
        key="symbol",
        feeds=(Feed("quotes", Quote, days=7, is_flushed=False), Feed("marks", Mark, is_whole=True)),
        effects=(feed,),
        projections=(last_trades,),
        routes=market_data_rest.ROUTES,
        cli=market_data_cli.attach,
    ),
    # Custody
    Context(
        name="accounts",
        key="account_id",
        decider=accounts,
        commands=get_args(AccountCommand),
        events=get_args(AccountEvent),
        sagas=(opening, transfers),
        projections=(account_list, ledger),
        routes=accounts_rest.ROUTES,
        cli=accounts_cli.attach,
    ),
    Context(
        name="reconciliation",
        key="account_id",
        decider=reconciliation,
        commands=get_args(ReconciliationCommand),
        events=get_args(ReconciliationEvent),
        feeds=(Feed("messages", VenueRecord),),
        agents=(matching.attach,),
        effects=(drop_copy,),
        projections=(breaks,),
        routes=reconciliation_rest.ROUTES,
        cli=reconciliation_cli.attach,
    ),
    Context(
        name="onboarding",
        key="account_id",
        decider=onboarding,
        commands=get_args(OnboardingCommand),
        events=get_args(OnboardingEvent),
        feeds=(Feed("notices", KycNotice, days=90), Feed("reports", KycReport)),
        sagas=(trading,),
        effects=(vendor, notices, interpret_reports, expiry),
        projections=(kyc_checks,),
        routes=onboarding_rest.ROUTES,
        cli=onboarding_cli.attach,
    ),
    # Commerce
    Context(
        name="billing",
        key="account_id",
        decider=billing,
        commands=get_args(BillingCommand),
        events=get_args(BillingEvent),
        feeds=(Feed("price_lists", PriceList, is_whole=True),),
        effects=(copy_price_lists,),
        agents=(charges.attach,),
        projections=(price_lists, charged_fills, invoices_issued, notes_issued),
        routes=billing_rest.ROUTES,
        cli=billing_cli.attach,
    ),
    Context(
        name="partners",
        key="subscription_id",
        decider=partners,
        commands=get_args(PartnerCommand),
        events=get_args(PartnerEvent),
        projections=(subscriptions,),
        routes=partners_rest.ROUTES,
        cli=partners_cli.attach,
    ),
    # Oversight
    Context(
        name="risk",
        key="account_id",
        decider=risk,
        commands=get_args(RiskCommand),
        events=get_args(RiskEvent),
        sagas=(halts,),
        agents=(exposure.attach,),
        projections=(board,),
        routes=risk_rest.ROUTES,
        cli=risk_cli.attach,
    ),
    Context(name="audit", key="partition"),
)


def messages() -> Iterator[type]:
    """Every message class that travels."""
    yield OwnershipTaken
    for context in CONTEXTS:
        yield from context.commands
        yield from context.events
        yield from (feed.message for feed in context.feeds)


def subjects() -> dict[type, tuple[str, ...]]:
    """The topics in which each message may stand."""
    deciding = [context for context in CONTEXTS if context.decider is not None]
    found: dict[type, tuple[str, ...]] = {OwnershipTaken: tuple(f"{context.name}.events" for context in deciding)}
    for context in CONTEXTS:
        found |= dict.fromkeys(context.commands, (f"{context.name}.commands",))
        found |= dict.fromkeys(context.events, (f"{context.name}.events",))
        found |= {feed.message: (f"{context.name}.{feed.name}",) for feed in context.feeds}
    return found


def topics() -> Iterator[TopicSpec]:
    """Every topic of the system, as it must be, each once."""
    specs = {spec.name: spec for spec in topics_of_agents(agents())}
    for context in CONTEXTS:
        if context.decider is not None:
            specs |= {spec.name: spec for spec in deciding(context.name)}
        specs |= {spec.name: spec for spec in fed(context.name, context.feeds)}
    yield from specs.values()


def carried() -> Iterator[Carried]:
    """Every topic whose messages have a contract, with its key and the messages in it."""
    keys = {context.name: context.key for context in CONTEXTS}
    whole = {f"{context.name}.{feed.name}" for context in CONTEXTS for feed in context.feeds if feed.is_whole}
    found = subjects()
    for spec in topics():
        standing = tuple(message for message, names in found.items() if spec.name in names)
        if standing:
            key = "" if spec.name in whole else keys[spec.name.partition(".")[0]]
            yield Carried(spec=spec, key=key, messages=standing)


def agents() -> tuple[Attach, ...]:
    """Every Faust agent."""
    return tuple(agent for context in CONTEXTS for agent in context.agents)


def audited() -> tuple[str, ...]:
    """The topics whose every record is a leaf of the audit forest."""
    events = (f"{context.name}.events" for context in CONTEXTS if context.decider is not None)
    return (*events, "executions.messages", "reconciliation.messages")


def deciders() -> list[Deciding]:
    """The contexts that decide."""
    return [
        Deciding(context.name, context.decider, context.commands) for context in CONTEXTS if context.decider is not None
    ]
