"""Where a model is asked, and how patiently."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import urlsplit

from competency_gaps.config.asking import Structured
from competency_gaps.endpoint.budget import Prices
from competency_gaps.endpoint.key import check_variable
from competency_gaps.errors import UserError


@dataclass(frozen=True)
class Endpoint:
    """Where a model is asked, and how patiently.

    Raises
    ------
    UserError
        If a value is out of range.
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
        check_variable(self.key_env)
        if not self.model:
            raise UserError("the model's name is empty: expected the name that the endpoint knows. Give it.")
        for name, low, high in (("concurrency", 1, 512), ("retries", 0, 20)):
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} is {getattr(self, name)}: expected {low} to {high}.")
        for name in ("timeout", "first_wait", "longest_wait", "longest_retry_after"):
            value = getattr(self, name)
            if not (math.isfinite(value) and (value > 0 or (value == 0 and name != "timeout"))):
                raise UserError(f"{name} is {value} seconds: expected a finite number above 0.")
        if self.structured not in ("json_schema", "json_object", "none"):
            raise UserError(f"structured is {self.structured!r}: expected 'json_schema', 'json_object' or 'none'.")


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
