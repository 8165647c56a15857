"""schemas/ids.lock -> a Confluent-compatible schema registry, by its HTTP: every text under the id it has here.

The registry is put into import mode meanwhile, in which the id of a request is honoured; an Apicurio is spoken to in
its own words instead. Whatever a registry says of itself, everything is read back and compared at the end: a reader
that finds a wrong schema behind an id reads garbage.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp
import msgspec

from infra.avro import apicurio, contracts
from infra.avro.contracts import LockedSchema

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
ANSWER_SECONDS_MAX = 60.0
"""Longest answer of a registry: the import of some hundred schemas takes seconds on a cold one."""
ABSENT = {40_401, 40_402}
"""How registries say that there is no such subject, and no such version of it."""
FAILED_FROM = 300
IMPORT = "IMPORT"
COMPATIBILITY = "BACKWARD_TRANSITIVE"
NAMED = ("record", "enum", "fixed")

Missing: TypeAlias = list[tuple[LockedSchema, str, int]]


class PublishRefused(Exception):
    """The registry does not take the schemas as they are; the text names the subject and the remedy."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a publication: versions that are new there, versions that were there already."""

    published: int
    known: int
    newest_id: int


async def publish(url: str, root: Path = contracts.SCHEMAS) -> Published:
    """Send what is missing, in the order of ids; a repeat sends nothing. Raises PublishRefused."""
    async with _Registry(url.rstrip("/")) as registry:
        missing, known = await _compared(registry, root)
        if missing:
            if apicurio.CCOMPAT in url:
                await _send_to_apicurio(registry, missing, root)
            else:
                await _send_in_import_mode(registry, missing, root)
            left, _ = await _compared(registry, root)
            if left:
                raise PublishRefused(
                    f"{left[0][1]} version {left[0][2]}: the registry did not keep it. Look at its log, or publish "
                    f"into an empty one"
                )
        await registry.ask("PUT", "/config", {"compatibility": COMPATIBILITY})
        newest = max((entry.id for entry in contracts.locked(root)), default=0)
        return Published(published=len(missing), known=known, newest_id=newest)


async def _compared(registry: "_Registry", root: Path) -> tuple[Missing, int]:
    """What the registry has not got, by id, and how much it has; nothing is sent before all of it is looked at."""
    missing: Missing = []
    counts: dict[str, int] = {}
    known = 0
    for entry in contracts.locked(root):
        text = meaning(contracts.published(entry, root))
        for subject in entry.subjects:
            version = counts[subject] = counts.get(subject, 0) + 1
            found = await registry.ask("GET", f"/subjects/{subject}/versions/{version}", absent=True)
            if found is None:
                missing.append((entry, subject, version))
                continue
            if found["id"] != entry.id or meaning(json.loads(found["schema"])) != text:
                raise PublishRefused(
                    f"{subject} version {version}: the registry has another schema or id ({found['id']}, here "
                    f"{entry.id}). Publish into an empty registry, or delete the subject there for good first"
                )
            known += 1
    return missing, known


def meaning(schema: Any, namespace: str = "") -> Any:
    """The schema with every name in full: registries may leave out a namespace that the type around it has."""
    if isinstance(schema, list):
        return [meaning(part, namespace) for part in schema]
    if isinstance(schema, str):
        return schema
    if not isinstance(schema, dict):
        return schema
    result = {key: value for key, value in schema.items() if key != "namespace"}
    if schema.get("type") in NAMED:
        namespace = schema.get("namespace", namespace)
        result["name"] = schema["name"] if "." in schema["name"] else f"{namespace}.{schema['name']}"
    if "fields" in schema:
        result["fields"] = [{**field, "type": _full(field["type"], namespace)} for field in schema["fields"]]
    for part in ("items", "values"):
        if part in schema:
            result[part] = _full(schema[part], namespace)
    return result


def _full(kind: Any, namespace: str) -> Any:
    """A type where it is used; a bare name that begins with a capital is one of the namespace around it."""
    if isinstance(kind, list):
        return [_full(part, namespace) for part in kind]
    if isinstance(kind, str):
        return f"{namespace}.{kind}" if kind[:1].isupper() else kind
    return meaning(kind, namespace)


async def _send_to_apicurio(registry: "_Registry", missing: Missing, root: Path) -> None:
    texts = {entry.id: entry for entry, _, _ in missing}
    await registry.send(apicurio.IMPORT, apicurio.archive(texts.values(), root), apicurio.IMPORT_HEADERS)
    for entry, subject, number in missing:
        request = json.dumps(apicurio.version(entry, subject, number, root)).encode()
        await registry.send(apicurio.VERSIONS, request, apicurio.VERSIONS_HEADERS)


async def _send_in_import_mode(registry: "_Registry", missing: Missing, root: Path) -> None:
    mode = str((await registry.ask("GET", "/mode"))["mode"])
    await registry.ask("PUT", "/mode", {"mode": IMPORT})
    try:
        for entry, subject, version in missing:
            body = {"schemaType": "AVRO", "schema": json.dumps(contracts.published(entry, root))}
            numbered = {**body, "id": entry.id, "version": version}
            answer = await registry.ask("POST", f"/subjects/{subject}/versions", numbered)
            if answer["id"] != entry.id:
                raise PublishRefused(
                    f"{subject} version {version}: the registry gave id {answer['id']}, here it is {entry.id}: it "
                    f"numbers by itself, and records would be read with the wrong schema. Delete this subject there"
                )
    finally:
        await registry.ask("PUT", "/mode", {"mode": mode})


class _Registry:
    """One registry, asked one question after another."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, absent: bool = False) -> Any:
        """The answer as JSON; None for what is not there, when that may be."""
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Accept": CONTENT_TYPE, "Content-Type": CONTENT_TYPE}
        return await self._sent(method, self._url + path, data, headers, absent=absent)

    async def send(self, path: str, data: bytes, headers: Mapping[str, str]) -> Any:
        """Send something to an Apicurio's own half."""
        return await self._sent("POST", self._url.partition(apicurio.CCOMPAT)[0] + path, data, headers)

    async def _sent(
        self, method: str, url: str, data: bytes, headers: Mapping[str, str], *, absent: bool = False
    ) -> Any:
        try:
            async with self._session.request(method, url, data=data or None, headers=headers) as response:
                text = await response.text()
                said = json.loads(text) if text else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PublishRefused(
                f"{method} {url}: no registry answers: {error!r}. Check the URL (Apicurio's ends in /apis/ccompat/v7)"
            ) from error
        if absent and isinstance(said, dict) and said.get("error_code") in ABSENT:
            return None
        if response.status >= FAILED_FROM:
            raise PublishRefused(
                f"{method} {url}: the registry answers {response.status}: {text[:300]}. It must be reachable, "
                f"writable and allow its mode to change"
            )
        return said
