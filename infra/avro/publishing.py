"""schemas/ids.lock -> a Confluent-compatible schema registry, by its HTTP: every text under the id it has here.

The registry is put into import mode meanwhile, where its kind honours the id of a request. One that numbers by itself
(Apicurio) gives the same ids when it begins empty, since ids here are dense and are sent in their order. Whatever it
does, the id of every answer is compared, and another one ends the publication: a reader that finds a wrong schema
behind an id reads garbage.
"""

import json
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from infra.avro import contracts
from infra.avro.contracts import LockedSchema

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
ANSWER_SECONDS_MAX = 30.0
"""Longest answer of a registry: its first one, on a cold start, takes two seconds."""
SUBJECT_UNKNOWN, VERSION_UNKNOWN = 40_401, 40_402
IMPORT = "IMPORT"
COMPATIBILITY = "BACKWARD_TRANSITIVE"


class PublishRefused(Exception):
    """The registry does not take the schemas as they are; the text names the subject and the remedy."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a publication: versions that are new there, versions that were there already."""

    published: int
    known: int
    newest_id: int


async def publish(url: str) -> Published:
    """Send what is missing, in the order of ids; a repeat sends nothing. Raises PublishRefused."""
    async with _Registry(url.rstrip("/")) as registry:
        missing, known = await _compared(registry)
        if missing:
            mode = str((await registry.ask("GET", "/mode"))["mode"])
            await registry.ask("PUT", "/mode", {"mode": IMPORT})
            try:
                for entry, subject, version in missing:
                    await _send(registry, entry, subject, version)
            finally:
                await registry.ask("PUT", "/mode", {"mode": mode})
        await registry.ask("PUT", "/config", {"compatibility": COMPATIBILITY})
        newest = max((entry.id for entry in contracts.locked()), default=0)
        return Published(published=len(missing), known=known, newest_id=newest)


async def _compared(registry: "_Registry") -> tuple[list[tuple[LockedSchema, str, int]], int]:
    """What the registry has not got, by id, and how much it has; nothing is sent before all of it is looked at."""
    missing: list[tuple[LockedSchema, str, int]] = []
    counts: dict[str, int] = {}
    known = 0
    for entry in contracts.locked():
        for subject in entry.subjects:
            version = counts[subject] = counts.get(subject, 0) + 1
            found = await registry.ask("GET", f"/subjects/{subject}/versions/{version}", absent=True)
            if found is None:
                missing.append((entry, subject, version))
                continue
            if found["id"] != entry.id or json.loads(found["schema"]) != contracts.published(entry):
                raise PublishRefused(
                    f"{subject} version {version}: the registry has another schema or id ({found['id']}, here "
                    f"{entry.id}). Publish into an empty registry, or delete the subject there for good first"
                )
            known += 1
    return missing, known


async def _send(registry: "_Registry", entry: LockedSchema, subject: str, version: int) -> None:
    body = {
        "schemaType": "AVRO",
        "schema": json.dumps(contracts.published(entry)),
        "id": entry.id,
        "version": version,
    }
    answer = await registry.ask("POST", f"/subjects/{subject}/versions", body)
    if answer["id"] != entry.id:
        raise PublishRefused(
            f"{subject} version {version}: the registry gave id {answer['id']}, here it is {entry.id}. It numbers by "
            f"itself: publish into an empty one, and delete this subject there for good"
        )


class _Registry:
    """One registry, asked one question after another."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX),
            headers={"Accept": CONTENT_TYPE, "Content-Type": CONTENT_TYPE},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, absent: bool = False) -> Any:
        """The answer as JSON; None for what is not there, when that may be."""
        data = None if body is None else json.dumps(body)
        try:
            async with self._session.request(method, self._url + path, data=data) as response:
                text = await response.text()
                said = json.loads(text) if text else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PublishRefused(
                f"{method} {path}: no registry answers at {self._url}: {error!r}. Check the URL (Apicurio's ends in "
                f"/apis/ccompat/v7)"
            ) from error
        if absent and response.status == 404 and said.get("error_code") in (SUBJECT_UNKNOWN, VERSION_UNKNOWN):  # noqa: PLR2004
            return None
        if response.status >= 300:  # noqa: PLR2004  not done
            raise PublishRefused(
                f"{method} {path}: the registry answers {response.status}: {text[:300]}. It must be reachable, "
                f"writable and allow its mode to change"
            )
        return said
