"""Confluent's own client and deserializer read the tape with the registry view, on bytes of our codec."""

import asyncio
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from domain.kernel.ids import Micros
from domain.kernel.messages import GENESIS, Recorded
from domain.orders.events import CashCredited
from infra.avro.codec import Codec
from tests.kit.doors import Client


def recorded() -> Recorded[Any]:
    return Recorded(
        event=CashCredited(deposit_id="d1", amount=100, cash=100),  # type: ignore[arg-type]  # plain values
        event_id="e1",
        tenant="acme",
        stream_id="a",
        version=1,
        sequence=0,
        previous=GENESIS,
        term=1,
        command_position=0,
        command_id="c1",
        digest=bytes(32),
        causation_id="",
        correlation_id="",
        actor="saga:x",
        at=Micros(1),
        recorded_at=Micros(2),
    )


async def test_lets_confluents_deserializer_read_an_event(trader: Client, codec: Codec) -> None:
    client = SchemaRegistryClient({"url": trader.url, "basic.auth.user.info": f"token:{trader.token}"})
    deserialize = AvroDeserializer(client)
    context = SerializationContext("orders.events", MessageField.VALUE)
    value = await asyncio.to_thread(deserialize, codec.encode_event(recorded()), context)
    assert value["amount"] == 100
    assert value["meta"]["event_id"] == "e1"


async def test_lists_subjects_versions_and_ids_as_tools_ask(trader: Client) -> None:
    client = SchemaRegistryClient({"url": trader.url, "basic.auth.user.info": f"token:{trader.token}"})
    subject = "orders.events-tapeline.orders.OrderPlaced"
    assert subject in await asyncio.to_thread(client.get_subjects)
    versions = await asyncio.to_thread(client.get_versions, subject)
    latest = await asyncio.to_thread(client.get_latest_version, subject)
    assert latest.version == versions[-1]
    assert latest.schema_id is not None
    by_id = await asyncio.to_thread(client.get_schema, latest.schema_id)
    assert by_id.schema_str == latest.schema.schema_str
    assert await asyncio.to_thread(client.get_compatibility) == "BACKWARD_TRANSITIVE"


async def test_answers_unknown_names_in_the_words_of_the_tools(trader: Client) -> None:
    for path, code in (
        ("/subjects/none/versions", 40_401),
        ("/subjects/orders.events-tapeline.orders.OrderPlaced/versions/99", 40_402),
        ("/subjects/orders.events-tapeline.orders.OrderPlaced/versions/x", 40_402),
        ("/schemas/ids/999999", 40_403),
    ):
        response, answer = await trader.ask("GET", path)
        assert (response.status, answer["error_code"]) == (404, code)


async def test_registers_nothing(trader: Client) -> None:
    response, _ = await trader.ask("POST", "/subjects/mine/versions", {"schema": '"string"'})
    assert response.status == 405
