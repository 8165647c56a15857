"""The bytes of a request -> a body or query model that holds only what its rules allow."""

import json
import re
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from gateways.problems import Problem

BODY_BYTES_MAX = 16_384
"""Largest body of a request; an order takes 200 bytes."""
KEY_CHARACTERS_MAX = 255
"""Longest Idempotency-Key."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_CHARACTERS_MAX}}}")

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """Base of all bodies: exact types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Query(BaseModel):
    """Base of all query strings: no unknown parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


async def body_of(request: web.Request, model: type[M]) -> M:
    """The body as this model. Raises Problem: 415, 413, 400 or 422, naming the field."""
    if request.content_type != "application/json":
        raise Problem(
            415,
            "content-type",
            "The body must be JSON.",
            field="Content-Type",
            remedy="Send `Content-Type: application/json`.",
        )
    try:
        data = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise Problem(
            413,
            "body-too-large",
            f"The body is larger than {BODY_BYTES_MAX} bytes.",
            field="body",
            remedy=f"Send at most {BODY_BYTES_MAX} bytes.",
        ) from error
    return validated(model, parsed(data))


def query_of(request: web.Request, model: type[M]) -> M:
    """The query string as this model. Raises Problem, naming the parameter."""
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise Problem(400, "invalid", f"`{name}` is given twice.", field=name, remedy="Give it once.")
        given[name] = value
    return validated(model, given)


def idempotency_key(request: web.Request) -> str:
    """The key of a request that moves money or orders. Raises Problem when it is missing."""
    key = request.headers.get("Idempotency-Key", "")
    if not _KEY.fullmatch(key):
        raise Problem(
            400,
            "key-missing",
            "This request needs an Idempotency-Key.",
            field="Idempotency-Key",
            remedy=f"Send a new unique key of 1 to {KEY_CHARACTERS_MAX} visible characters, and the same on a repeat.",
        )
    return key


def parsed(data: bytes) -> Any:
    """JSON without constants that are none, and without a name that is given twice. Raises Problem: 400."""
    try:
        # Bytes that are no UTF-8 become lone surrogates here, so that the field that holds them can be named.
        text = data.decode(errors="surrogateescape")
        return json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _NotPlain) else "The body is no JSON."
        field = error.field if isinstance(error, _NotPlain) else None
        raise Problem(
            400, "malformed", reason, field=field, remedy="Send one JSON object, numbers that matter as text."
        ) from error


class _NotPlain(ValueError):
    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if not _is_text(name):
            raise _NotPlain("The name of a field is not UTF-8.")
        if name in found:
            raise _NotPlain(f"`{name[:64]}` is given twice.", name[:64])
        if isinstance(value, _Constant):
            raise _NotPlain(f"`{name[:64]}` is {value}, which is no JSON.", name[:64])
        if not _is_text(value):
            raise _NotPlain(f"`{name[:64]}` is not UTF-8.", name[:64])
        found[name] = value
    return found


def _is_text(value: object) -> bool:
    """Whether a string, or every string of a list, can be written as UTF-8; objects were looked at before."""
    if isinstance(value, list):
        return all(map(_is_text, value))
    return not isinstance(value, str) or not _SURROGATE.search(value)


class _Constant(str):
    """NaN or an infinity, kept until the field that holds it is known."""

    __slots__ = ()


def _no_constant(text: str) -> _Constant:
    return _Constant(text)


def validated(model: type[M], given: Any) -> M:
    """What was given as this model. Raises Problem: 400 or 422, naming the field."""
    if isinstance(given, _Constant):
        raise Problem(400, "malformed", f"{given} is no JSON.", remedy="Send one JSON object.")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _first(error) from error


_WORDS = {"extra_forbidden": "is no field of this request", "missing": "is needed"}
"""What pydantic says in words of its own trade, in ours."""


def _first(error: ValidationError) -> Problem:
    """The first wrong field; a value that breaks a rule of the trade is 422, one of another shape is 400."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, found["loc"])) or "body"
    is_rule = found["type"] == "value_error"
    text = _WORDS.get(found["type"], found["msg"].removeprefix("Value error, "))
    known = ", ".join(error_fields(error))
    return Problem(
        422 if is_rule else 400,
        "invalid",
        f"`{field}`: {text}",
        field=field,
        remedy=f"Correct {known} and send the request again." if known else "Correct it and send the request again.",
    )


def error_fields(error: ValidationError) -> list[str]:
    """The names of all wrong fields, each once."""
    names = (".".join(map(str, each["loc"])) for each in error.errors(include_url=False, include_input=False))
    return list(dict.fromkeys(f"`{name}`" for name in names if name))
