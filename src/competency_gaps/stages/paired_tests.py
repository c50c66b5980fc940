"""Tests of paired differences: overall, and family by family of benchmarks, themes and concepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import ndtr
from scipy.stats import false_discovery_control

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import (
    Evidence,
    ItemSample,
    Paired,
    Units,
    evidence,
    paired_differences,
    units_of,
    untested,
)
from competency_gaps.evidence.interval import quantile
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.stages.theme_rows import theme_rows

ALPHA = 0.05
"""Chance of a false alarm of the gate, over all of its families of tests."""
ROWS = 256
"""Concepts compared at a time."""


class Families(NamedTuple):
    """The families of tests that the gate rests on."""

    overall: pl.DataFrame
    benchmarks: pl.DataFrame
    themes: pl.DataFrame


class ThemeItems(NamedTuple):
    """The themes of a run, and how strongly each item excites them."""

    named: pl.DataFrame
    """``theme`` and ``name``; empty without themes."""
    rows: sp.csr_array
    """Of shape (themes, items)."""


def theme_items(run: RunFolder) -> ThemeItems:
    """Read the themes of a run, or of the run that an outcome is of."""
    base = open_folder(run.base)
    names = base.theme_results
    if base.themes is None or names is None:
        nothing = pl.DataFrame(schema={"theme": pl.Int32, "name": pl.String})
        return ThemeItems(nothing, sp.csr_array((0, run.items.height)))
    named = names.filter(pl.col("level") == "theme").sort("id").select(pl.col("id").alias("theme"), "name")
    return ThemeItems(named, theme_rows(base, base.themes["theme"], base.concepts["ranked"].to_numpy()))


def paired_tests(
    run: RunFolder,
    themes: ThemeItems,
    sample: ItemSample,
    units: Units,
    values: np.ndarray,
    min_effect: float,
    config: EvidenceConfig,
) -> Families:
    """Test differences of the scores on items, overall and by family; a mean over each cluster counts once."""
    return Families(
        _overall(sample, units, values, min_effect, config.seed),
        _benchmarks(run, sample, values, min_effect, config.seed),
        _themes(themes, units, of_units(values, units), min_effect, config),
    )


def of_units(values: np.ndarray, units: Units) -> np.ndarray:
    """Mean difference of each cluster's items; unlike a unit's outcome it is not moved between benchmarks' levels."""
    known = units.unit >= 0
    return np.asarray(np.bincount(units.unit[known], values[known]) / np.bincount(units.unit[known]))


def _overall(sample: ItemSample, units: Units, values: np.ndarray, min_effect: float, seed: int) -> pl.DataFrame:
    """Test the pooled difference under each weighting; what a cluster adds to it flips as a whole."""
    known = units.unit >= 0
    own, benchmark = units.unit[known], sample.benchmark[known]
    within = units_of(sample, across=False).share[known]
    weights = {"items": units.share[known]}
    if len(np.unique(benchmark)) > 1:
        weights["benchmarks"] = within / np.bincount(benchmark, within)[benchmark]
    frames = []
    for weighting, weight in weights.items():
        total = np.bincount(own, weight)
        differences = np.bincount(own, weight * values[known]) / total
        paired = paired_differences(sp.csr_array(total[None]), differences, seed=seed)
        named = pl.DataFrame({"weighting": [weighting]})
        frames.append(pl.concat([named, _frame(paired, min_effect, "none")], how="horizontal"))
    return pl.concat(frames)


def _benchmarks(run: RunFolder, sample: ItemSample, values: np.ndarray, min_effect: float, seed: int) -> pl.DataFrame:
    units = units_of(sample, across=False)
    names = run.items["benchmark"].unique(maintain_order=True).to_list()
    items = np.arange(len(values))
    member = sp.csr_array((np.ones(len(items)), (sample.benchmark, items)), shape=(len(names), len(items)))
    numbers = np.unique(units.benchmark)
    paired = paired_differences(units.rows(member)[numbers], of_units(values, units), seed=seed)
    named = pl.DataFrame({"benchmark": [names[number] for number in numbers]})
    return pl.concat([named, _frame(paired, min_effect, "holm")], how="horizontal")


def _themes(
    themes: ThemeItems, units: Units, differences: np.ndarray, min_effect: float, config: EvidenceConfig
) -> pl.DataFrame:
    paired = paired_differences(units.rows(themes.rows), differences, seed=config.seed)
    enough = paired.n_eff >= config.min_n_eff
    frame = _frame(_chosen(paired, enough), min_effect, "bh")
    return pl.concat([themes.named.filter(pl.Series(enough)), frame], how="horizontal")


