"""Statistics of themes in a run: a theme's activation is the sum over its concepts, tested like a concept [ours].

A theme's CAS of an item is the sum of the CAS of its *ranked* concepts. From it:

- ``chi_bench(theme, b) = mean over x of CAS(theme, x) / M_b`` with the ``M_b`` of the concepts, so it is exactly the
  sum of the ranked members' chi_bench under any normaliser. A theme of 40 averagely exercised concepts has 40;
  ``chi_bench_mean``, its value per ranked concept, is then 1 and comparable with a concept's chi_bench.
- chi_model, n_eff, gap, intervals and p-value as for a concept, from the same items, clusters and strata.
- q-values by Benjamini-Hochberg over the tested themes; subthemes are a separate family, and so is each benchmark, each
  with its own false-discovery rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.config import EvidenceConfig, MetricsConfig
from competency_gaps.evidence import Evidence, ItemSample, evidence_by_benchmark, shares, untested
from competency_gaps.metrics.suite import combine, suite_chi_bench
from competency_gaps.metrics.sums import Sums
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.results import evidence_columns

RESULTS = "theme_results.parquet"
BENCHMARKS = "theme_benchmarks.parquet"
LEVELS = ("theme", "subtheme")
_EVIDENCE = (
    *("n_eff", "design_effect", "gap", "gap_low", "gap_high", "plain_gap"),
    *("p_value", "q_value", "plain_q", "detectable", "performance_status", "vanishes"),
)
"""Columns of the evidence in both tables."""


class BenchmarkRows(NamedTuple):
    """Kept items of a benchmark."""

    cas: sp.csr_array
    """float32 of shape (items, SAE width)."""
    scores: np.ndarray
    """float64 of shape (items,): outcomes as shares of their limits, in [0, 1]; NaN = unscored."""
    items: np.ndarray
    """int64 of shape (items,): rows of the table of items."""


class ThemeTables(NamedTuple):
    """The statistics of themes and subthemes."""

    results: pl.DataFrame
    """One row per theme and subtheme: level (``theme``, ``subtheme``), id, parent (null for a theme), concepts
    (members), ranked (ranked members), chi_bench, chi_bench_mean (null: no ranked member), chi_model,
    chi_model_low, chi_model_high, support, n_eff, gap, gap_low, gap_high, plain_gap, p_value, q_value, plain_q,
    detectable, performance_status, vanishes, drawn, leader (as for concepts, of the same level), missing_concepts
    (ranked members missing in the suite), weak_concepts, strong_concepts, weak_groups (weak members that lead a
    group)."""
    benchmarks: pl.DataFrame
    """One row per theme or subtheme and benchmark: level, id, benchmark, chi_bench (null also where the benchmark has
    no kept item), chi_model, support, n_eff, gap, gap_low, gap_high, p_value, q_value, performance_status."""


def run_theme_tables(run: RunFolder, themes: pl.DataFrame) -> ThemeTables:
    """Compute the statistics of themes in a run, in memory for one shard and 4 bytes per item and theme or subtheme.

    Parameters
    ----------
    themes
        From :func:`~competency_gaps.dictionary.theme_tables.read_themes`, of the run's SAE.

    Raises
    ------
    UserError
        If a shard is missing or damaged.
    """
    return theme_tables(
        {entry["name"]: _rows(run, entry) for entry in run.manifest["benchmarks"]},
        themes,
        run.concepts,
        run.items,
        evidence_config(run),
        MetricsConfig(**run.manifest["settings"]["metrics"]),
        run.limits,
    )


def theme_tables(
    rows: Mapping[str, Iterable[BenchmarkRows]],
    themes: pl.DataFrame,
    concepts: pl.DataFrame,
    items: pl.DataFrame,
    evidence_config: EvidenceConfig,
    metrics_config: MetricsConfig,
    limits: tuple[float, float] = (0.0, 1.0),
) -> ThemeTables:
    """Compute the statistics of themes and subthemes in one pass over the rows.

    Parameters
    ----------
    rows
        Kept items of each benchmark, in parts; iterated once.
    themes
        From :func:`~competency_gaps.dictionary.theme_tables.read_themes`: one row per concept, in order.
    concepts
        The run's table of concepts.
    items
        The run's table of items.
    limits
        The outcomes that scores of 0 and 1 stand for.

    Raises
    ------
    ValueError
        If themes and concepts are of different widths.
    """
    if themes.height != concepts.height:
        raise ValueError(f"themes are of {themes.height} concepts, but the run has {concepts.height}")
    ranked = concepts["ranked"].to_numpy()
    levels = [_Level(level, _membership(themes[level], ranked)) for level in LEVELS]
    alive = int(concepts["alive"].sum())
    normalisers = {
        name: _gather(levels, name, blocks, alive, metrics_config.normaliser) for name, blocks in rows.items()
    }
    tables = [
        _tables(level, normalisers, themes, concepts, items, evidence_config, metrics_config, limits)
        for level in levels
    ]
    return ThemeTables(
        pl.concat([table.results for table in tables]), pl.concat([table.benchmarks for table in tables])
    )


@dataclass
class _Level:
    """Sums and samples of a level with ``groups`` themes, gathered in one pass."""

    name: str
    members: sp.csr_array
    """float64 of shape (SAE width, groups): 1 where a ranked concept is in a group."""
    sums: dict[str, Sums] = field(default_factory=dict)
    cas: list[np.ndarray] = field(default_factory=list)
    """float32 of shape (items, groups), in parts."""
    scores: list[np.ndarray] = field(default_factory=list)
    benchmark: list[np.ndarray] = field(default_factory=list)
    items: list[np.ndarray] = field(default_factory=list)

    @property
    def groups(self) -> int:
        return int(self.members.shape[1])

    def sample(self, items: pl.DataFrame, strata: Sequence[str], limits: tuple[float, float]) -> ItemSample:
        """Make the sample of the kept items."""
        cas = np.concatenate([*self.cas, np.zeros((0, self.groups), np.float32)])
        self.cas = [cas]
        number = np.concatenate([*self.benchmark, np.zeros(0, np.int64)])
        own = items[np.concatenate([*self.items, np.zeros(0, np.int64)])]
        return ItemSample(
            np.concatenate([*self.scores, np.zeros(0)]),
            number,
            lambda asked: sp.csr_array(cas[:, asked].T),
            np.count_nonzero(cas, axis=0),
            own["cluster"].cast(pl.Int64).to_numpy(),
            item_covariates(own, strata),
            repeats(own),
            limits,
        )


def _membership(groups: pl.Series, ranked: np.ndarray) -> sp.csr_array:
    group = groups.fill_null(-1).to_numpy()
    count = int(group.max(initial=-1)) + 1
    chosen = np.flatnonzero((group >= 0) & ranked)
    return sp.csr_array((np.ones(len(chosen)), (chosen, group[chosen])), shape=(len(group), count))


def _gather(
    levels: list[_Level], benchmark: str, blocks: Iterable[BenchmarkRows], alive: int, normaliser: str
) -> float:
    """Add a benchmark to the levels; return ``M_b`` of its concepts, NaN without items or activation."""
    number = len(levels[0].sums)
    for level in levels:
        level.sums[benchmark] = Sums.zeros(level.groups)
    total, pairs, items = 0.0, 0, 0
    for cas, scores, rows in blocks:
        total += float(cas.data.sum(dtype=np.float64))
        pairs += int(np.count_nonzero(cas.data))
        items += len(scores)
        exact = sp.csr_array(cas, dtype=np.float64)
        for level in levels:
            own = (exact @ level.members).toarray().astype(np.float32)
            level.sums[benchmark] += Sums.of(sp.csr_array(own), scores)
            level.cas.append(own)
            level.scores.append(np.asarray(scores, np.float64))
            level.benchmark.append(np.full(len(scores), number))
            level.items.append(np.asarray(rows, np.int64))
    if not items or (total <= 0 and normaliser != "none"):
        return float("nan")
    return {"alive": total / max(1, alive * items), "nonzero": total / max(1, pairs), "none": 1.0}[normaliser]


def _tables(
    level: _Level,
    normalisers: Mapping[str, float],
    themes: pl.DataFrame,
    concepts: pl.DataFrame,
    items: pl.DataFrame,
    evidence_config: EvidenceConfig,
    metrics_config: MetricsConfig,
    limits: tuple[float, float],
) -> ThemeTables:
    members = _members(level.name, themes, concepts)
    counted = members["ranked"].to_numpy()
    suite, single = evidence_by_benchmark(
        level.sample(items, evidence_config.strata, limits),
        evidence_config,
        eligible=counted > 0,
        pooled=metrics_config.average == "pooled",
    )
    metrics = combine(level.sums, None, metrics_config)
    bench = np.stack([_chi_bench(sums, normalisers[name]) for name, sums in level.sums.items()])
    chi = suite_chi_bench(bench[metrics.read] if metrics.read.any() else bench)
    chi = np.where(counted > 0, chi, np.nan)
    results = members.select("level", "id", "parent", "concepts", "ranked").with_columns(
        pl.Series("chi_bench", chi).fill_nan(None),
        pl.Series("chi_bench_mean", chi / np.maximum(1, counted)).fill_nan(None),
        pl.Series("chi_model", suite.chi_model).fill_nan(None),
        pl.Series("chi_model_low", suite.low).fill_nan(None),
        pl.Series("chi_model_high", suite.high).fill_nan(None),
        pl.Series("support", metrics.support),
        *_evidence(suite, "drawn", "leader"),
        *(members[name] for name in ("missing_concepts", "weak_concepts", "strong_concepts", "weak_groups")),
    )
    parts = []
    for i, name in enumerate(level.sums):
        known = (counted > 0) & metrics.read[i]
        own = single.get(i, untested(level.groups))
        parts.append(
            members.select("level", "id").with_columns(
                pl.Series("benchmark", [name] * level.groups, dtype=pl.String),
                pl.Series("chi_bench", np.where(known, bench[i], np.nan)).fill_nan(None),
                pl.Series("chi_model", own.chi_model).fill_nan(None),
                pl.Series("support", metrics.by_benchmark_support[i]),
                *_evidence(own),
            )
        )
    return ThemeTables(results, pl.concat(parts))


def _chi_bench(sums: Sums, normaliser: float) -> np.ndarray:
    """As :func:`~competency_gaps.metrics.suite.chi_bench`, with the concepts' ``M_b``; 0 without any activation."""
    return sums.cas / sums.items / normaliser if np.isfinite(normaliser) else np.zeros_like(sums.cas)


