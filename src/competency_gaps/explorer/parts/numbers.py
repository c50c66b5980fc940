"""Numbers with as many digits as are wanted."""

from __future__ import annotations

import math
from typing import Any

SINGLE = 7
"""Significant digits that a float32 has."""


def rounded(value: Any, digits: int | None) -> Any:
    """The same in plain lists and dictionaries, floats rounded to significant digits.

    Parameters
    ----------
    digits : int, optional
        None: as many as a float32 has, which is what the tables hold.
    """
    digits = digits or SINGLE
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item, digits) for item in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{digits}g}")
    return value
