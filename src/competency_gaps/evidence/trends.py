"""Association of scores with covariates [ours]: length, group, position of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from competency_gaps.evidence.sample import Covariate, Units

PARTS = 5
"""Parts into which a number is cut."""


@dataclass(frozen=True)
class Trend:
    """Association of a benchmark's outcomes with one covariate."""

    covariate: str
    values: tuple[str | float, ...]
    """Per part: the name of the category, or the mean of the number."""
    means: tuple[float, ...]
    """Mean outcome of each part, in the order of ``values`` (numbers ascending)."""
    clusters: tuple[int, ...]
    """Clusters of each part."""
    share: float
    """Omega squared: share of the outcomes' variance between the parts, corrected for chance; in [0, 1]."""
    p_value: float
    """Of the F test over the parts, in [0, 1]."""


def trends(units: Units, benchmark: int, covariates: Sequence[Covariate]) -> list[Trend]:
    """Compare outcomes, less their block's mean, over the parts of each covariate, the largest share first.

    Parameters
    ----------
    units
        Clusters cut at the benchmarks' borders.
    benchmark
        Number of the benchmark.
    covariates
        Of the sample's items.
    """
    chosen = units.benchmark == benchmark
    count = np.bincount(units.block)
    outcome = units.outcome - (np.bincount(units.block, units.outcome) / np.maximum(count, 1))[units.block]
    kept = np.flatnonzero(units.unit >= 0)
    _, first = np.unique(units.unit[kept], return_index=True)
    size = np.bincount(units.unit[kept], minlength=len(units.outcome))
    compared = []
    for covariate in covariates:
        own = covariate.of_units(kept, units.unit[kept], first, size)
        trend = _trend(Covariate(covariate.name, own.values[chosen], own.categories), outcome[chosen])
        if trend is not None:
            compared.append(trend)
    return sorted(compared, key=lambda trend: -trend.share)


def _trend(covariate: Covariate, outcome: np.ndarray) -> Trend | None:
    """Compare the parts of one covariate; None with fewer than two parts or too few clusters."""
    known = ~np.isnan(covariate.values)
    values, outcome = covariate.values[known], outcome[known]
    if covariate.categories is None:
        edges = np.unique(np.quantile(values, np.arange(1, PARTS) / PARTS)) if len(values) else np.zeros(0)
        part = np.searchsorted(edges, values, side="left")
    else:
        part = values.astype(np.int64)
    numbers, part = np.unique(part, return_inverse=True)
    count = np.bincount(part)
    if len(numbers) < 2 or len(outcome) <= len(numbers) + 1:
        return None
    means = np.bincount(part, outcome) / count
    whole = float(((outcome - outcome.mean()) ** 2).sum())
    within = float(((outcome - means[part]) ** 2).sum())
    freedom = (len(numbers) - 1, len(outcome) - len(numbers))
    if whole <= 1e-12:
        return None
    unexplained = within / freedom[1]
    ratio = (whole - within) / freedom[0] / max(unexplained, 1e-12)
    share = max(0.0, (whole - within - freedom[0] * unexplained) / (whole + unexplained))
    names = (
        tuple(covariate.categories[int(n)] for n in numbers)
        if covariate.categories is not None
        else tuple((np.bincount(part, values) / count).tolist())
    )
    return Trend(
        covariate.name,
        names,
        tuple(means.tolist()),
        tuple(count.tolist()),
        float(share),
        float(fdtrc(*freedom, ratio)),
    )
