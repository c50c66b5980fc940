"""Numbers with as many digits as are wanted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

SINGLE = 7
"""Significant digits that a float32 has."""


def single(values: pl.Series, digits: int | None) -> pl.Series:
    """As float32, with the leading bits of so many decimal digits and zeros behind them, which compress well.

    Parameters
    ----------
    digits : int, optional
        None keeps all bits.

    Returns
    -------
    Series of float32
        Off by less than half a unit of the last digit; null stays null, infinity infinite.
    """
    values = values.cast(pl.Float32)
    if digits is None or digits >= SINGLE:
        return values
    dropped = np.uint32(23 - math.ceil(digits * math.log2(10)))
    bits = values.fill_null(0.0).to_numpy().view(np.uint32)
    # A carry of the rounding moves the exponent up, as it should; infinity has no bits that could carry.
    cut = ((bits + (np.uint32(1) << (dropped - np.uint32(1)))) >> dropped) << dropped
    shown = pl.Series(values.name, cut.view(np.float32))
    return pl.select(pl.when(values.is_not_null()).then(shown).alias(values.name)).to_series()


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
