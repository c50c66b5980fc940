"""Compare two models on the same items: overall, per benchmark, theme and concept [ours].

Every test flips the signs of whole clusters' differences (:mod:`competency_gaps.evidence.flips`). Benchmarks are
corrected by Holm's method, themes and concepts by Benjamini and Hochberg's; the verdict corrects all by Holm's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import ndtr
from scipy.stats import false_discovery_control

from competency_gaps.config import EvidenceConfig
from competency_gaps.errors import UserError
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
from competency_gaps.outcomes import Outcome, difference
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import Outcomes, run_sample, with_outcomes
from competency_gaps.runs.scores import model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.matrix import theme_rows

ALPHA = 0.05
"""Chance of a false alarm of the gate, over all of its families of tests."""
FEWEST = 20
"""Fewest pairs of clusters, and ..."""
PAIRED = 0.5
"""... least share of either model's scored items that must pair, for a comparison to say anything."""
ROWS = 256
"""Concepts compared at a time."""

GATED = "items"
"""The weighting of the overall difference that the gate tests: of the two it sees a loss all over more often, and a loss
in a small benchmark is that benchmark's own test to see (``validation/gate.py``)."""

GateVerdict = Literal["regression", "no regression", "not comparable"]


@dataclass(frozen=True)
class Comparison:
    """A candidate against a baseline on the items that both were scored on.

    Frames have the columns ``clusters``, ``difference`` (candidate less baseline, in [-1, 1]: a mean over items in
    which repeats of one text count once), ``low``, ``high``, ``p_value`` (of a difference beyond ``min_effect``),
    ``q_value`` (corrected within the frame), ``better`` and ``worse`` (clusters on which the candidate did better or
    worse: McNemar's counts), ``detectable`` (the smallest difference found with a power of 0.8) and ``status``: better,
    worse, or same (no difference shown). Those of themes and concepts also have ``gap``, ``gap_low``, ``gap_high`` and
    ``gap_q``: by how much the difference is larger there than on the benchmarks' other items of about equal length,
    tested by shuffling; ``status`` says nothing of it.
    """

    candidate: str
    baseline: str
    paired: int
    """Items scored for both."""
    only_candidate: tuple[str, ...]
    """Items (benchmark and id) that only the candidate is scored on."""
    only_baseline: tuple[str, ...]
    overall: pl.DataFrame
    """Two rows, by ``weighting``: ``items`` (every item counts the same; what the gate tests) and ``benchmarks`` (every
    benchmark counts the same: the mean of the benchmarks' differences)."""
    benchmarks: pl.DataFrame
    """One row per benchmark with a pair, with ``benchmark``; Holm's correction."""
    themes: pl.DataFrame
    """One row per theme, with ``theme`` and ``name``; empty without themes."""
    concepts: pl.DataFrame
    """One row per ranked concept with enough pairs, with ``concept`` and ``label``."""
    items: pl.DataFrame
    """Items whose score differs, the largest loss first: ``benchmark``, ``item_id``, ``baseline``, ``candidate``,
    ``difference``."""
    min_effect: float
    """Differences count from here on."""
    verdict: GateVerdict
    reasons: tuple[str, ...]
    """What the candidate lost on (``overall``, ``benchmark NAME``, ``theme NAME``), or why nothing can be told."""


def compare_models(
    run: RunFolder, candidate: str, baseline: str, *, min_effect: float = 0.0, concepts: bool = True
) -> Comparison:
    """Compare two models of one run.

    Parameters
    ----------
    candidate, baseline
        Names of models that the run has scores of.
    min_effect
        Differences count if their whole interval lies beyond this, in [0, 1).
    concepts
        Whether each concept is compared too, which takes most of the time.

    Raises
    ------
    UserError
        If the run has no scores of a model, or no item is scored for both.
    """
    scores = model_scores(run)
    return compare_scores(
        run, candidate, scores.of(candidate), baseline, scores.of(baseline), min_effect, concepts=concepts
    )


def compare_runs(candidate: RunFolder, baseline: RunFolder, *, min_effect: float = 0.0) -> Comparison:
    """Compare two runs, or outcomes of runs, on the items that both hold.

    Items pair by benchmark and id, if they ask the same. Concepts and themes are those of the baseline.

    Raises
    ------
    UserError
        If no item is scored in both.
    """
    for run in (candidate, baseline):
        if run.manifest.get("outcome", {}).get("kind", "score") != "score":
            raise UserError(f"{run.path} holds no scores but another outcome: compare runs, or models by their scores.")
    keys = ["benchmark", "item_id"]
    theirs = candidate.items.select(*keys, pl.col("prompt").alias("asked"), pl.Series("theirs", candidate.outcomes))
    rows = baseline.items.select(*keys, "prompt").join(theirs, on=keys, how="left", maintain_order="left")
    same = (rows["prompt"] == rows["asked"]).fill_null(value=False).to_numpy()
    values = np.where(same, rows["theirs"].fill_null(float("nan")).to_numpy(), np.nan)
    known = candidate.items.select(keys).filter(pl.Series(~np.isnan(candidate.outcomes)))
    held = baseline.items.select(keys).filter(pl.Series(~np.isnan(values)))
    lost = known.join(held, on=keys, how="anti")
    names = _names(candidate, baseline)
    only = tuple(f"{benchmark}: {item}" for benchmark, item in lost.iter_rows())
    return compare_scores(baseline, names[0], values, names[1], baseline.outcomes, min_effect, only_candidate=only)


