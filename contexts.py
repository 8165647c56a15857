"""Every bounded context of Tapeline: the first file to read, and the one place to add to.

A context is a row. Its name is its folder in every layer, its key is what its topics are partitioned by. Only `main.py`
and tests import this file; it imports everything else, so nothing is ever discovered by scanning.
"""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from domain.accounts.commands import AccountCommand
from domain.accounts.decide import accounts
from domain.accounts.events import AccountEvent
from domain.executions.messages import VenueMessage
from domain.kernel.decider import Decider
from domain.kernel.messages import OwnershipTaken
from domain.market_data.marks import Mark, Quote
from domain.orders.commands import OrderCommand
from domain.orders.decide import orders
from domain.orders.events import OrderEvent
from domain.risk.commands import RiskCommand
from domain.risk.decide import risk
from domain.risk.events import RiskEvent
from infra.catalogue import Feed, deciding, fed
from infra.kafka.topics import TopicSpec
from streams.accounts.opening import opening
from streams.accounts.transfers import transfers
from streams.effects import Effect
from streams.executions.interpret import interpret
from streams.executions.venue import venue
from streams.market_data.feed import feed
from streams.partition import Deciding
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


CONTEXTS = (
    # Trading
    Context(
        name="orders",
        key="account_id",
        decider=orders,
        commands=get_args(OrderCommand),
        events=get_args(OrderEvent),
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
        feeds=(Feed("quotes", Quote, days=7, is_flushed=False), Feed("marks", Mark)),
        effects=(feed,),
    ),
    # Custody
    Context(
        name="accounts",
        key="account_id",
        decider=accounts,
        commands=get_args(AccountCommand),
        events=get_args(AccountEvent),
        sagas=(opening, transfers),
    ),
    # Oversight
    Context(
        name="risk",
        key="account_id",
        decider=risk,
        commands=get_args(RiskCommand),
        events=get_args(RiskEvent),
        sagas=(halts,),
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
    """Every topic of the system, as it must be."""
    for context in CONTEXTS:
        if context.decider is not None:
            yield from deciding(context.name)
        yield from fed(context.name, context.feeds)


def deciders() -> list[Deciding]:
    """The contexts that decide."""
    return [
        Deciding(context.name, context.decider, context.commands) for context in CONTEXTS if context.decider is not None
    ]
