"""How one endpoint wants its requests, learnt from what it refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from competency_gaps.config.asking import Structured
from competency_gaps.endpoint.request import Request

_NEXT: dict[Structured, Structured] = {"json_schema": "json_object", "json_object": "none"}
_FORMAT_WORDS = ("response_format", "json_schema", "json_object", "json schema", "structured output", "grammar")
_NOT_GENERATED = "json_validate_failed"
"""Code for a model that failed to write JSON once; the endpoint itself takes the format."""
_UNSUPPORTED = ("unsupported", "not support", "only the default")


@dataclass(frozen=True)
class Dialect:
    """The way an endpoint is spoken to for the rest of a run."""

    structured: Structured
    """How it is asked for JSON."""
    limit: str = "max_tokens"
    """Its name for the most tokens of an answer; newer models want ``max_completion_tokens``."""
    temperature: bool = True
    """Whether it takes a temperature; some models take only their own."""

    def body(self, request: Request, model: str) -> dict[str, Any]:
        """Body of the call for a request."""
        body = request.body(model, self.structured)
        if self.limit != "max_tokens":
            body[self.limit] = body.pop("max_tokens")
        if not self.temperature:
            del body["temperature"]
        return body

    def adapted(self, complaint: str) -> tuple[Dialect, str] | None:
        """Another way that a refusal of the request's form asks for, and a message for the user.

        Parameters
        ----------
        complaint
            Body of the refusal.

        Returns
        -------
        tuple of Dialect and str, or None
            None if the refusal is about something else, or no other way is left.
        """
        words = complaint.lower()
        if "max_completion_tokens" in words and self.limit == "max_tokens":
            return replace(
                self, limit="max_completion_tokens"
            ), "The endpoint wants max_completion_tokens: used from now on."
        if _NOT_GENERATED in words:
            return None
        other = _NEXT.get(self.structured)
        if other is not None and any(word in words for word in _FORMAT_WORDS):
            way = "JSON objects without a schema are" if other == "json_object" else "JSON is"
            asked = "" if other == "json_object" else " in words alone"
            message = f"The endpoint does not take {self.structured}: from now on {way} asked for{asked} ({other})."
            return replace(self, structured=other), message
        if self.temperature and "temperature" in words and any(word in words for word in _UNSUPPORTED):
            return replace(self, temperature=False), "The endpoint takes no temperature: its own is used from now on."
        return None