def _evidence(evidence: Evidence, *further: str) -> list[pl.Series]:
    columns = evidence_columns(evidence)
    return [pl.Series(name, columns[name]) for name in (*_EVIDENCE, *further)]


def _members(level: str, themes: pl.DataFrame, concepts: pl.DataFrame) -> pl.DataFrame:
    """Counts of each group's concepts, one row per group, by number."""
    own = concepts.select("concept", "ranked", "missing", "performance_status", "leader")
    table = pl.concat([themes.select("theme", "subtheme"), own], how="horizontal")
    weak, ranked = pl.col("performance_status") == "weak", pl.col("ranked")
    groups = (
        table.filter(pl.col(level).is_not_null())
        .group_by(pl.col(level).cast(pl.Int32).alias("id"))
        .agg(
            pl.col("theme").first().cast(pl.Int32).alias("parent"),
            pl.len().cast(pl.Int32).alias("concepts"),
            ranked.sum().cast(pl.Int32).alias("ranked"),
            (ranked & pl.col("missing")).sum().cast(pl.Int32).alias("missing_concepts"),
            weak.sum().cast(pl.Int32).alias("weak_concepts"),
            (pl.col("performance_status") == "strong").sum().cast(pl.Int32).alias("strong_concepts"),
            (weak & (pl.col("leader") == pl.col("concept")).fill_null(False)).sum().cast(pl.Int32).alias("weak_groups"),
        )
        .sort("id")
    )
    if level == "theme":
        groups = groups.with_columns(pl.lit(None, pl.Int32).alias("parent"))
    return groups.with_columns(pl.lit(level).alias("level"))


