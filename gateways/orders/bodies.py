"""What a trader sends about orders, and the command it becomes."""

from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from domain.kernel.ids import OrderId, Symbol
from domain.kernel.market import Market
from domain.kernel.money import Price
from domain.orders.commands import CancelOrder, Kind, PlaceOrder, ReplaceOrder, Side, TimeInForce
from gateways.amounts import PriceText, QuantityText
from gateways.http import Body

SymbolText = Annotated[Symbol, StringConstraints(strict=True, pattern=r"^[A-Z0-9][A-Z0-9.\-]{0,15}$")]


class PlaceOrderBody(Body):
    """A new order."""

    symbol: SymbolText
    side: Side
    kind: Kind
    quantity: QuantityText
    limit_price: PriceText | None = Field(
        default=None, validate_default=True, description="For a LIMIT order, and only for it."
    )
    time_in_force: TimeInForce = TimeInForce.DAY

    @field_validator("limit_price")
    @classmethod
    def _limit_belongs_to_its_kind(cls, limit_price: Price | None, info: ValidationInfo) -> Price | None:
        kind = info.data.get("kind")
        if kind is Kind.LIMIT and limit_price is None:
            raise ValueError("a LIMIT order needs a limit price")
        if kind is Kind.MARKET and limit_price is not None:
            raise ValueError("a MARKET order has no limit price")
        return limit_price

    def to_command(self, *, order_id: OrderId, market: Market) -> PlaceOrder:
        """The command, on the market as it is seen now."""
        return PlaceOrder(
            order_id=order_id,
            symbol=self.symbol,
            side=self.side,
            kind=self.kind,
            quantity=self.quantity,
            limit_price=self.limit_price,
            time_in_force=self.time_in_force,
            market=market,
        )


class ReplaceOrderBody(Body):
    """New terms of a working LIMIT order: `quantity` is the new total, filled shares included."""

    quantity: QuantityText
    limit_price: PriceText

    def to_command(self, *, order_id: OrderId, market: Market) -> ReplaceOrder:
        """The command, on the market as it is seen now."""
        return ReplaceOrder(order_id=order_id, quantity=self.quantity, limit_price=self.limit_price, market=market)


def cancel(order_id: OrderId) -> CancelOrder:
    """The command behind DELETE, which has no body."""
    return CancelOrder(order_id=order_id)
