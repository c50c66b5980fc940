"""Values for an answer: numbers rounded, lengths bounded, foreign text made harmless."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from competency_gaps.text import visible

DIGITS = 6
"""Significant digits of a number in an answer [ours]: enough for an answer, and short."""
MAX_ANSWER = 24_000
"""Most characters of an answer as JSON [ours]: about 8,000 tokens."""
LABEL = 140
"""Most characters of a label or a name [ours]."""
SENTENCE = 600
"""Most characters of a sentence of this program, which may hold foreign names [ours]."""


def number(value: float | int | bool | None) -> Any:
    """A number for an answer.

    Parameters
    ----------
    value
        None and NaN: undefined.

    Returns
    -------
    int, float, str or None
        Floats have 6 significant digits; ``"infinite"`` or ``"-infinite"``, as JSON has no such number; None for what
        is undefined.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
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


def fields(row: Mapping[str, Any], keys: Iterable[str], *, limit: int = LABEL) -> dict[str, Any]:
    """Fields of a row, ready for an answer; keys that the row lacks are left out."""
    return {key: plain(row[key], limit=limit) for key in keys if key in row}


def plain(value: Any, *, limit: int = LABEL) -> Any:
    """A value of any shape as plain JSON: numbers rounded, texts visible and cut, inside lists and objects too."""
    if isinstance(value, str):
        return foreign(value, limit)
    if isinstance(value, Mapping):
        return {str(foreign(str(key), LABEL)): plain(item, limit=limit) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item, limit=limit) for item in value]
    return number(value)


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
