"""The contract as JSON and as a page: /openapi.json and /docs, from local files alone."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import web

from gateways import openapi

STATIC = "/docs/static"
FILES = ("swagger-ui.css", "swagger-ui-bundle.js")
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tapeline</title>
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


def routes(described: dict[str, Any]) -> list[web.RouteDef]:
    """The contract and the page that shows it; both are public, they hold no data."""
    contract = openapi.encoded(described)
    folder = Path(str(files("swagger_ui").joinpath("static")))

    async def serve_contract(_: web.Request) -> web.Response:
        return web.Response(body=contract, content_type="application/json")

    async def serve_page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def serve_start(_: web.Request) -> web.Response:
        return web.Response(text=START, content_type="text/javascript")

    async def serve_file(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in FILES:
            raise web.HTTPNotFound
        return web.FileResponse(folder / name)

    return [
        web.get("/openapi.json", serve_contract),
        web.get("/docs", serve_page),
        web.get(f"{STATIC}/start.js", serve_start),
        web.get(f"{STATIC}/{{name}}", serve_file),
    ]
