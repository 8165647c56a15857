"""The codec: what it writes is plain Avro, what it cannot read is named by its kind."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import avro.io
import avro.schema
import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.kernel.ids import Micros, OrderId
from domain.kernel.messages import Command, Event, Issued
from domain.market_data.marks import Mark, Quote
from domain.orders.commands import CancelOrder, PlaceOrder, RecordCancel, RecordExpiry
from domain.orders.events import DayEnded, OrderPlaced
from infra.avro import contracts
from infra.avro.codec import Codec, Undecodable
from tests.kit.orders import market, place
from tests.schemas.examples import CODEC, MESSAGES, Envelope, decode, encode, example, travelling

FRAME = 5
NEWEST = {entry.name: contracts.published(entry) for entry in contracts.locked()}
FULL = {message: fastavro.parse_schema(NEWEST[contracts.name_of(message)]) for message in MESSAGES}
STRIPPED = {
    message: fastavro.parse_schema(contracts.stripped(NEWEST[contracts.name_of(message)])) for message in MESSAGES
}
APACHE = {message: avro.schema.parse(json.dumps(NEWEST[contracts.name_of(message)])) for message in MESSAGES}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@settings(deadline=None, max_examples=300)
@given(travelling())
def test_what_is_written_is_read_back(sent: tuple[type, Envelope]) -> None:
    message, envelope = sent
    assert decode(message, encode(envelope)) == envelope


@settings(deadline=None, max_examples=300)
@given(travelling())
def test_stripped_and_full_schema_give_the_same_bytes(sent: tuple[type, Envelope]) -> None:
    message, envelope = sent
    body = encode(envelope)[FRAME:]
    plain: Any = fastavro.schemaless_reader(io.BytesIO(body), STRIPPED[message], None)
    logical: Any = fastavro.schemaless_reader(io.BytesIO(body), FULL[message], None)
    for record in (plain, logical):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, FULL[message], record)
        assert out.getvalue() == body


@settings(deadline=None, max_examples=200)
@given(travelling())
def test_apache_reads_what_we_write_and_writes_what_we_read(sent: tuple[type, Envelope]) -> None:
    message, envelope = sent
    body = encode(envelope)[FRAME:]
    read = avro.io.DatumReader(APACHE[message]).read(avro.io.BinaryDecoder(io.BytesIO(body)))
    ours = fastavro.schemaless_reader(io.BytesIO(body), STRIPPED[message], None)
    assert in_micros(read) == ours
    out = io.BytesIO()
    avro.io.DatumWriter(APACHE[message]).write(read, avro.io.BinaryEncoder(out))
    assert out.getvalue() == body


def in_micros(value: Any) -> Any:
    """Apache's datetimes as the numbers that stand in the record."""
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    if isinstance(value, dict):
        return {key: in_micros(part) for key, part in value.items()}
    return [in_micros(part) for part in value] if isinstance(value, list) else value


PLACED = encode(example(OrderPlaced))
POISON = [
    (b"", "TRUNCATED"),
    (PLACED[:4], "TRUNCATED"),
    (PLACED[:FRAME], "GARBAGE"),
    (PLACED[:-1], "GARBAGE"),
    (b"{" + PLACED[1:], "NO_FRAME"),
    (b"\x01" + PLACED[1:], "NO_FRAME"),
    (PLACED[:1] + (999_999).to_bytes(4, "big") + PLACED[FRAME:], "UNKNOWN_SCHEMA"),
    (encode(example(PlaceOrder)), "WRONG_TYPE"),
    (encode(example(Mark)), "WRONG_TYPE"),
    (PLACED + b"\x00", "GARBAGE"),
    (PLACED[:FRAME] + b"\x02\xff" * 200, "GARBAGE"),
]


@pytest.mark.parametrize(("value", "kind"), POISON)
def test_poison_is_named_by_its_kind(value: bytes, kind: str) -> None:
    with pytest.raises(Undecodable, match=kind) as raised:
        CODEC.decode_event(value)
    assert raised.value.kind == kind


def test_each_reader_refuses_the_other_kinds() -> None:
    command, quote = encode(example(PlaceOrder)), encode(example(Quote))
    for refusal in (
        lambda: CODEC.decode_command(PLACED),
        lambda: CODEC.decode_command(quote),
        lambda: CODEC.decode_observed(command, Quote),
        lambda: CODEC.decode_observed(quote, Mark),
    ):
        with pytest.raises(Undecodable, match="WRONG_TYPE"):
            refusal()


@pytest.mark.parametrize("message", MESSAGES, ids=contracts.name_of)
def test_a_record_cut_anywhere_is_undecodable(message: type) -> None:
    value = encode(example(message))
    for length in range(len(value)):
        with pytest.raises(Undecodable):
            decode(message, value[:length])


