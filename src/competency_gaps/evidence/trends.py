"""Association of outcomes with the form of items [ours], such as the position of the right option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from competency_gaps.evidence.sample import Covariate, Units


@dataclass(frozen=True)
class Trend:
    """Association of a benchmark's outcomes with one covariate."""

    covariate: str
    values: tuple[str, ...]
    """Names of the categories."""
    means: tuple[float, ...]
    """Mean outcome of each category, in the order of ``values``."""
    clusters: tuple[int, ...]
    """Number of clusters of each category."""
    share: float
    """Omega squared: share of the outcomes' variance between the categories, corrected for chance; in [0, 1]."""
    p_value: float
    """p-value of the F test over the categories, in [0, 1]."""


def trends(units: Units, benchmark: int, covariates: Sequence[Covariate]) -> list[Trend]:
    """Return the association of a benchmark's outcomes (less their blocks' means) with each covariate.

    The covariate with the largest share comes first; those that cannot be tested are left out.

    Parameters
    ----------
    units
        Clusters cut at the benchmarks' borders.
    benchmark
        Number of the benchmark.
    covariates
        Covariates of the sample's items.
    """
    chosen = units.benchmark == benchmark
    count = np.bincount(units.block)
    outcome = units.outcome - (np.bincount(units.block, units.outcome) / np.maximum(count, 1))[units.block]
    kept = np.flatnonzero(units.unit >= 0)
    _, first = np.unique(units.unit[kept], return_index=True)
    size = np.bincount(units.unit[kept], minlength=len(units.outcome))
    compared = []
    for covariate in covariates:
        of_units = covariate.of_units(kept, units.unit[kept], first, size)
        trend = _trend(Covariate(covariate.name, of_units.values[chosen], of_units.categories), outcome[chosen])
        if trend is not None:
            compared.append(trend)
    return sorted(compared, key=lambda trend: -trend.share)


def _trend(covariate: Covariate, outcome: np.ndarray) -> Trend | None:
    """Return the association with one covariate; None with fewer than two categories or too few clusters."""
    known = ~np.isnan(covariate.values)
    numbers, part = np.unique(covariate.values[known].astype(np.int64), return_inverse=True)
    outcome, count = outcome[known], np.bincount(part)
    if covariate.categories is None or len(numbers) < 2 or len(outcome) <= len(numbers) + 1:
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
    names = tuple(covariate.categories[int(n)] for n in numbers)
    p_value = float(fdtrc(*freedom, ratio))
    return Trend(covariate.name, names, tuple(means.tolist()), tuple(count.tolist()), float(share), p_value)
