"""orders.events, market_data.marks -> orders.commands: end day orders at the close."""

from domain.orders import open_days
from domain.orders.open_days import OpenDay
from infra.faust.agent import Agent, App


def attach(app: App) -> None:
    """Add the agent."""
    app.add(
        Agent(
            name="orders.day_end",
            events=("orders.events",),
            marks="market_data.marks",
            commands="orders.commands",
            initial=OpenDay(),
            on_event=open_days.on_event,
            on_mark=open_days.on_mark,
        )
    )
