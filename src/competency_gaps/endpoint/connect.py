"""A connection to an endpoint: redirects are not followed."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from competency_gaps.endpoint.key import Key

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from competency_gaps.endpoint.endpoint import Endpoint


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
