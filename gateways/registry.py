"""schemas/ids.lock -> a read-only view that Kafka tools take for a Confluent schema registry.

The registry is the repository: nothing registers here. Tools send the token as the password of the user `token`.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from aiohttp import web

from gateways.routes import Call, Route
from infra.avro import contracts
from infra.avro.contracts import LockedSchema

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
LATEST = {"latest", "-1"}
SUBJECT_UNKNOWN, VERSION_UNKNOWN, SCHEMA_UNKNOWN = 40_401, 40_402, 40_403


async def subjects(_: Call, __: None) -> web.Response:
    """Every subject: topic and record name."""
    return _answer(sorted(_by_subject()))


async def versions(call: Call, _: None) -> web.Response:
    """The versions of one subject."""
    entries = _by_subject().get(_named(call, "subject"))
    return (
        _unknown(SUBJECT_UNKNOWN, "Subject not found.")
        if entries is None
        else _answer(list(range(1, len(entries) + 1)))
    )


async def version(call: Call, _: None) -> web.Response:
    """One version of one subject, by number or `latest`."""
    found = _version(call)
    if isinstance(found, web.Response):
        return found
    subject, number, entry = found
    return _answer({"subject": subject, "version": number, "id": entry.id, "schema": _text(entry)})


async def version_schema(call: Call, _: None) -> web.Response:
    """The text of one version alone."""
    found = _version(call)
    return found if isinstance(found, web.Response) else _answer(json.loads(_text(found[2])))


async def schema(call: Call, _: None) -> web.Response:
    """The schema behind an id."""
    entry = _by_id(call)
    return _unknown(SCHEMA_UNKNOWN, "Schema not found") if entry is None else _answer({"schema": _text(entry)})


async def schema_text(call: Call, _: None) -> web.Response:
    """The text of the schema behind an id alone."""
    entry = _by_id(call)
    return _unknown(SCHEMA_UNKNOWN, "Schema not found") if entry is None else _answer(json.loads(_text(entry)))


async def schema_versions(call: Call, _: None) -> web.Response:
    """Where the schema behind an id is used."""
    entry = _by_id(call)
    if entry is None:
        return _unknown(SCHEMA_UNKNOWN, "Schema not found")
    used = [
        {"subject": subject, "version": number}
        for subject, entries in _by_subject().items()
        for number, each in enumerate(entries, start=1)
        if each.id == entry.id
    ]
    return _answer(used)


async def types(_: Call, __: None) -> web.Response:
    """The kinds of schemas that are there."""
    return _answer(["AVRO"])


async def config(_: Call, __: None) -> web.Response:
    """The rule that every new version keeps."""
    return _answer({"compatibilityLevel": "BACKWARD_TRANSITIVE"})


@cache
def _by_subject() -> dict[str, list[LockedSchema]]:
    found: dict[str, list[LockedSchema]] = {}
    for entry in contracts.locked():
        for subject in entry.subjects:
            found.setdefault(subject, []).append(entry)
    return found


@cache
def _entries() -> dict[str, LockedSchema]:
    return {str(entry.id): entry for entry in contracts.locked()}


@cache
def _text(entry: LockedSchema) -> str:
    return json.dumps(contracts.published(entry))


def _by_id(call: Call) -> LockedSchema | None:
    return _entries().get(_named(call, "id"))


def _version(call: Call) -> tuple[str, int, LockedSchema] | web.Response:
    subject, wanted = _named(call, "subject"), _named(call, "version")
    entries = _by_subject().get(subject)
    if entries is None:
        return _unknown(SUBJECT_UNKNOWN, "Subject not found.")
    number = len(entries) if wanted in LATEST else int(wanted) if wanted.isascii() and wanted.isdecimal() else 0
    if not 1 <= number <= len(entries):
        return _unknown(VERSION_UNKNOWN, "Version not found.")
    return subject, number, entries[number - 1]


def _named(call: Call, name: str) -> str:
    return call.request.match_info[name]


def _answer(payload: Any, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(payload), status=status, content_type=CONTENT_TYPE)


def _unknown(code: int, message: str) -> web.Response:
    """In the words of the registry that tools expect, which know nothing of problems."""
    return _answer({"error_code": code, "message": message}, 404)


def _route(path: str, handler: Callable[..., Any], summary: str) -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, answers={200: None})


ROUTES = (
    _route("/subjects", subjects, "Subjects of the schema registry"),
    _route("/subjects/{subject}/versions", versions, "Versions of a subject"),
    _route("/subjects/{subject}/versions/{version}", version, "A version of a subject"),
    _route("/subjects/{subject}/versions/{version}/schema", version_schema, "The schema of a version"),
    _route("/schemas/ids/{id}", schema, "The schema behind an id"),
    _route("/schemas/ids/{id}/schema", schema_text, "The text of the schema behind an id"),
    _route("/schemas/ids/{id}/versions", schema_versions, "Where a schema is used"),
    _route("/schemas/types", types, "Kinds of schemas"),
    _route("/config", config, "The rule of compatibility"),
)
"""Routes of the registry: any token may read them."""
