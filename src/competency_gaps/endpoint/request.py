"""One question to a language model, and one answer that belongs to exactly this question."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import pydantic

from competency_gaps.config.asking import Structured


@dataclass(frozen=True)
class Request:
    """One question."""

    id: str
    """Names the request within a run; two different requests of one run never share it."""
    system: str
    """What the model is told about its task; empty leaves the message out."""
    user: str
    """The question itself."""
    schema: dict[str, Any] | None
    """JSON schema of the answer; None asks for free text. Endpoints that enforce it want every property required and
    ``additionalProperties`` false, as pydantic writes it for a model without defaults that forbids extra fields."""
    schema_name: str
    """Name of the schema: 1 to 64 letters, digits, ``_`` and ``-``."""
    max_tokens: int
    """1 or more: most tokens of the answer, reasoning included where the endpoint counts it so."""
    temperature: float = 0.0
    """0 or more."""

    def body(self, model: str, structured: Structured) -> dict[str, Any]:
        """Body of the chat-completions call.

        The question ends with the schema in words [ours], also where the endpoint is given the schema itself: some
        servers ignore the field without an error, and small models forget what stands before a long question.

        Parameters
        ----------
        model
            Name of the model at the endpoint.
        structured
            How the endpoint is asked for JSON; without a schema nothing is asked.
        """
        question = self.user
        if self.schema is not None:
            shown = json.dumps(self.schema, ensure_ascii=False)
            question = f"{question}\n\nAnswer with one JSON object of this JSON schema and nothing else:\n{shown}"
        messages = [{"role": "system", "content": whole(self.system)}] if self.system else []
        body: dict[str, Any] = {
            "model": model,
            "messages": [*messages, {"role": "user", "content": whole(question)}],
            "max_tokens": self.max_tokens,
            "temperature": float(self.temperature),
        }
        if self.schema is not None and structured == "json_schema":
            named = {"name": self.schema_name, "strict": True, "schema": self.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        elif self.schema is not None and structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body

    def key(self, model: str) -> str:
        """SHA-256 of the body with its schema, in hexadecimal.

        It does not depend on how an endpoint is asked for JSON: an answer stays valid when an endpoint takes no
        schema. Order within the schema counts, as models write properties in that order.
        """
        body = json.dumps(self.body(model, "json_schema"), separators=(",", ":"))
        return hashlib.sha256(body.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What came back for one request. It counts as answered if it has a text or a refusal."""

    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")
    id: str
    """Id of the request."""
    key: str
    """Key of the request (:meth:`Request.key`); empty where it is not known, as in an imported file."""
    text: str | None
    """What the model wrote; empty if it wrote nothing, None if no answer came or it refused."""
    refusal: str | None
    """Why the model or the endpoint refused, in its words; None: it did not."""
    error: str | None
    """Why there is no answer; None: there is one."""
    prompt_tokens: int | None
    """Tokens of the prompt as the endpoint counts them, 0 or more; None: unknown."""
    completion_tokens: int | None
    """Tokens of the answer as the endpoint counts them, 0 or more; None: unknown."""
    model: str | None
    """Model as the endpoint names it; None: unknown."""
    finish: str | None = None
    """Why the model stopped, in the endpoint's word (``length``: cut off at ``max_tokens``); None: unknown."""

    @property
    def answered(self) -> bool:
        """Whether this need not be asked again."""
        return self.error is None and (self.text is not None or self.refusal is not None)


def whole(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 file or connection can carry, by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
