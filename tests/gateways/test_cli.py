"""The verbs for people: the same requests as REST, one line for a no, and keys that let anything be repeated."""

import asyncio
import io
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
import typer
from typer.testing import CliRunner

from domain.accounts.commands import OpenAccount
from domain.kernel.ids import derived
from domain.orders.commands import CancelOrder, Kind, PlaceOrder, ReplaceOrder, TimeInForce
from domain.orders.events import OrderRefused
from gateways import client, tenancy
from gateways.accounts import cli as accounts_cli
from gateways.market_data import cli as market_data_cli
from gateways.orders import cli as orders_cli
from gateways.risk import cli as risk_cli
from infra.bus import OutcomeUnknown, Pending
from infra.settings import settings
from infra.tokens import Scope
from tests.kit.doors import Client, Doors

Verb = Callable[..., Coroutine[Any, Any, Any]]
EVERYBODY = (Scope.TRADE, Scope.READ, Scope.RISK)
LIMITS = ("--order-notional-max", "5000.00", "--gross-exposure-max", "9000", "--orders-per-minute-max", "60")


def tapeline() -> typer.Typer:
    app = typer.Typer()
    for doors in (accounts_cli, orders_cli, market_data_cli, risk_cli):
        doors.attach(app)
    return app


@pytest.fixture(autouse=True)
def no_settings_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLUMNS", "250")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(autouse=True)
def the_door_has_a_log_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The door runs in this process and has no database, which it says on its log; here only the verb is heard."""
    monkeypatch.setattr(tenancy, "log", structlog.wrap_logger(structlog.PrintLogger(io.StringIO())))


@pytest.fixture
async def verb(doors: Doors, trader: Client, monkeypatch: pytest.MonkeyPatch) -> Verb:
    """Runs one verb in a thread against the door, as the trader; others give their own --token."""
    monkeypatch.setenv("TAPELINE_GATEWAY_PORT", str(urlsplit(doors.url).port))
    monkeypatch.setenv("TAPELINE_TOKEN", doors.token(trader.account_id, EVERYBODY))
    app, runner = tapeline(), CliRunner()

    async def run(*args: str) -> Any:
        return await asyncio.to_thread(runner.invoke, app, args)

    return run


async def answer(verb: Verb, *args: str) -> Any:
    said = await verb(*args, "--json")
    assert said.exit_code == 0, said.stderr
    return json.loads(said.stdout)


async def test_place_sends_what_rest_sends(doors: Doors, verb: Verb) -> None:
    made = await answer(verb, "orders", "place", "buy", "10", "aapl", "--limit", "101.25", "--tif", "gtc")
    (issued,) = doors.bus.sent
    assert isinstance(issued.command, PlaceOrder)
    assert (issued.command.kind, issued.command.time_in_force) == (Kind.LIMIT, TimeInForce.GTC)
    assert (made["status"], made["quantity"], made["limit_price"]) == ("PLACED", "10", "101.25")


async def test_place_without_a_limit_is_a_market_order_for_the_day(doors: Doors, verb: Verb) -> None:
    await answer(verb, "orders", "place", "BUY", "1", "AAPL")
    (issued,) = doors.bus.sent
    assert (issued.command.kind, issued.command.time_in_force) == (Kind.MARKET, TimeInForce.DAY)


async def test_the_same_key_places_one_order(doors: Doors, verb: Verb) -> None:
    first = await answer(verb, "orders", "place", "BUY", "1", "AAPL", "--key", "mine")
    again = await answer(verb, "orders", "place", "BUY", "1", "AAPL", "--key", "mine")
    assert again["order_id"] == first["order_id"]
    assert len(doors.bus.sent) == 1


async def test_replace_and_cancel_name_the_order(doors: Doors, verb: Verb) -> None:
    order = (await answer(verb, "orders", "place", "BUY", "10", "AAPL", "--limit", "100"))["order_id"]
    replaced = await answer(verb, "orders", "replace", order, "--quantity", "20", "--limit", "99.5")
    assert (replaced["status"], replaced["order_version"]) == ("REPLACING", 2)
    cancelled = await answer(verb, "orders", "cancel", order)
    assert (cancelled["order_id"], cancelled["status"]) == (order, "CANCELLING")
    assert [type(issued.command) for issued in doors.bus.sent[1:]] == [ReplaceOrder, CancelOrder]


async def test_a_refusal_is_one_line_with_its_remedy_and_exit_1(verb: Verb) -> None:
    said = await verb("orders", "place", "BUY", "1000000", "AAPL", "--limit", "100")
    assert said.exit_code == 1
    assert said.stdout == ""
    assert said.stderr.startswith("refused: ")
    assert " remedy: " in said.stderr
    assert said.stderr.count("\n") == 1


async def test_a_wrong_field_is_named_with_its_remedy(verb: Verb) -> None:
    said = await verb("orders", "place", "BUY", "ten", "AAPL")
    assert "refused: `quantity`: must be a plain decimal number" in said.stderr


async def test_an_account_is_opened_and_cash_moves(doors: Doors, verb: Verb) -> None:
    token = doors.token("fresh")
    opened = await answer(verb, "accounts", "open", "--token", token)
    assert (opened["account_id"], opened["currency"]) == ("fresh", "USD")
    assert isinstance(doors.bus.sent[0].command, OpenAccount)
    received = await answer(verb, "accounts", "deposit", "2500.00", "--token", token)
    assert (received["amount"], received["status"]) == ("2500.00", "RECEIVED")
    asked = await answer(verb, "accounts", "withdraw", "100", "--token", token)
    assert (asked["amount"], asked["status"]) == ("100.00", "PENDING")


async def test_quotes_are_a_table_for_people_and_json_for_programs(verb: Verb) -> None:
    said = await verb("quotes")
    assert "MSFT" in said.stdout
    assert "2012-03-05 OPEN" in said.stdout
    found = await answer(verb, "quotes", "aapl")
    assert [quote["symbol"] for quote in found["quotes"]] == ["AAPL"]


async def test_limits_and_halts_are_set_with_a_reason(verb: Verb) -> None:
    limits = await answer(verb, "risk", "set-limits", *LIMITS, "--reason", "a careful start")
    assert (limits["order_notional_max"], limits["gross_exposure_max"]) == ("5000.00", "9000.00")
    halted = await answer(verb, "risk", "halt", "--reason", "looks odd")
    assert (halted["is_halted"], halted["reason"]) == (True, "looks odd")
    assert "is halted by hand already" in (await verb("risk", "halt", "--reason", "again")).stderr
    resumed = await answer(verb, "risk", "resume", "--reason", "explained")
    assert resumed["is_halted"] is False


async def test_a_token_without_the_scope_may_not_halt(doors: Doors, trader: Client, verb: Verb) -> None:
    said = await verb("risk", "halt", "--reason", "curious", "--token", doors.token(trader.account_id))
    assert said.exit_code == 1
    assert "needs the scope `risk`" in said.stderr


async def test_an_overseer_names_the_account(doors: Doors, verb: Verb) -> None:
    said = await verb("risk", "halt", "--reason", "looks odd", "--token", doors.token("*", EVERYBODY))
    assert said.stderr == "refused: This token names no account. remedy: Name one with --account.\n"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.e30.c"])
async def test_without_a_token_nothing_is_sent(verb: Verb, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.delenv("TAPELINE_TOKEN")
    said = await verb("quotes", "--token", token)
    assert said.exit_code == 1
    assert "Mint one with `./tapeline token`" in said.stderr


LATEST = 2**40
"""An offset that no decider has come to."""


def pending(trader: Client, route: str) -> Pending:
    """What the bus says of a command that nobody decides, sent with the key `mine`."""
    context = "orders" if "orders" in route else "accounts"
    return Pending(derived("acme", trader.account_id, route, "mine"), (f"{context}.commands", 0, LATEST))


async def test_a_receipt_is_followed_to_its_decision(doors: Doors, trader: Client, verb: Verb) -> None:
    doors.bus.trouble = pending(trader, "POST /v1/accounts/{account_id}/deposits")
    waiting = asyncio.create_task(verb("accounts", "deposit", "10", "--key", "mine", "--json"))
    async with asyncio.timeout(20):
        while not doors.bus.sent:
            await asyncio.sleep(0.01)
    issued = doors.bus.sent[0]
    assert isinstance(issued.command.amount, int)
    doors.bus.as_saga("accounts", issued.stream_id, OpenAccount(owner="ann", currency="USD"))
    doors.bus.decide("accounts", issued)
    said = await waiting
    assert said.exit_code == 0, said.stderr
    assert json.loads(said.stdout)["event_type"] == "CashDeposited"


async def test_a_receipt_that_ends_in_a_refusal_is_refused(doors: Doors, trader: Client, verb: Verb) -> None:
    doors.bus.trouble = pending(trader, "DELETE /v1/accounts/{account_id}/orders/{order_id}")
    waiting = asyncio.create_task(verb("orders", "cancel", "nobody", "--key", "mine"))
    async with asyncio.timeout(20):
        while not doors.bus.sent:
            await asyncio.sleep(0.01)
    decided = doors.bus.decide("orders", doors.bus.sent[0])
    assert isinstance(decided.recorded.event, OrderRefused)
    said = await waiting
    assert said.exit_code == 1
    assert said.stderr == f"refused: {decided.recorded.event.reason}.\n"


async def test_a_receipt_is_not_followed_for_ever(
    doors: Doors, trader: Client, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FOLLOW_SECONDS_MAX", 0.5)
    doors.bus.trouble = pending(trader, "POST /v1/accounts/{account_id}/deposits")
    said = await verb("accounts", "deposit", "10", "--key", "mine")
    assert said.exit_code == 1
    assert "repeat with --key mine" in said.stderr


async def test_an_unknown_outcome_is_asked_again_with_the_same_key(
    doors: Doors, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "REPEAT_SECONDS_MAX", 0.01)
    doors.bus.trouble = OutcomeUnknown("")
    said = await verb("accounts", "deposit", "10")
    assert len(doors.bus.sent) == client.REPEATS_MAX
    assert len({issued.command_id for issued in doors.bus.sent}) == 1
    assert said.exit_code == 1
    assert "outcome is unknown" in said.stderr


async def test_a_gateway_that_is_not_there_is_named(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPELINE_GATEWAY_PORT", "1")
    said = await verb("quotes")
    assert said.exit_code == 1
    assert "The gateway at http://127.0.0.1:1 does not answer" in said.stderr
    assert "remedy: Start it with `make up`" in said.stderr
