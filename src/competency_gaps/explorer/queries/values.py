"""How values go into an answer: rounded, bounded, and foreign text kept harmless."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from competency_gaps.text import visible

DIGITS = 6
"""Significant digits of a number in an answer [ours]: more than anybody says, fewer than fill a model's window."""
MAX_ANSWER = 24_000
"""Most characters of an answer as JSON [ours]: about 8,000 tokens."""
LABEL = 140
"""Most characters of a label or a name [ours]."""
SENTENCE = 600
"""Most characters of a sentence that this program wrote around foreign names [ours]."""


def number(value: float | int | bool | None) -> Any:
    """A number for an answer.

    Parameters
    ----------
    value
        Null and NaN: undefined.

    Returns
    -------
    int, float, str or None
        Floats have 6 significant digits; ``"infinite"`` or ``"-infinite"``, as JSON has no such number; null for what
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
    """A text that somebody else wrote, with its controls made visible and cut after ``limit`` characters."""
    if value is None:
        return None
    # Sliced first: making 1 MB visible for 200 characters is work for nothing.
    shown = visible(value[:limit])
    left = len(value) - limit
    if left > 0 or len(shown) > limit:
        return f"{shown[:limit]}…" + (f" (+{left:,} characters)" if left > 0 else "")
    return shown


def fields(row: Mapping[str, Any], keys: Iterable[str], *, limit: int = LABEL) -> dict[str, Any]:
    """Some fields of a row as an answer shows them; keys that the row lacks are left out."""
    return {key: plain(row[key], limit=limit) for key in keys if key in row}


def plain(value: Any, *, limit: int = LABEL) -> Any:
    """A value of any shape in plain JSON: numbers rounded, texts visible and cut, lists and objects gone through."""
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
    told: dict[str, str] = {}
    while (size := len(json.dumps(answer, ensure_ascii=False))) > limit:
        lists = {key: value for key, value in answer.items() if isinstance(value, list) and len(value) > 1}
        if not lists:
            return {"error": f"the answer has {size:,} characters: expected at most {limit:,}. Ask for less."}
        longest = max(lists, key=lambda key: len(json.dumps(lists[key], ensure_ascii=False)))
        answer[longest] = lists[longest][: len(lists[longest]) // 2]
        told[longest] = f"{longest}: only the first {len(answer[longest]):,}, to keep the answer short"
        answer["cut"] = "; ".join(told.values())
    return answer
