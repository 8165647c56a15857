"""What the live page asks and is made of: only who may see a whole tenant is told, and nothing foreign is loaded."""

import re
from typing import Any

import pytest

from gateways import page as live_page
from infra.tokens import EVERY_ACCOUNT, Scope
from tests.kit.doors import Client, Doors

PATH = "/v1/operations/live"


def operator(doors: Doors, client: Client, tenant: str = "acme") -> Client:
    return client.with_token(doors.token(EVERY_ACCOUNT, (Scope.OPERATE,), tenant))


async def test_tells_the_newest_events_and_the_number_of_all(doors: Doors, trader: Client) -> None:
    await trader.place()
    _, told = await operator(doors, trader).ask("GET", PATH)
    newest = told["events"][-1]
    assert (newest["context"], newest["event_type"], newest["account_id"]) == (
        "orders",
        "OrderPlaced",
        trader.account_id,
    )
    totals = {each["name"]: each["events"] for each in told["contexts"]}
    assert totals["orders"] == sum(each["context"] == "orders" for each in told["events"])


async def test_tells_only_what_came_after_the_last_answer(doors: Doors, trader: Client) -> None:
    watching = operator(doors, trader)
    _, before = await watching.ask("GET", PATH)
    await trader.place()
    _, after = await watching.ask("GET", f"{PATH}?after={before['number']}")
    assert [each["event_type"] for each in after["events"]] == ["OrderPlaced"]
    _, again = await watching.ask("GET", f"{PATH}?after={after['number']}")
    assert again["events"] == []


async def test_begins_anew_when_the_number_is_of_another_gateway(doors: Doors, trader: Client) -> None:
    await trader.place()
    _, told = await operator(doors, trader).ask("GET", f"{PATH}?after=1000000")
    assert told["events"]


async def test_tells_nothing_of_another_tenant(doors: Doors, trader: Client) -> None:
    await trader.place()
    _, told = await operator(doors, trader, tenant="other").ask("GET", PATH)
    assert told["events"] == []


@pytest.mark.parametrize(
    ("account", "scopes"),
    [("account-1", (Scope.OPERATE,)), (EVERY_ACCOUNT, (Scope.READ,)), (EVERY_ACCOUNT, (Scope.TRADE, Scope.AUDIT))],
)
async def test_is_for_operators_of_a_whole_tenant(
    doors: Doors, trader: Client, account: str, scopes: tuple[Scope, ...]
) -> None:
    response, problem = await trader.with_token(doors.token(account, scopes)).ask("GET", PATH)
    assert response.status == 403
    assert problem["remedy"]


@pytest.mark.parametrize("after", ["-1", "x", "1.5"])
async def test_names_a_number_that_is_none(doors: Doors, trader: Client, after: str) -> None:
    response, problem = await operator(doors, trader).ask("GET", f"{PATH}?after={after}")
    assert (response.status, problem["field"]) == (400, "after")


async def test_the_page_loads_local_files_alone_and_runs_nothing_inline(doors: Doors, trader: Client) -> None:
    nobody = trader.with_token("")
    for path in live_page.FILES:
        response, content = await nobody.ask("GET", path)
        policy = response.headers["Content-Security-Policy"]
        assert response.status == 200
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        text: Any = content.decode() if isinstance(content, bytes) else content
        assert not re.search(r"<script>|\son\w+=|\sstyle=|//[a-z]+\.[a-z]+/(?!2000/svg)", text)
    _, page = await nobody.ask("GET", "/live")
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.decode())
    assert set(linked) <= set(live_page.FILES)
