"""orders.events, risk.events, market_data.marks -> risk.commands: watch what each account has at stake."""

from domain.risk import exposure
from domain.risk.at_stake import Exposure
from infra.faust.agent import Agent, App


def attach(app: App) -> None:
    """Add the agent."""
    app.add(
        Agent(
            name="risk.exposure",
            events=("orders.events", "risk.events"),
            marks="market_data.marks",
            commands="risk.commands",
            initial=Exposure(),
            on_event=exposure.on_event,
            on_mark=exposure.on_mark,
        )
    )
