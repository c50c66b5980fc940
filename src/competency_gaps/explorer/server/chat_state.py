"""What the page says about the chat: whether there is anybody to ask, and where questions go."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from competency_gaps.endpoint.client import Endpoint
from competency_gaps.text import visible

OFF = (
    "Nobody is asked: this explorer was started without a model. Start it again with "
    "'cgaps explore RUN --base-url http://localhost:8080/v1 --model NAME' to ask an OpenAI-compatible endpoint."
)
ON = "Questions, and the results of the queries that answer them, go to {host}. Nothing else leaves this machine."


def chat_state(endpoint: Endpoint | None) -> dict[str, Any]:
    """``ChatState`` of the page.

    Parameters
    ----------
    endpoint
        Who answers; null: nobody.
    """
    if endpoint is None:
        return {"configured": False, "model": None, "host": None, "note": OFF}
    host = visible(urlsplit(endpoint.base_url).netloc)
    return {"configured": True, "model": visible(endpoint.model), "host": host, "note": ON.format(host=host)}
