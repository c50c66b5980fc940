"""Compare two models on the same items: overall, and by the categories of columns, benchmarks among them [ours].

Differences over all items, or over a benchmark, are measured. For a category, as for every slice of the list, it is the
change expected on new items; the list is an answer like any other (:mod:`competency_gaps.findings.answer`). A verdict
also needs a test of the measured difference, by flipping the signs of whole clusters' differences
(:mod:`competency_gaps.evidence.flips`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import ndtr

from competency_gaps.evidence import ItemSample, Paired, paired_differences, units_of
from competency_gaps.evidence.interval import quantile
from competency_gaps.evidence.outcomes import Outcome, difference
from competency_gaps.findings.answer import analyse_items, answer_of, slice_gaps, slices_of, strata_of
from competency_gaps.findings.finding import Answer
from competency_gaps.findings.model_scores import missing_scores
from competency_gaps.findings.slice_model import Analysis
from competency_gaps.items.config import EvidenceConfig, ScoresConfig
from competency_gaps.logs.find import find_parts
from competency_gaps.logs.scores import read_score_log
from competency_gaps.pipeline.without_reading import cached_run
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.sample import Outcomes, slice_sample
from competency_gaps.runs.scores import ModelScores, match_scores, model_scores
from competency_gaps.slices import Family, family_of
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import plural


@dataclass(frozen=True)
class Side:
    """One of two models, or runs, that are compared. N items of the run."""

    name: str
    scores: np.ndarray
    """float64 of shape (N,), in [0, 1]; NaN = unscored."""
    asked: np.ndarray
    """bool of shape (N,): whether it is known to have been asked: an item asked and unscored was not answered in a form
    that gives a score."""
    strangers: tuple[str, ...] = ()
    """Items (benchmark and id) that it is scored on but that are not among these N."""

    @property
    def completed(self) -> np.ndarray:
        """Scores, with 0 where the model was asked but no score could be read."""
        return np.where(self.asked & np.isnan(self.scores), 0.0, self.scores)


class Basis(NamedTuple):
    """The items on which two models are compared, with their slices. N items."""

    items: pl.DataFrame
    """Rows as of ``items.parquet``."""
    families: list[Family]
    config: EvidenceConfig
    """Settings of the evidence; items are compared within its strata."""

    @property
    def columns(self) -> Family:
        """The family of categories of columns; empty if no column varies."""
        none = family_of("columns", sp.csr_array((0, self.items.height)), [])
        return next((family for family in self.families if family.name == "columns"), none)


@dataclass(frozen=True)
class Comparison:
    """A candidate against a baseline on the items that both were scored on.

    ``overall`` and ``slices`` have ``p_value`` (of a measured difference beyond ``min_effect``, two-sided),
    ``p_adjusted`` (for all that is tested: Holm's within overall differences, benchmarks and other categories, times
    the number of these) and ``verdict``: ``lost`` or ``gained`` where ``p_adjusted`` is at most :data:`ALPHA` and the
    whole interval lies beyond ``min_effect``, else ``no clear change``.
    """

    candidate: str
    baseline: str
    paired: int
    """Number of items scored for both."""
    only_candidate: tuple[str, ...]
    """Items (benchmark and id) that only the candidate is scored on."""
    only_baseline: tuple[str, ...]
    missing: pl.DataFrame
    """One row per side that lacks scores which the other has: ``model``, ``share`` (of the other's), ``difference``,
    ``low``, ``high``, ``p_value`` (by how much the other scores more on these items than on others of their benchmarks
    and of about equal length; null: too few)."""
    overall: pl.DataFrame
    """Measured differences by ``weighting``: ``items`` (every item counts the same) and, if there are several
    benchmarks, ``benchmarks`` (every benchmark counts the same); ``validation/gate.py`` compares testing both with
    either alone. Also ``clusters``, ``difference`` (candidate less baseline, in [-1, 1]: a mean in which repeats of one
    text count once), ``low``, ``high``, ``better`` and ``worse`` (clusters on which the candidate did so: McNemar's
    counts) and ``detectable`` (the smallest difference found with a power of 0.8)."""
    slices: pl.DataFrame
    """One row per category of a column, the greatest loss first: ``slice`` (its number), ``name``, ``column`` (the
    column), ``items`` (scored for both), ``before`` and ``after`` (mean scores of baseline and candidate), ``change``
    (expected on new items; of a benchmark or of nearly all items: measured), ``low``, ``high``, and ``reason`` (why
    there is no change and no verdict; null: there is)."""
    answer: Answer | None
    """The list of slices for the difference; None: it was not computed."""
    examples: tuple[str | None, ...]
    """The prompt of the example of each finding of the answer."""
    items: pl.DataFrame
    """Items whose score differs, the largest loss first: ``benchmark``, ``item_id``, ``baseline``, ``candidate``,
    ``difference``."""
    min_effect: float
    """Minimum difference that counts, in [0, 1)."""
    verdict: GateVerdict
    reasons: tuple[str, ...]
    """What the candidate lost on (``overall``, ``the mean over benchmarks``, or a slice's name), or why there is no
    verdict."""


def compare_models(run: RunFolder, candidate: str, baseline: str, *, min_effect: float = 0.0) -> Comparison:
    """Return the comparison of two models of one run; see :meth:`competency_gaps.Run.compare`."""
    scores = model_scores(run)
    names = (scores.named(candidate), scores.named(baseline))
    after, before = (Side(name, scores.of(name), scores.asked[scores.row(name)]) for name in names)
    return compare_scores(basis_of(run), after, before, min_effect)


def compare_runs(candidate: RunFolder | Path, baseline: RunFolder | Path, *, min_effect: float = 0.0) -> Comparison:
    """Return the comparison of two runs, outcomes of runs, or logs of other tools, on the items that both have.

    Items are paired by benchmark and id if they ask the same. Items and slices are the baseline's, unless it is a log
    and the candidate a run.

    Raises
    ------
    UserError
        If no item is scored in both, or a log cannot be read or has several models.
    """
    turned = isinstance(candidate, RunFolder) and not isinstance(baseline, RunFolder)
    home, guest = (candidate, baseline) if turned else (baseline, candidate)
    basis, side = (basis_of(home), _run_side(home)) if isinstance(home, RunFolder) else _log_basis(home)
    other = _paired_side(basis, guest)
    if side.name == other.name:
        paths = [(at.path if isinstance(at, RunFolder) else at).resolve().parts[::-1] for at in (home, guest)]
        parts = [*zip(*paths, strict=False)]
        one, two = next((pair for pair in parts if pair[0] != pair[1]), parts[0])
        side, other = replace(side, name=f"{side.name} ({one})"), replace(other, name=f"{other.name} ({two})")
    return compare_scores(basis, *((side, other) if turned else (other, side)), min_effect)


def basis_of(run: RunFolder) -> Basis:
    """Return the items of a run and their slices, to compare models on."""
    base = run.run_itself()
    families = slices_of(base)
    config = base.evidence_config.model_copy(update={"strata": strata_of(base, families)})
    return Basis(base.items, families, config)


def _run_side(run: RunFolder) -> Side:
    if run.manifest.get("outcome", {}).get("kind", "score") != "score":
        raise UserError(f"{run.path} holds another outcome than scores: compare the scores of runs or of models.")
    scores = model_scores(run.run_itself())
    known = run.scored_model in scores.models
    asked = np.asarray(scores.asked[scores.row(run.scored_model)]) if known else np.zeros(len(run.outcomes), bool)
    return Side(run.scored_model, run.outcomes, asked)


def _log_basis(path: Path) -> tuple[Basis, Side]:
    """Return the items of a log, with slices by columns and features, and the scores of its model."""
    name = _only_model(path)
    run = cached_run(path.expanduser(), {}, Progress(quiet=True))
    return basis_of(run), Side(name, run.outcomes, np.ones(run.items.height, bool))


def _only_model(path: Path) -> str:
    """Return the name of the only model of a log; the log's name if it names none."""
    names = sorted({part.model for part in find_parts(path) if part.model is not None})
    if len(names) > 1:
        raise UserError(f"{path} holds logs of {len(names)} models ({', '.join(names)}): give the log of one.")
    return names[0] if names else path.resolve().name


def _paired_side(basis: Basis, source: RunFolder | Path) -> Side:
    """Return another source's scores, on the items that ask the same."""
    keys = ["benchmark", "item_id"]
    if isinstance(source, RunFolder):
        side = _run_side(source)
        paired = source.items.select(
            *keys, other_prompt="prompt", scores=pl.Series(side.scores), asked=pl.Series(side.asked)
        )
        rows = basis.items.select(*keys, "prompt").join(paired, on=keys, how="left", maintain_order="left")
        same = (rows["prompt"] == rows["other_prompt"]).fill_null(value=False).to_numpy()
        values = np.where(same, rows["scores"].fill_null(float("nan")).to_numpy(), np.nan)
        asked = same & rows["asked"].fill_null(value=False).to_numpy()
        known = paired.filter(pl.col("scores").is_not_nan()).select(keys)
        lost = known.join(basis.items.select(keys).filter(pl.Series(~np.isnan(values))), on=keys, how="anti")
        return Side(side.name, values, asked, _in_words(lost))
    name = _only_model(source)
    rows = read_score_log(ScoresConfig(path=source, model=name))
    matched = match_scores(basis.items.select("benchmark", "item_id", "prompt").iter_rows(), rows)
    positions = matched.table["item"].to_numpy()
    values, asked = np.full(basis.items.height, np.nan), np.zeros(basis.items.height, bool)
    values[positions] = matched.table["score"].fill_null(float("nan")).to_numpy()
    asked[positions] = True
    scored = rows.filter(pl.col("score").is_not_null()).select("benchmark", item_id="id")
    strangers = _in_words(scored.join(basis.items, on="item_id", how="anti", maintain_order="left"))
    return Side(name, values, asked, strangers[: sum(model.unmatched for model in matched.models)])


def _in_words(items: pl.DataFrame) -> tuple[str, ...]:
    return tuple(f"{benchmark}: {item}" for benchmark, item in items.iter_rows())


def compare_scores(
    basis: Basis, candidate: Side, baseline: Side, min_effect: float, *, listed: bool = True
) -> Comparison:
    """Return the comparison of two models' scores on the same items.

    Parameters
    ----------
    min_effect
        A difference counts only if its whole interval lies beyond this.
    listed
        Whether to compute the list of slices too, which takes most of the time.

    Raises
    ------
    UserError
        If no item is scored for both.
    """
    if not 0 <= min_effect < 1:
        raise UserError(f"min_effect {min_effect:g}: expected a difference of scores from 0 to 1.")
    differences = find_differences(basis, candidate, baseline, min_effect)
    losses, answer = lost_on(differences), answer_of(differences.asked) if listed else None
    rows = [] if answer is None else [finding.example for finding in answer.findings]
    paired = int((~np.isnan(differences.asked.outcome.values)).sum())
    only_candidate, only_baseline = _only(basis, candidate, baseline), _only(basis, baseline, candidate)
    unpaired = {candidate.name: len(only_candidate), baseline.name: len(only_baseline)}
    faults = (
        *too_few_pairs(int(differences.overall["clusters"][0]), paired, unpaired),
        *_unpaired_benchmarks(basis, candidate, baseline),
    )
    after, before = (replace(side, scores=side.completed) for side in (candidate, baseline))
    both = ~np.isnan(after.scores - before.scores)
    unscored = sum(int((np.isnan(side.scores) & both).sum()) for side in (candidate, baseline))
    if unscored and not faults:
        if_wrong = lost_on(find_differences(basis, after, before, min_effect))
        faults = (undecided(unscored, losses, if_wrong),) if bool(losses) != bool(if_wrong) else ()
    return Comparison(
        candidate=candidate.name,
        baseline=baseline.name,
        paired=paired,
        only_candidate=only_candidate,
        only_baseline=only_baseline,
        missing=_missing(differences.sample, candidate, baseline, basis.config),
        overall=differences.overall,
        slices=differences.slices,
        answer=answer,
        examples=tuple(None if row is None else basis.items["prompt"][row] for row in rows),
        items=_changed(basis, candidate.scores, baseline.scores),
        min_effect=min_effect,
        verdict="not comparable" if faults else "regression" if losses else "no regression",
        reasons=faults or losses,
    )


def _missing(sample: ItemSample, candidate: Side, baseline: Side, config: EvidenceConfig) -> pl.DataFrame:
    rows = []
    for side, other in ((candidate, baseline), (baseline, candidate)):
        lacking = np.where(np.isnan(other.scores), np.nan, np.isnan(side.scores))
        facts = missing_scores(sample, lacking, other.scores, config.thresholds)
        if facts is not None:
            rows.append((side.name, facts.share, facts.gap, facts.low, facts.high, facts.p_value))
    numbers = dict.fromkeys(("share", "difference", "low", "high", "p_value"), pl.Float64)
    table = pl.DataFrame(rows, schema={"model": pl.String, **numbers}, orient="row")
    return table.with_columns(pl.col(list(numbers)).fill_nan(None))


def _only(basis: Basis, side: Side, other: Side) -> tuple[str, ...]:
    alone = ~np.isnan(side.scores) & np.isnan(other.scores)
    return (*_in_words(basis.items.select("benchmark", "item_id").filter(pl.Series(alone))), *side.strangers)


def _changed(basis: Basis, values: np.ndarray, before: np.ndarray) -> pl.DataFrame:
    table = basis.items.select("benchmark", "item_id").with_columns(
        pl.Series("baseline", before).fill_nan(None), pl.Series("candidate", values).fill_nan(None)
    )
    table = table.with_columns(difference=pl.col("candidate") - pl.col("baseline"))
    return table.filter(pl.col("difference") != 0).sort("difference", maintain_order=True)


def _unpaired_benchmarks(basis: Basis, candidate: Side, baseline: Side) -> Iterator[str]:
    """Yield the names of benchmarks of which the candidate lacks most of the baseline's scored items."""
    paired = basis.items.select("benchmark", pl.Series("paired", ~np.isnan(candidate.scores)))
    scored = paired.filter(pl.Series(~np.isnan(baseline.scores)))
    shares = scored.group_by("benchmark", maintain_order=True).agg(pl.col("paired").mean())
    for name in shares.filter(pl.col("paired") < PAIRED)["benchmark"]:
        yield f"{candidate.name} lacks most scores on the benchmark {name}"


ALPHA = 0.05
"""Chance of any false alarm, over all tests of a comparison."""


class Differences(NamedTuple):
    """Tested differences between two models; the frames are those of :class:`Comparison`."""

    asked: Analysis
    sample: ItemSample
    overall: pl.DataFrame
    slices: pl.DataFrame


def find_differences(basis: Basis, candidate: Side, baseline: Side, min_effect: float) -> Differences:
    """Return the tested differences of two models' scores, overall and by category; clusters count once."""
    sides = (candidate, baseline)
    outcome = difference(*(Outcome("score", side.name, side.scores) for side in sides))
    if np.isnan(outcome.values).all():
        raise UserError(
            f"no item is scored for both {candidate.name} and {baseline.name}: there is nothing to compare."
        )
    values, known = (np.stack([getattr(side, name) for side in sides]) for name in ("scores", "asked"))
    scores = ModelScores((candidate.name, baseline.name), values, known)
    asked = analyse_items(basis.items, basis.families, basis.config.strata, scores, outcome)
    nothing = sp.csr_array((0, basis.items.height))
    sample = slice_sample(basis.items, nothing, basis.config.strata, Outcomes(outcome.values, outcome.limits))
    slices = _slices(basis, asked, min_effect)
    is_benchmark = (slices["column"] == "benchmark").to_numpy()
    kinds = 1 + len(np.unique(is_benchmark[slices["reason"].is_null().to_numpy()]))
    overall = _overall(sample, asked, basis.config.seed, min_effect, kinds)
    return Differences(
        asked,
        sample,
        _judged(overall, np.zeros(overall.height, bool), kinds, min_effect),
        _judged(slices, is_benchmark, kinds, min_effect).sort("change", nulls_last=True, maintain_order=True),
    )


def _overall(sample: ItemSample, asked: Analysis, seed: int, min_effect: float, kinds: int) -> pl.DataFrame:
    """Return the tested overall difference under each weighting; a cluster's contribution is flipped as a whole."""
    known = asked.units.unit >= 0
    unit, benchmark = asked.units.unit[known], sample.benchmark[known]
    within = units_of(sample, across=False).share[known]
    weights = {"items": asked.units.share[known]}
    if len(np.unique(benchmark)) > 1:
        weights["benchmarks"] = within / np.bincount(benchmark, within)[benchmark]
    frames = []
    for weighting, weight in weights.items():
        total = np.bincount(unit, weight)
        differences = np.bincount(unit, weight * asked.outcome.values[known]) / total
        paired = paired_differences(sp.csr_array(total[None]), differences, seed=seed)
        names = ("clusters", "difference", "low", "high", "better", "worse")
        frame = pl.DataFrame({"weighting": [weighting], **{name: getattr(paired, name) for name in names}})
        detectable = pl.Series(min_effect + paired.detectable(ALPHA / kinds / len(weights)))
        frames.append(frame.with_columns(detectable=detectable, p_value=pl.Series(_p_values(paired, min_effect))))
    return pl.concat(frames)


def _slices(basis: Basis, asked: Analysis, min_effect: float) -> pl.DataFrame:
    """Return the change of each category, with both models' means and the p-value of the measured difference."""
    family, unit, values = basis.columns, asked.units.unit, asked.outcome.values
    known = unit >= 0
    count = np.maximum(family.member @ known.astype(np.float64), 1)
    before = (family.member @ np.where(known, asked.scores.values[1], 0.0)) / count
    gaps = slice_gaps(asked).filter(family=family.name)
    tested = gaps["reason"].is_null() | (gaps["reason"] == "nearly all")
    # Unlike a unit's outcome, its mean difference is not moved between the levels of benchmarks.
    differences = np.bincount(unit[known], values[known]) / np.bincount(unit[known])
    rows = asked.units.rows(family.weights)[np.flatnonzero(tested)]
    paired = paired_differences(rows, differences, seed=basis.config.seed)
    measured = (paired.difference, paired.low, paired.high, _p_values(paired, min_effect))
    columns = np.full((len(measured), gaps.height), np.nan)
    columns[:, tested.to_numpy()] = measured
    change, low, high, p_value = (pl.Series(column, dtype=pl.Float64).fill_nan(None) for column in columns)
    return gaps.select(
        *("slice", "name", "column", "items"),
        pl.when(pl.col("items") > 0).then(pl.Series(before)).alias("before"),
        after="mean",
        # A benchmark is no slice of what is compared within it: it has the measured difference, as the whole has.
        change=pl.coalesce("change", change),
        low=pl.coalesce("change_low", low),
        high=pl.coalesce("change_high", high),
        p_value=p_value,
        reason=pl.when(~tested).then("reason"),
    )


def _judged(frame: pl.DataFrame, kind: np.ndarray, kinds: int, min_effect: float) -> pl.DataFrame:
    """Return a table with p-values corrected within each kind of test and for the number of kinds, and with
    verdicts.
    """
    p_value = frame["p_value"].to_numpy()
    adjusted = np.full(len(p_value), np.nan)
    for each in np.unique(kind):
        tested = (kind == each) & ~np.isnan(p_value)
        adjusted[tested] = np.minimum(1.0, kinds * holm(p_value[tested]))
    clear = adjusted <= ALPHA
    changes = [clear & (frame["high"].to_numpy() < -min_effect), clear & (frame["low"].to_numpy() > min_effect)]
    verdict = pl.Series(np.select(changes, ["lost", "gained"], "no clear change"))
    frame = frame.with_columns(p_adjusted=pl.Series(adjusted).fill_nan(None))
    return frame.with_columns(verdict=pl.when(pl.col("p_adjusted").is_not_null()).then(verdict))


def _p_values(paired: Paired, min_effect: float) -> np.ndarray:
    """Return two-sided p-values of differences beyond ``min_effect``: 0.05 where the 95% interval begins there."""
    if not min_effect:
        return paired.p_value
    above = paired.difference > 0
    half = np.where(above, paired.difference - paired.low, paired.high - paired.difference)
    beyond = 2 * ndtr(quantile(0.95) * (min_effect - np.abs(paired.difference)) / half)
    return np.asarray(np.maximum(paired.p_value, np.minimum(1.0, beyond)))


def holm(p_value: np.ndarray) -> np.ndarray:
    """Return Holm's adjusted p-values (Scandinavian Journal of Statistics 6, 1979): float64 of the shape of
    ``p_value``.
    """
    order = np.argsort(p_value, kind="stable")
    steps = np.minimum(1.0, p_value[order] * np.arange(len(p_value), 0, -1))
    out = np.empty(len(p_value))
    out[order] = np.maximum.accumulate(steps)
    return out


MIN_CLUSTERS = 20
"""Minimum number of paired clusters for a verdict."""
PAIRED = 0.5
"""Minimum share of either model's scored items that must be paired for a verdict."""
WEIGHTINGS = {"items": "overall", "benchmarks": "the mean over benchmarks"}
"""Units that count equally -> name of a loss under this weighting."""
GateVerdict = Literal["regression", "no regression", "not comparable"]


def undecided(unscored: int, losses: Sequence[str], if_wrong: Sequence[str]) -> str:
    """Return a sentence: whether there is a loss depends on how unscored answers count."""
    left_out, counted = (f"a loss ({', '.join(lost[:3])})" if lost else "no loss" for lost in (losses, if_wrong))
    return (
        f"the verdict hinges on {plural(unscored, 'unscored answer')}: leaving them out gives {left_out}, and counting "
        f"them as wrong gives {counted}. Score them, with 0 where they are wrong"
    )


def too_few_pairs(clusters: int, paired: int, unpaired: Mapping[str, int]) -> Iterator[str]:
    """Yield sentences on why too few items are paired for a verdict; none if there are enough.

    Parameters
    ----------
    clusters, paired
        Numbers of clusters and items that are scored for both.
    unpaired
        Number of items that only one side is scored on, by its name.
    """
    if clusters < MIN_CLUSTERS:
        yield f"only {plural(clusters, 'cluster')} scored for both; {MIN_CLUSTERS} are needed"
    for name, only in unpaired.items():
        if paired < PAIRED * (paired + only):
            yield f"only {paired / (paired + only):.0%} of the items scored for {name} are scored for both"


def lost_on(differences: Differences) -> tuple[str, ...]:
    """Return what the candidate lost on, overall first, then the greatest loss."""
    overall = differences.overall.filter(verdict="lost").sort("difference", maintain_order=True)
    names = [WEIGHTINGS[weighting] for weighting in overall["weighting"]]
    return (*names, *differences.slices.filter(verdict="lost")["name"])
