"""How each refusal of an order is told to its trader."""

from domain.orders.events import Refusal
from gateways.answers import Refusals, Refused

WRONG, ABSENT = 422, 404

ORDER_REFUSALS: Refusals = {
    Refusal.NOT_OPEN: Refused("The account may not trade yet.", "Open the account and wait for its book to open."),
    Refusal.KYC_PENDING: Refused(
        "The account's owner has not passed a check yet.", "Request one with POST /v1/accounts/{id}/kyc/checks."
    ),
    Refusal.HALTED: Refused("Trading of the account is halted.", "Ask the risk desk; cancelling is still possible."),
    Refusal.DUPLICATE_ORDER: Refused(
        "This order was placed before.", "Read it under its id, or use a new Idempotency-Key for a new order."
    ),
    Refusal.UNKNOWN_ORDER: Refused("The account has no such order.", "Check the order id.", "order_id", ABSENT),
    Refusal.ALREADY_CLOSED: Refused("The order is closed.", "Read it: it was filled, cancelled, expired or rejected."),
    Refusal.CANCEL_PENDING: Refused("The order is being cancelled.", "Wait for the venue's answer."),
    Refusal.REPLACE_PENDING: Refused("The order is being replaced.", "Wait for the venue's answer."),
    Refusal.NOT_REPLACEABLE: Refused("Only LIMIT orders can be replaced.", "Cancel it and place another."),
    Refusal.QUANTITY: Refused(
        "The quantity must be above zero and above what is filled.", "Correct it.", "quantity", WRONG
    ),
    Refusal.LIMIT_PRICE: Refused(
        "A LIMIT order needs a limit price, a MARKET order must have none.", "Correct it.", "limit_price", WRONG
    ),
    Refusal.UNKNOWN_SYMBOL: Refused("The symbol has no price.", "Choose one of GET /v1/quotes.", "symbol", WRONG),
    Refusal.COLLAR: Refused(
        "The limit price is too far from the market.", "Choose a price nearer to the last trade.", "limit_price", WRONG
    ),
    Refusal.MARKET_CLOSED: Refused("The market is not open.", "Place the order during the session."),
    Refusal.STALE_MARK: Refused("The last mark of the market is too old.", "Repeat later with a new Idempotency-Key."),
    Refusal.LIMIT_WORKING_ORDERS: Refused("Too many orders of the account work.", "Cancel some first."),
    Refusal.LIMIT_NOTIONAL: Refused("The order is larger than the account's limit.", "Place a smaller order."),
    Refusal.BUYING_POWER: Refused("The account's free cash does not cover it.", "Deposit cash or buy less."),
    Refusal.HOLDINGS: Refused("The account does not hold so many free shares.", "Sell less."),
}
