"""The answer that a run gives: where a model is weak and strong, as one list of slices for every view."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import ndtr

from competency_gaps.evidence import Units, units_of
from competency_gaps.evidence.outcomes import Kind, Outcome
from competency_gaps.findings.caveats import caveats_of
from competency_gaps.findings.choose import Chosen, choose, global_p_values, null_distributions
from competency_gaps.findings.estimate import HALF_SAMPLES, Z_95, explained_by, gaps_of, half_samples, replicate
from competency_gaps.findings.finding import LIKELY, SOLID, STRATA, Answer, Caveat, Finding
from competency_gaps.findings.on_units import aggregate, centred, sums_by_block
from competency_gaps.findings.slice_model import Analysis, Observed, Prior, SliceModel, fit, learn, observe
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.outcomes import Peers, outcome_of
from competency_gaps.runs.sample import Outcomes, slice_sample
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.slices import CONCEPTS, Family
from competency_gaps.util.errors import UserError

Against = str | Sequence[str] | None
NESTED = 0.9
"""A line lies within another if at least this share of its items belongs to the other."""
MAX_PRIOR_MODELS = 16
"""Maximum number of models from which the prior is learned, evenly spaced by their scores."""


def find_answer(run: RunFolder, model: str | None = None, against: Against = None, *, parsed: bool = False) -> Answer:
    """Return where a model is weak and strong.

    Parameters
    ----------
    run
        A finished run.
    model
        Name of the model; None: the run's own model, or the only one with scores.
    against
        None: peers if the run has at least two at the model's level, else its own scores; ``"peers"``; ``"benchmark"``:
        its own scores, beside the benchmark's average; the name of another model; or the names of its peers.
    parsed
        Whether the outcome is whether each answer could be parsed, instead of the score.

    Returns
    -------
    Answer
        A list of at most ten slices; if the outcome goes with no slice, it is empty in 95% of cases.

    Raises
    ------
    UserError
        If the run has no scores of a model, or several and none is named, or too few peers.
    """
    analysis = analyse(run, model, against, parsed=parsed)
    base = run.run_itself()
    strata = strata_of(base, [on_units.family for on_units in analysis.families])
    return answer_of(analysis, caveats_of(base, analysis, strata))


def answer_of(analysis: Analysis, caveats: tuple[Caveat, ...] = ()) -> Answer:
    """Return the answer for an outcome: the slices that explain it, with their gaps."""
    families, values, block = analysis.families, analysis.values, analysis.units.block
    whole = np.ones((len(values), 1), bool)
    findings: list[Finding] = []
    slice_model = fit_slices(analysis)
    if slice_model is not None:
        nulls, halves = null_distributions(families, values, block), half_samples(len(values))
        p, *p_again = global_p_values(families, nulls, values, np.concatenate([whole, halves], axis=1), block)
        (chosen,) = choose(slice_model, values, whole, np.array([p]))
        lists = choose(slice_model.base or slice_model, values, halves, np.array(p_again))
        replications = replicate(slice_model, chosen, lists, halves, values)
        rests_on = explained_by(families, slice_model, chosen, values)
        rows = zip(chosen, replications, rests_on, strict=True)
        unordered = [_finding(analysis, slice_model, *row) for row in rows]
        family, number = slice_model.design.family, slice_model.design.slice
        belongs = [families[family[one.position]].belongs(int(number[one.position])) for one in chosen]
        findings = _nested(_ordered(unordered), dict(zip((one.slice for one in unordered), belongs, strict=True)))
    scores = analysis.scores.of(analysis.outcome.model)
    known = scores[~np.isnan(scores)]
    scored = ~np.isnan(analysis.outcome.values)
    return Answer(
        model=analysis.outcome.model,
        kind=analysis.outcome.kind,
        against=analysis.outcome.against,
        mean=float(known.mean()) if len(known) else None,
        right=bool(np.isin(known, (0.0, 1.0)).all()),
        outcome=float(analysis.outcome.values[scored].mean()) if scored.any() else None,
        chance=_chance(analysis, ~np.isnan(scores)),
        items=int(analysis.items["excluded"].is_null().sum()),
        scored=int(scored.sum()),
        findings=tuple(findings),
        families=tuple(on_units.family.name for on_units in families),
        tested=0 if slice_model is None else int(sum(on_units.usable.sum() for on_units in families)),
        caveats=(*_resting(findings), *caveats),
    )


def _resting(findings: Sequence[Finding]) -> list[Caveat]:
    """Return caveats on columns that explain part of the gaps of some lines."""
    slices, lines = {finding.name for finding in findings}, dict[str, list[int]]()
    for finding in findings:
        for name, _ in finding.rests_on:
            if name not in slices and name != STRATA:
                lines.setdefault(name, []).append(finding.number)
    return [Caveat("rests_on", {"lines": lines})] if lines else []


def analyse(run: RunFolder, model: str | None = None, against: Against = None, *, parsed: bool = False) -> Analysis:
    """Return the outcome of a model and the families over its units; parameters as in :func:`find_answer`."""
    base = run.run_itself()
    scores = model_scores(base)
    return analysis_of(base, scores, *chosen_outcome(base, scores, model, against, parsed=parsed))


def analysis_of(run: RunFolder, scores: ModelScores, outcome: Outcome, peers: Peers | None) -> Analysis:
    """Return an outcome with a run's families and the prior of its models."""
    analysis = _over_run(run, scores, outcome, peers)
    if outcome.kind in ("score", "peers") and len(scores.models) > 1:
        analysis = analysis._replace(prior=_run_prior(run, scores, outcome.kind))
    return analysis