def _names(candidate: RunFolder, baseline: RunFolder) -> tuple[str, str]:
    names = candidate.scored_model, baseline.scored_model
    if names[0] != names[1]:
        return names
    folders = candidate.path.resolve().name, baseline.path.resolve().name
    return f"{names[0]} ({folders[0]})", f"{names[1]} ({folders[1]})"


def compare_scores(
    run: RunFolder,
    candidate: str,
    values: np.ndarray,
    baseline: str,
    before: np.ndarray,
    min_effect: float,
    *,
    concepts: bool = True,
    only_candidate: tuple[str, ...] | None = None,
) -> Comparison:
    """Compare two models' scores on a run's items.

    Parameters
    ----------
    candidate, baseline
        What to call the two.
    values, before : ndarray of float64 of shape (items,)
        Their scores, in [0, 1]; NaN = unscored.
    min_effect
        Differences count if their whole interval lies beyond this.
    concepts
        Whether to compare concept by concept too, which takes most of the time.
    only_candidate
        Items that only the candidate is scored on; None: those of ``values``.

    Raises
    ------
    UserError
        If no item is scored for both.
    """
    if not 0 <= min_effect < 1:
        raise UserError(f"min_effect {min_effect:g}: expected a difference of scores from 0 to 1.")
    outcome = difference(Outcome("score", candidate, values), Outcome("score", baseline, before))
    if np.isnan(outcome.values).all():
        raise UserError(f"no item is scored for both {candidate} and {baseline}: there is nothing to compare.")
    config = evidence_config(run)
    sample = with_outcomes(run_sample(run, config.strata), Outcomes(outcome.values, outcome.limits))
    units = units_of(sample)
    differences = _of_units(outcome.values, units)
    made = Comparison(
        candidate,
        baseline,
        int((~np.isnan(outcome.values)).sum()),
        _only(run, values, before) if only_candidate is None else only_candidate,
        _only(run, before, values),
        _overall(sample, units, outcome.values, min_effect, config.seed),
        _benchmarks(run, sample, outcome.values, min_effect, config.seed),
        _themes(run, sample, units, differences, min_effect, config),
        _concepts(run, sample, units, differences, min_effect, config, able=run.concepts["ranked"] & concepts),
        _changed(run, values, before),
        min_effect,
        "no regression",
        (),
    )
    verdict, reasons = _verdict(made, _unpaired_benchmarks(run, values, before))
    return replace(made, verdict=verdict, reasons=reasons)


def _of_units(values: np.ndarray, units: Units) -> np.ndarray:
    """Mean difference of each cluster's items; unlike a unit's outcome it is not moved between benchmarks' levels."""
    known = units.unit >= 0
    return np.asarray(np.bincount(units.unit[known], values[known]) / np.bincount(units.unit[known]))


def _overall(sample: ItemSample, units: Units, values: np.ndarray, min_effect: float, seed: int) -> pl.DataFrame:
    """Test the pooled difference under both weightings; what a cluster adds to it flips as a whole."""
    known = units.unit >= 0
    own, benchmark = units.unit[known], sample.benchmark[known]
    within = units_of(sample, across=False).share[known]
    weights = {"items": units.share[known], "benchmarks": within / np.bincount(benchmark, within)[benchmark]}
    frames = []
    for weighting, weight in weights.items():
        total = np.bincount(own, weight)
        differences = np.bincount(own, weight * values[known]) / total
        paired = paired_differences(sp.csr_array(total[None]), differences, seed=seed)
        named = pl.DataFrame({"weighting": [weighting]})
        frames.append(pl.concat([named, _frame(paired, min_effect, "none")], how="horizontal"))
    return pl.concat(frames)


def _only(run: RunFolder, own: np.ndarray, other: np.ndarray) -> tuple[str, ...]:
    rows = run.items.select("benchmark", "item_id").filter(pl.Series(~np.isnan(own) & np.isnan(other)))
    return tuple(f"{benchmark}: {item}" for benchmark, item in rows.iter_rows())


