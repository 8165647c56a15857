"""How each refusal of an account is told to its owner."""

from domain.accounts.events import Refusal
from gateways.answers import Refusals, Refused

WRONG = 422

ACCOUNT_REFUSALS: Refusals = {
    Refusal.NOT_OPEN: Refused("The account is not open.", "Open it with POST /v1/accounts."),
    Refusal.ALREADY_OPEN: Refused("The account is open already.", "Use it."),
    Refusal.DUPLICATE_TRANSFER: Refused("This transfer was made before.", "Use a new Idempotency-Key for a new one."),
    Refusal.CURRENCY: Refused("Accounts are not held in this currency.", "Choose USD.", "currency", WRONG),
    Refusal.AMOUNT: Refused("The amount must be above zero.", "Correct it.", "amount", WRONG),
}