@settings(deadline=None, max_examples=500)
@given(st.sampled_from(MESSAGES), st.binary(max_size=300))
def test_noise_behind_a_frame_is_undecodable_or_a_message(message: type, noise: bytes) -> None:
    value = encode(example(message))[:FRAME] + noise
    try:
        found = decode(message, value)
    except Undecodable:
        return
    assert encode(found)[:FRAME] == value[:FRAME]


@settings(deadline=None, max_examples=500)
@given(travelling(), st.data())
def test_a_flipped_byte_never_raises_anything_else(sent: tuple[type, Envelope], data: st.DataObject) -> None:
    message, envelope = sent
    value = bytearray(encode(envelope))
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(message, bytes(value))
    except Undecodable:
        return
    assert type(found) is type(envelope)


def test_an_amount_too_large_for_a_record_is_not_written() -> None:
    huge = msgspec.structs.replace(example(OrderPlaced), sequence=2**63)
    with pytest.raises(OverflowError):
        encode(huge)


def test_a_message_without_a_published_contract_stops_the_start() -> None:
    class Unheard(Event, frozen=True, kw_only=True):
        """Nobody wrote its contract."""

    with pytest.raises(contracts.ContractError, match="Unheard; run `tapeline schemas lock`"):
        Codec([DayEnded, Unheard])


def issued(command: Command, **envelope: str) -> Issued[Command]:
    usual = {"command_id": "c", "tenant": "t", "stream_id": "s", "causation_id": "a", "correlation_id": "b"}
    return Issued(command=command, **{**usual, **envelope})


@pytest.mark.parametrize(
    "command", [msgspec.structs.replace(place(), at=Micros(1)), msgspec.structs.replace(place(), actor="sub:eve"),
                place(seen=market(99))]
)  # fmt: skip
def test_a_digest_does_not_see_time_actor_and_what_the_edge_filled_in(command: Command) -> None:
    assert CODEC.digest(issued(command)) == CODEC.digest(issued(place()))


@pytest.mark.parametrize("name", ["command_id", "causation_id", "correlation_id"])
def test_a_digest_does_not_see_how_a_command_travels(name: str) -> None:
    assert CODEC.digest(issued(place(), **{name: "other"})) == CODEC.digest(issued(place()))


@pytest.mark.parametrize("name", ["tenant", "stream_id"])
def test_a_digest_sees_whose_stream_it_is(name: str) -> None:
    assert CODEC.digest(issued(place(), **{name: "other"})) != CODEC.digest(issued(place()))


COMMANDS = [message for message in MESSAGES if issubclass(message, Command)]


@pytest.mark.parametrize("message", COMMANDS, ids=contracts.name_of)
def test_a_digest_sees_every_other_field(message: type[Command]) -> None:
    """Each field in turn takes another value; only `at`, `actor` and those marked "edge" may go unseen."""
    envelope = example(message)
    assert isinstance(envelope, Issued)
    digest = CODEC.digest(envelope)
    edge = {field["name"] for field in NEWEST[contracts.name_of(message)]["fields"] if field.get("edge")}
    for field in msgspec.structs.fields(message):
        other = changed(getattr(envelope.command, field.name))
        command = msgspec.structs.replace(envelope.command, **{field.name: other})
        unseen = CODEC.digest(msgspec.structs.replace(envelope, command=command)) == digest
        assert unseen == (field.name in {"at", "actor"} | edge), field.name


def changed(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, msgspec.Struct):
        name = msgspec.structs.fields(value)[0].name
        return msgspec.structs.replace(value, **{name: changed(getattr(value, name))})
    if isinstance(value, str) and type(value) is not str:
        return next(member for member in type(value) if member != value)  # type: ignore[attr-defined]  # an enum
    if isinstance(value, tuple):
        return value + value
    if isinstance(value, bytes):
        return value + b"x"
    return value + ("x" if isinstance(value, str) else 1)


def test_only_what_the_market_showed_is_filled_in_by_the_edge() -> None:
    edge = {(name, field["name"]) for name, schema in NEWEST.items() for field in schema["fields"] if field.get("edge")}
    assert edge == {("tapeline.orders.PlaceOrder", "market"), ("tapeline.orders.ReplaceOrder", "market")}


def test_commands_with_the_same_fields_have_their_own_digests() -> None:
    kinds = [RecordCancel, RecordExpiry, CancelOrder]
    assert len({CODEC.digest(issued(kind(order_id=OrderId("walnut")))) for kind in kinds}) == len(kinds)
