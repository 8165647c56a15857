"""The contracts as JSON and as pages: /openapi.json, /docs, /asyncapi.json, /catalogue, from local files alone."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from gateways import asyncapi, catalogue, openapi
from gateways.routes import Route
from infra.catalogue import Carried

STATIC = "/docs/static"
FILES = ("swagger-ui.css", "swagger-ui-bundle.js")
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tapeline</title>
<link rel="icon" href="/live/icon.svg">
<link rel="stylesheet" href="{STATIC}/swagger-ui.css">
</head>
<body>
<div id="contract"></div>
<script src="{STATIC}/swagger-ui-bundle.js"></script>
<script src="{STATIC}/start.js"></script>
</body>
</html>
"""
START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#contract", deepLinking: true, validatorUrl: null});\n'
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)
"""Nothing of another origin is loaded; the page's own styles are inline by its maker's choice."""


CATALOGUE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"
"""One page with its styles in it and no script."""


def routes(served: Sequence[Route], carried: Sequence[Carried]) -> list[web.RouteDef]:
    """The contracts of these routes and topics and the pages that show them; all are public, they hold no data."""
    contract = openapi.encoded(openapi.document(served))
    streams = openapi.encoded(asyncapi.document(carried, served))
    fields = catalogue.page(catalogue.entries(carried))
    folder = Path(str(files("swagger_ui").joinpath("static")))

    async def serve_contract(_: web.Request) -> web.Response:
        return web.Response(body=contract, content_type="application/json")

    async def serve_streams(_: web.Request) -> web.Response:
        return web.Response(body=streams, content_type="application/json")

    async def serve_fields(_: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": CATALOGUE_POLICY}
        return web.Response(text=fields, content_type="text/html", headers=headers)

    async def serve_page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def serve_start(_: web.Request) -> web.Response:
        return web.Response(text=START, content_type="text/javascript")

    async def serve_file(request: web.Request) -> web.StreamResponse:
        for name in FILES:
            if name == request.match_info["name"]:
                return web.FileResponse(folder / name)
        raise web.HTTPNotFound

    return [
        web.get("/openapi.json", serve_contract),
        web.get("/docs", serve_page),
        web.get("/asyncapi.json", serve_streams),
        web.get("/catalogue", serve_fields),
        web.get(f"{STATIC}/start.js", serve_start),
        web.get(f"{STATIC}/{{name}}", serve_file),
    ]
