"""Who judges answers that no rule can score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from competency_gaps.config.base import Config


class JudgeConfig(Config):
    """A language model as judge: over an endpoint (``url``), or through batch files (``export``, then ``imports``).

    With ``model`` alone nobody is asked: what that judge has answered in the run folder counts.
    """

    url: str | None = None
    """OpenAI-compatible endpoint, as ``http://localhost:8080/v1``."""
    model: str | None = None
    """Name of the model there; with ``export`` and ``imports``, the name that answers are kept under."""
    export: Path | None = None
    """Write the judge's requests here, in OpenAI's Batch form, and ask nobody."""
    imports: list[Path] = []
    """Files with answers to exported requests."""
    key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key."""
    concurrency: Annotated[int, Field(ge=1)] = 8
    """Requests in flight at once."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that one attempt may take."""
    price_in: Annotated[float, Field(ge=0)] | None = None
    """Money per million prompt tokens."""
    price_out: Annotated[float, Field(ge=0)] | None = None
    """Money per million answer tokens."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Cap on all tokens of one run of the command."""
    max_cost: Annotated[float, Field(gt=0)] | None = None
    """Cap on its money; needs prices."""
    answer_tokens: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of one answer, thinking included; null: as the policy says."""
    again: bool = False
    """Ask once more where a kept answer cannot be used."""
    yes: bool = False
    """Spend without asking at the terminal."""

    @model_validator(mode="after")
    def _one_way(self) -> JudgeConfig:
        ways = [name for name in ("url", "export", "imports") if getattr(self, name)]
        if len(ways) > 1 or (not ways and not self.model):
            raise ValueError(f"give one of 'url', 'export' and 'imports'; found {', '.join(ways) or 'none'}")
        if self.url and not self.model:
            raise ValueError("'url' needs 'model', the name of a model there")
        if (self.price_in is None) != (self.price_out is None):
            raise ValueError("give both 'price_in' and 'price_out', or neither")
        return self