def _over_run(run: RunFolder, scores: ModelScores, outcome: Outcome, peers: Peers | None) -> Analysis:
    families = slices_of(run)
    return analyse_items(run.items, families, strata_of(run, families), scores, outcome, peers)


def analyse_items(
    items: pl.DataFrame,
    families: Sequence[Family],
    strata: Sequence[str],
    scores: ModelScores,
    outcome: Outcome,
    peers: Peers | None = None,
) -> Analysis:
    """Return an outcome with families over its units, compared within strata, without a prior."""
    units, values = units_with_outcomes(items, outcome, strata)
    kept = items["excluded"].is_null().to_numpy()
    return Analysis(
        items, scores, outcome, peers, units, values, [aggregate(family, units, kept) for family in families]
    )


_PRIORS: dict[tuple[str, float, Kind, bytes], Prior] = {}
"""Priors learned in this process, by path and last change of the run, kind of outcome and hash of scores."""


def _run_prior(run: RunFolder, scores: ModelScores, kind: Kind) -> Prior:
    """Return the prior learned from the outcomes of the run's models."""
    written = (run.path / "manifest.json").stat().st_mtime
    key = str(run.path.resolve()), written, kind, hashlib.sha256(scores.values.tobytes()).digest()
    if key not in _PRIORS:
        means = np.nan_to_num([np.nanmean(row) if (~np.isnan(row)).any() else 0.0 for row in scores.values])
        order = np.argsort(means, kind="stable")
        outcomes = []
        for rank in np.unique(np.linspace(0, len(order) - 1, min(MAX_PRIOR_MODELS, len(order))).round().astype(int)):
            with suppress(UserError):  # it has no peers
                analysis = _over_run(run, scores, *outcome_of(run, scores, scores.models[order[rank]], kind))
                if _varies(analysis):
                    outcomes.append(_observed(analysis))
        _PRIORS[key] = learn(outcomes)
    return _PRIORS[key]


def fit_slices(analysis: Analysis) -> SliceModel | None:
    """Return the slice model fitted to an outcome; None if the outcome is constant within blocks, or no slice is
    usable.
    """
    if not _varies(analysis):
        return None
    observed = _observed(analysis)
    return fit(observed, learn([observed]) if analysis.prior is None else analysis.prior)


def _varies(analysis: Analysis) -> bool:
    """Whether the outcome varies within blocks, and a slice is usable."""
    residual = centred(analysis.values, np.ones((len(analysis.values), 1), bool), analysis.units.block)
    return any(one.usable.any() for one in analysis.families) and bool((np.abs(residual) > 1e-6).any())


def _observed(analysis: Analysis) -> Observed:
    return observe(analysis.families, analysis.values, np.ones(len(analysis.values), bool), analysis.units.block)


