"""A served explorer in this process, and requests as no client would send them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import unquote

from starlette.testclient import TestClient

from competency_gaps.view.page.opened import Opened
from competency_gaps.view.page.page_files import FILES
from competency_gaps.view.page.server import make_app

PORT = 8742
PAGE = {name: f"this is {name}".encode() for name in FILES}


@contextmanager
def served(opened: Sequence[Opened], **options) -> Iterator[TestClient]:
    """A client of an explorer of runs, with a page of one line a file."""
    application = make_app(opened, PAGE, port=PORT, **options)
    with TestClient(application, base_url=f"http://127.0.0.1:{PORT}", raise_server_exceptions=False) as client:
        yield client


def raw_request(
    client: TestClient,
    path: str,
    headers: Sequence[tuple[bytes, bytes]] = ((b"host", f"127.0.0.1:{PORT}".encode()),),
    method: str = "GET",
    body: Iterable[bytes] = (),
) -> dict:
    """A request that no client has tidied, as uvicorn passes it on; its body comes in pieces."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", PORT),
    }
    found: dict = {"body": b""}
    pieces = iter(body)

    async def receive():
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message):
        found["status"] = message.get("status", found.get("status"))
        found["body"] += message.get("body", b"")

    asyncio.run(client.app(scope, receive, send))
    return found
