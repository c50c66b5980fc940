"""Coverage, performance and structure of a suite's concepts, from the sums of its benchmarks.

The sums are computed in one pass over the rows and can be added in any order, so a benchmark of any size needs only a
few vectors of the SAE's width. They can also be computed from plain arrays::

    sums = Sums.of(cas, scores)            # csr_array (items, concepts), NaN = unscored
    chi_model(sums)                        # per concept, NaN = undefined
    chi_bench(sums, alive=sums.cas > 0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp


@dataclass
class Sums:
    """Sums over the kept items of one benchmark. Vectors are float64 of shape (concepts,); ``w = CAS(c, x)``."""

    items: int
    """Kept items."""
    cas: np.ndarray
    """``sum w`` over all kept items."""
    support: np.ndarray
    """Kept items in which the concept is active."""
    weight: np.ndarray
    """``sum w`` over scored items."""
    weight_score: np.ndarray
    """``sum w s`` over scored items."""

    @staticmethod
    def zeros(concepts: int) -> Sums:
        """Return the sums over no items."""
        return Sums(0, *(np.zeros(concepts) for _ in range(4)))

    @staticmethod
    def of(cas: sp.csr_array, scores: np.ndarray) -> Sums:
        """Return the sums over a block of items.

        Parameters
        ----------
        cas : csr_array of shape (items, concepts)
            CAS rows, >= 0. Rows of excluded items must not be passed.
        scores : ndarray of float of shape (items,)
            Scores in [0, 1]; NaN = unscored.
        """
        known = ~np.isnan(scores)
        s = np.where(known, scores, 0.0)
        factors = np.stack([np.ones(len(s)), known, s], axis=1)  # of all items, of the scored ones, and their scores
        of_all, weight, weight_score = (sp.csr_array(cas, dtype=np.float64).T @ factors).T
        support = np.bincount(cas.indices[cas.data > 0], minlength=cas.shape[1]).astype(np.float64)
        return Sums(len(s), of_all, support, weight, weight_score)

    def __add__(self, other: Sums) -> Sums:
        """Return the sums over both sets of items."""
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def typical_cas(cas_sum: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Return ``tau_c``, the mean of the non-zero CAS of each concept; NaN where it is never active."""
    return np.divide(cas_sum, support, out=np.full(len(cas_sum), np.nan), where=support > 0)


