"""Where a model is asked, with which key, and the connection to it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from competency_gaps.config.asking import Structured
from competency_gaps.endpoint.budget import Prices
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

PLACEHOLDER = "no-key"
"""Sent if no key is set; servers that need none accept any."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_SHOWN = "[API key]"
_LONG = 8
"""Shorter keys are placeholders such as ``EMPTY``, whose letters may well stand in an answer [ours]."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked, and how patiently.

    Raises
    ------
    UserError
        If the address is incomplete or holds a secret, or ``key_env`` cannot name an environment variable.
    """

    base_url: str
    """Root of the API, such as ``http://localhost:8080/v1``; without user, password and query."""
    model: str
    """Name of the model there."""
    key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; a placeholder is sent if it is unset."""
    concurrency: int = 8
    """Requests in flight at once: 1 to 512."""
    timeout: float = 60.0
    """Seconds that one attempt may take."""
    retries: int = 5
    """Attempts after the first: 0 to 20."""
    structured: Structured = "json_schema"
    """How JSON is asked for at first; an endpoint that refuses it is asked in the next simpler way."""
    prices: Prices | None = None
    """None: not known."""
    first_wait: float = 1.0
    """Seconds before the first retry; doubled each time [ours], with a quarter of jitter either way."""
    longest_wait: float = 60.0
    """Most seconds between two attempts where the endpoint names none [ours]."""
    longest_retry_after: float = 600.0
    """Most seconds that the endpoint may ask to wait; beyond, the run ends [ours]."""

    def __post_init__(self) -> None:
        _check_url(self.base_url)
        _check_variable(self.key_env)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        secret = parts.username is not None or parts.password is not None or bool(parts.query or parts.fragment)
    except ValueError:
        complete = secret = False
    if secret:
        raise UserError(
            "base_url holds a user, password, query or fragment (it is not shown): expected an address alone, such as "
            "http://localhost:8080/v1. Put the key into the environment variable that key_env names."
        )
    if not complete:
        raise UserError(f"base_url is {url!r}: expected a complete address such as http://localhost:8080/v1.")


def _check_variable(name: str) -> None:
    """Refuse a name that no environment variable can have, without showing it: it may be a key."""
    if not _VARIABLE.fullmatch(name):
        raise UserError(
            "key_env names no environment variable (its value is not shown, as it may be a key): expected capital "
            "letters, digits and '_', such as OPENAI_API_KEY. Put the key into a variable and name that."
        )


class Key:
    """A key that neither ``repr`` nor ``str`` shows; a caller must ask for its value."""

    __slots__ = ("_value", "is_set")

    def __init__(self, value: str | None) -> None:
        self._value = value
        self.is_set = value is not None

    def __repr__(self) -> str:
        return "Key(hidden)"

    def value(self) -> str:
        """The key itself, to be sent and nothing else."""
        return self._value or PLACEHOLDER

    def hide(self, text: str, *, short: bool = False) -> str:
        """Write ``[API key]`` wherever the key stands in a foreign text; short keys only if ``short``."""
        if self._value is None or (len(self._value) < _LONG and not short):
            return text
        return text.replace(self._value, _SHOWN)


def read_key(variable: str) -> Key:
    """Read a key from the environment; unset or blank means that there is none.

    Raises
    ------
    UserError
        If it holds characters that no HTTP header can carry; the message does not show it.
    """
    value = os.environ.get(variable, "").strip()
    if not all("!" <= letter <= "~" for letter in value):
        raise UserError(
            f"the environment variable {variable} holds blanks, line breaks or letters outside ASCII (it is not "
            f"shown): expected one key. Set it again."
        )
    return Key(value or None)


def connect(endpoint: Endpoint, key: Key) -> AsyncOpenAI:
    """Make a client that follows no redirects, and uses no proxy where the endpoint is on this machine.

    It does not try again by itself.

    Parameters
    ----------
    endpoint
        Where to ask.
    key
        Sent with each request.
    """
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    is_local = is_here(endpoint.base_url)
    return AsyncOpenAI(
        api_key=key.value(),
        base_url=endpoint.base_url,
        timeout=endpoint.timeout,
        max_retries=0,
        http_client=DefaultAsyncHttpxClient(trust_env=not is_local, follow_redirects=False),
    )


def is_here(url: str) -> bool:
    """Whether an address is this machine by its loopback; other names may lead anywhere."""
    name = urlsplit(url).hostname or ""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def proxy_of(url: str) -> str | None:
    """Host (and port) of the proxy that the environment names for an address; None: it is reached without one."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if is_here(url) or not proxy or proxy_bypass(parts.hostname or ""):
        return None
    # A proxy's address may hold a password.
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}").netloc.rpartition("@")[2]
