"""The routes and their models -> the published contract of the HTTP door: OpenAPI 3.1."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from pydantic import BaseModel

from gateways.problems import CONTENT_TYPE
from gateways.routes import RESPOND_ASYNC, ReceiptView, Route
from gateways.views import schema_of
from infra.tokens import Scope

Json = dict[str, Any]

PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457: what went wrong, the field that is wrong and what to do about it.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
        "remedy": {"type": "string"},
        "reason": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A new one for every new request; a repeat with the same key gets the first answer again.",
}
_POSITION: Json = {
    "name": "Tape-Position",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Of an earlier answer: the read waits until it reflects that decision.",
}
_PREFER: Json = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "`respond-async` (RFC 7240): answer 202 with a receipt once the command is durable.",
}
_PATTERN = re.compile(r":[^{}]*}")
"""What a parameter of a path has to look like, as the router is told: the contract has no word for it there."""


def document(routes: Iterable[Route]) -> Json:
    """The contract of these routes."""
    schemas: Json = {"Problem": PROBLEM}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(_PATTERN.sub("}", route.path), {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tapeline",
            "version": "1",
            "description": "A brokerage's doors. Every answer to a command was read back from the tape.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": f"Scopes: {', '.join(Scope)}.",
                }
            },
        },
        "security": [{"token": []}],
    }


def _operation(route: Route, schemas: Json) -> Json:
    operation: Json = {
        "operationId": route.handler.__name__,
        "tags": [_tag(route)],
        "summary": route.summary,
        "description": f"{_text(route.handler)} {_needs(route)}".strip(),
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
    }
    if route.is_signed:
        operation["security"] = []
    if route.body is not None:
        schema = referenced(route.body, schemas)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _needs(route: Route) -> str:
    return "Needs the sender's signature, no token." if route.is_signed else f"Needs the scope `{route.scope}`."


def _parameters(route: Route) -> list[Json]:
    in_path = [part[1:-1] for part in _PATTERN.sub("}", route.path).split("/") if part.startswith("{")]
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in in_path
    ]
    if route.query is not None:
        schema = route.query.model_json_schema()
        for name, each in schema["properties"].items():
            found.append({"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each})
    if route.needs_key:
        found.append(_KEY)
    found.append(_POSITION if route.method == "GET" else _PREFER)
    return found


def _responses(route: Route, schemas: Json) -> Json:
    responses: Json = {}
    for status, kind in route.answers.items():
        response: Json = {"description": HTTPStatus(status).phrase}
        if kind is not None:
            response["content"] = {"application/json": {"schema": referenced(kind, schemas)}}
        responses[str(status)] = response
    if route.method != "GET":
        responses["202"] = {
            "description": "The command stands on its topic, its decision was not waited for: ask at Location.",
            "headers": {
                "Location": {"schema": {"type": "string"}, "description": "Where to ask, as it is."},
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds until asking is worth it."},
                "Preference-Applied": {
                    "schema": {"type": "string", "enum": [RESPOND_ASYNC]},
                    "description": "When the request preferred it.",
                },
            },
            "content": {"application/json": {"schema": referenced(ReceiptView, schemas)}},
        }
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    responses["default"] = {"description": "A problem.", "content": {CONTENT_TYPE: problem}}
    return responses


def referenced(kind: Any, schemas: Json) -> Json:
    """The type among the named schemas, and a reference to it."""
    name = kind.__name__
    if name not in schemas:
        if issubclass(kind, BaseModel):
            schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
        else:
            schema = {**schema_of(kind), "description": _text(kind)}
        schemas[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


def _tag(route: Route) -> str:
    return route.handler.__module__.split(".")[1]


def _text(documented: object) -> str:
    return " ".join((documented.__doc__ or "").split())


def encoded(described: Json) -> bytes:
    """The contract as it is served."""
    return msgspec.json.format(msgspec.json.encode(described), indent=1)
