"""Numbers with as few digits as a page needs, cut so that it writes what it would write of the whole number.

A page rounds once more what it is given. So each number keeps at least one digit beyond those that a page writes, and
is not rounded but cut: towards zero, and away from it where the last digit would be 0 or 5 although something was cut
off. A half, or a limit such as 0.05, is then reached by those numbers only that are equal to it (``ROUND_05UP`` of
Python's :mod:`decimal`).

Measures (scores, shares, coverage) have significant digits below 0.1 and decimals above: 0.0123, 0.4567, 89.123.
Sizes that need not be whole, as an effective sample, have hundredths. What is somebody else's is left as it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

SINGLE = 9
"""Significant digits that tell each float32 from the next."""
SIZES = frozenset({"n_eff", "min_n_eff", "mean_span_tokens"})
"""Names of sizes that need not be whole."""
FOREIGN = frozenset({"details", "covariates"})
"""Names of what a policy or another tool wrote."""


def single(values: pl.Series, digits: int | None) -> pl.Series:
    """As float32, cut: a size, by its name, to hundredths, a measure to ``digits``.

    Parameters
    ----------
    digits : int, optional
        Significant digits of what is below 0.1, at least 2. What is below 1 has one decimal more than that,
        everything else as many. None keeps all bits.

    Returns
    -------
    Series of float32
        Null stays null, infinity infinite.
    """
    if digits is None or digits >= SINGLE:
        return values.cast(pl.Float32)
    exact = values.cast(pl.Float64).fill_null(math.nan).to_numpy()
    part = np.abs(exact)
    usual = (part > 0) & np.isfinite(part)
    if values.name in SIZES:
        places = np.full(part.shape, 2)
    else:
        # Single precision ends before 1e-45.
        small = digits - 1 - np.floor(np.log10(np.where(usual, part, 1.0))).clip(-45)
        places = np.select([part < 0.1, part < 1], [small, digits + 1], digits)
    scale = 10.0**places
    with np.errstate(invalid="ignore"):
        scaled = np.where(usual, part, 0.0) * scale
    whole = np.rint(scaled)
    cut = np.floor(scaled)
    same = (whole / scale).astype(np.float32) == part.astype(np.float32)
    cut = np.where(same, whole, cut + (cut % 5 == 0))
    found = np.where(usual, np.copysign(cut / scale, exact), exact)
    return pl.Series(values.name, found, dtype=pl.Float64).fill_nan(None).cast(pl.Float32)


def rounded(value: Any, digits: int | None) -> Any:
    """The same in plain lists and dictionaries.

    Parameters
    ----------
    digits : int, optional
        None: as many significant ones as tell two float32 apart, rounded; sizes too.

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
    if isinstance(value, float) and math.isfinite(value) and value:
        return float(f"{value:.{SINGLE}g}") if digits >= SINGLE else _cut(value, digits, size=size)
    return value


def _cut(value: float, digits: int, *, size: bool) -> float:
    part = abs(value)
    if size:
        places = 2
    elif part < 0.1:
        places = digits - 1 - max(-45, math.floor(math.log10(part)))
    else:
        places = digits + 1 if part < 1 else digits
    scaled = part * 10.0**places
    whole, cut = round(scaled), math.floor(scaled)
    if abs(scaled - whole) > 1e-9 * scaled:
        whole = cut + (cut % 5 == 0)
    return math.copysign(round(whole / 10.0**places, places), value)
