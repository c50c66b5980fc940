"""Numbers with as many digits as are wanted: those that a page writes, and none that it would make up.

Measures (scores, shares, coverage) have significant digits below 1 and decimals above, as they are written: 0.0123,
4.56, 789. Sizes have those that a page writes, whatever their magnitude: counts are whole, an effective sample has
tenths. What is somebody else's is left as it is.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl

SINGLE = 7
"""Significant digits that a float32 has."""
SIZES = frozenset({"n_eff", "min_n_eff", "mean_span_tokens"})
"""Names of sizes that need not be whole."""
FOREIGN = frozenset({"details"})
"""Names of what a policy or another tool wrote."""
_NEARLY = 0.99
"""From here on a share is near to all, and what it lacks counts: 0.9996 must not become 1."""


def single(values: pl.Series, digits: int | None) -> pl.Series:
    """As float32, rounded: a size, by its name, to tenths, anything else to significant digits.

    Parameters
    ----------
    digits : int, optional
        Significant digits below 1, at least 2; a measure of 1 or more has one decimal less, and none from
        ``10 ** (digits - 1)`` on. None keeps all bits.

    Returns
    -------
    Series of float32
        Null stays null, infinity infinite.
    """
    if digits is None or digits >= SINGLE:
        return values.cast(pl.Float32)
    exact = values.cast(pl.Float64)
    frame = pl.DataFrame({"exact": exact, "part": exact.abs()})
    value, part = pl.col("exact"), pl.col("part")
    shown = (
        value.round(1)
        if values.name in SIZES
        else pl.when(part < _NEARLY)
        .then(value.round_sig_figs(digits))
        .when(part < 1)
        .then(value.round(digits + 2))
        .when(part < 10 ** (digits - 1))
        .then(value.round(digits - 1))
        .otherwise(value.round(0))
    )
    # Rounding scales by powers of ten, which infinity does not survive.
    kept = pl.when(value.is_finite()).then(shown).otherwise(value)
    return frame.select(kept.cast(pl.Float32).alias(values.name)).to_series()


def rounded(value: Any, digits: int | None) -> Any:
    """The same in plain lists and dictionaries.

    Parameters
    ----------
    digits : int, optional
        None: as many significant ones as a float32 has, which is what the tables hold; sizes too.

    Returns
    -------
    Any
        Tuples as lists; what stands under a name of ``FOREIGN`` as it is.
    """
    return _rounded(value, digits or SINGLE, size=False)


def _rounded(value: Any, digits: int, *, size: bool) -> Any:
    if isinstance(value, dict):
        return {
            key: item if key in FOREIGN else _rounded(item, digits, size=key in SIZES) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_rounded(item, digits, size=size) for item in value]
    if isinstance(value, float) and math.isfinite(value):
        return _short(value, digits, size=size)
    return value


def _short(value: float, digits: int, *, size: bool) -> float:
    part = abs(value)
    if digits >= SINGLE or (part < _NEARLY and not size):
        return float(f"{value:.{digits}g}")
    if size:
        return round(value, 1)
    if part < 1:
        return round(value, digits + 2)
    return round(value, digits - 1 if part < 10 ** (digits - 1) else 0)