def chosen_outcome(
    run: RunFolder, scores: ModelScores, model: str | None, against: Against, *, parsed: bool = False
) -> tuple[Outcome, Peers | None]:
    """Return the outcome that an answer is about, with its peers; parameters as in :func:`find_answer`."""
    name = _model(run, scores, model)
    if against is None and not parsed:
        with suppress(UserError):  # none at its level
            return outcome_of(run, scores, name, "peers")
    kind, others = outcome_kind(against, parsed=parsed)
    return outcome_of(run, scores, name, kind, tuple(map(scores.named, others)))


def outcome_kind(against: Against, *, parsed: bool) -> tuple[Kind, tuple[str, ...]]:
    """Return the kind of an outcome, and the names of the models that it is taken against."""
    if parsed:
        return "parsed", ()
    if against is None or against == "benchmark":
        return "score", ()
    if isinstance(against, str):
        return ("peers", ()) if against == "peers" else ("difference", (against,))
    return "peers", tuple(against)


def _model(run: RunFolder, scores: ModelScores, model: str | None) -> str:
    if model is not None:
        return scores.named(model)
    if run.own_model is not None:
        return run.own_model
    if len(scores.models) != 1:
        raise UserError(
            f"the run has scores for {len(scores.models)} models ({', '.join(scores.models) or 'none'}): name one."
        )
    return scores.models[0]


@lru_cache(maxsize=4)
def _read(path: str, written: float) -> list[Family]:
    from competency_gaps.slices import read_slices

    return read_slices(open_folder(path))


def slices_of(run: RunFolder) -> list[Family]:
    """Return the families of a run; cached until the run changes."""
    manifest = run.path / "manifest.json"
    return _read(str(run.path.resolve()), manifest.stat().st_mtime)


def units_with_outcomes(items: pl.DataFrame, outcome: Outcome, strata: Sequence[str]) -> tuple[Units, np.ndarray]:
    """Return the units of an outcome with their strata, and the outcome of each: float64 of shape (U,)."""
    nothing = sp.csr_array((0, items.height))
    sample = slice_sample(items, nothing, strata, Outcomes(outcome.values, outcome.limits))
    units = units_of(sample)
    return units, sample.limits[0] + sample.scale * units.outcome


def strata_of(run: RunFolder, families: Sequence[Family]) -> list[str]:
    """Return the covariates by which items are stratified: those in the run's settings that are not a column of
    slices.
    """
    columns = {column for family in families for column in family.column if column is not None}
    names = [str(entry["name"]) for entry in run.manifest["benchmarks"]]
    inside = {f"{name} in {benchmark}": name for name in run.evidence_config.strata for benchmark in names}
    sliced = columns | {inside[column] for column in columns if column in inside}
    return [name for name in run.evidence_config.strata if name not in sliced]


def _ordered(findings: list[Finding]) -> list[Finding]:
    """Return the findings numbered: weaker before stronger, largest first, those whose interval includes 0 last on
    each side.
    """

    def key(one: Finding) -> tuple[bool, bool, float]:
        shown = one.gap if one.change is None else one.change
        return one.gap > 0, one.low <= 0 <= one.high, -shown if one.gap > 0 else shown

    order = sorted(findings, key=key)
    return [replace(one, number=number) for number, one in enumerate(order, 1)]


def _nested(findings: list[Finding], belongs: Mapping[int, np.ndarray]) -> list[Finding]:
    """Return the findings with ``within`` set where nearly all items are in another; ``belongs``: bool (N,) by
    slice.
    """
    sizes = {number: int(inside.sum()) for number, inside in belongs.items()}
    nested = []
    for finding in findings:
        inside, size = belongs[finding.slice], sizes[finding.slice]
        larger = [
            other
            for other in findings
            if sizes[other.slice] > size and (belongs[other.slice] & inside).sum() >= NESTED * size
        ]
        smallest = min(larger, key=lambda other: sizes[other.slice], default=None)
        nested.append(replace(finding, within=None if smallest is None else smallest.number))
    return nested


