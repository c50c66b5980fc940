"""Compare two models on the same items: overall, per benchmark, theme and concept [ours].

Every test flips the signs of whole clusters' differences (:mod:`competency_gaps.evidence.flips`). Benchmarks are
corrected by Holm's method, themes and concepts by Benjamini and Hochberg's; the verdict corrects all by Holm's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from competency_gaps.config import EvidenceConfig
from competency_gaps.errors import UserError
from competency_gaps.evidence import ItemSample, units_of
from competency_gaps.outcomes import Outcome, difference
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import Outcomes, run_sample, with_outcomes
from competency_gaps.runs.scores import model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.missing import missing_scores
from competency_gaps.stages.paired_tests import concept_tests, of_units, paired_tests, theme_items, with_theme_gaps
from competency_gaps.stages.verdict import PAIRED, GateVerdict, lost_on, too_few_pairs, undecided


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
