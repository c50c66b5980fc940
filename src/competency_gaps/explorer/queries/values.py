"""What all answers have in common: floats are rounded, texts are cut, and their control characters made visible."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from competency_gaps.text import visible

DIGITS = 6
"""Significant digits of a number in an answer [ours]: enough for an answer, and short."""
MAX_ANSWER = 24_000
"""Most characters of an answer as JSON [ours]: about 8,000 tokens."""
LABEL = 140
"""Most characters of a label or a name [ours]."""
SENTENCE = 600
"""Most characters of a sentence of this program, which may hold foreign names [ours]."""


Number = float | Literal["infinite", "-infinite"] | None
"""Of 6 significant digits; None: undefined."""


@dataclass(frozen=True)
class AtMost:
    """Cuts the texts of a field after this many characters, instead of after :data:`LABEL`."""

    characters: int


Sentence = Annotated[str, AtMost(SENTENCE)]
Sentences = Annotated[list[str], AtMost(SENTENCE)]
Command = Annotated[str | None, AtMost(2000)]
"""A command line; one that is cut does not run."""
Text120 = Annotated[str | None, AtMost(120)]
Text160 = Annotated[str | None, AtMost(160)]
Text300 = Annotated[str | None, AtMost(300)]


def number(value: float) -> float | str | None:
    """Round a number to 6 significant digits; None for NaN, and a word for infinity, which JSON does not have."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return float(f"{value:.{DIGITS}g}")


def foreign(value: str | None, limit: int = LABEL) -> str | None:
    """Foreign text with its control characters made visible, cut after ``limit`` characters."""
    if value is None:
        return None
    # Sliced first: a text may have a megabyte.
    shown = visible(value[:limit])
    left = len(value) - limit
    if left > 0 or len(shown) > limit:
        return f"{shown[:limit]}…" + (f" (+{left:,} characters)" if left > 0 else "")
    return shown


def plain(value: Any, *, limit: int = LABEL) -> Any:
    """A value of any shape as plain JSON: numbers rounded, texts visible and cut, inside lists and objects too."""
    if isinstance(value, str):
        return foreign(value, limit)
    if isinstance(value, Mapping):
        return {str(foreign(str(key), LABEL)): plain(item, limit=limit) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name), limit=limit) for field in dataclasses.fields(value)}
    if isinstance(value, Sequence):
        return [plain(item, limit=limit) for item in value]
    return number(value) if isinstance(value, float) else value


def bounded(answer: dict[str, Any], limit: int = MAX_ANSWER) -> dict[str, Any]:
    """Cut the longest lists of an answer until it fits, and say so under ``cut``.

    Parameters
    ----------
    answer
        Its lists stand at the top, the most important rows first.
    limit
        Most characters as JSON.
    """
    answer = dict(answer)
    cuts: dict[str, str] = {}
    while (size := len(json.dumps(answer, ensure_ascii=False))) > limit:
        lists = {key: value for key, value in answer.items() if isinstance(value, list) and len(value) > 1}
        if not lists:
            return {"error": f"the answer has {size:,} characters: expected at most {limit:,}. Ask for less."}
        longest = max(lists, key=lambda key: len(json.dumps(lists[key], ensure_ascii=False)))
        answer[longest] = lists[longest][: len(lists[longest]) // 2]
        cuts[longest] = f"{longest}: only the first {len(answer[longest]):,}, to keep the answer short"
        answer["cut"] = "; ".join(cuts.values())
    return answer


class QueryAnswer(BaseModel):
    """An answer, or a part of one. It is made of whatever has its fields; fields that were not given are left out."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    @field_validator("*", mode="before")
    @classmethod
    def _harmless(cls, value: Any, info: ValidationInfo) -> Any:
        metadata = cls.model_fields[str(info.field_name)].metadata
        return plain(value, limit=next((entry.characters for entry in metadata if isinstance(entry, AtMost)), LABEL))


class Statistics(QueryAnswer):
    """Statistics of a concept or theme, over the suite or within a benchmark."""

    gap: Number
    gap_low: Number
    gap_high: Number
    q_value: Number
    performance_status: str | None
    chi_model: Number
    chi_bench: Number
    support: int
    n_eff: Number


class NamedConcept(QueryAnswer):
    """A concept by its id and label; None: it has no label."""

    concept: int
    label: str | None
