"""HTTP requests with bounded retries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from competency_gaps.errors import MissingExtraError
from competency_gaps.text import shorten, visible

if TYPE_CHECKING:
    import httpx

Check = Callable[[bytes], object]

MISSING = (403, 404, 410)
"""Statuses of a missing resource; a public bucket that may not be listed answers 403."""

TRANSIENT = (408, 425, 429)
"""Statuses, besides 5xx, after which the same request may succeed."""


@dataclass(frozen=True)
class Network:
    """Servers of labels, and limits of requests."""

    api: str = "https://www.neuronpedia.org"
    """Base address of Neuronpedia's per-feature API."""
    bucket: str = "https://neuronpedia-datasets.s3.us-east-1.amazonaws.com"
    """Base address of the bucket with its bulk exports."""
    workers: int = 8
    """Requests at a time."""
    attempts: int = 6
    """Tries of one request."""
    first_wait: float = 1.0
    """Seconds before the second try; doubled after each."""
    longest_wait: float = 60.0
    """Longest wait between two tries, whatever the server asks for."""
    timeout: float = 60.0
    """Seconds without an answer after which a try has failed."""


class HttpError(Exception):
    """A request failed for good; the message says why."""


@dataclass(frozen=True)
class HttpResponse:
    """A server's answer."""

    status: int
    """200, or one of ``MISSING``."""
    body: bytes
    """Empty where the status is one of ``MISSING``."""


class Http:
    """A client that tries again after 429, 5xx, broken connections and broken bodies. Serves several threads."""

    def __init__(self, network: Network) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError("httpx", "label", "Fetching labels") from error
        self.network = network
        self._errors = (httpx.HTTPError, httpx.InvalidURL)
        self._client = httpx.Client(timeout=network.timeout, follow_redirects=True)
        self._stop = threading.Event()

    def __enter__(self) -> Http:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def stop(self) -> None:
        """Stop retries in other threads."""
        self._stop.set()

    def get(
        self,
        url: str,
        *,
        limit: int,
        params: dict[str, str] | None = None,
        check: Check | None = None,
        raw: bool = False,
    ) -> HttpResponse:
        """Fetch an address.

        Parameters
        ----------
        url, params
            The address.
        limit
            Longest body that is read, in bytes.
        check : callable, optional
            Called with the body; if it raises ValueError, the request is tried again.
        raw
            Take the bytes as they are stored, without undoing a content encoding.

        Raises
        ------
        HttpError If all tries failed, or one in a way that another try does not change.
        """
        wait, why = self.network.first_wait, ""
        for attempt in range(self.network.attempts):
            if attempt and self._stop.wait(min(wait, self.network.longest_wait)):
                break
            try:
                with self._client.stream("GET", url, params=params) as response:
                    status, asked = response.status_code, response.headers.get("retry-after", "")
                    body = self._body(response, limit, raw) if status == 200 else b""
                if status == 200 and check is not None:
                    check(body)
            except self._errors as error:
                why = f"{type(error).__name__}: {shorten(visible(str(error)), 200)}"
            except ValueError as error:
                why = f"broken answer: {shorten(visible(str(error)), 200)}"
            else:
                if status == 200 or status in MISSING:
                    return HttpResponse(status, body)
                why = f"status {status}"
                if status not in TRANSIENT and status < 500:
                    raise HttpError(why)
                wait = max(wait, float(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 6 else wait
            wait = min(2 * wait, self.network.longest_wait) if attempt else wait
        raise HttpError(f"{why}, after {attempt + 1} tries")

    @staticmethod
    def _body(response: httpx.Response, limit: int, raw: bool) -> bytes:
        parts, size = [], 0
        for part in response.iter_raw() if raw else response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise HttpError(f"an answer of more than {limit:,} bytes")
        return b"".join(parts)
