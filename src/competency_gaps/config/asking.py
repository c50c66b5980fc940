"""How a language model is asked: to judge, label, match, word findings, write items, or chat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, model_validator

from competency_gaps.config.load import Config

Structured = Literal["json_schema", "json_object", "none"]
"""How an endpoint is asked for JSON: by a schema, as any object, or by words alone."""
WAYS = ("base_url", "export", "imports")
ENDPOINT_ONLY = (
    *("key_env", "concurrency", "timeout", "retries", "price_in", "price_out"),
    *("max_tokens", "max_cost", "again", "yes"),
)
"""Keys that have no effect on batch files."""


class AskConfig(Config):
    """A language model to ask: over an endpoint (``base_url``), or through batch files (``export``, then ``imports``).

    With ``model`` alone no model is asked: for a run's judge, its answers in the run folder count.
    The docstrings of the fields are the help of the command-line options.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    base_url: str | None = None
    """OpenAI-compatible endpoint, as http://localhost:8080/v1."""
    model: str | None = None
    """Name of the model at the endpoint; with batch files, the name that its answers are kept under."""
    export: Path | None = None
    """Write the requests into this file in OpenAI's Batch form; ask no model."""
    imports: list[Path] = []
    """Read answers to exported requests; may be repeated."""
    key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key."""
    concurrency: Annotated[int, Field(ge=1, le=512)] = 8
    """Requests in flight at once."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    """Seconds that one attempt may take."""
    retries: Annotated[int, Field(ge=0, le=20)] = 5
    """Attempts after the first."""
    structured: Structured = "json_schema"
    """How JSON is asked for at first; an endpoint that refuses it is asked in the next simpler way."""
    price_in: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    """Money per million prompt tokens."""
    price_out: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    """Money per million answer tokens."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """Cap on all tokens of this command."""
    max_cost: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    """Cap on the money of this command; needs prices."""
    answer_tokens: Annotated[int | None, Field(ge=1)] = None
    """Most tokens of one answer, thinking included; by default what the step needs."""
    again: bool = False
    """Ask once more where a kept answer cannot be used."""
    yes: bool = False
    """Spend without asking at the terminal."""

    @property
    def way(self) -> str | None:
        """Which of ``WAYS`` is taken; None: no model is asked."""
        return next((name for name in WAYS if getattr(self, name)), None)

    @model_validator(mode="after")
    def _check_together(self, info: ValidationInfo) -> AskConfig:
        spell = (info.context or {}).get("spell", repr)
        fields = type(self).model_fields
        if self.base_url is None:
            for name in ENDPOINT_ONLY:
                if getattr(self, name) != fields[name].default:
                    raise ValueError(f"{spell(name)} means something only with {spell('base_url')}")
        ways = [spell(name) for name in WAYS if getattr(self, name)]
        if len(ways) > 1 or (not ways and not self.model):
            first, second, third = map(spell, WAYS)
            raise ValueError(f"give one of {first}, {second} and {third}; found {', '.join(ways) or 'none'}")
        if self.base_url and not self.model:
            raise ValueError(f"{spell('base_url')} needs {spell('model')}, the name of a model there")
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError(f"give both {spell('price_in')} and {spell('price_out')}, or neither")
        if self.max_cost is not None and self.price_in is None:
            raise ValueError(
                f"{spell('max_cost')} needs {spell('price_in')} and {spell('price_out')}: give them, or cap "
                f"{spell('max_tokens')}"
            )
        return self
