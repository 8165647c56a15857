"""Class and contract say the same, every word of a contract is explained, and nothing published has changed."""

import hashlib
import json
import typing
from collections.abc import Iterator
from enum import StrEnum
from types import UnionType
from typing import Any, NewType, get_args, get_origin, get_type_hints

import msgspec
import pytest

import contexts
from domain.kernel.ids import Micros
from domain.kernel.messages import Command, Issued, Recorded
from infra.avro import contracts
from tests.schemas.examples import BY_NAME, MESSAGES

SOURCES = contracts.sources()
LOCKED = contracts.locked()
PATHS = sorted(path for path in contracts.SCHEMAS.glob("*/*.avsc") if path.parent.name != contracts.PUBLISHED_NAME)
NAMED = {int: "long", str: "string", bool: "boolean", bytes: "bytes"}


def avro_type(kind: Any) -> Any:
    """The Avro type that a field of this Python type must have."""
    if kind is Micros:
        return {"type": "long", "logicalType": "timestamp-micros"}
    if isinstance(kind, NewType):
        return avro_type(kind.__supertype__)
    if get_origin(kind) in (UnionType, typing.Union):
        some, none = get_args(kind)
        assert none is type(None)
        return ["null", avro_type(some)]
    if get_origin(kind) is tuple:
        return {"type": "array", "items": avro_type(get_args(kind)[0])}
    if get_origin(kind) is dict:
        assert get_args(kind)[0] is str
        return {"type": "map", "values": avro_type(get_args(kind)[1])}
    return NAMED.get(kind) or contracts.name_of(kind)


def payload(message: type) -> list[tuple[str, Any]]:
    """Names and Avro types of a class's own fields; a command's time and actor travel in its envelope."""
    hints = get_type_hints(message)
    outside = ("at", "actor") if issubclass(message, Command) else ()
    names = [field.name for field in msgspec.structs.fields(message) if field.name not in outside]
    return [(name, avro_type(hints[name])) for name in names]


def inner_types(kind: Any) -> Iterator[type]:
    """Enums and structs inside a message, however deep."""
    if isinstance(kind, NewType):
        return
    for part in get_args(kind):
        yield from inner_types(part)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        yield kind
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for hint in get_type_hints(kind).values():
            yield from inner_types(hint)


TYPES = sorted({kind for message in MESSAGES for kind in inner_types(message)}, key=contracts.name_of)
STRUCTS = [kind for kind in TYPES if issubclass(kind, msgspec.Struct)]
ENUMS = [kind for kind in TYPES if issubclass(kind, StrEnum)]


@pytest.mark.parametrize("kind", STRUCTS, ids=contracts.name_of)
def test_a_class_has_the_fields_of_its_contract(kind: type) -> None:
    fields = [(field["name"], field["type"]) for field in SOURCES[contracts.name_of(kind)]["fields"]]
    assert fields == payload(kind), "edit the .avsc first, then the class"


@pytest.mark.parametrize("kind", ENUMS, ids=contracts.name_of)
def test_an_enum_has_the_symbols_of_its_contract(kind: type[StrEnum]) -> None:
    assert SOURCES[contracts.name_of(kind)]["symbols"] == [member.value for member in kind]


def test_envelopes_have_the_fields_of_their_contracts() -> None:
    event = [field["name"] for field in SOURCES["tapeline.kernel.Meta"]["fields"]]
    command = [field["name"] for field in SOURCES["tapeline.kernel.CommandMeta"]["fields"]]
    assert event == [field.name for field in msgspec.structs.fields(Recorded) if field.name != "event"]
    own = [field.name for field in msgspec.structs.fields(Issued) if field.name != "command"]
    assert sorted(command) == sorted([*own, "at", "actor"])


def test_an_optional_field_has_null_first_and_by_default() -> None:
    for name, schema in SOURCES.items():
        for field in schema.get("fields", ()):
            if isinstance(field["type"], list):
                assert field["type"][0] == "null", f"{name}.{field['name']}: write null first"
                assert field.get("default", "none") is None, f'{name}.{field["name"]}: add "default": null'


def test_every_contract_belongs_to_a_message_or_a_part_of_one() -> None:
    known = {contracts.name_of(kind) for kind in TYPES} | set(contracts.META.values())
    assert not set(SOURCES) - known, "delete the .avsc, or list its class in contexts.py"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_contract_explains_itself(path: Any) -> None:
    schema = json.loads(path.read_text())
    assert schema["namespace"] == f"tapeline.{path.parent.name}", "a contract lies in its context's folder"
    assert path.stem == "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in schema["name"])[1:]
    assert schema.get("doc", "").strip(), f"{path.name}: add a doc to the record"
    for field in schema.get("fields", ()):
        assert field.get("doc", "").strip(), f"{path.name}: add a doc to {field['name']}"


def test_what_is_published_is_the_contract() -> None:
    assert not list(contracts.drift(MESSAGES)), "run `./tapeline schemas lock`"


def test_every_message_is_published_once_for_each_version() -> None:
    versions: dict[str, list[int]] = {}
    for entry in LOCKED:
        versions.setdefault(entry.name, []).append(entry.version)
    assert set(BY_NAME) <= set(versions), "run `./tapeline schemas lock`"
    for name, numbers in versions.items():
        assert numbers == list(range(1, len(numbers) + 1)), name


def test_ids_are_dense_and_their_texts_are_those_that_were_locked() -> None:
    assert [entry.id for entry in LOCKED] == list(range(1, len(LOCKED) + 1)), "ids are given once, in order"
    folder = contracts.SCHEMAS / contracts.PUBLISHED_NAME
    for entry in LOCKED:
        text = (folder / f"{entry.id}.avsc").read_bytes()
        assert hashlib.sha256(text).hexdigest() == entry.sha256, f"{entry.id}.avsc was changed: git checkout it"
        schema = json.loads(text)
        assert f"{schema['namespace']}.{schema['name']}" == entry.name
    assert {path.name for path in folder.iterdir()} == {f"{entry.id}.avsc" for entry in LOCKED}


def test_subjects_are_the_topics_that_a_message_stands_in() -> None:
    newest = {entry.name: entry for entry in LOCKED}
    for message, topics in contexts.subjects().items():
        name = contracts.name_of(message)
        assert newest[name].subjects == tuple(f"{topic}-{name}" for topic in topics), name


def test_a_changed_text_is_refused_with_what_to_do(tmp_path: Any) -> None:
    folder = tmp_path / contracts.PUBLISHED_NAME
    folder.mkdir()
    text = (contracts.SCHEMAS / contracts.PUBLISHED_NAME / "1.avsc").read_text()
    (folder / "1.avsc").write_text(text.replace("Name of the process", "The process"))
    with pytest.raises(contracts.ContractError, match=r"1\.avsc was changed after it was locked: restore it"):
        contracts.published(LOCKED[0], tmp_path)
