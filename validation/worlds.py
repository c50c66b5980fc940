"""The real part of worlds of known truth: items and activations of a finished run, whose scores are drawn."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.stats import rankdata

import competency_gaps
from competency_gaps.evidence import Covariate, ItemSample, sample_of
from competency_gaps.findings.draws import run_data
from competency_gaps.runs.covariates import repeats

LEAST, MOST = 100.0, 0.05
"""Least n_eff of a planted concept, and the largest share of items in which it is active."""
ALIKE = 0.5
"""Two concepts whose saliencies correlate over the items at least this much are one group."""


@dataclass(frozen=True)
class World:
    """The real part: items and their concepts."""

    sample: ItemSample
    """With the run's clusters and lengths; its scores are not used."""
    cas: sp.csr_array
    """Shape (items, concepts)."""
    saliency: sp.csc_array
    """Of all concepts, shape (items, concepts)."""
    texts: list[str]
    eligible: np.ndarray
    """Concepts that are ranked."""
    plantable: np.ndarray
    """Of these, concepts that may be planted."""
    on: sp.csc_array
    """Where a concept is at or above the median of its activations: 1, of shape (items, concepts)."""
    norms: np.ndarray
    """Mean and standard deviation of each concept's saliency, shape (2, concepts)."""
    length: np.ndarray
    """Tokens of each item's span."""

    @property
    def benchmark(self) -> np.ndarray:
        """Number of each item's benchmark."""
        return self.sample.benchmark

    def alike(self, concept: int) -> np.ndarray:
        """Which concepts are in a concept's group: bool of shape (concepts,)."""
        column = self.saliency[:, [concept]].toarray()[:, 0]
        mean, spread = self.norms
        covariance = np.asarray(self.saliency.T @ column) / len(column) - mean * mean[concept]
        scale = spread * spread[concept]
        return np.divide(covariance, scale, out=np.zeros(len(mean)), where=scale > 0) >= ALIKE

    def any_on(self, concepts: np.ndarray) -> np.ndarray:
        """Items in which one of the concepts is on: bool of shape (items,)."""
        return np.asarray(self.on[:, concepts].sum(axis=1)).ravel() > 0


def world_of(path: Path) -> World:
    """Read a finished run."""
    run = competency_gaps.open_run(path)
    data = run_data(run)
    cas = data.cas
    rows = sp.csr_array(cas, dtype=np.float64)
    rows.data = np.tanh(rows.data / (2 * data.tau[rows.indices]))
    saliency = sp.csc_array(rows)
    mean = np.asarray(saliency.mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(0, np.asarray(saliency.power(2).mean(axis=0)).ravel() - mean**2))
    support = np.diff(sp.csc_array(cas).indptr)
    weight, squares = (np.asarray(m.sum(axis=0)).ravel() for m in (cas, cas.power(2)))
    n_eff = np.divide(weight**2, squares, out=np.zeros(len(weight)), where=squares > 0)
    kept = run.items.filter(run.items["excluded"].is_null())
    rows_kept = run.items["excluded"].is_null().to_numpy()
    length = kept["n_span_tokens"].to_numpy().astype(np.float64)
    sample = sample_of(
        cas,
        run.outcomes[rows_kept],
        data.benchmark,
        cluster=data.cluster,
        covariates=[Covariate("length", length)],
        repeats=repeats(run.items)[rows_kept],
    )
    return World(
        sample,
        cas,
        saliency,
        kept["prompt"].to_list(),
        data.ranked,
        data.ranked & (n_eff >= LEAST) & (support <= max(MOST * len(length), 2.5 * LEAST)),
        _binary(cas),
        np.stack([mean, spread]),
        length,
    )


def _binary(cas: sp.csr_array) -> sp.csc_array:
    columns = sp.csc_array(cas)
    on = np.zeros(columns.nnz, np.int8)
    for start, stop in itertools.pairwise(columns.indptr):
        if stop > start:
            on[start:stop] = columns.data[start:stop] >= np.median(columns.data[start:stop])
    made = sp.csc_array((on, columns.indices, columns.indptr), shape=columns.shape)
    made.eliminate_zeros()
    return made


def within(values: np.ndarray, benchmark: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function to each benchmark's values."""
    out = np.zeros(len(values))
    for number in np.unique(benchmark):
        out[benchmark == number] = of(values[benchmark == number])
    return out


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in (0, 1); equal values share theirs."""
    return np.asarray((rankdata(values) - 0.5) / len(values))
