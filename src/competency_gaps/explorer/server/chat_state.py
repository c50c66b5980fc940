"""What the page says about the chat: whether there is anybody to ask, and where questions go."""

from __future__ import annotations

from urllib.parse import urlsplit

from competency_gaps.endpoint.endpoint import Endpoint, is_here, proxy_of
from competency_gaps.explorer.parts.records.server import ChatState
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


def chat_state(endpoint: Endpoint | None) -> ChatState:
    """Say whether there is anybody to ask.

    Parameters
    ----------
    endpoint
        Who answers; None: nobody.
    """
    if endpoint is None:
        return ChatState(configured=False, model=None, host=None, note=OFF)
    host = visible(urlsplit(endpoint.base_url).netloc)
    proxy = proxy_of(endpoint.base_url)
    if is_here(endpoint.base_url):
        note = ON.format(place=f"a server on this machine ({host})", rest="Nothing leaves this machine.")
    else:
        through = "" if proxy is None else f" through the proxy {visible(proxy)}"
        note = ON.format(place=host + through, rest="Nothing else leaves this machine.")
    return ChatState(configured=True, model=visible(endpoint.model), host=host, note=note)
