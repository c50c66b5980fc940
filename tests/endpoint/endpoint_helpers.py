"""Requests, quick endpoints and a console that can be read."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from competency_gaps.endpoint import Endpoint, Request
from competency_gaps.progress import Progress
from fake_endpoint import question_of

SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
    "additionalProperties": False,
}


def request(number: int, *, user: str | None = None, max_tokens: int = 20, id: str | None = None) -> Request:
    """Question number ``number``."""
    return Request(id or f"r{number}", "You label.", user or f"question {number}", SCHEMA, "label", max_tokens)


def quick(url: str, **settings) -> Endpoint:
    """An endpoint with tiny waits."""
    return Endpoint(url, "fake", **{"first_wait": 0.005, "longest_wait": 0.02, "timeout": 5.0, **settings})


def heard() -> tuple[Progress, io.StringIO]:
    """Progress whose lines can be read back."""
    text = io.StringIO()
    return Progress(Console(file=text, width=400)), text


def question(body: dict[str, Any]) -> int:
    """Number of the question in a call's body."""
    return int(question_of(body).split()[-1])
