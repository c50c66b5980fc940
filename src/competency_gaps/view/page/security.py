"""Which requests are answered, and what a browser may do with the answers.

A server on 127.0.0.1 can be reached by every page that the user's browser shows, and by every account of the machine.
Accounts are not told apart. Three checks keep foreign pages out.
The ``Host`` must be ours: else a name that an attacker points at 127.0.0.1 (DNS rebinding) would make their page ours.
``Origin`` and ``Sec-Fetch-Site`` must be ours where a browser sends them. And no answer may be embedded elsewhere.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from competency_gaps.view.page.page_files import POLICY

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine as a browser writes them."""

HEADERS = {
    "content-security-policy": f"{POLICY}; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
"""On every answer, errors too."""


class Guard:
    """Refuses requests that come from other pages, and adds ``HEADERS`` to every answer.

    Parameters
    ----------
    app
        The application that answers the other requests.
    port : int
        Port that the server listens on.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app, self._port = app, port
        self._hosts = {f"{name}:{port}" for name in LOCAL_NAMES}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            status, sentence = refused
            allowed = {"allow": "GET, HEAD"} if status == HTTPStatus.METHOD_NOT_ALLOWED else {}
            headers = {**allowed, "connection": "close", **HEADERS}
            await JSONResponse({"error": sentence}, status, headers)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            """Send a message, with ``HEADERS`` in front of the answer."""
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        """Status and sentence for a request that is refused; None: it is answered."""
        headers = Headers(scope=scope)
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return HTTPStatus.MISDIRECTED_REQUEST, self._elsewhere()
        origin = headers.getlist("origin")
        if origin and origin not in [[allowed] for allowed in self._origins]:
            return HTTPStatus.FORBIDDEN, "Requests of other pages are refused."
        # Another page may link to this one, but its scripts may read nothing.
        site, mode = headers.getlist("sec-fetch-site"), headers.getlist("sec-fetch-mode")
        if site and site not in (["same-origin"], ["none"]) and (mode != ["navigate"] or scope["path"] != "/"):
            return HTTPStatus.FORBIDDEN, "Requests of other pages are refused."
        if scope["method"] not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, "This server is read-only: it takes GET and HEAD."
        return None

    def _elsewhere(self) -> str:
        """What a request under another host name or port is told."""
        return (
            f"This server answers only to its own address on this machine, http://127.0.0.1:{self._port}. Where a port "
            f"is forwarded it must be the same on both sides (ssh -L {self._port}:localhost:{self._port})."
        )
