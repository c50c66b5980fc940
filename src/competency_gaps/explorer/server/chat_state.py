"""What the page says about the chat: whether there is anybody to ask, and where questions go."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from competency_gaps.endpoint.client import Endpoint
from competency_gaps.text import visible

OFF = (
    "This explorer was started without a model (--base-url and --model), so nobody is asked, and nothing leaves this "
    "machine."
)
ON = (
    "Questions go to {place}, and with them the last turns and the results of the queries that answer them: names, "
    "labels, numbers, pieces of prompts, responses and answers (up to 3,000 characters each), the run's settings, its "
    "command line and its folder. {rest}"
)


def chat_state(endpoint: Endpoint | None) -> dict[str, Any]:
    """``ChatState`` of the page.

    Parameters
    ----------
    endpoint
        Who answers; null: nobody.
    """
    if endpoint is None:
        return {"configured": False, "model": None, "host": None, "note": OFF}
    parts = urlsplit(endpoint.base_url)
    host = visible(parts.netloc)
    if _is_here(parts.hostname or ""):
        note = ON.format(place=f"a server on this machine ({host})", rest="Nothing leaves this machine.")
    else:
        note = ON.format(place=host, rest="Nothing else leaves this machine.")
    return {"configured": True, "model": visible(endpoint.model), "host": host, "note": note}


def _is_here(name: str) -> bool:
    """Whether a host is this machine by its loopback address; other names may lead anywhere."""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
