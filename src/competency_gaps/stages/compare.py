"""Compare two models on the same items: overall, per benchmark, and by the categories of columns [ours].

Every test flips the signs of whole clusters' differences (:mod:`competency_gaps.evidence.flips`). Benchmarks are
corrected by Holm's method, slices by Benjamini and Hochberg's; the verdict corrects all by Holm's. The list for the
difference is an answer like any other (:mod:`competency_gaps.findings.answer`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import ndtr

from competency_gaps.benchmarks.repeats import find_clusters
from competency_gaps.config import BenchmarkConfig, EvidenceConfig, parse_config
from competency_gaps.errors import UserError
from competency_gaps.evidence import ItemSample, Paired, Units, corrected, evidence, paired_differences, units_of
from competency_gaps.evidence.interval import quantile
from competency_gaps.evidence.sums import effective_sample
from competency_gaps.findings.answer import Asked, answered, held_equal, slices_of, units_asked
from competency_gaps.findings.choose import FLOOR, weigh
from competency_gaps.findings.finding import Answer
from competency_gaps.items.item import answer_index, answer_text
from competency_gaps.logs.find import find_parts, log_entries
from competency_gaps.logs.scores import read_score_log
from competency_gaps.outcomes import Outcome, difference
from competency_gaps.runs.matched_scores import match_scores
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import Outcomes, slice_sample, with_outcomes
from competency_gaps.runs.schemas import ITEMS
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.slices import Family, family_of
from competency_gaps.slices.columns import columns
from competency_gaps.slices.features import features
from competency_gaps.stages.load import load_benchmark
from competency_gaps.stages.models import missing_scores
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
    strangers: tuple[str, ...] = ()
    """Items (benchmark and id) that it is scored on and that are none of these."""

    @property
    def completed(self) -> np.ndarray:
        """The scores, with 0 where it was asked and no score could be read."""
        return np.where(self.asked & np.isnan(self.scores), 0.0, self.scores)


class Basis(NamedTuple):
    """The items that two models are compared on, with their slices. N items."""

    items: pl.DataFrame
    """Rows as of ``items.parquet``."""
    families: list[Family]
    config: EvidenceConfig
    """Its strata are those within which items are compared."""

    @property
    def columns(self) -> Family:
        """The categories of columns; none where the items have no column that differs."""
        none = family_of("columns", sp.csr_array((0, self.items.height)), [])
        return next((family for family in self.families if family.name == "columns"), none)


@dataclass(frozen=True)
class Comparison:
    """A candidate against a baseline on the items that both were scored on.

    Frames have the columns ``clusters``, ``difference`` (candidate less baseline, in [-1, 1]: a mean over items in
    which repeats of one text count once), ``low``, ``high``, ``p_value`` (of a difference beyond ``min_effect``),
    ``q_value`` (corrected within the frame, but for ``overall``), ``better`` and ``worse`` (clusters on which the
    candidate did better or worse: McNemar's counts), ``detectable`` (the smallest difference found with a power of 0.8)
    and ``status``: better, worse, or same (no difference shown).
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
    about equal length; null: too few)."""
    overall: pl.DataFrame
    """By ``weighting``: ``items`` (every item counts the same) and, if there are several benchmarks, ``benchmarks``
    (every benchmark counts the same: the mean of the benchmarks' differences). The gate tests both, corrected by Holm:
    ``validation/gate.py`` compares that with either alone."""
    benchmarks: pl.DataFrame
    """One row per benchmark with a pair, with ``benchmark``; Holm's correction."""
    slices: pl.DataFrame
    """One row per category of a column with enough pairs, the greatest loss first: ``slice`` (its number), ``name``,
    ``baseline_mean`` and ``candidate_mean`` (scores there), the columns of all frames, ``gap``, ``gap_low``,
    ``gap_high`` and ``gap_q`` (by how much the difference is larger there than on comparable items) and
    ``baseline_gap`` (by how much the baseline itself scores more there)."""
    answer: Answer | None
    """The list of slices for the difference; None: it was not asked for."""
    examples: tuple[str | None, ...]
    """The prompt of the example of each finding of the answer."""
    items: pl.DataFrame
    """Items whose score differs, the largest loss first: ``benchmark``, ``item_id``, ``baseline``, ``candidate``,
    ``difference``."""
    min_effect: float
    """Differences count from here on."""
    verdict: GateVerdict
    reasons: tuple[str, ...]
    """What the candidate lost on (``overall``, ``the mean over benchmarks``, ``benchmark NAME``, or a slice's name), or
    why nothing can be told."""

    @property
    def unchanged(self) -> pl.DataFrame:
        """Rows of ``slices`` on which no difference is found, the smallest first."""
        return self.slices.filter(status="same").sort(pl.col("difference").abs(), maintain_order=True)

    @property
    def narrower(self) -> pl.DataFrame:
        """Rows of ``slices`` on which the baseline is weaker than elsewhere, and the candidate less so."""
        closed = (pl.col("baseline_gap") < 0) & (pl.col("gap") > 0) & (pl.col("gap_q") <= ALPHA)
        return self.slices.filter(closed).sort("gap", descending=True, maintain_order=True)


def compare_models(run: RunFolder, candidate: str, baseline: str, *, min_effect: float = 0.0) -> Comparison:
    """Compare two models of one run, as :meth:`competency_gaps.Run.compare` describes."""
    scores = model_scores(run)
    names = (scores.named(candidate), scores.named(baseline))
    after, before = (Side(name, scores.of(name), scores.asked[scores.row(name)]) for name in names)
    return compare_scores(basis_of(run), after, before, min_effect)


def compare_runs(candidate: RunFolder | Path, baseline: RunFolder | Path, *, min_effect: float = 0.0) -> Comparison:
    """Compare two runs, outcomes of runs, or logs of other tools, on the items that both hold.

    Items pair by benchmark and id, if they ask the same. They, and their slices, are those of the baseline, unless it
    is a log and the candidate a run.

    Raises
    ------
    UserError
        If no item is scored in both, or a log cannot be read or is of several models.
    """
    turned = isinstance(candidate, RunFolder) and not isinstance(baseline, RunFolder)
    home, guest = (candidate, baseline) if turned else (baseline, candidate)
    own: Side
    if isinstance(home, RunFolder):
        basis, own = basis_of(home), _run_side(home)
    else:
        basis, own = _log_basis(home)
    other = _paired_side(basis, guest)
    if own.name == other.name:
        paths = [(side.path if isinstance(side, RunFolder) else side).resolve().parts[::-1] for side in (home, guest)]
        parts = [*zip(*paths, strict=False)]
        one, two = next((pair for pair in parts if pair[0] != pair[1]), parts[0])
        own, other = replace(own, name=f"{own.name} ({one})"), replace(other, name=f"{other.name} ({two})")
    return compare_scores(basis, *((own, other) if turned else (other, own)), min_effect)


def basis_of(run: RunFolder) -> Basis:
    """The items of a run and its slices."""
    base = open_folder(run.base)
    families = slices_of(base)
    config = evidence_config(base).model_copy(update={"strata": held_equal(base, families)})
    return Basis(base.items, families, config)


def _run_side(run: RunFolder) -> Side:
    if run.manifest.get("outcome", {}).get("kind", "score") != "score":
        raise UserError(f"{run.path} holds another outcome than scores: compare the scores of runs or of models.")
    scores = model_scores(open_folder(run.base))
    known = run.scored_model in scores.models
    asked = np.asarray(scores.asked[scores.row(run.scored_model)]) if known else np.zeros(len(run.outcomes), bool)
    return Side(run.scored_model, run.outcomes, asked)


def _log_basis(path: Path) -> tuple[Basis, Side]:
    """The items of a log, compared by their columns and features of their texts, and its model's scores."""
    entries = [{**entry, "policy": "imported"} for entry in log_entries([str(path)])]
    suite = [load_benchmark(parse_config(BenchmarkConfig, entry, "options")) for entry in entries]
    name = _only_model(path)
    cluster, kind = find_clusters(suite).columns(benchmark.name for benchmark in suite)
    rows = [
        {
            "benchmark": benchmark.name,
            "item_id": item.id,
            "prompt": item.prompt,
            "group": item.group,
            "covariates": json.dumps(item.covariates) if item.covariates else None,
            "answer": answer_text(item),
            "answer_index": answer_index(item),
            "choices": None if item.choices is None else list(item.choices),
            "n_span_tokens": len(item.prompt.split()),
            "score": item.score,
        }
        for benchmark in suite
        for item in benchmark.items
    ]
    own = ("score", "group", "covariates", "answer", "answer_index", "choices")
    items = pl.DataFrame(rows, schema_overrides={name: ITEMS[name] for name in own}).with_columns(
        pl.Series("cluster", cluster, pl.Int64),
        pl.Series("cluster_kind", kind, pl.String),
        pl.lit(None, ITEMS["excluded"]).alias("excluded"),
    )
    families = [family for family in (columns(items), features(items)) if family is not None]
    values = items["score"].fill_null(float("nan")).to_numpy()
    basis = Basis(items, families, EvidenceConfig())
    return basis, Side(name, values, np.ones(len(values), bool))


def _only_model(path: Path) -> str:
    """The model that a log is of; where it does not say so, the log's name."""
    names = sorted({part.model for part in find_parts(path) if part.model is not None})
    if len(names) > 1:
        raise UserError(f"{path} holds logs of {len(names)} models ({', '.join(names)}): give the log of one.")
    return names[0] if names else path.resolve().name


def _paired_side(basis: Basis, source: RunFolder | Path) -> Side:
    """Another source's scores on the items that ask the same."""
    keys = ["benchmark", "item_id"]
    if isinstance(source, RunFolder):
        side = _run_side(source)
        own = source.items.select(
            *keys, own_prompt="prompt", scores=pl.Series(side.scores), asked=pl.Series(side.asked)
        )
        rows = basis.items.select(*keys, "prompt").join(own, on=keys, how="left", maintain_order="left")
        same = (rows["prompt"] == rows["own_prompt"]).fill_null(value=False).to_numpy()
        values = np.where(same, rows["scores"].fill_null(float("nan")).to_numpy(), np.nan)
        asked = same & rows["asked"].fill_null(value=False).to_numpy()
        known = own.filter(pl.col("scores").is_not_nan()).select(keys)
        lost = known.join(basis.items.select(keys).filter(pl.Series(~np.isnan(values))), on=keys, how="anti")
        return Side(side.name, values, asked, _in_words(lost))
    name = _only_model(source)
    rows_of = list(read_score_log(source, model=name))
    matched = match_scores(basis.items.select("benchmark", "item_id", "prompt").iter_rows(), rows_of)
    place = matched.table["item"].to_numpy()
    values, asked = np.full(basis.items.height, np.nan), np.zeros(basis.items.height, bool)
    values[place] = matched.table["score"].fill_null(float("nan")).to_numpy()
    asked[place] = True
    ids = set(basis.items["item_id"])
    scored = [row for row in rows_of if row.score is not None]
    strangers = [f"{row.benchmark}: {row.id}" for row in scored if row.id not in ids]
    return Side(name, values, asked, tuple(strangers[: sum(own.unmatched for own in matched.added)]))


def _in_words(items: pl.DataFrame) -> tuple[str, ...]:
    return tuple(f"{benchmark}: {item}" for benchmark, item in items.iter_rows())


def compare_scores(
    basis: Basis, candidate: Side, baseline: Side, min_effect: float, *, answer: bool = True
) -> Comparison:
    """Compare two models' scores on the same items.

    Parameters
    ----------
    min_effect
        Differences count if their whole interval lies beyond this.
    answer
        Whether the list of slices is made too, which takes most of the time.

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
    outcomes = Outcomes(outcome.values, outcome.limits)
    sample = slice_sample(basis.items, basis.columns.weights, basis.config.strata, outcomes)
    tests = paired_tests(basis, sample, outcome.values, min_effect)
    listed = _answer(basis, candidate, baseline, outcome) if answer else None
    rows = [] if listed is None else [finding.example for finding in listed.findings]
    made = Comparison(
        candidate=candidate.name,
        baseline=baseline.name,
        paired=int((~np.isnan(outcome.values)).sum()),
        only_candidate=_only(basis, candidate, baseline),
        only_baseline=_only(basis, baseline, candidate),
        missing=_missing(sample, candidate, baseline, basis.config),
        overall=tests.overall,
        benchmarks=tests.benchmarks,
        slices=_with_gaps(basis, sample, tests.slices, candidate, baseline),
        answer=listed,
        examples=tuple(None if row is None else basis.items["prompt"][row] for row in rows),
        items=_changed(basis, candidate.scores, baseline.scores),
        min_effect=min_effect,
        verdict="no regression",
        reasons=(),
    )
    unpaired = ((made.candidate, len(made.only_candidate)), (made.baseline, len(made.only_baseline)))
    faults = (
        *too_few_pairs(int(made.overall["clusters"][0]), made.paired, unpaired),
        *_unpaired_benchmarks(basis, candidate, baseline),
    )
    if faults:
        return replace(made, verdict="not comparable", reasons=faults)
    losses = lost_on(tests, min_effect)
    completed = candidate.completed - baseline.completed
    unscored = sum(int((np.isnan(side.scores) & ~np.isnan(completed)).sum()) for side in (candidate, baseline))
    if unscored:
        other = with_outcomes(sample, Outcomes(completed, (-1.0, 1.0)))
        if_wrong = lost_on(paired_tests(basis, other, completed, min_effect), min_effect)
        if bool(losses) != bool(if_wrong):
            return replace(made, verdict="not comparable", reasons=(undecided(unscored, losses, if_wrong),))
    return replace(made, verdict="regression" if losses else "no regression", reasons=losses)


def _answer(basis: Basis, candidate: Side, baseline: Side, outcome: Outcome) -> Answer:
    units, values = units_asked(basis.items, outcome, basis.config.strata)
    kept = basis.items["excluded"].is_null().to_numpy()
    sides = (candidate, baseline)
    scores = ModelScores(
        (candidate.name, baseline.name), np.stack([s.scores for s in sides]), np.stack([s.asked for s in sides])
    )
    families = [weigh(family, units, kept) for family in basis.families]
    return answered(Asked(basis.items, scores, outcome, None, units, values, families))


def _missing(sample: ItemSample, candidate: Side, baseline: Side, config: EvidenceConfig) -> pl.DataFrame:
    rows = []
    for side, other in ((candidate, baseline), (baseline, candidate)):
        lacking = np.where(np.isnan(other.scores), np.nan, np.isnan(side.scores))
        facts = missing_scores(sample, lacking, other.scores, config)
        if facts is not None:
            rows.append({"model": side.name, **vars(facts)})
    numbers = dict.fromkeys(("share", "gap", "low", "high", "p_value"), pl.Float64)
    return pl.DataFrame(rows, schema={"model": pl.String, **numbers}).with_columns(pl.col(list(numbers)).fill_nan(None))


def _only(basis: Basis, own: Side, other: Side) -> tuple[str, ...]:
    alone = ~np.isnan(own.scores) & np.isnan(other.scores)
    return (*_in_words(basis.items.select("benchmark", "item_id").filter(pl.Series(alone))), *own.strangers)


def _changed(basis: Basis, values: np.ndarray, before: np.ndarray) -> pl.DataFrame:
    table = basis.items.select("benchmark", "item_id").with_columns(
        pl.Series("baseline", before).fill_nan(None), pl.Series("candidate", values).fill_nan(None)
    )
    table = table.with_columns(difference=pl.col("candidate") - pl.col("baseline"))
    return table.filter(pl.col("difference") != 0).sort("difference", maintain_order=True)


def _unpaired_benchmarks(basis: Basis, candidate: Side, baseline: Side) -> Iterator[str]:
    """Name the benchmarks of which the candidate lacks most of the baseline's scored items."""
    paired = basis.items.select("benchmark", pl.Series("paired", ~np.isnan(candidate.scores)))
    own = paired.filter(pl.Series(~np.isnan(baseline.scores)))
    shares = own.group_by("benchmark", maintain_order=True).agg(pl.col("paired").mean())
    for name in shares.filter(pl.col("paired") < PAIRED)["benchmark"]:
        yield f"{candidate.name} lacks most scores on the benchmark {name}"


ALPHA = 0.05
"""Chance of a false alarm of the gate, over all of its families of tests."""


class Families(NamedTuple):
    """The families of tests that the gate rests on."""

    overall: pl.DataFrame
    benchmarks: pl.DataFrame
    slices: pl.DataFrame


def paired_tests(basis: Basis, sample: ItemSample, values: np.ndarray, min_effect: float) -> Families:
    """Test differences of the scores on items, overall and by family; a mean over each cluster counts once."""
    units, seed = units_of(sample), basis.config.seed
    return Families(
        _overall(sample, units, values, min_effect, seed),
        _benchmarks(basis, sample, values, min_effect, seed),
        _slices(basis, units, of_units(values, units), min_effect),
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


def _benchmarks(basis: Basis, sample: ItemSample, values: np.ndarray, min_effect: float, seed: int) -> pl.DataFrame:
    units = units_of(sample, across=False)
    names = basis.items["benchmark"].unique(maintain_order=True).to_list()
    items = np.arange(len(values))
    member = sp.csr_array((np.ones(len(items)), (sample.benchmark, items)), shape=(len(names), len(items)))
    numbers = np.unique(units.benchmark)
    paired = paired_differences(units.rows(member)[numbers], of_units(values, units), seed=seed)
    named = pl.DataFrame({"benchmark": [names[number] for number in numbers]})
    return pl.concat([named, _frame(paired, min_effect, "holm")], how="horizontal")


def _slices(basis: Basis, units: Units, differences: np.ndarray, min_effect: float) -> pl.DataFrame:
    family, schema = basis.columns, {"slice": pl.Int64, "name": pl.String}
    rows = units.rows(family.weights)
    total, squares = (np.asarray(rows.power(power).sum(axis=1)).ravel() for power in (1, 2))
    member = (family.weights > 0).astype(np.float64)
    kept = basis.items["excluded"].is_null().to_numpy()
    # Scores are seldom missing by chance: a category of which little pairs gets no verdict, as in the answer.
    pairs = member @ (units.unit >= 0) >= FLOOR * (member @ kept)
    # Chosen first: where few clusters carry a slice, its p-value is drawn, which takes most of the time.
    enough = np.flatnonzero((effective_sample(total, squares) >= basis.config.min_n_eff) & pairs)
    named = pl.DataFrame({"slice": family.number[enough], "name": [family.names[at] for at in enough]}, schema=schema)
    frame = _frame(paired_differences(rows[enough], differences, seed=basis.config.seed), min_effect, "bh")
    return pl.concat([named, frame], how="horizontal")


def _with_gaps(basis: Basis, sample: ItemSample, table: pl.DataFrame, candidate: Side, baseline: Side) -> pl.DataFrame:
    """Add both sides' scores on each slice, and by how much these and their difference are larger than elsewhere."""
    family = basis.columns
    if table.is_empty():
        names = ("baseline_mean", "candidate_mean", "gap", "gap_low", "gap_high", "gap_q", "baseline_gap")
        return table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
    place = np.flatnonzero(np.isin(family.number, table["slice"].to_numpy()))
    paired = ~np.isnan(sample.scores)
    weights = family.weights[place]
    count = weights @ paired.astype(np.float64)
    means = {
        f"{name}_mean": (weights @ np.where(paired, side.scores, 0.0)) / count
        for name, side in (("baseline", baseline), ("candidate", candidate))
    }
    apart = evidence(sample, basis.config, draw=False)
    own = evidence(with_outcomes(sample, Outcomes(np.where(paired, baseline.scores, np.nan))), basis.config, draw=False)
    gaps = {"gap": apart.association, "gap_low": apart.association_low, "gap_high": apart.association_high}
    gaps |= {"gap_q": apart.q_value, "baseline_gap": own.association}
    columns = {**means, **{name: values[place] for name, values in gaps.items()}}
    added = table.with_columns(pl.Series(name, values).fill_nan(None) for name, values in columns.items())
    return added.sort("difference", maintain_order=True)


def _frame(paired: Paired, min_effect: float, correction: Literal["none", "holm", "bh"]) -> pl.DataFrame:
    p_value = np.maximum(paired.p_value, _beyond(paired, min_effect)) if min_effect else paired.p_value
    q_value = {"none": lambda p: p, "holm": holm, "bh": corrected}[correction](p_value)
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
        f"the verdict hinges on {plural(unscored, 'unscored answer')}: leaving them out gives {left_out}, and counting "
        f"them as wrong gives {counted}. Score them, with 0 where they are wrong"
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
        faults.append(f"only {plural(clusters, 'cluster')} scored for both; {FEWEST} are needed")
    for name, only in unpaired:
        share = paired / (paired + only)
        if share < PAIRED:
            faults.append(f"only {share:.0%} of the items scored for {name} are scored for both")
    return tuple(faults)


def lost_on(tests: Families, min_effect: float) -> tuple[str, ...]:
    """What the candidate lost on: each family of tests gets an equal part of the chance of a false alarm.

    Slices are corrected by Holm's method here: where many got better, Benjamini and Hochberg's lets more of the others
    pass for losses.
    """
    families = [(tests.overall, pl.col("weighting").replace_strict(WEIGHTINGS))]
    if tests.benchmarks.height > 1:
        families.append((tests.benchmarks, pl.format("benchmark {}", "benchmark")))
    if tests.slices.height:
        families.append((tests.slices, pl.col("name")))
    reasons = []
    for frame, name in families:
        counts = pl.Series(holm(frame["p_value"].to_numpy()) <= ALPHA / len(families))
        lost = frame.filter(counts & (pl.col("high") < -min_effect)).sort("difference", maintain_order=True)
        reasons += lost.select(name.alias("lost"))["lost"].to_list()
    return tuple(reasons)
