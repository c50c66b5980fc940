"""AutoDetect's judged questions, as a run holds them: one domain of one model is a benchmark, a point is a group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sp

import competency_gaps as cg
from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import ItemSample, sample_of
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.settings import evidence_config

WEAK = 5
"""Mean grade, of 1 to 10, below which a point is weak."""
SMALLEST = 8
"""Fewest (effective) items of what is tested, and of a tree's node or with a word: a point has about 15."""


@dataclass(frozen=True)
class Domain:
    """One domain of one model. N items."""

    name: str
    items: pl.DataFrame
    cas: sp.csr_array
    """float of shape (N, concepts)."""
    ranked: np.ndarray
    """bool of shape (concepts,)."""

    @cached_property
    def scores(self) -> np.ndarray:
        return self.items["score"].to_numpy().astype(float)

    @cached_property
    def point(self) -> np.ndarray:
        return self.items["group"].rank("dense").to_numpy().astype(int) - 1

    @cached_property
    def means(self) -> np.ndarray:
        """Mean score of each point."""
        return self.per_point(self.scores)

    @cached_property
    def weak(self) -> np.ndarray:
        """Whether a point's mean grade is below 5: bool of shape (points,)."""
        return self.is_weak(self.means)

    @cached_property
    def task(self) -> np.ndarray:
        return self.items["group"].str.split(":").list.first().rank("dense").to_numpy().astype(int)

    @cached_property
    def texts(self) -> list[str]:
        return self.items["prompt"].to_list()

    @cached_property
    def length(self) -> np.ndarray:
        return self.items["n_span_tokens"].to_numpy().astype(float)

    @cached_property
    def phase(self) -> np.ndarray:
        """1 for questions that AutoDetect searched for, 0 for those it began with."""
        return self.items["covariates"].str.contains("search").to_numpy().astype(float)

    @cached_property
    def second_half(self) -> np.ndarray:
        """bool of shape (N,): every second question of a point, for a division of each point into halves."""
        place = np.zeros(len(self.point), int)
        for point in np.unique(self.point):
            rows = np.flatnonzero(self.point == point)
            place[rows] = np.arange(len(rows))
        return place % 2 == 1

    @staticmethod
    def is_weak(means: np.ndarray) -> np.ndarray:
        """Whether mean scores are below the grade of 5; rounded, since 5 itself is not exact as a score."""
        return np.round(1 + 9 * means, 9) < WEAK

    def per_point(self, values: np.ndarray) -> np.ndarray:
        """Mean of values over the items of each point; values that are NaN do not count."""
        known = ~np.isnan(values)
        return np.bincount(self.point[known], values[known]) / np.bincount(self.point[known])

    def sample(
        self, values: sp.csr_array, scores: np.ndarray | None = None, strata: tuple[str, ...] = ()
    ) -> ItemSample:
        """The items for the evidence, in strata of length and phase (and others)."""
        return sample_of(
            values,
            self.scores if scores is None else scores,
            np.zeros(len(self.scores), np.int64),
            cluster=self.items["cluster"].cast(pl.Int64).to_numpy(),
            covariates=item_covariates(self.items, ("length", "phase", *strata)),
            repeats=repeats(self.items),
        )


def domain_of(run: cg.Run, name: str) -> Domain:
    """The scored items of one benchmark."""
    items = run.items.filter(benchmark=name)
    kept = (items["excluded"].is_null() & items["score"].is_not_null()).to_numpy()
    return Domain(name, items.filter(kept), sp.csr_array(run.cas(name))[kept], run.concepts["ranked"].to_numpy())


def judged(run: cg.Run) -> EvidenceConfig:
    """The run's settings, with a floor that a single point's questions can reach."""
    return evidence_config(run).model_copy(update={"min_n_eff": float(SMALLEST)})


def net(values: np.ndarray, covariates: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What a line through the seen items does not explain."""
    design = np.column_stack([np.ones(len(values)), covariates])
    return values - design @ np.linalg.lstsq(design[seen], values[seen], rcond=None)[0]


def shuffled(domain: Domain, rng: np.random.Generator) -> np.ndarray:
    """Scores dealt out anew within each task and phase."""
    scores = domain.scores.copy()
    for part in np.unique(2 * domain.task + domain.phase):
        rows = np.flatnonzero(2 * domain.task + domain.phase == part)
        scores[rows] = scores[rng.permutation(rows)]
    return scores
