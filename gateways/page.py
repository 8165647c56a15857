"""GET /live: a page that shows the tape as it flows, from local files alone.

It is public and holds no data; everything on it is asked for with the token that its reader typed, which stays in the
memory of that page.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent / "page_files"
FILES = {
    "/live": ("live.html", "text/html"),
    "/live/live.css": ("live.css", "text/css"),
    "/live/live.js": ("live.js", "text/javascript"),
    "/live/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
"""Nothing of another origin is loaded, no script or style stands in the page, and no other page may frame it."""


def routes() -> list[web.RouteDef]:
    """The page and the files that it is made of."""
    return [web.get(path, _served(*named)) for path, named in FILES.items()]


def _served(name: str, kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    text = (FOLDER / name).read_text()

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=kind, headers=HEADERS)

    return serve