def _finding(
    analysis: Analysis,
    slice_model: SliceModel,
    one: Chosen,
    replication: dict[str, Any],
    rests_on: tuple[tuple[str, float], ...],
) -> Finding:
    on_units = analysis.families[slice_model.design.family[one.position]]
    at = int(slice_model.design.slice[one.position])
    changes = _changes(analysis, on_units.weights[[at]], *(np.array([value]) for value in (one.gap, one.error)))
    change: dict[str, Any] = {name: None if np.isnan(value[0]) else float(value[0]) for name, value in changes.items()}
    family = on_units.family
    scored = on_units.belongs(at) & ~np.isnan(analysis.outcome.values)
    score = analysis.scores.of(analysis.outcome.model)[scored]
    typical = tuple(family.typical[at]) if family.typical else ()
    whole = np.ones((len(analysis.values), 1), bool)
    noise = float(gaps_of(on_units.weights[[at]], analysis.values, whole, analysis.units.block)[1][0, 0])
    recurs = float(ndtr(abs(one.gap) / np.hypot(one.error, np.sqrt(2) * noise)))
    return Finding(
        number=0,  # set by _ordered
        slice=int(family.number[at]),
        family=family.name,
        name=family.names[at],
        gap=float(one.gap),
        low=float(one.gap - Z_95 * one.error),
        high=float(one.gap + Z_95 * one.error),
        recurs=recurs,
        belief="solid" if recurs >= SOLID else "likely" if recurs >= LIKELY else "a hint",
        items=int(on_units.items[at]),
        of_items=int(on_units.of_items[at]),
        mean=None if analysis.outcome.kind == "parsed" or not len(score) else float(np.nanmean(score)),
        halves=HALF_SAMPLES,
        rests_on=rests_on,
        example=_example(analysis, family, at, scored, typical, weak=one.gap < 0),
        typical=typical[:2],
        chance=_chance(analysis, scored),
        within=None,  # set by _nested
        **replication,
        **change,
    )


def _chance(analysis: Analysis, scored: np.ndarray) -> float | None:
    """Return the share of scored items that random guessing among the options gets right; None if some have no
    options.
    """
    known = analysis.scores.of(analysis.outcome.model)
    if analysis.outcome.kind == "parsed" or not np.isin(known[~np.isnan(known)], (0.0, 1.0)).all() or not scored.any():
        return None
    if "answer_index" not in analysis.items.columns:
        return None
    chosen = analysis.items.select("answer_index", options=pl.col("choices").list.len()).filter(pl.Series(scored))
    return None if chosen["answer_index"].has_nulls() else float((1 / chosen["options"].to_numpy()).mean())


def _changes(analysis: Analysis, weights: sp.csr_array, gap: np.ndarray, error: np.ndarray) -> dict[str, np.ndarray]:
    """Return the difference of two models expected on slices, with its 95% interval; NaN for other outcomes.

    It is the mean difference of the slices' strata plus the gap; their errors are independent.

    Parameters
    ----------
    weights : csr_array of shape (K, U)
    gap, error : ndarray of float of shape (K,)
    """
    if analysis.outcome.kind != "difference":
        return dict.fromkeys(_CHANGE, np.full(len(gap), np.nan))
    block, count = analysis.units.block, np.bincount(analysis.units.block)
    left = centred(analysis.values, np.ones((len(block), 1), bool), block).astype(np.float64)
    part = sums_by_block(weights, block)
    part /= np.maximum(part.sum(axis=1, keepdims=True), 1e-9)
    variance = part**2 @ (1 / count) * (left**2).sum() / max(1, len(block) - len(count))
    change = part @ (np.bincount(block, analysis.values) / count) + gap
    reach = Z_95 * np.hypot(error, np.sqrt(variance))
    return dict(zip(_CHANGE, (change, change - reach, change + reach), strict=True))


def _example(
    analysis: Analysis, family: Family, number: int, scored: np.ndarray, typical: Sequence[int], *, weak: bool
) -> int | None:
    """Return the row of a typical item with an outcome on the finding's side; ties: the largest weight, then the
    first.
    """
    rows = np.flatnonzero(scored)
    if not len(rows):
        return None
    weight = family.weights[[number]].toarray().ravel()[rows]
    outcome = analysis.outcome.values[rows] * (1 if weak else -1)
    level = float(np.quantile(outcome, 0.1))
    extreme = outcome <= (level if level < outcome.max() else outcome.min())  # fewer than a tenth may fail
    order = np.lexsort((rows, -weight, ~np.isin(rows, typical), ~extreme))
    return int(rows[order[0]])


