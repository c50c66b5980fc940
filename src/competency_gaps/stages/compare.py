"""Compare two models on the same items: overall, per benchmark, theme and concept [ours].

Every test flips the signs of whole clusters' differences (:mod:`competency_gaps.evidence.flips`). Benchmarks are
corrected by Holm's method, themes and concepts by Benjamini and Hochberg's; the verdict corrects all by Holm's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import ndtr

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
from competency_gaps.evidence.sums import effective_sample
from competency_gaps.outcomes import Outcome, difference
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import Outcomes, run_sample, with_outcomes
from competency_gaps.runs.scores import model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.models import missing_scores
from competency_gaps.stages.themes import theme_rows
from competency_gaps.text import plural


@dataclass(frozen=True)
class Side:
    """A model, or run, of a comparison. N items of the run."""

    name: str
    scores: np.ndarray
    """float64 of shape (N,), in [0, 1]; NaN = unscored."""
    asked: np.ndarray
    """bool of shape (N,): whether it is known to have been asked: an item asked and unscored was not answered in a form
    that gives a score."""

    @property
    def completed(self) -> np.ndarray:
        """The scores, with 0 where it was asked and no score could be read."""
        return np.where(self.asked & np.isnan(self.scores), 0.0, self.scores)


@dataclass(frozen=True)
class Comparison:
    """A candidate against a baseline on the items that both were scored on.

    Frames have the columns ``clusters``, ``difference`` (candidate less baseline, in [-1, 1]: a mean over items in
    which repeats of one text count once), ``low``, ``high``, ``p_value`` (of a difference beyond ``min_effect``),
    ``q_value`` (corrected within the frame, but for ``overall``), ``better`` and ``worse`` (clusters on which the
    candidate did better or worse: McNemar's counts), ``detectable`` (the smallest difference found with a power of 0.8)
    and ``status``: better, worse, or same (no difference shown). Those of themes and concepts also have ``gap``,
    ``gap_low``, ``gap_high`` and ``gap_q``: by how much the difference is larger there than on the benchmarks' other
    items of about equal length, tested by shuffling; ``status`` says nothing of it.
    """

    candidate: str
    baseline: str
    paired: int
    """Items scored for both."""
    only_candidate: tuple[str, ...]
    """Items (benchmark and id) that only the candidate is scored on."""
    only_baseline: tuple[str, ...]
    missing: pl.DataFrame
    """One row per side that lacks scores which the other has: ``model``, ``share`` (of the other's), ``gap``, ``low``,
    ``high``, ``p_value`` (by how much the other scores more on these items than on others of their benchmarks and of
    about equal length; null: too few), ``concepts`` of ``tested`` (on whose items more or fewer scores are missing than
    elsewhere; none are tested where concepts are not compared)."""
    overall: pl.DataFrame
    """By ``weighting``: ``items`` (every item counts the same) and, if there are several benchmarks, ``benchmarks``
    (every benchmark counts the same: the mean of the benchmarks' differences). The gate tests both, corrected by Holm:
    ``validation/gate.py`` compares that with either alone."""
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
    """What the candidate lost on (``overall``, ``the mean over benchmarks``, ``benchmark NAME``, ``theme NAME``), or
    why nothing can be told."""


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
    after, before = (Side(name, scores.of(name), scores.asked[scores.row(name)]) for name in (candidate, baseline))
    return compare_scores(run, after, before, min_effect, concepts=concepts)


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
    own = candidate.items.select(
        *keys,
        pl.col("prompt").alias("own_prompt"),
        pl.Series("scores", candidate.outcomes),
        pl.Series("asked", _asked(candidate)),
    )
    rows = baseline.items.select(*keys, "prompt").join(own, on=keys, how="left", maintain_order="left")
    same = (rows["prompt"] == rows["own_prompt"]).fill_null(value=False).to_numpy()
    values = np.where(same, rows["scores"].fill_null(float("nan")).to_numpy(), np.nan)
    asked = same & rows["asked"].fill_null(value=False).to_numpy()
    known = candidate.items.select(keys).filter(pl.Series(~np.isnan(candidate.outcomes)))
    held = baseline.items.select(keys).filter(pl.Series(~np.isnan(values)))
    lost = known.join(held, on=keys, how="anti")
    names = _names(candidate, baseline)
    only = tuple(f"{benchmark}: {item}" for benchmark, item in lost.iter_rows())
    before = Side(names[1], baseline.outcomes, _asked(baseline))
    return compare_scores(baseline, Side(names[0], values, asked), before, min_effect, only_candidate=only)


def _asked(run: RunFolder) -> np.ndarray:
    scores = model_scores(open_folder(run.base))
    if run.scored_model not in scores.models:
        return np.zeros(len(run.outcomes), bool)
    return np.asarray(scores.asked[scores.row(run.scored_model)])


def _names(candidate: RunFolder, baseline: RunFolder) -> tuple[str, str]:
    names = candidate.scored_model, baseline.scored_model
    if names[0] != names[1]:
        return names
    folders = candidate.path.resolve().name, baseline.path.resolve().name
    return f"{names[0]} ({folders[0]})", f"{names[1]} ({folders[1]})"


def compare_scores(
    run: RunFolder,
    candidate: Side,
    baseline: Side,
    min_effect: float,
    *,
    concepts: bool = True,
    only_candidate: tuple[str, ...] | None = None,
) -> Comparison:
    """Compare two models' scores on a run's items.

    Parameters
    ----------
    min_effect
        Differences count if their whole interval lies beyond this.
    concepts
        Whether to compare concept by concept too, which takes most of the time.
    only_candidate
        Items that only the candidate is scored on; None: those of its scores.

    Raises
    ------
    UserError
        If no item is scored for both.
    """
    if not 0 <= min_effect < 1:
        raise UserError(f"min_effect {min_effect:g}: expected a difference of scores from 0 to 1.")
    outcome = difference(
        Outcome("score", candidate.name, candidate.scores), Outcome("score", baseline.name, baseline.scores)
    )
    if np.isnan(outcome.values).all():
        raise UserError(
            f"no item is scored for both {candidate.name} and {baseline.name}: there is nothing to compare."
        )
    config = evidence_config(run)
    sample = with_outcomes(run_sample(run, config.strata), Outcomes(outcome.values, outcome.limits))
    units = units_of(sample)
    able = run.concepts["ranked"] & concepts
    themes = theme_items(run)
    tests = paired_tests(run, themes, sample, units, outcome.values, min_effect, config)
    made = Comparison(
        candidate.name,
        baseline.name,
        int((~np.isnan(outcome.values)).sum()),
        _only(run, candidate.scores, baseline.scores) if only_candidate is None else only_candidate,
        _only(run, baseline.scores, candidate.scores),
        _missing(sample, candidate, baseline, config, able),
        tests.overall,
        tests.benchmarks,
        with_theme_gaps(sample, themes, tests.themes, config),
        concept_tests(run, sample, units, of_units(outcome.values, units), min_effect, config, able=able),
        _changed(run, candidate.scores, baseline.scores),
        min_effect,
        "no regression",
        (),
    )
    unpaired = ((made.candidate, len(made.only_candidate)), (made.baseline, len(made.only_baseline)))
    faults = (
        *too_few_pairs(int(made.overall["clusters"][0]), made.paired, unpaired),
        *_unpaired_benchmarks(run, candidate, baseline),
    )
    if faults:
        return replace(made, verdict="not comparable", reasons=faults)
    losses = lost_on(tests, min_effect)
    completed = candidate.completed - baseline.completed
    unscored = sum(int((np.isnan(side.scores) & ~np.isnan(completed)).sum()) for side in (candidate, baseline))
    if unscored:
        other = with_outcomes(sample, Outcomes(completed, (-1.0, 1.0)))
        if_wrong = lost_on(paired_tests(run, themes, other, units_of(other), completed, min_effect, config), min_effect)
        if bool(losses) != bool(if_wrong):
            return replace(made, verdict="not comparable", reasons=(undecided(unscored, losses, if_wrong),))
    return replace(made, verdict="regression" if losses else "no regression", reasons=losses)


def _missing(
    sample: ItemSample, candidate: Side, baseline: Side, config: EvidenceConfig, able: pl.Series
) -> pl.DataFrame:
    rows = []
    for side, other in ((candidate, baseline), (baseline, candidate)):
        lacking = np.where(np.isnan(other.scores), np.nan, np.isnan(side.scores))
        facts = missing_scores(sample, lacking, other.scores, config, eligible=able.to_numpy())
        if facts is not None:
            rows.append({"model": side.name, **vars(facts), "concepts": len(facts.concepts)})
    numbers = dict.fromkeys(("share", "gap", "low", "high", "p_value"), pl.Float64)
    schema = {"model": pl.String, **numbers, "concepts": pl.Int64, "tested": pl.Int64}
    return pl.DataFrame(rows, schema=schema).with_columns(pl.col(list(numbers)).fill_nan(None))


def _only(run: RunFolder, own: np.ndarray, other: np.ndarray) -> tuple[str, ...]:
    rows = run.items.select("benchmark", "item_id").filter(pl.Series(~np.isnan(own) & np.isnan(other)))
    return tuple(f"{benchmark}: {item}" for benchmark, item in rows.iter_rows())


def _changed(run: RunFolder, values: np.ndarray, before: np.ndarray) -> pl.DataFrame:
    table = run.items.select("benchmark", "item_id").with_columns(
        pl.Series("baseline", before).fill_nan(None), pl.Series("candidate", values).fill_nan(None)
    )
    table = table.with_columns(difference=pl.col("candidate") - pl.col("baseline"))
    return table.filter(pl.col("difference") != 0).sort("difference", maintain_order=True)


def _unpaired_benchmarks(run: RunFolder, candidate: Side, baseline: Side) -> Iterator[str]:
    """Name the benchmarks of which the candidate lacks most of the baseline's scored items."""
    paired = run.items.select("benchmark", pl.Series("paired", ~np.isnan(candidate.scores)))
    own = paired.filter(pl.Series(~np.isnan(baseline.scores)))
    shares = own.group_by("benchmark", maintain_order=True).agg(pl.col("paired").mean())
    for name in shares.filter(pl.col("paired") < PAIRED)["benchmark"]:
        yield f"{candidate.name} lacks most of the scores of the benchmark {name}"


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
    rows = units.rows(themes.rows)
    total, squares = (np.asarray(rows.power(power).sum(axis=1)).ravel() for power in (1, 2))
    # Chosen first: where few clusters carry a theme, its p-value is drawn, which takes most of the time.
    enough = effective_sample(total, squares) >= config.min_n_eff
    frame = _frame(paired_differences(rows[enough], differences, seed=config.seed), min_effect, "bh")
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
    from scipy.stats import false_discovery_control

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


FEWEST = 20
"""Fewest pairs of clusters, and ..."""
PAIRED = 0.5
"""... least share of either model's scored items that must pair, for a comparison to say anything."""
WEIGHTINGS = {"items": "overall", "benchmarks": "the mean over benchmarks"}
"""What a loss is called by what counts the same."""
GateVerdict = Literal["regression", "no regression", "not comparable"]


def undecided(unscored: int, losses: Sequence[str], if_wrong: Sequence[str]) -> str:
    """Say that it depends on answers without a score whether there is a loss: on what, without them and as wrong."""
    left_out, counted = (f"a loss ({', '.join(lost[:3])})" if lost else "no loss" for lost in (losses, if_wrong))
    return (
        f"it depends on {plural(unscored, 'answer')} from which no score could be read: without them there is "
        f"{left_out}, and {counted} if they count as wrong. Score them, as 0 where they are wrong"
    )


def too_few_pairs(clusters: int, paired: int, unpaired: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Say why too little pairs to tell anything; empty: enough does.

    Parameters
    ----------
    clusters, paired
        Clusters and items that are scored for both.
    unpaired
        Name of each side, and the number of items that only it is scored on.
    """
    faults = []
    if clusters < FEWEST:
        faults.append(f"only {clusters} pairs of clusters; {FEWEST} are needed")
    for name, only in unpaired:
        share = paired / (paired + only)
        if share < PAIRED:
            faults.append(f"only {share:.0%} of the items scored for {name} are scored for both")
    return tuple(faults)


def lost_on(tests: Families, min_effect: float) -> tuple[str, ...]:
    """What the candidate lost on: each family of tests gets an equal part of the chance of a false alarm.

    Themes are corrected by Holm's method here: where many got better, Benjamini and Hochberg's lets more of the others
    pass for losses.
    """
    families = {"overall": tests.overall}
    if tests.benchmarks.height > 1:
        families["benchmark"] = tests.benchmarks
    if tests.themes.height:
        families["theme"] = tests.themes.with_columns(pl.col("name").fill_null(pl.col("theme").cast(pl.String)))
    reasons = []
    for family, frame in families.items():
        counts = pl.Series(holm(frame["p_value"].to_numpy()) <= ALPHA / len(families))
        lost = frame.filter(counts & (pl.col("high") < -min_effect))
        if family == "overall":
            reasons += [WEIGHTINGS[weighting] for weighting in lost["weighting"]]
        else:
            reasons += [f"{family} {name}" for name in lost["benchmark" if family == "benchmark" else "name"]]
    return tuple(reasons)
