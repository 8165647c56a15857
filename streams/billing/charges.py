"""orders.events, billing.events, billing.price_lists, market_data.marks -> billing.commands: charge fills, invoice."""

from domain.billing import charges, terms
from domain.billing.charges import Charges
from domain.billing.terms import Terms
from infra.faust.agent import Agent, App


def attach(app: App) -> None:
    """Add the agent."""
    app.add(
        Agent(
            name="billing.charges",
            events=("orders.events", "billing.events"),
            broadcasts=("billing.price_lists",),
            marks="market_data.marks",
            commands="billing.commands",
            initial=Charges(),
            on_event=charges.on_event,
            on_mark=charges.on_mark,
            shared=Terms(),
            fold_broadcast=terms.follow,
            fold_mark=terms.follow,
        )
    )