def saliency(cas: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Return ``nCAS(c, x) = 2 * sigmoid(CAS(c, x) / tau_c) - 1`` [the article's form], in [0, 1).

    0 when absent, about 0.46 at a typical activation, towards 1 when strong. ``2 sigmoid(x) - 1 = tanh(x / 2)``.
    """
    return np.tanh(np.asarray(cas, dtype=np.float64) / (2 * np.asarray(tau, dtype=np.float64)))


def chi_bench(sums: Sums, alive: np.ndarray) -> np.ndarray:
    """Return the coverage of each concept by one benchmark.

    ``chi_bench(c, b) = mean over x of CAS(c, x) / M_b`` [paper, as its reviewers read it], with ``M_b`` the mean CAS
    over all alive concepts and items, so that chi_bench averages exactly 1 over alive concepts.

    Parameters
    ----------
    alive : ndarray of bool of shape (concepts,)
        Concepts active somewhere in the reference or the run.

    Returns
    -------
    ndarray of float64 of shape (concepts,), >= 0; 0 = missing. All 0 if the benchmark has no items or no activation.
    """
    total = sums.cas.sum()
    return sums.cas / (total / float(alive.sum())) if total > 0 else np.zeros_like(sums.cas)


def share(sums: Sums) -> np.ndarray:
    """Return each concept's share of a benchmark's activation [ours]: float64 of shape (concepts,).

    The shares sum to 1; all are 0 without any activation.
    """
    total = sums.cas.sum()
    return sums.cas / total if total > 0 else np.zeros_like(sums.cas)


def lift(share: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return ``lift(c, b) = log2(share(c, b) / share(c, ref))`` [ours].

    Returns
    -------
    ndarray of float64 of shape (concepts,)
        0 = as in the reference. ``inf`` where the reference lacks the concept; NaN where the benchmark lacks it
        (*missing*, not a small lift).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log2(share) - np.log2(reference)
    return np.where(share > 0, value, np.nan)


def coverage_status(
    sums: Sums, alive: np.ndarray, lifts: np.ndarray | None, *, under_lift: float = -2.0, over_lift: float = 2.0
) -> np.ndarray:
    """Return the verdict on each concept's coverage by one benchmark [ours, except ``missing``, which is the paper's].

    Parameters
    ----------
    lifts : ndarray of shape (concepts,), optional
        From :func:`lift`. None: there is no reference, and covered concepts get no verdict.
    under_lift, over_lift
        A covered concept is ``under``-represented at or below the first lift (log2), ``over`` at or above the second.

    Returns
    -------
    ndarray of object (str or None) of shape (concepts,)
        ``missing`` (CAS is 0 for every item), ``under``, ``typical``, ``over``; None for concepts not alive, for
        covered ones without a reference, and for all if the benchmark has no kept item.
    """
    covered = sums.cas > 0
    status = np.full(len(covered), None, dtype=object)
    if sums.items == 0:
        return status
    status[alive & ~covered] = "missing"
    if lifts is not None:
        status[covered] = "typical"
        with np.errstate(invalid="ignore"):
            status[covered & (lifts <= under_lift)] = "under"
            status[covered & (lifts >= over_lift)] = "over"
    return status


def chance_seen(window_density: np.ndarray, tokens: float, window: int) -> np.ndarray:
    """Return the chance that a concept is active in a text of ``tokens`` tokens, by its rate in the reference [ours].

    ``1 - (1 - window_density)^(tokens / window)``: windows, not tokens, are taken as independent, because a concept's
    activations cluster. A concept with a small chance is expected to be missing.

    Parameters
    ----------
    window_density : ndarray of shape (concepts,)
        Share of the reference's windows of ``window`` tokens in which each concept is active.
    tokens
        Length of the text.

    Returns
    -------
    ndarray of float64 of shape (concepts,), in [0, 1].
    """
    if tokens <= 0:
        return np.zeros(len(window_density))
    with np.errstate(divide="ignore"):
        return -np.expm1(np.log1p(-np.clip(window_density, 0.0, 1.0)) * (tokens / window))


def chi_model(sums: Sums) -> np.ndarray:
    """Return the performance of each concept in one benchmark.

    ``chi_model(c, b) = sum_x CAS(c, x) s(x) / sum_x CAS(c, x)`` over scored items [paper].

    Returns
    -------
    ndarray of float64 of shape (concepts,), in [0, 1]; NaN = undefined, where the sum of CAS is 0.
    """
    undefined = np.full(len(sums.weight), np.nan)
    mean = np.divide(sums.weight_score, sums.weight, out=undefined, where=sums.weight > 0)
    # Rounding of the two sums can put a perfect concept just above 1.
    return np.clip(mean, 0.0, 1.0)


def suite_chi_model(per_benchmark: np.ndarray) -> np.ndarray:
    """Return ``chi_model(c) = mean over the benchmarks where it is defined`` [paper].

    Parameters
    ----------
    per_benchmark : ndarray of shape (benchmarks, concepts)
        NaN where undefined.

    Returns
    -------
    ndarray of float64 of shape (concepts,); NaN where it is undefined in every benchmark.
    """
    count, total = (~np.isnan(per_benchmark)).sum(axis=0), np.nansum(per_benchmark, axis=0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


class BenchmarkOverlap(NamedTuple):
    """How similar two benchmarks are in the concepts they cover and in performance."""

    jaccard: float
    """|A and B| / |A or B| of their covered concepts, in [0, 1] [paper]; NaN if both cover nothing."""
    cosine: float
    """Cosine of their chi_bench vectors, in [0, 1] [ours]; NaN if one covers nothing."""
    spearman: float
    """Rank correlation of their chi_model over shared concepts, in [-1, 1] [paper's explorer]; NaN below 3 concepts."""
    n_concepts: int
    """Concepts whose chi_model is defined in both."""


def overlap(
    chi_bench_a: np.ndarray, chi_bench_b: np.ndarray, chi_model_a: np.ndarray, chi_model_b: np.ndarray
) -> BenchmarkOverlap:
    """Return how similar two benchmarks are, from their vectors of shape (concepts,)."""
    covered_a, covered_b = chi_bench_a > 0, chi_bench_b > 0
    union = int((covered_a | covered_b).sum())
    norms = float(np.linalg.norm(chi_bench_a) * np.linalg.norm(chi_bench_b))
    both = ~np.isnan(chi_model_a) & ~np.isnan(chi_model_b)
    return BenchmarkOverlap(
        jaccard=float((covered_a & covered_b).sum() / union) if union else float("nan"),
        cosine=float(chi_bench_a @ chi_bench_b / norms) if norms else float("nan"),
        spearman=_spearman(chi_model_a[both], chi_model_b[both]),
        n_concepts=int(both.sum()),
    )


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's correlation; NaN for fewer than three values or constant ones."""
    from scipy.stats import spearmanr

    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


class ConceptMetrics(NamedTuple):
    """Metrics of every concept in a benchmark, or over the suite. Arrays of shape (concepts,)."""

    chi_bench: np.ndarray
    """float64, >= 0; NaN = the benchmark has no kept item, so its coverage is unknown."""
    chi_model: np.ndarray
    """float64, in [0, 1]; NaN = undefined."""
    support: np.ndarray
    """int64: items in which the concept is active."""
    share: np.ndarray
    """float64: share of the benchmark's activation (for a suite, mean over benchmarks); NaN as in ``chi_bench``."""
    lift: np.ndarray
    """float64; NaN = missing or no reference."""
    status: np.ndarray
    """object: verdict on coverage: missing, under, typical, over; None = no verdict."""


class SuiteMetrics(NamedTuple):
    """Metrics of every concept, per benchmark and over the suite. C concepts."""

    alive: np.ndarray
    """bool of shape (C,): active in the run or the reference."""
    missing: np.ndarray
    """bool of shape (C,): alive, but CAS is 0 in every item of every benchmark."""
    n_benchmarks: np.ndarray
    """int64 of shape (C,): benchmarks in which chi_model is defined."""
    suite: ConceptMetrics
    single: dict[str, ConceptMetrics]
    """Metrics by name of the benchmark."""


def combine(
    sums: Mapping[str, Sums],
    reference_share: np.ndarray | None,
    *,
    reference_active: np.ndarray | None = None,
    under_lift: float = -2.0,
    over_lift: float = 2.0,
) -> SuiteMetrics:
    """Return the metrics of a suite from the sums of its benchmarks.

    Parameters
    ----------
    reference_share : ndarray of shape (C,), optional
        Each concept's share of the activation in a reference corpus of the span's kind; None: there is none.
    reference_active : ndarray of bool of shape (C,), optional
        Concepts active anywhere in the reference, its template tokens included; None: those with a share.
    under_lift, over_lift
        As in :func:`coverage_status`.
    """
    every = list(sums.values())
    seen = np.any([s.cas > 0 for s in every], axis=0)
    if reference_active is None:
        reference_active = np.zeros_like(seen) if reference_share is None else reference_share > 0
    alive = seen | reference_active
    nothing, active = np.full(len(alive), np.nan), [name for name, s in sums.items() if s.items]

    def measured(s: Sums, bench: np.ndarray, model: np.ndarray, shares: np.ndarray) -> ConceptMetrics:
        """Return the metrics of a benchmark or of the suite."""
        lifts = None if reference_share is None else lift(shares, reference_share)
        status = coverage_status(s, alive, lifts, under_lift=under_lift, over_lift=over_lift)
        support = s.support.astype(np.int64)
        return ConceptMetrics(bench, model, support, shares, nothing if lifts is None else lifts, status)

    single = {name: measured(s, chi_bench(s, alive), chi_model(s), share(s)) for name, s in sums.items()}
    # A benchmark whose items are all excluded is left out of the means over benchmarks.
    kept = [single[name] for name in active or single]
    model = np.stack([m.chi_model for m in single.values()])
    bench, shares = (np.mean([getattr(m, name) for m in kept], axis=0) for name in ("chi_bench", "share"))
    suite = measured(sum(every, Sums.zeros(len(alive))), bench, suite_chi_model(model), shares)
    unread = {name: single[name]._replace(chi_bench=nothing, share=nothing) for name in single.keys() - {*active}}
    return SuiteMetrics(alive, alive & ~seen, (~np.isnan(model)).sum(axis=0), suite, {**single, **unread})