def _changed(run: RunFolder, values: np.ndarray, before: np.ndarray) -> pl.DataFrame:
    table = run.items.select("benchmark", "item_id").with_columns(
        pl.Series("baseline", before).fill_nan(None), pl.Series("candidate", values).fill_nan(None)
    )
    table = table.with_columns(difference=pl.col("candidate") - pl.col("baseline"))
    return table.filter(pl.col("difference") != 0).sort("difference", maintain_order=True)


def _unpaired_benchmarks(run: RunFolder, values: np.ndarray, before: np.ndarray) -> tuple[str, ...]:
    """Benchmarks of which the candidate lacks most of the baseline's scored items."""
    own = run.items.select("benchmark", pl.Series("paired", ~np.isnan(values))).filter(pl.Series(~np.isnan(before)))
    shares = own.group_by("benchmark", maintain_order=True).agg(pl.col("paired").mean())
    return tuple(shares.filter(pl.col("paired") < PAIRED)["benchmark"])


def _benchmarks(run: RunFolder, sample: ItemSample, values: np.ndarray, min_effect: float, seed: int) -> pl.DataFrame:
    units = units_of(sample, across=False)
    names = run.items["benchmark"].unique(maintain_order=True).to_list()
    items = np.arange(len(values))
    member = sp.csr_array((np.ones(len(items)), (sample.benchmark, items)), shape=(len(names), len(items)))
    numbers = np.unique(units.benchmark)
    paired = paired_differences(units.rows(member)[numbers], _of_units(values, units), seed=seed)
    named = pl.DataFrame({"benchmark": [names[number] for number in numbers]})
    return pl.concat([named, _frame(paired, min_effect, "holm")], how="horizontal")


def _themes(
    run: RunFolder, sample: ItemSample, units: Units, differences: np.ndarray, min_effect: float, config: EvidenceConfig
) -> pl.DataFrame:
    base = open_folder(run.base)
    names = base.theme_results
    schema = {"theme": pl.Int32, "name": pl.String}
    if base.themes is None or names is None:
        gaps = dict.fromkeys(("gap", "gap_low", "gap_high", "gap_q"), pl.Float64)
        return pl.concat(
            [pl.DataFrame(schema=schema), _frame(None, min_effect, "bh"), pl.DataFrame(schema=gaps)], how="horizontal"
        )
    named = names.filter(pl.col("level") == "theme").sort("id").select(pl.col("id").alias("theme"), "name")
    rows = theme_rows(base, base.themes["theme"], base.concepts["ranked"].to_numpy())
    paired = paired_differences(units.rows(rows), differences, seed=config.seed)
    enough = paired.n_eff >= config.min_n_eff
    frame = _frame(_chosen(paired, enough), min_effect, "bh")
    of_themes = replace(sample, rows=lambda asked: sp.csr_array(rows[asked]), support=np.diff(rows.indptr))
    table = pl.concat([named.filter(pl.Series(enough)), frame], how="horizontal")
    return _with_gaps(table, evidence(of_themes, config, groups=False), np.flatnonzero(enough))


def _concepts(
    run: RunFolder,
    sample: ItemSample,
    units: Units,
    differences: np.ndarray,
    min_effect: float,
    config: EvidenceConfig,
    *,
    able: pl.Series,
) -> pl.DataFrame:
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


def _verdict(made: Comparison, unpaired: Sequence[str]) -> tuple[GateVerdict, tuple[str, ...]]:
    """Whether the candidate lost anything: each family of tests gets an equal part of the chance of a false alarm.

    Themes are corrected by Holm's method here: where many got better, Benjamini and Hochberg's lets more of the others
    pass for losses.
    """
    faults = []
    clusters = int(made.overall["clusters"][0])
    if clusters < FEWEST:
        faults.append(f"only {clusters} pairs of clusters; {FEWEST} are needed")
    for name, only in ((made.candidate, made.only_candidate), (made.baseline, made.only_baseline)):
        share = made.paired / (made.paired + len(only))
        if share < PAIRED:
            faults.append(f"only {share:.0%} of the items scored for {name} are scored for both")
    faults += [f"{made.candidate} lacks most of the scores of the benchmark {name}" for name in unpaired]
    if faults:
        return "not comparable", tuple(faults)
    families = {"overall": made.overall.filter(weighting=GATED)}
    if made.benchmarks.height > 1:
        families["benchmark"] = made.benchmarks
    if made.themes.height:
        families["theme"] = made.themes.with_columns(pl.col("name").fill_null(pl.col("theme").cast(pl.String)))
    reasons = []
    for family, frame in families.items():
        counts = pl.Series(holm(frame["p_value"].to_numpy()) <= ALPHA / len(families))
        lost = frame.filter(counts & (pl.col("high") < -made.min_effect))
        if family == "overall":
            reasons += ["overall"] * lost.height
        else:
            reasons += [f"{family} {name}" for name in lost["benchmark" if family == "benchmark" else "name"]]
    return ("regression" if reasons else "no regression"), tuple(reasons)
