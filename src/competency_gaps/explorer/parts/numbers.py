"""Numbers with as many digits as are wanted.

Measures (scores, shares, coverage) have significant digits. Sizes have those that a page writes, whatever their
magnitude: counts are whole, an effective sample has tenths. What is somebody else's is left as it is.
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


def single(values: pl.Series, digits: int | None) -> pl.Series:
    """As float32, rounded: a size, by its name, to tenths, anything else to significant digits.

    Parameters
    ----------
    digits : int, optional
        None keeps all bits.

    Returns
    -------
    Series of float32
        Null stays null, infinity infinite.
    """
    if digits is None or digits >= SINGLE:
        return values.cast(pl.Float32)
    exact = values.cast(pl.Float64)
    shown = exact.round(1) if values.name in SIZES else exact.round_sig_figs(digits)
    # Rounding scales by powers of ten, which infinity does not survive.
    return pl.select(pl.when(exact.is_finite()).then(shown).otherwise(exact).cast(pl.Float32).alias(values.name))[
        values.name
    ]


def rounded(value: Any, digits: int | None) -> Any:
    """The same in plain lists and dictionaries: sizes to tenths, other floats to significant digits.

    Parameters
    ----------
    digits : int, optional
        None: as many as a float32 has, which is what the tables hold; sizes too.

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
        return round(value, 1) if size and digits < SINGLE else float(f"{value:.{digits}g}")
    return value