def _rows(run: RunFolder, entry: dict[str, Any]) -> Iterator[BenchmarkRows]:
    """The rows of a benchmark of the manifest, by shard."""
    own = np.flatnonzero((run.items["benchmark"] == entry["name"]).to_numpy())
    scores = shares(run.outcomes, run.limits)[own]
    for block in run.blocks(entry["name"]):
        yield BenchmarkRows(block.cas, scores[block.items], own[block.items])


def theme_rows(run: RunFolder, groups: pl.Series, ranked: np.ndarray) -> sp.csr_array:
    """The activation of themes: sums over their ranked concepts, kept for the next pair.

    Parameters
    ----------
    groups
        Theme of each concept; null: none.
    ranked : ndarray of bool of shape (concepts,)

    Returns
    -------
    csr_array of float32 of shape (themes, items)
    """
    number = groups.fill_null(-1).cast(pl.Int64).to_numpy()
    manifest = (run.path / MANIFEST).resolve()
    theme = np.where(ranked, number, -1)
    count = int(number.max(initial=-1)) + 1
    run.files.check_arrays()
    changed = manifest.stat().st_mtime_ns
    return _theme_rows(run.base / "activations", changed, run.items.height, theme.tobytes(), count)


@lru_cache(maxsize=2)
def _theme_rows(folder: Path, _: int, items: int, theme: bytes, count: int) -> sp.csr_array:
    """Give the rows of :func:`theme_rows`; the second argument changes with the run."""
    number = np.frombuffer(theme, np.int64)
    by_concept = ByConcept(folder)
    rows = [sp.csr_array((0, items), dtype=np.float32)]
    for own in range(count):
        cas = by_concept.cas(np.flatnonzero(number == own), items)
        total = np.bincount(cas.indices, weights=cas.data, minlength=items)
        rows.append(sp.csr_array(total.astype(np.float32)[None]))
    return sp.csr_array(sp.vstack(rows, format="csr"))
