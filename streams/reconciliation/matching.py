"""orders.events, reconciliation.events, reconciliation.messages, market_data.marks -> reconciliation.commands: match.

Our executions against the venue's copies of them, and what follows against its statements, account by account.
"""

from domain.reconciliation import reconcile
from domain.reconciliation.matching import Matching
from infra.faust.agent import Agent, App


def attach(app: App) -> None:
    """Add the agent."""
    app.add(
        Agent(
            name="reconciliation.matching",
            events=("orders.events", "reconciliation.events"),
            feeds=("reconciliation.messages",),
            marks="market_data.marks",
            commands="reconciliation.commands",
            initial=Matching(),
            on_event=reconcile.on_event,
            on_feed=reconcile.on_feed,
            on_mark=reconcile.on_mark,
        )
    )
