"""The verbs for people against a whole installation: what they read, and the switch that halts everything."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gateways.accounts import cli as accounts_cli
from gateways.market_data import cli as market_data_cli
from gateways.orders import cli as orders_cli
from gateways.partners import cli as partners_cli
from gateways.risk import cli as risk_cli
from gateways.risk import halt_all
from infra.settings import settings
from infra.tokens import EVERY_ACCOUNT, Scope
from tests.kit.doors import Client
from tests.kit.live import Live

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]
Verb = Callable[..., Coroutine[Any, Any, Any]]
DESK = (Scope.READ, Scope.RISK)


@pytest.fixture
def verb(live: Live, monkeypatch: pytest.MonkeyPatch) -> Iterator[Verb]:
    """Runs one verb in a thread against the installation."""
    monkeypatch.setenv("TAPELINE_GATEWAY_PORT", str(live.settings.gateway_port))
    monkeypatch.setenv("TAPELINE_POSTGRES", live.settings.postgres)
    monkeypatch.setenv("COLUMNS", "250")
    settings.cache_clear()
    app = typer.Typer()
    for doors in (accounts_cli, orders_cli, market_data_cli, partners_cli, risk_cli):
        doors.attach(app)

    async def run(*args: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, app, args)

    yield run
    settings.cache_clear()


async def answer(verb: Verb, *args: str) -> Any:
    said = await verb(*args, "--json")
    assert said.exit_code == 0, said.stderr
    return json.loads(said.stdout.splitlines()[-1])  # The installation logs to the same place.


async def until(verb: Verb, enough: Callable[[Any], bool], *args: str) -> Any:
    """The answer, once it is enough: read models follow in their own time."""
    async with asyncio.timeout(30):
        while not enough(found := await answer(verb, *args)):
            await asyncio.sleep(0.05)
    return found


async def test_an_account_is_opened_funded_and_traded_from_the_command_line(live: Live, verb: Verb) -> None:
    async with live.stranger() as ann:
        token = ("--token", ann.token)
        await answer(verb, "accounts", "open", *token)
        await answer(verb, "accounts", "deposit", "5000", *token)
        await until(verb, lambda cash: cash["free"] == "5000.00", "accounts", "cash", *token)
        shown = await answer(verb, "accounts", "show", *token)
        assert (shown["owner"], shown["status"]) == ("ann", "OPEN")
        await live.pass_check(ann)
        order = await answer(verb, "orders", "place", "BUY", "10", "AAPL", "--limit", "99", *token)
        listed = await until(verb, lambda page: bool(page["orders"]), "orders", "list", *token)
        assert [each["order_id"] for each in listed["orders"]] == [order["order_id"]]
        assert (await answer(verb, "orders", "show", order["order_id"], *token))["limit_price"] == "99.00"
        table = (await verb("orders", "list", *token)).stdout
        assert order["order_id"] in table
        assert (await answer(verb, "orders", "positions", *token))["positions"] == []
        cancelled = await answer(verb, "orders", "cancel-all", *token)
        assert cancelled["orders"] == [{"order_id": order["order_id"], "status": "CANCELLING"}]
        await answer(verb, "accounts", "withdraw", "100", *token)
        paid = await until(
            verb,
            lambda page: [each["status"] for each in page["withdrawals"]] == ["PAID"],
            *("accounts", "withdrawals", *token),
        )
        assert paid["withdrawals"][0]["amount"] == "100.00"


async def test_a_page_names_the_page_after_it(live: Live, verb: Verb) -> None:
    async with live.trader() as ann:
        token = ("--token", ann.token)
        for _ in range(3):
            await answer(verb, "orders", "place", "BUY", "1", "AAPL", "--limit", "99", *token)
        await until(verb, lambda page: len(page["orders"]) == 3, "orders", "list", *token)
        first = await verb("orders", "list", "--limit", "2", *token)
        after = first.stdout.rpartition("more with --after ")[2].split()[0]
        rest = await answer(verb, "orders", "list", "--limit", "2", "--after", after, *token)
        assert len(rest["orders"]) == 1


async def test_the_risk_of_an_account_is_shown_as_it_was_said(live: Live, verb: Verb) -> None:
    async with live.trader() as ann:
        desk = ("--token", live.token(EVERY_ACCOUNT, DESK), "--account", ann.account_id)
        limits = await until(verb, bool, "risk", "limits", *desk)
        assert limits["reason"] == "first limits of a new account"
        await answer(verb, "risk", "halt", "--reason", "looks [/odd]", *desk)
        found = await until(verb, lambda risk: bool(risk["is_halted"]), "risk", "show", *desk)
        assert [(each["cause"], each["reason"]) for each in found["halts"]] == [("HAND", "looks [/odd]")]
        assert "looks [/odd]" in (await verb("risk", "show", *desk)).stdout


async def is_halted(live: Live, client: Client) -> bool:
    token = live.token(client.account_id, (Scope.READ,), tenant="frozen")
    _, risk = await client.with_token(token).ask("GET", "/v1/accounts/{}/risk")
    return bool(risk["is_halted"])


async def is_listed(live: Live, client: Client) -> bool:
    token = live.token(client.account_id, (Scope.READ,), tenant="frozen")
    response, _ = await client.with_token(token).ask("GET", "/v1/accounts/{}")
    return response.status == 200


async def open_account(live: Live, client: Client, tenant: str) -> None:
    response, _ = await client.with_token(live.token(client.account_id, tenant=tenant)).ask("POST", "/v1/accounts", {})
    assert response.status == 201


async def test_halt_all_halts_every_account_of_the_tenant_and_no_other(
    live: Live, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halt_all, "ACCOUNTS_READ_MAX", 3)
    token = ("--token", live.token(EVERY_ACCOUNT, DESK, tenant="frozen"))
    async with live.stranger() as other, contextlib.AsyncExitStack() as stack:
        await open_account(live, other, "thawed")
        clients = [await stack.enter_async_context(live.stranger()) for _ in range(8)]
        for client in clients:
            await open_account(live, client, "frozen")
        before = f"/v1/accounts/{clients[0].account_id}/halt"
        desk = other.with_token(live.token(EVERY_ACCOUNT, DESK, tenant="frozen"))
        async with asyncio.timeout(30):
            while (await desk.ask("POST", before, {"reason": "first"}))[0].status != 200:
                await asyncio.sleep(0.05)
            while not all([await is_listed(live, client) for client in clients]):
                await asyncio.sleep(0.05)
        done = await answer(verb, "halt-all", "--reason", "the venue lies", *token)
        assert (done["halted"], done["were_halted"], done["missed"]) == (7, 1, {})
        async with asyncio.timeout(30):
            while not all([await is_halted(live, client) for client in clients]):
                await asyncio.sleep(0.05)
        assert not await is_halted(live, other)
        said = await verb("halt-all", "--reason", "the venue lies", *token)
        assert "halted 0 accounts, 8 were halted already, in " in said.stdout


def frames(said: Any) -> list[Any]:
    """What a stream was told, a frame a line; the installation logs to the same place."""
    told = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
    return [each for each in told if each.get("type") in ("event", "end")]


async def test_a_partner_is_let_in_and_follows_from_the_command_line(live: Live, verb: Verb) -> None:
    tenant = f"tenant-{uuid.uuid4().hex[:8]}"
    desk = ("--token", live.token(EVERY_ACCOUNT, (Scope.OPERATE, Scope.PARTNER), tenant=tenant))
    made = await answer(verb, "partners", "create", "--label", "mirror", "--context", "accounts", *desk)
    assert (made["status"], made["contexts"]) == ("ACTIVE", ["accounts"])
    subscription = made["subscription_id"]
    theirs = ("--token", live.token(subscription, (Scope.PARTNER,), tenant=tenant))
    async with live.stranger() as ann:
        await open_account(live, ann, tenant)
        (first,) = frames(await verb("partners", "follow", "--limit", "1", *theirs))
        assert (first["event"]["event_type"], first["event"]["account_id"]) == ("AccountOpened", ann.account_id)
        again = frames(await verb("partners", "follow", "--replay", *theirs))
        assert [each["type"] for each in again] == ["event", "end"]
        after = frames(await verb("partners", "follow", "--replay", "--cursor", first["cursor"], *theirs))
        assert [each["type"] for each in after] == ["end"]
    assert subscription in (await verb("partners", "list", *desk)).stdout
    await until(verb, lambda shown: len(shown["deliveries"]) == 3, "partners", "show", subscription, *desk)
    await answer(verb, "partners", "pause", subscription, "--reason", "the summer", *desk)
    paused = await verb("partners", "follow", "--replay", *theirs)
    assert paused.exit_code == 1
    assert "refused: The subscription is paused: the summer. remedy: Ask whoever runs it" in paused.stderr
    await answer(verb, "partners", "resume", subscription, "--reason", "it is over", *desk)
    ended = await answer(verb, "partners", "end", subscription, "--reason", "they left", *desk)
    assert ended["status"] == "ENDED"


async def test_a_partner_can_only_follow_what_there_is(live: Live, verb: Verb) -> None:
    desk = ("--token", live.token(EVERY_ACCOUNT, (Scope.OPERATE,)))
    said = await verb("partners", "create", "--label", "mirror", "--context", "tulips", *desk)
    assert said.exit_code == 1
    assert "refused: `contexts`: tulips is none that can be followed. remedy: Choose from accounts, " in said.stderr


async def test_halt_all_without_the_scope_names_every_account_that_it_missed(live: Live, verb: Verb) -> None:
    async with live.stranger() as ann:
        await open_account(live, ann, "curious")
        token = ("--token", live.token(EVERY_ACCOUNT, (Scope.READ,), tenant="curious"))
        async with asyncio.timeout(30):
            while not (said := await verb("halt-all", "--reason", "why not", *token)).exit_code:
                await asyncio.sleep(0.05)
        assert said.exit_code == 1
        assert f"NOT HALTED {ann.account_id}: refused: This needs the scope `risk`." in said.stderr
        assert "repeat with --key " in said.stderr


async def test_halt_all_says_what_to_do_when_the_accounts_cannot_be_listed(
    live: Live, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPELINE_POSTGRES", "postgresql://127.0.0.1:1/none")
    said = await verb("halt-all", "--reason", "dark", "--token", live.token(EVERY_ACCOUNT, DESK))
    assert said.exit_code == 1
    assert "The accounts cannot be listed" in said.stderr
