"""How a language model is asked: to judge, label, match, or write items."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from competency_gaps.items.config.load import Config
from competency_gaps.util.errors import UserError

Structured = Literal["json_schema", "json_object", "none"]
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class LLMConfig(Config):
    """A language model behind an OpenAI-compatible endpoint.

    Without ``base_url`` no model is asked: its earlier answers, which are saved, count.
    """

    base_url: str | None = None
    """Root of the API, such as http://localhost:8080/v1; without user, password and query."""
    model: str
    """Name of the model there, under which its answers are saved."""
    key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; endpoints that need none work without it."""
    temperature: Annotated[float, Field(ge=0)] | None = 0.0
    """None: not sent, for models that take only their own."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of one answer, thinking included; None: as many as the step needs."""
    tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The endpoint's name for that limit; newer models of OpenAI want ``max_completion_tokens``."""
    structured: Structured = "json_schema"
    """How JSON is asked for: by a schema, as any object, or by words alone."""
    extra: dict[str, Any] = {}
    """Further keys of each request's body, such as ``reasoning_effort: low``."""
    concurrency: Annotated[int, Field(ge=1, le=512)] = 8
    """Requests in flight at once."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    """Seconds without an answer after which a request is sent again."""
    retries: Annotated[int, Field(ge=0, le=20)] = 5
    """Attempts after the first."""
    price_in: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Money per million prompt tokens."""
    price_out: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Money per million answer tokens."""
    max_cost: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Nothing more is sent once one command has spent this; needs both prices."""

    def cost(self, prompt_tokens: int, answer_tokens: int) -> float | None:
        """Return the price of so many tokens, in the unit of ``price_in``; None if no prices are configured."""
        if self.price_in is None or self.price_out is None:
            return None
        return (prompt_tokens * self.price_in + answer_tokens * self.price_out) / 1e6

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            secret = parts.username is not None or parts.password is not None or bool(parts.query or parts.fragment)
        except ValueError:
            complete = secret = False
        if secret:  # a message of pydantic would show it
            raise UserError(
                "base_url contains a user, password, query or fragment (not shown here): expected a plain address such "
                "as http://localhost:8080/v1. Put the key into the environment variable that key_env names."
            )
        if not complete:
            raise ValueError("expected a complete address such as http://localhost:8080/v1")
        return url

    @field_validator("key_env")
    @classmethod
    def _names_a_variable(cls, name: str) -> str:
        if not _VARIABLE.fullmatch(name):
            raise UserError(
                "key_env is not the name of an environment variable (its value is not shown, as it may be a key): "
                "expected capital letters, digits and '_', such as OPENAI_API_KEY. Put the key into a variable and "
                "name that."
            )
        return name

    @model_validator(mode="after")
    def _check_together(self) -> LLMConfig:
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError("give both price_in and price_out, or neither")
        if self.max_cost is not None and self.price_in is None:
            raise ValueError("max_cost needs price_in and price_out")
        return self
