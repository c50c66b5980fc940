"""All metrics of a suite from its benchmarks' sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.config import MetricsConfig
from competency_gaps.metrics.coverage import (
    chi_bench,
    coverage_status,
    lift,
    missing_everywhere,
    share,
    suite_chi_bench,
)
from competency_gaps.metrics.performance import chi_model, pooled_chi_model, suite_chi_model
from competency_gaps.metrics.sums import Sums, add_all, sums_by_benchmark


@dataclass(frozen=True)
class SuiteMetrics:
    """Metrics of every concept, per benchmark and over the suite. B benchmarks, C concepts."""

    benchmarks: tuple[str, ...]
    alive: np.ndarray
    """bool of shape (C,): active in the run or the reference."""
    missing: np.ndarray
    """bool of shape (C,): alive, but CAS is 0 in every item of every benchmark."""
    chi_bench: np.ndarray
    """float64 of shape (C,), >= 0."""
    chi_model: np.ndarray
    """float64 of shape (C,), in [0, 1]; NaN = undefined."""
    n_benchmarks: np.ndarray
    """int64 of shape (C,): benchmarks in which chi_model is defined."""
    support: np.ndarray
    """int64 of shape (C,): items in which the concept is active."""
    lift: np.ndarray
    """float64 of shape (C,): lift of the suite (mean share over benchmarks); NaN = missing or no reference."""
    status: np.ndarray
    """object of shape (C,): coverage by the suite: missing, under, typical, over, or None for concepts not alive."""
    read: np.ndarray
    """bool of shape (B,): the benchmark has a kept item; one without says nothing of coverage."""
    by_benchmark_chi_bench: np.ndarray
    """float64 of shape (B, C)."""
    by_benchmark_chi_model: np.ndarray
    """float64 of shape (B, C); NaN = undefined."""
    by_benchmark_support: np.ndarray
    """int64 of shape (B, C)."""
    by_benchmark_share: np.ndarray
    """float64 of shape (B, C): share of the benchmark's activation."""
    by_benchmark_lift: np.ndarray
    """float64 of shape (B, C); NaN = missing or no reference."""
    by_benchmark_status: np.ndarray
    """object of shape (B, C): missing, under, typical, over, or None for concepts not alive."""


def combine(
    sums: Mapping[str, Sums],
    reference_share: np.ndarray | None,
    config: MetricsConfig,
    *,
    reference_active: np.ndarray | None = None,
) -> SuiteMetrics:
    """Metrics of a suite from the sums of its benchmarks.

    Parameters
    ----------
    reference_share : ndarray of shape (C,), optional
        Each concept's share of the activation in a reference corpus; None without one of the span's kind.
    reference_active : ndarray of bool of shape (C,), optional
        Concepts active anywhere in the reference, its template tokens included; None: those with a share.
    """
    every = list(sums.values())
    seen = np.any([s.cas > 0 for s in every], axis=0)
    if reference_active is None:
        reference_active = np.zeros_like(seen) if reference_share is None else reference_share > 0
    alive = seen | reference_active
    bench = np.stack([chi_bench(s, alive, config.normaliser) for s in every])
    model = np.stack([chi_model(s) for s in every])
    shares = np.stack([share(s) for s in every])
    # A benchmark whose items are all excluded is left out of the means over benchmarks.
    read = np.array([s.items > 0 for s in every])
    if reference_share is None:
        lifts, statuses_lift = np.full_like(shares, np.nan), [None] * len(every)
        suite_lift = np.full(len(alive), np.nan)
    else:
        lifts = np.stack([lift(own, reference_share) for own in shares])
        statuses_lift = list(lifts)
        suite_lift = lift(shares[read].mean(axis=0), reference_share) if read.any() else np.full(len(alive), np.nan)
    limits = {"under": config.under_lift, "over": config.over_lift, "tail": config.tail}
    status = [coverage_status(s, alive, c, v, **limits) for s, c, v in zip(every, bench, statuses_lift, strict=True)]
    total = add_all(every)
    chi = suite_chi_bench(bench[read] if read.any() else bench)
    pooled = config.average == "pooled"
    return SuiteMetrics(
        benchmarks=tuple(sums),
        alive=alive,
        missing=alive & missing_everywhere([s for s in every if s.items] or every),
        chi_bench=chi,
        chi_model=pooled_chi_model(every) if pooled else suite_chi_model(model),
        n_benchmarks=(~np.isnan(model)).sum(axis=0),
        support=total.support.astype(np.int64),
        lift=suite_lift,
        status=coverage_status(total, alive, chi, suite_lift if reference_share is not None else None, **limits),
        read=read,
        by_benchmark_chi_bench=bench,
        by_benchmark_chi_model=model,
        by_benchmark_support=np.stack([s.support for s in every]).astype(np.int64),
        by_benchmark_share=shares,
        by_benchmark_lift=lifts,
        by_benchmark_status=np.stack(status),
    )


def suite_metrics(
    cas: sp.csr_array,
    scores: np.ndarray,
    benchmarks: np.ndarray,
    *,
    reference_share: np.ndarray | None = None,
    config: MetricsConfig | None = None,
) -> SuiteMetrics:
    """Metrics of a suite from plain arrays.

    Parameters
    ----------
    cas : csr_array of shape (items, concepts)
        Concept activation scores, >= 0, of the kept items.
    scores : ndarray of float of shape (items,)
        In [0, 1]; NaN = unscored.
    benchmarks : ndarray of shape (items,)
        Which benchmark each item belongs to; benchmarks are reported in order of first appearance.

    Raises
    ------
    ValueError
        If the lengths differ, there are no items, or a value is out of its range.
    """
    return combine(sums_by_benchmark(cas, scores, benchmarks), reference_share, config or MetricsConfig())
