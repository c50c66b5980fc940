"""A finished run as arrays, for the tests of robustness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig, MetricsConfig
from competency_gaps.evidence import Covariate, ItemSample, Units, sample_of, shares, units_of
from competency_gaps.metrics.suite import chi_model, pooled_chi_model, saliency, suite_chi_model
from competency_gaps.metrics.sums import Sums
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.settings import evidence_config


class Part(NamedTuple):
    """The kept items of one benchmark."""

    name: str
    cas: sp.csr_array
    """float32 of shape (items, concepts)."""
    scores: np.ndarray
    """float64 of shape (items,): outcomes as shares of their limits, in [0, 1]; NaN = unscored."""
    cluster: np.ndarray
    """int64 of shape (items,): number of each item's cluster, over the whole suite."""
    repeats: np.ndarray
    """bool of shape (items,): whether the item's cluster repeats one text."""
    covariates: tuple[Covariate, ...]
    """Covariates that define the strata."""

    def of_items(self, kept: np.ndarray) -> Part:
        """Keep some items: bool of shape (items,)."""
        covariates = tuple(
            Covariate(covariate.name, covariate.values[kept], covariate.categories) for covariate in self.covariates
        )
        return Part(self.name, self.cas[kept], self.scores[kept], self.cluster[kept], self.repeats[kept], covariates)


@dataclass(frozen=True)
class RunData:
    """A run's CAS rows and its concepts. C concepts."""

    parts: tuple[Part, ...]
    item_ids: tuple[tuple[str, str], ...]
    """Benchmark and id of every kept item, in the order of the parts."""
    alive: np.ndarray
    """bool of shape (C,)."""
    ranked: np.ndarray
    """bool of shape (C,): ranked."""
    tested: np.ndarray
    """bool of shape (C,): with a p-value in the run."""
    tau: np.ndarray
    """float64 of shape (C,), > 0: typical CAS; 1 where a concept is never active."""
    config: EvidenceConfig
    metrics: MetricsConfig
    limits: tuple[float, float]
    """The outcomes that scores of 0 and 1 stand for."""
    expected: np.ndarray | None = None
    """float64 of shape (items,): the model's score that its peers let expect; None: outcomes are not against peers."""

    @property
    def items(self) -> int:
        """Kept items."""
        return len(self.item_ids)

    @cached_property
    def scores(self) -> np.ndarray:
        """float64 of shape (items,); NaN = unscored."""
        return np.concatenate([part.scores for part in self.parts])

    @property
    def failed(self) -> np.ndarray:
        """bool of shape (items,): whether the model's score is below 1/2; of a difference of two models, below 0."""
        if self.expected is None:
            return self.scores < 0.5
        low, high = self.limits
        return low + (high - low) * self.scores + self.expected < 0.5 - 1e-9  # less what rounding may take off a 1/2

    @cached_property
    def benchmark(self) -> np.ndarray:
        """int64 of shape (items,): number of each item's part."""
        return np.repeat(np.arange(len(self.parts)), [len(part.scores) for part in self.parts])

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Split an array over all items into one per part."""
        return np.split(values, np.cumsum([len(part.scores) for part in self.parts])[:-1])

    def chi_model(self) -> np.ndarray:
        """chi_model of the suite, averaged as the run averages it: float64 of shape (C,); NaN = undefined."""
        sums = list(self.sums().values())
        if self.metrics.average == "pooled":
            return pooled_chi_model(sums)
        return suite_chi_model(np.stack([chi_model(s) for s in sums]))

    @cached_property
    def units(self) -> Units:
        """The units of :meth:`sample`."""
        return units_of(self._sample(sp.csr_array((self.items, 0))))

    def sample(self) -> ItemSample:
        """The items for :mod:`competency_gaps.evidence`, benchmarks numbered in the order of the parts."""
        return self._sample(sp.csr_array(sp.vstack([part.cas for part in self.parts], format="csr")))

    def _sample(self, cas: sp.csr_array) -> ItemSample:
        covariates = []
        for i, covariate in enumerate(self.parts[0].covariates):
            values = np.concatenate([part.covariates[i].values for part in self.parts])
            covariates.append(Covariate(covariate.name, values, covariate.categories))
        sample = sample_of(
            cas,
            self.scores,
            self.benchmark,
            cluster=np.concatenate([part.cluster for part in self.parts]),
            covariates=covariates,
            repeats=np.concatenate([part.repeats for part in self.parts]),
        )
        return replace(sample, limits=self.limits)

    def sums(self) -> dict[str, Sums]:
        """Sums of each part."""
        return {part.name: Sums.of(part.cas, part.scores) for part in self.parts}

    def of_items(self, masks: list[np.ndarray]) -> RunData:
        """Keep some items of each part: bool of shape (items,) each."""
        parts = tuple(part.of_items(mask) for part, mask in zip(self.parts, masks, strict=True))
        kept = np.concatenate(masks)
        return replace(
            self,
            parts=parts,
            item_ids=tuple(item_id for item_id, k in zip(self.item_ids, kept, strict=True) if k),
            expected=None if self.expected is None else self.expected[kept],
        )

    @cached_property
    def _clusters(self) -> tuple[np.ndarray, np.ndarray]:
        """The part in which each cluster counts, and the cluster of each item, as numbers from 0."""
        cluster = np.concatenate([part.cluster for part in self.parts])
        _, first, own = np.unique(cluster, return_index=True, return_inverse=True)
        return self.benchmark[first], own

    def draw(self, share: float, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw a share of each benchmark's clusters: bool of shape (items,) for each part.

        Clusters are drawn whole; one that reaches across benchmarks counts in the first.
        """
        home, own = self._clusters
        order = np.lexsort((rng.random(len(home)), home))
        size = np.bincount(home, minlength=len(self.parts))
        rank = np.empty(len(home), np.int64)
        rank[order] = np.arange(len(home)) - np.repeat(np.cumsum(size) - size, size)
        return self.split((rank < np.round(share * size)[home])[own])

    def saliency(self) -> sp.csr_array:
        """nCAS of the tested concepts: csr_array of float64 of shape (items, tested)."""
        stacked = sp.csr_array(sp.vstack([part.cas[:, self.tested] for part in self.parts], format="csr"))
        rows = sp.csr_array(stacked, dtype=np.float64)
        rows.data = saliency(rows.data, self.tau[self.tested][rows.indices])
        return rows


