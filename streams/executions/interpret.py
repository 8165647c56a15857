"""executions.messages -> orders.commands: say to each book what the venue's raw messages mean."""

from domain.executions import messages
from domain.executions.messages import VenueMessage
from domain.kernel.messages import Issued
from domain.orders.commands import OrderCommand
from streams.interpreting import interpreting

NAME = "executions.interpret"
FEED = "executions.messages"


def meaning(message: VenueMessage) -> Issued[OrderCommand]:
    """The command for the book of the account that the venue named. Raises Unreadable."""
    return Issued(
        command=messages.interpret(message),
        command_id=messages.command_id(message),
        tenant=message.tenant,
        stream_id=message.account_id,
        causation_id=message.source_id,
        correlation_id=message.source_id,
    )


interpret = interpreting(NAME, FEED, VenueMessage, "orders", meaning)
