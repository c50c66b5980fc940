"""A finished run as arrays: what every test of robustness starts from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig, MetricsConfig
from competency_gaps.metrics.performance import chi_model, pooled_chi_model, suite_chi_model
from competency_gaps.metrics.sums import Sums
from competency_gaps.runs.open import Run


class Part(NamedTuple):
    """The kept items of one benchmark."""

    name: str
    cas: sp.csr_array
    """float32 of shape (items, concepts)."""
    scores: np.ndarray
    """float64 of shape (items,); NaN = unscored."""


@dataclass(frozen=True)
class RunData:
    """A run's rows and what is tested in it. C concepts."""

    parts: tuple[Part, ...]
    item_ids: tuple[tuple[str, str], ...]
    """Benchmark and id of every kept item, part after part."""
    alive: np.ndarray
    """bool of shape (C,)."""
    ranked: np.ndarray
    """bool of shape (C,): alive and without a flag."""
    tested: np.ndarray
    """bool of shape (C,): with a p-value in the run."""
    tau: np.ndarray
    """float64 of shape (C,), > 0: typical CAS, 1 where a concept is silent."""
    config: EvidenceConfig
    metrics: MetricsConfig

    @property
    def items(self) -> int:
        """Kept items."""
        return len(self.item_ids)

    @property
    def scored_items(self) -> int:
        """Kept items with a score."""
        return int(sum((~np.isnan(part.scores)).sum() for part in self.parts))

    def chi_model(self) -> np.ndarray:
        """chi_model of the suite, averaged as the run averages it: float64 of shape (C,); NaN = undefined."""
        sums = list(self.sums().values())
        if self.metrics.average == "pooled":
            return pooled_chi_model(sums)
        return suite_chi_model(np.stack([chi_model(s) for s in sums]))

    def sums(self) -> dict[str, Sums]:
        """Sums of each part."""
        return {part.name: Sums.of(part.cas, part.scores) for part in self.parts}

    def of_items(self, masks: list[np.ndarray]) -> RunData:
        """The same run with only some items of each part: bool of shape (items,) each."""
        parts = tuple(Part(p.name, p.cas[m], p.scores[m]) for p, m in zip(self.parts, masks, strict=True))
        kept = np.concatenate(masks)
        return replace(self, parts=parts, item_ids=tuple(one for one, k in zip(self.item_ids, kept, strict=True) if k))

    def saliency(self) -> sp.csr_array:
        """nCAS of the tested concepts: csr_array of float64 of shape (items, tested)."""
        stacked = sp.csr_array(sp.vstack([part.cas[:, self.tested] for part in self.parts], format="csr"))
        rows = sp.csr_array(stacked, dtype=np.float64)
        rows.data = np.tanh(rows.data / (2 * self.tau[self.tested][rows.indices]))
        return rows


def run_data(run: Run) -> RunData:
    """Read a run's rows; excluded items are left out."""
    parts, ids = [], []
    for name, items in _by_benchmark(run.items):
        kept = items["excluded"].is_null().to_numpy()
        scores = items["score"].fill_null(float("nan")).to_numpy()
        parts.append(Part(name, run.cas(name)[kept], scores[kept]))
        ids += [(name, item) for item, k in zip(items["item_id"].to_list(), kept, strict=True) if k]
    concepts = run.concepts
    settings = {key: run.manifest["evidence"][key] for key in EvidenceConfig.model_fields}
    return RunData(
        tuple(parts),
        tuple(ids),
        concepts["alive"].to_numpy(),
        concepts["ranked"].to_numpy(),
        concepts["q_value"].is_not_null().to_numpy(),
        concepts["tau"].fill_null(1.0).to_numpy(),
        EvidenceConfig(**settings),
        MetricsConfig(**run.manifest["settings"]["metrics"]),
    )


def _by_benchmark(items: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for (name,), part in items.group_by("benchmark", maintain_order=True):
        yield str(name), part