def run_data(run: RunFolder) -> RunData:
    """Read a run's rows; excluded items are left out."""
    config = evidence_config(run)
    covariates = item_covariates(run.items, config.strata)
    repeated = repeats(run.items)  # over all items, because a cluster may reach across benchmarks
    scores = shares(run.outcomes, run.limits)
    parts, ids = [], []
    for name in run.items["benchmark"].unique(maintain_order=True).to_list():
        own = (run.items["benchmark"] == name).to_numpy()
        items = run.items.filter(own)
        whole = Part(
            name,
            run.cas(name),
            scores[own],
            items["cluster"].cast(pl.Int64).to_numpy(),
            repeated[own],
            tuple(Covariate(covariate.name, covariate.values[own], covariate.categories) for covariate in covariates),
        )
        kept = items["excluded"].is_null()
        parts.append(whole.of_items(kept.to_numpy()))
        ids += [(name, item) for item in items.filter(kept)["item_id"].to_list()]
    concepts, expected = run.concepts, None
    if run.kind == "peers":
        kept = run.items["excluded"].is_null()
        expected = run.items["score"].fill_null(float("nan")).to_numpy()[kept] - run.outcomes[kept]
    return RunData(
        tuple(parts),
        tuple(ids),
        concepts["alive"].to_numpy(),
        concepts["ranked"].to_numpy(),
        concepts["q_value"].is_not_null().to_numpy(),
        concepts["tau"].fill_null(1.0).to_numpy(),
        config,
        MetricsConfig(**run.manifest["settings"]["metrics"]),
        run.limits,
        expected,
    )
