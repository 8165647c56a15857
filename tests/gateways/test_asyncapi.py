"""The published contract of everything that streams, judged by AsyncAPI's own parser and by what really streams."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import contexts
from gateways import asyncapi, openapi
from gateways.orders import websocket
from infra.avro import contracts
from tests.gateways.orders.test_stream import connect
from tests.kit import node
from tests.kit.doors import Client, Doors

JUDGE = Path(node.__file__).parent / "asyncapi"
ROUTES = [route for context in contexts.CONTEXTS for route in context.routes]
WRONG, WARNING = 0, 1
KNOWN_HINTS = {"asyncapi-latest-version"}
"""3.1 is out; 3.0 is what tools of today read."""


def described() -> dict[str, Any]:
    return asyncapi.document(contexts.carried(), ROUTES)


def judged(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        node.run(JUDGE / "judge.js", str(node.modules(JUDGE)), given=openapi.encoded(document))
    )
    return found


def wrong(found: dict[str, Any]) -> list[str]:
    return [f"{each['path']}: {each['message']}" for each in found["diagnostics"] if each["severity"] <= WARNING]


@pytest.mark.timeout(240)
def test_is_valid_asyncapi_3_0() -> None:
    found = judged(described())
    assert wrong(found) == []
    assert {each["code"] for each in found["diagnostics"]} <= KNOWN_HINTS
    assert found["version"] == "3.0.0"
    topics = {each.spec.name: {message.__name__ for message in each.messages} for each in contexts.carried()}
    assert {name: set(messages) for name, messages in found["channels"].items() if name in topics} == topics


@pytest.mark.timeout(240)
def test_the_judge_refuses_what_is_no_avro_and_what_is_no_channel() -> None:
    broken = copy.deepcopy(described())
    fields = broken["components"]["messages"]["tapeline.orders.OrderPlaced"]["payload"]["schema"]["fields"]
    fields[1]["type"] = {"type": "array"}
    broken["operations"]["orders.events"]["channel"]["$ref"] = "#/channels/nowhere"
    found = wrong(judged(broken))
    assert any(each.startswith("components/messages/tapeline.orders.OrderPlaced/payload") for each in found)
    assert any(each.startswith("operations/orders.events/channel") for each in found)


def test_tells_of_every_message_under_its_newest_schema() -> None:
    messages = described()["components"]["messages"]
    newest = {entry.name: entry for entry in contracts.locked()}
    for message in contexts.messages():
        name = contracts.name_of(message)
        assert messages[name]["x-schema-id"] == newest[name].id
        assert messages[name]["payload"]["schema"] == contracts.published(newest[name])


def test_says_what_each_topic_is_keyed_by() -> None:
    document = described()
    for topic in contexts.carried():
        for name in document["channels"][topic.spec.name]["messages"].values():
            message = document["components"]["messages"][name["$ref"].rpartition("/")[2]]
            told = message["bindings"]["kafka"].get("key")
            assert bool(told) == bool(topic.key)
    marks = next(each for each in contexts.carried() if each.spec.name == "market_data.marks")
    assert marks.key == ""


def test_names_every_route_that_streams() -> None:
    document = described()
    addresses = {channel["address"] for channel in document["channels"].values()}
    streaming = [route for route in ROUTES if 101 in route.answers or "event-stream" in route.summary.lower()]
    assert streaming
    for route in streaming:
        assert route.says, f"{route.name} streams: name its frames in `says`"
        assert route.path in addresses


def keeps_its_promise(message: dict[str, Any]) -> None:
    """The frame is one that the contract describes; raises ValidationError when it is not."""
    schemas = described()["components"]["schemas"]
    (schema,) = [
        each
        for name, each in schemas.items()
        if name.endswith("Frame") and each["properties"]["type"]["enum"] == [message["type"]]
    ]
    jsonschema.validate(message, schema)
    assert set(message) == set(schema["properties"])


async def test_the_stream_says_what_the_contract_promises(
    trader: Client, doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "HEARTBEAT_S", 0.1)
    quiet, wrong_one = await connect(trader), await connect(trader)
    await quiet.send_json({"type": "subscribe", "quotes": ["AAPL"]})
    await wrong_one.send_json({"type": "shout"})
    heard = [await quiet.receive_json(timeout=5), await quiet.receive_json(timeout=5)]
    heard.append(await wrong_one.receive_json(timeout=5))
    assert [each["type"] for each in heard] == ["quotes", "heartbeat", "error"]
    for each in heard:
        keeps_its_promise(each)
    await quiet.close()


async def test_is_served_to_anybody(trader: Client) -> None:
    response, document = await trader.with_token("").ask("GET", "/asyncapi.json")
    assert (response.status, document["asyncapi"]) == (200, "3.0.0")
    assert "orders.events" in document["channels"]
