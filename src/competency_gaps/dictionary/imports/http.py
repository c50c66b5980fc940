"""An HTTP client that repeats requests after transient failures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from competency_gaps.errors import MissingExtraError
from competency_gaps.text import shorten, visible

MISSING = (404, 410)
"""Statuses of a resource that does not exist."""
TRANSIENT = (408, 425, 429)
"""Statuses, besides 5xx, after which the same request may succeed."""


@dataclass(frozen=True)
class LabelServers:
    """Servers of labels, and limits of requests."""

    api: str = "https://www.neuronpedia.org"
    """Base address of Neuronpedia's per-feature API."""
    bucket: str = "https://neuronpedia-datasets.s3.us-east-1.amazonaws.com"
    """Base address of the bucket with its bulk exports."""
    workers: int = 8
    """Requests at a time."""
    attempts: int = 6
    """Attempts of one request."""
    first_wait: float = 1.0
    """Seconds before the second attempt; doubled after each."""
    longest_wait: float = 60.0
    """Longest wait between two attempts, whatever the server asks for."""
    timeout: float = 60.0
    """Seconds without an answer after which an attempt has failed."""


class HttpError(Exception):
    """A request failed for good; the message says why."""


class Http:
    """A client with a pool of threads, which repeats requests after transient failures."""

    def __init__(self, servers: LabelServers) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError("httpx", "label", "Fetching labels") from error
        self.servers = servers
        self.pool = ThreadPoolExecutor(servers.workers)
        self._failures = httpx.HTTPError
        self._client = httpx.Client(timeout=servers.timeout, follow_redirects=True)
        self._stop = threading.Event()

    def __enter__(self) -> Http:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self.pool.shutdown(cancel_futures=True)
        self._client.close()

    def get(
        self,
        url: str,
        *,
        params: dict[str, str] | None = None,
        check: Callable[[bytes], object] | None = None,
        raw: bool = False,
    ) -> bytes | None:
        """Fetch an address; None if nothing is there.

        Parameters
        ----------
        check
            Called with the body; if it raises ValueError, the request is repeated.
        raw
            Take the bytes as they are stored, without undoing a content encoding.

        Raises
        ------
        HttpError
            If every attempt failed, or one failed in a way that another attempt cannot change.
        """
        wait, why = self.servers.first_wait, ""
        for attempt in range(self.servers.attempts):
            if attempt:
                if self._stop.wait(min(wait, self.servers.longest_wait)):
                    break
                wait *= 2
            try:
                with self._client.stream("GET", url, params=params) as response:
                    status, asked = response.status_code, response.headers.get("retry-after", "")
                    body = b"".join(response.iter_raw() if raw else response.iter_bytes()) if status == 200 else b""
                if status == 200 and check is not None:
                    check(body)
            except self._failures as error:
                why = f"{type(error).__name__}: {error}"
            except ValueError as error:
                why = f"broken answer: {error}"
            else:
                if status == 200 or status in MISSING:
                    return body if status == 200 else None
                why = f"status {status}"
                if status not in TRANSIENT and status < 500:
                    raise HttpError(why)
                wait = max(wait, int(asked[:6])) if asked.isdecimal() else wait
        raise HttpError(f"{shorten(visible(why), 200)}, after {attempt + 1} tries")