_CHANGE = ("change", "change_low", "change_high")
_SLICE = {"slice": pl.Int64, "family": pl.String, "name": pl.String, "column": pl.String, "parent": pl.Int64}
_FIGURES = {
    **dict.fromkeys(("items", "of_items"), pl.Int64),
    **dict.fromkeys(("mean", "gap", "low", "high", *_CHANGE), pl.Float64),
    **dict.fromkeys(("verdict", "reason"), pl.String),
}


def listed(families: Iterable[Family]) -> pl.DataFrame:
    """Return one row per slice: ``slice`` (its number), ``family``, ``name``, ``column`` and ``parent``."""
    tables = [pl.DataFrame(schema=_SLICE)]
    for family in families:
        columns = (family.number, family.name, family.names, pl.Series(family.column, dtype=pl.String), family.parent)
        tables.append(pl.DataFrame(dict(zip(_SLICE, columns, strict=True))))
    return pl.concat(tables)


def slice_table(
    run: RunFolder, model: str | None = None, against: Against = None, *, parsed: bool = False
) -> pl.DataFrame:
    """Return the gap of every slice, as an answer shows it; parameters as in :func:`find_answer`.

    Returns
    -------
    polars.DataFrame
        As from :func:`slice_gaps`.
    """
    return slice_gaps(analyse(run, model, against, parsed=parsed))


def concept_slice(
    run: RunFolder, concept: int, model: str | None = None, against: Against = None, *, parsed: bool = False
) -> tuple[dict[str, Any], Outcome] | None:
    """Return a concept's row of :func:`slice_table`, and its outcome.

    None if the concept is no slice, or no model is named and the run has scores of several.
    """
    base, number = run.run_itself(), CONCEPTS + concept
    known = model or base.own_model or len(model_scores(base).models) == 1
    if not known or not any(number in family.number for family in slices_of(base)):
        return None
    analysis = analyse(base, model, against, parsed=parsed)
    return slice_gaps(analysis).row(by_predicate=pl.col("slice") == number, named=True), analysis.outcome


def slice_gaps(analysis: Analysis) -> pl.DataFrame:
    """Return the gap of every slice.

    Returns
    -------
    polars.DataFrame
        One row per slice: ``slice``, ``family``, ``name``, ``column``, ``parent``, ``items`` (its scored items),
        ``of_items`` (all its items), ``mean`` (score of its scored items, in [0, 1]), ``gap`` (expected on new items,
        against comparable ones) with its 95% interval ``low`` to ``high``, ``change`` (of two models: the difference
        expected there) with ``change_low`` and ``change_high``, ``verdict`` (``weaker`` or ``stronger`` where the
        gap's interval leaves out 0, else ``typical``). A slice without a gap has a ``reason``: ``few items``,
        ``nearly all`` (items are in it), or ``unscored`` (most of its items).
    """
    scores = analysis.scores.of(analysis.outcome.model)
    known = ~np.isnan(scores) & ~np.isnan(analysis.outcome.values)
    block, whole = analysis.units.block, np.ones((len(analysis.values), 1), bool)
    residual, slice_model = centred(analysis.values, whole, block), fit_slices(analysis)
    tables = [pl.DataFrame(schema=_FIGURES)]
    for on_units in analysis.families:
        count = on_units.family.member @ known.astype(np.float64)
        total = on_units.family.member @ np.where(known, scores, 0.0)
        usable = on_units.usable
        size = np.where(usable, on_units.size, np.nan)
        gap, error = np.full((2, len(size)), np.nan)
        if slice_model is not None and usable.any():
            sums, _, errors = slice_model.expected(residual, 1.0, on_units.weights[usable])
            gap[usable], error[usable] = sums[:, 0] / size[usable], errors[:, 0] / size[usable]
        low, high = gap - Z_95 * error, gap + Z_95 * error
        table = pl.DataFrame(
            {
                "items": on_units.items,
                "of_items": on_units.of_items,
                "mean": np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0),
                **{"gap": gap, "low": low, "high": high},
                **_changes(analysis, on_units.weights, gap, error),
                "verdict": np.where(low > 0, "stronger", np.where(high < 0, "weaker", "typical")),
                "reason": on_units.reason,
            },
            schema=_FIGURES,
        )
        table = table.with_columns(pl.col(pl.Float64).fill_nan(None))
        tables.append(table.with_columns(verdict=pl.when(pl.col("gap").is_not_null()).then("verdict")))
    return listed(on_units.family for on_units in analysis.families).hstack(pl.concat(tables))
