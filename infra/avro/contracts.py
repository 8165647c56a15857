"""The registry is the repository: contracts in `schemas/<context>/`, their published form in `schemas/published/`.

A contract holds the payload of one message. Published, it is joined with its envelope (`meta` becomes the first field)
and with every type it names, so that one text is enough to read a record. `schemas/ids.lock` gives each published text
its id; a text that has an id never changes. Nothing registers at run time.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from domain.kernel.messages import Command, Event

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
LOCK_NAME = "ids.lock"
PUBLISHED_NAME = "published"
META = {Command: "tapeline.kernel.CommandMeta", Event: "tapeline.kernel.Meta"}

Schema = dict[str, Any]


class LockedSchema(msgspec.Struct, frozen=True, kw_only=True):
    """One published text: its id, the record it describes, its version among that record's texts, where it is used."""

    id: int
    name: str
    version: int
    sha256: str
    subjects: tuple[str, ...]


class ContractError(ValueError):
    """A contract is missing, or differs from what was published; the text names the remedy."""


def context_of(message: type) -> str:
    """The context that owns a message class: the folder it lives in."""
    return message.__module__.split(".")[1]


@cache  # One entry for each message class of the system.
def name_of(message: type) -> str:
    """The Avro full name of a message class."""
    return f"tapeline.{context_of(message)}.{message.__name__}"


def sources(root: Path = SCHEMAS) -> dict[str, Schema]:
    """Every contract of the repository by full name, as its author wrote it."""
    found: dict[str, Schema] = {}
    for path in sorted(root.glob("*/*.avsc")):
        if path.parent.name != PUBLISHED_NAME:
            schema = json.loads(path.read_text())
            found[f"{schema['namespace']}.{schema['name']}"] = schema
    return found


def joined(message: type, contracts: dict[str, Schema]) -> Schema:
    """The published form of a message's contract: envelope first, every named type written where it is first used."""
    name = name_of(message)
    if name not in contracts:
        raise ContractError(f"{name} has no contract: write schemas/{context_of(message)}/ first")
    contract = dict(contracts[name])
    meta = next((META[kind] for kind in META if issubclass(message, kind)), None)
    if meta is not None:
        field = {"name": "meta", "type": meta, "doc": "Envelope: who, when, where."}
        contract["fields"] = [field, *contract["fields"]]
    schema = _inlined(contract, contracts, set())
    assert isinstance(schema, dict)
    return schema


def locked(root: Path = SCHEMAS) -> list[LockedSchema]:
    """What has been published, in the order of its ids."""
    path = root / LOCK_NAME
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=LockedSchema) for line in lines if line.strip()]


def published(entry: LockedSchema, root: Path = SCHEMAS) -> Schema:
    """The text behind an id; raises ContractError when it is not the text that was locked."""
    text = (root / PUBLISHED_NAME / f"{entry.id}.avsc").read_text()
    if hashlib.sha256(text.encode()).hexdigest() != entry.sha256:
        raise ContractError(f"schemas/{PUBLISHED_NAME}/{entry.id}.avsc was changed after it was locked: restore it")
    schema = json.loads(text)
    assert isinstance(schema, dict)
    return schema


def drift(messages: Iterable[type], root: Path = SCHEMAS) -> Iterator[str]:
    """Names of messages whose contract is not what was last published."""
    contracts = sources(root)
    newest = {entry.name: entry for entry in locked(root)}
    for message in messages:
        entry = newest.get(name_of(message))
        if entry is None or entry.sha256 != _sha256(joined(message, contracts)):
            yield name_of(message)


def publish(subjects: dict[type, tuple[str, ...]], root: Path = SCHEMAS) -> list[LockedSchema]:
    """Give every new or changed contract its id; returns the entries that are new or stand in a topic more.

    Old ids and their texts stay as they are.
    """
    contracts = sources(root)
    entries = locked(root)
    added: list[LockedSchema] = []
    (root / PUBLISHED_NAME).mkdir(exist_ok=True)
    for message, topics in subjects.items():
        name = name_of(message)
        schema = joined(message, contracts)
        known = [entry for entry in entries if entry.name == name]
        used = tuple(f"{topic}-{name}" for topic in topics)
        if known and known[-1].sha256 == _sha256(schema):
            if used != known[-1].subjects:
                wider = msgspec.structs.replace(known[-1], subjects=used)
                entries[entries.index(known[-1])] = wider
                added.append(wider)
            continue
        entry = LockedSchema(
            id=len(entries) + 1,
            name=name,
            version=len(known) + 1,
            sha256=_sha256(schema),
            subjects=used,
        )
        (root / PUBLISHED_NAME / f"{entry.id}.avsc").write_text(_text(schema))
        entries.append(entry)
        added.append(entry)
    lines = b"\n".join(msgspec.json.encode(entry) for entry in entries)
    (root / LOCK_NAME).write_bytes(lines + b"\n")
    return added


def stripped(schema: Any) -> Any:
    """The schema without logical types, docs and our own marks: same bytes on the wire, half the cost to write them."""
    if isinstance(schema, list):
        return [stripped(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = {"logicalType", "doc", "edge", "pii"}
    return {key: value if key == "default" else stripped(value) for key, value in schema.items() if key not in dropped}


def _inlined(schema: Any, contracts: dict[str, Schema], seen: set[str]) -> Any:
    if isinstance(schema, list):
        return [_inlined(part, contracts, seen) for part in schema]
    if isinstance(schema, str):
        if schema not in contracts or schema in seen:
            return schema
        return _inlined(contracts[schema], contracts, seen)
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("record", "enum"):
        seen.add(f"{schema['namespace']}.{schema['name']}")
    result = dict(schema)
    if "fields" in schema:
        result["fields"] = [{**field, "type": _inlined(field["type"], contracts, seen)} for field in schema["fields"]]
    for part in ("items", "values"):
        if part in schema:
            result[part] = _inlined(schema[part], contracts, seen)
    return result


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=1) + "\n"


def _sha256(schema: Schema) -> str:
    return hashlib.sha256(_text(schema).encode()).hexdigest()