def with_theme_gaps(
    sample: ItemSample, themes: ThemeItems, table: pl.DataFrame, config: EvidenceConfig
) -> pl.DataFrame:
    """Add to the tests of themes by how much the difference is larger there than on other items."""
    rows = themes.rows
    if table.is_empty():
        return _with_gaps(table, untested(0), np.zeros(0, np.int64))
    of_themes = replace(sample, rows=lambda asked: sp.csr_array(rows[asked]), support=np.diff(rows.indptr))
    place = np.flatnonzero(np.isin(themes.named["theme"].to_numpy(), table["theme"].to_numpy()))
    return _with_gaps(table, evidence(of_themes, config, groups=False), place)


def concept_tests(
    run: RunFolder,
    sample: ItemSample,
    units: Units,
    differences: np.ndarray,
    min_effect: float,
    config: EvidenceConfig,
    *,
    able: pl.Series,
) -> pl.DataFrame:
    """Test the differences in the items of each concept that is able, and of enough effective size."""
    labels = "label" if "label" in run.concepts.columns else pl.lit(None, pl.String).alias("label")
    ranked = run.concepts.filter(able).select("concept", labels)
    numbers = ranked["concept"].to_numpy().astype(np.int64)
    parts = []
    for start in range(0, len(numbers), ROWS):
        cas = run.by_concept.cas(numbers[start : start + ROWS], run.items.height)
        parts.append(paired_differences(units.rows(cas), differences, seed=config.seed))
    paired = _joined(parts)
    enough = paired.n_eff >= config.min_n_eff
    frame = _frame(_chosen(paired, enough), min_effect, "bh")
    table = pl.concat([ranked.filter(pl.Series(enough)), frame], how="horizontal")
    gaps = evidence(sample, config, eligible=able.to_numpy(), groups=False) if able.any() else untested(able.len())
    return _with_gaps(table, gaps, numbers[enough])


def _with_gaps(table: pl.DataFrame, evidence: Evidence, rows: np.ndarray) -> pl.DataFrame:
    """Add by how much the difference in a group of items is larger than on other items."""
    columns = {"gap": evidence.gap, "gap_low": evidence.gap_low, "gap_high": evidence.gap_high}
    columns["gap_q"] = evidence.q_value
    return table.with_columns(pl.Series(name, values[rows]).fill_nan(None) for name, values in columns.items())


def _fields(paired: Paired) -> dict[str, np.ndarray]:
    return {name: getattr(paired, name) for name in Paired.__dataclass_fields__}


def _chosen(paired: Paired, rows: np.ndarray) -> Paired:
    return Paired(**{name: values[rows] for name, values in _fields(paired).items()})


def _joined(parts: Sequence[Paired]) -> Paired:
    empty = paired_differences(sp.csr_array((0, 1)), np.zeros(1))
    return Paired(
        **{name: np.concatenate([getattr(part, name) for part in (empty, *parts)]) for name in _fields(empty)}
    )


def _frame(paired: Paired | None, min_effect: float, correction: Literal["none", "holm", "bh"]) -> pl.DataFrame:
    paired = paired or _joined(())
    p_value = np.maximum(paired.p_value, _beyond(paired, min_effect)) if min_effect else paired.p_value
    corrected = {"none": lambda p: p, "holm": holm, "bh": false_discovery_control}[correction]
    q_value = corrected(p_value) if len(p_value) else p_value
    real = q_value <= ALPHA
    threshold = ALPHA * max(1, int(real.sum())) / max(1, len(p_value)) if correction != "none" else ALPHA
    status = np.where(
        real & (paired.difference < 0), "worse", np.where(real & (paired.difference > 0), "better", "same")
    )
    return pl.DataFrame(
        {
            "clusters": paired.clusters,
            "difference": paired.difference,
            "low": paired.low,
            "high": paired.high,
            "p_value": p_value,
            "q_value": q_value,
            "better": paired.better,
            "worse": paired.worse,
            "detectable": min_effect + paired.detectable(threshold),
            "status": pl.Series(status, dtype=pl.String),
        }
    )


def _beyond(paired: Paired, min_effect: float) -> np.ndarray:
    """Two-sided p-values of differences of at most ``min_effect``: 0.05 where the 95% interval begins there."""
    above = paired.difference > 0
    half = np.where(above, paired.difference - paired.low, paired.high - paired.difference)
    return np.asarray(np.minimum(1.0, 2 * ndtr(quantile(0.95) * (min_effect - np.abs(paired.difference)) / half)))


def holm(p_value: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values (Scandinavian Journal of Statistics 6, 1979): float64 of the shape of ``p_value``."""
    order = np.argsort(p_value, kind="stable")
    steps = np.minimum(1.0, p_value[order] * np.arange(len(p_value), 0, -1))
    out = np.empty(len(p_value))
    out[order] = np.maximum.accumulate(steps)
    return out
