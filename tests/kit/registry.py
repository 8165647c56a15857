"""A schema registry in memory, as Confluent's documents theirs: ids are the registry's own, but in import mode ours.

`honours_ids=False` makes it one that numbers by itself whatever its mode says.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

IMPORT, READWRITE = "IMPORT", "READWRITE"


class Registry:
    """What it knows, and every mode it was ever in."""

    def __init__(self, *, honours_ids: bool = True) -> None:
        self.honours_ids = honours_ids
        self.modes = [READWRITE]
        self.compatibility = "BACKWARD"
        self.ids: dict[str, int] = {}
        self.subjects: dict[str, list[str]] = {}

    def add(self, subject: str, schema: str) -> int:
        """As any other tool would: the next free id."""
        number = self.ids.get(schema, max(self.ids.values(), default=0) + 1)
        return self.keep(subject, schema, number)

    def keep(self, subject: str, schema: str, number: int) -> int:
        """The next version of the subject."""
        self.ids[schema] = number
        self.subjects.setdefault(subject, []).append(schema)
        return number

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve it; gives its URL."""
        app = web.Application(client_max_size=1_000_000)
        app.add_routes(
            [
                web.get("/mode", self._mode),
                web.put("/mode", self._set_mode),
                web.put("/config", self._set_config),
                web.get("/subjects/{subject}/versions/{version}", self._version),
                web.post("/subjects/{subject}/versions", self._register),
            ]
        )
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()

    async def _mode(self, _: web.Request) -> web.Response:
        return web.json_response({"mode": self.modes[-1]})

    async def _set_mode(self, request: web.Request) -> web.Response:
        mode = (await request.json())["mode"]
        if mode == IMPORT and self.subjects and self.modes[-1] != IMPORT and self.honours_ids:
            return web.json_response({"error_code": 42205, "message": "Cannot import since found existing"}, status=422)
        self.modes.append(mode)
        return web.json_response({"mode": mode})

    async def _set_config(self, request: web.Request) -> web.Response:
        self.compatibility = (await request.json())["compatibility"]
        return web.json_response({"compatibility": self.compatibility})

    async def _version(self, request: web.Request) -> web.Response:
        subject, number = request.match_info["subject"], int(request.match_info["version"])
        schemas = self.subjects.get(subject, [])
        if not 1 <= number <= len(schemas):
            return web.json_response({"error_code": 40402 if schemas else 40401, "message": "not found"}, status=404)
        text = schemas[number - 1]
        return web.json_response({"subject": subject, "version": number, "id": self.ids[text], "schema": text})

    async def _register(self, request: web.Request) -> web.Response:
        asked: dict[str, Any] = await request.json()
        text, subject = json.dumps(json.loads(asked["schema"])), request.match_info["subject"]
        if not self.honours_ids:
            return web.json_response({"id": self.add(subject, text)})
        if self.modes[-1] != IMPORT:
            return web.json_response({"error_code": 42205, "message": "not in import mode"}, status=422)
        if self.ids.setdefault(text, asked["id"]) != asked["id"]:
            return web.json_response({"error_code": 42207, "message": "Schema already registered with id"}, status=422)
        return web.json_response({"id": self.keep(subject, text, asked["id"])})
