"""The answer that a run gives: where a model is weak and strong, as one list of slices for every view."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import ndtr

from competency_gaps.evidence import Units, units_of
from competency_gaps.evidence.outcomes import Kind, Outcome
from competency_gaps.findings.caveats import caveats_of
from competency_gaps.findings.choose import Chosen, Weighed, anything, bars_of, centred, choose, weigh
from competency_gaps.findings.estimate import HALVES, NORMAL, again, gaps_of, half_samples, resting_on
from competency_gaps.findings.finding import LIKELY, SOLID, STRATA, Answer, Caveat, Finding
from competency_gaps.findings.joint import Joint, sums_by_block
from competency_gaps.findings.prior import Prior, Seen, fit, learn, seen
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.outcomes import Peers, outcome_of
from competency_gaps.runs.sample import Outcomes, slice_sample
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.slices import CONCEPTS, Family
from competency_gaps.util.errors import UserError

Against = str | Sequence[str] | None
NESTED = 0.9
"""Share of a line's items from which it lies within another."""
POOL = 16
"""Most models that the prior is learned from, evenly spaced by their scores."""


class Asked(NamedTuple):
    """An outcome with the families that may explain it. N items, U units."""

    items: pl.DataFrame
    """Rows as of ``items.parquet``."""
    scores: ModelScores
    outcome: Outcome
    peers: Peers | None
    units: Units
    values: np.ndarray
    """float64 of shape (U,): the outcome of each unit, in its own units."""
    families: list[Weighed]
    prior: Prior | None = None
    """Of the run's models; None: this outcome alone says it."""


def find_answer(run: RunFolder, model: str | None = None, against: Against = None, *, parsed: bool = False) -> Answer:
    """Say where a model is weak and strong.

    Parameters
    ----------
    run
        A finished run.
    model
        Its name; None: the run's own model, or the only one that it has scores of.
    against
        None: its peers where the run has at least two at its level, else its own scores; ``"peers"``; ``"benchmark"``:
        its own scores, beside the benchmark's average; the name of another model; or the names of its peers.
    parsed
        Ask, instead, from how many answers a score could be read.

    Returns
    -------
    Answer
        A list of at most ten slices. Of outcomes that go with nothing, at most 5% of the lists are not empty.

    Raises
    ------
    UserError
        If the run has no scores of a model, or several and none is named, or too few peers.
    """
    asked = ask(run, model, against, parsed=parsed)
    base = run.run_itself()
    strata = held_equal(base, [own.family for own in asked.families])
    caveats = caveats_of(base, asked.outcome, asked.peers, asked.scores, asked.families, asked.units, strata)
    return answered(asked, caveats)


def answered(asked: Asked, caveats: tuple[Caveat, ...] = ()) -> Answer:
    """Choose the slices that explain an outcome, and estimate their gaps."""
    families, values, block = asked.families, asked.values, asked.units.block
    whole = np.ones((len(values), 1), bool)
    findings: list[Finding] = []
    joint = model_of(asked)
    if joint is not None:
        bars, halves = bars_of(families, values, block), half_samples(len(values))
        p, *p_again = anything(families, bars, values, np.concatenate([whole, halves], axis=1), block)
        (chosen,) = choose(joint, values, whole, np.array([p]))
        lists = choose(joint.base or joint, values, halves, np.array(p_again))
        held = again(joint, chosen, lists, halves, values)
        rests_on = resting_on(families, joint, chosen, values)
        made = [_finding(asked, joint, *own) for own in zip(chosen, held, rests_on, strict=True)]
        belongs = [
            families[joint.design.family[own.place]].belongs(int(joint.design.slice[own.place])) for own in chosen
        ]
        findings = _nested(_ordered(made), dict(zip((own.slice for own in made), belongs, strict=True)))
    own = asked.scores.of(asked.outcome.model)
    known = own[~np.isnan(own)]
    scored = ~np.isnan(asked.outcome.values)
    return Answer(
        model=asked.outcome.model,
        kind=asked.outcome.kind,
        against=asked.outcome.against,
        mean=float(known.mean()) if len(known) else None,
        right=bool(np.isin(known, (0.0, 1.0)).all()),
        outcome=float(asked.outcome.values[scored].mean()) if scored.any() else None,
        chance=_chance(asked, ~np.isnan(own)),
        items=int(asked.items["excluded"].is_null().sum()),
        scored=int(scored.sum()),
        findings=tuple(findings),
        families=tuple(own.family.name for own in families),
        tested=0 if joint is None else int(sum(own.usable.sum() for own in families)),
        caveats=(*_resting(findings), *caveats),
    )


def _resting(findings: Sequence[Finding]) -> list[Caveat]:
    """The columns on which gaps rest, with the lines that do."""
    slices, lines = {finding.name for finding in findings}, dict[str, list[int]]()
    for finding in findings:
        for name, _ in finding.rests_on:
            if name not in slices and name != STRATA:
                lines.setdefault(name, []).append(finding.number)
    return [Caveat("rests_on", {"lines": lines})] if lines else []


def ask(run: RunFolder, model: str | None = None, against: Against = None, *, parsed: bool = False) -> Asked:
    """Make the outcome of a model and the families over its units; parameters as of :func:`find_answer`."""
    base = run.run_itself()
    scores = model_scores(base)
    return asked_of(base, scores, *outcome_asked(base, scores, model, against, parsed=parsed))


def asked_of(run: RunFolder, scores: ModelScores, outcome: Outcome, peers: Peers | None) -> Asked:
    """The families of a run over the units of an outcome."""
    asked = _over_run(run, scores, outcome, peers)
    if outcome.kind in ("score", "peers") and len(scores.models) > 1:
        asked = asked._replace(prior=_run_prior(run, scores, outcome.kind))
    return asked


def _over_run(run: RunFolder, scores: ModelScores, outcome: Outcome, peers: Peers | None) -> Asked:
    families = slices_of(run)
    return over_units(run.items, families, held_equal(run, families), scores, outcome, peers)


def over_units(
    items: pl.DataFrame,
    families: Sequence[Family],
    strata: Sequence[str],
    scores: ModelScores,
    outcome: Outcome,
    peers: Peers | None = None,
) -> Asked:
    """Families over the units of an outcome of items, compared within strata."""
    units, values = units_asked(items, outcome, strata)
    kept = items["excluded"].is_null().to_numpy()
    return Asked(items, scores, outcome, peers, units, values, [weigh(family, units, kept) for family in families])


_PRIORS: dict[tuple[str, float, Kind, bytes], Prior] = {}
"""Those learned in this process, by run, when it was last changed, kind of outcome and scores."""


def _run_prior(run: RunFolder, scores: ModelScores, kind: Kind) -> Prior:
    """Learn the prior from outcomes of models of the run."""
    written = (run.path / "manifest.json").stat().st_mtime
    key = str(run.path.resolve()), written, kind, hashlib.sha256(scores.values.tobytes()).digest()
    if key not in _PRIORS:
        means = np.nan_to_num([np.nanmean(row) if (~np.isnan(row)).any() else 0.0 for row in scores.values])
        order = np.argsort(means, kind="stable")
        outcomes = []
        for place in np.unique(np.linspace(0, len(order) - 1, min(POOL, len(order))).round().astype(int)):
            with suppress(UserError):  # it has no peers
                asked = _over_run(run, scores, *outcome_of(run, scores, scores.models[order[place]], kind))
                if _varies(asked):
                    outcomes.append(_seen(asked))
        _PRIORS[key] = learn(outcomes)
    return _PRIORS[key]


def model_of(asked: Asked) -> Joint | None:
    """The model of all slices for an outcome; None: there is nothing that slices could explain."""
    if not _varies(asked):
        return None
    own = _seen(asked)
    return fit(own, learn([own]) if asked.prior is None else asked.prior)


def _varies(asked: Asked) -> bool:
    """Whether outcomes differ within blocks, and there are slices to explain it."""
    left = centred(asked.values, np.ones((len(asked.values), 1), bool), asked.units.block)
    return any(own.usable.any() for own in asked.families) and bool((np.abs(left) > 1e-6).any())


def _seen(asked: Asked) -> Seen:
    return seen(asked.families, asked.values, np.ones(len(asked.values), bool), asked.units.block)


def outcome_asked(
    run: RunFolder, scores: ModelScores, model: str | None, against: Against, *, parsed: bool = False
) -> tuple[Outcome, Peers | None]:
    """The outcome that an answer is about; parameters as of :func:`find_answer`."""
    name = _model(run, scores, model)
    if against is None and not parsed:
        with suppress(UserError):  # none at its level
            return outcome_of(run, scores, name, "peers")
    kind, others = kind_asked(against, parsed=parsed)
    return outcome_of(run, scores, name, kind, tuple(map(scores.named, others)))


def kind_asked(against: Against, *, parsed: bool) -> tuple[Kind, tuple[str, ...]]:
    """The kind of an outcome, and the other models that it is taken against; None: scores alone."""
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
    """The families of a run, read once."""
    manifest = run.path / "manifest.json"
    return _read(str(run.path.resolve()), manifest.stat().st_mtime)


def units_asked(items: pl.DataFrame, outcome: Outcome, strata: Sequence[str]) -> tuple[Units, np.ndarray]:
    """The clusters of scored items with their strata, and their outcomes."""
    nothing = sp.csr_array((0, items.height))
    sample = slice_sample(items, nothing, strata, Outcomes(outcome.values, outcome.limits))
    units = units_of(sample)
    return units, sample.limits[0] + sample.scale * units.outcome


def held_equal(run: RunFolder, families: Sequence[Family]) -> list[str]:
    """The covariates within whose strata items are compared: a column that is a slice is not held equal as well."""
    questions = {question for family in families for question in family.question if question is not None}
    names = [str(entry["name"]) for entry in run.manifest["benchmarks"]]
    inside = {f"{name} in {benchmark}": name for name in run.evidence_config.strata for benchmark in names}
    sliced = questions | {inside[question] for question in questions if question in inside}
    return [name for name in run.evidence_config.strata if name not in sliced]


def _ordered(findings: list[Finding]) -> list[Finding]:
    """Number the findings, worst first on each side by what is shown; those whose gap may be 0 come last."""

    def key(one: Finding) -> tuple[bool, bool, float]:
        shown = one.gap if one.change is None else one.change
        return one.gap > 0, one.low <= 0 <= one.high, -shown if one.gap > 0 else shown

    order = sorted(findings, key=key)
    return [replace(one, number=number) for number, one in enumerate(order, 1)]


def _nested(findings: list[Finding], belongs: Mapping[int, np.ndarray]) -> list[Finding]:
    """Say which line holds nearly all items of another; ``belongs``: the items of each slice, bool of shape (N,)."""
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
    asked: Asked, joint: Joint, one: Chosen, held: dict[str, Any], rests_on: tuple[tuple[str, float], ...]
) -> Finding:
    weighed, at = asked.families[joint.design.family[one.place]], int(joint.design.slice[one.place])
    changes = _changes(asked, weighed.weights[[at]], *(np.array([value]) for value in (one.gap, one.error)))
    held |= {name: None if np.isnan(value[0]) else float(value[0]) for name, value in changes.items()}
    family = weighed.family
    scored = weighed.belongs(at) & ~np.isnan(asked.outcome.values)
    score = asked.scores.of(asked.outcome.model)[scored]
    typical = tuple(family.typical[at]) if family.typical else ()
    whole = np.ones((len(asked.values), 1), bool)
    noise = float(gaps_of(weighed.weights[[at]], asked.values, whole, asked.units.block)[1][0, 0])
    recurs = float(ndtr(abs(one.gap) / np.hypot(one.error, np.sqrt(2) * noise)))
    return Finding(
        number=0,  # given when the list is ordered
        slice=int(family.number[at]),
        family=family.name,
        name=family.names[at],
        gap=float(one.gap),
        low=float(one.gap - NORMAL * one.error),
        high=float(one.gap + NORMAL * one.error),
        recurs=recurs,
        belief="solid" if recurs >= SOLID else "likely" if recurs >= LIKELY else "a hint",
        items=int(weighed.items[at]),
        of_items=int(weighed.of_items[at]),
        mean=None if asked.outcome.kind == "parsed" or not len(score) else float(np.nanmean(score)),
        halves=HALVES,
        rests_on=rests_on,
        example=_example(asked, family, at, scored, typical, weak=one.gap < 0),
        typical=typical[:2],
        chance=_chance(asked, scored),
        within=None,  # likewise
        **held,
    )


def _chance(asked: Asked, scored: np.ndarray) -> float | None:
    """The share of scored items that guessing one of their options gets right."""
    known = asked.scores.of(asked.outcome.model)
    if asked.outcome.kind == "parsed" or not np.isin(known[~np.isnan(known)], (0.0, 1.0)).all() or not scored.any():
        return None
    if "answer_index" not in asked.items.columns:
        return None
    chosen = asked.items.select("answer_index", options=pl.col("choices").list.len()).filter(pl.Series(scored))
    return None if chosen["answer_index"].has_nulls() else float((1 / chosen["options"].to_numpy()).mean())


def _changes(asked: Asked, weights: sp.csr_array, gap: np.ndarray, error: np.ndarray) -> dict[str, np.ndarray]:
    """Give the difference of two models that is expected on slices, with its 95% interval; NaN for other outcomes.

    It is the mean difference of the slices' strata plus the gap, which is independent of it.

    Parameters
    ----------
    weights : csr_array of shape (K, U)
    gap, error : ndarray of float of shape (K,)
    """
    if asked.outcome.kind != "difference":
        return dict.fromkeys(_CHANGE, np.full(len(gap), np.nan))
    block, count = asked.units.block, np.bincount(asked.units.block)
    left = centred(asked.values, np.ones((len(block), 1), bool), block).astype(np.float64)
    part = sums_by_block(weights, block)
    part /= np.maximum(part.sum(axis=1, keepdims=True), 1e-9)
    variance = part**2 @ (1 / count) * (left**2).sum() / max(1, len(block) - len(count))
    change = part @ (np.bincount(block, asked.values) / count) + gap
    reach = NORMAL * np.hypot(error, np.sqrt(variance))
    return dict(zip(_CHANGE, (change, change - reach, change + reach), strict=True))


def _example(
    asked: Asked, family: Family, number: int, scored: np.ndarray, typical: Sequence[int], *, weak: bool
) -> int | None:
    """A typical item with an outcome on the finding's side: of equals the heaviest, then the first."""
    rows = np.flatnonzero(scored)
    if not len(rows):
        return None
    weight = family.weights[[number]].toarray().ravel()[rows]
    outcome = asked.outcome.values[rows] * (1 if weak else -1)
    level = float(np.quantile(outcome, 0.1))
    extreme = outcome <= (level if level < outcome.max() else outcome.min())  # fewer than a tenth may fail
    order = np.lexsort((rows, -weight, ~np.isin(rows, typical), ~extreme))
    return int(rows[order[0]])


_CHANGE = ("change", "change_low", "change_high")
_SLICE = {"slice": pl.Int64, "family": pl.String, "name": pl.String, "question": pl.String, "parent": pl.Int64}
_FIGURES = {
    **dict.fromkeys(("items", "of_items"), pl.Int64),
    **dict.fromkeys(("mean", "gap", "low", "high", *_CHANGE), pl.Float64),
    **dict.fromkeys(("verdict", "reason"), pl.String),
}


def listed(families: Iterable[Family]) -> pl.DataFrame:
    """One row per slice: ``slice`` (its number), ``family``, ``name``, ``question`` and ``parent``."""
    tables = [pl.DataFrame(schema=_SLICE)]
    for own in families:
        columns = (own.number, own.name, own.names, pl.Series(own.question, dtype=pl.String), own.parent)
        tables.append(pl.DataFrame(dict(zip(_SLICE, columns, strict=True))))
    return pl.concat(tables)


def slice_table(
    run: RunFolder, model: str | None = None, against: Against = None, *, parsed: bool = False
) -> pl.DataFrame:
    """Give the gap of every slice, as an answer shows it; parameters as of :func:`find_answer`.

    Returns
    -------
    polars.DataFrame
        As of :func:`slice_gaps`.
    """
    return slice_gaps(ask(run, model, against, parsed=parsed))


def concept_slice(
    run: RunFolder, concept: int, model: str | None = None, against: Against = None, *, parsed: bool = False
) -> tuple[dict[str, Any], Outcome] | None:
    """Give the row of :func:`slice_table` of the items where a concept is strongest, and the outcome that it is about;
    None: the concept is no slice, or whose scores are asked for is not known."""
    base, number = run.run_itself(), CONCEPTS + concept
    known = model or base.own_model or len(model_scores(base).models) == 1
    if not known or not any(number in family.number for family in slices_of(base)):
        return None
    asked = ask(base, model, against, parsed=parsed)
    return slice_gaps(asked).row(by_predicate=pl.col("slice") == number, named=True), asked.outcome


def slice_gaps(asked: Asked) -> pl.DataFrame:
    """Give the gap of every slice.

    Returns
    -------
    polars.DataFrame
        One row per slice: ``slice``, ``family``, ``name``, ``question``, ``parent``, ``items`` (scored ones that belong
        to it), ``of_items``, ``mean`` (score of these), ``gap`` (expected on
        new items, against comparable ones) with its 95% interval ``low`` to ``high``, ``change`` (of two models: the
        difference expected there) with ``change_low`` and ``change_high``, ``verdict`` (``weaker`` or ``stronger``
        where the gap's interval leaves out 0, else ``typical``). A slice without a gap has a ``reason``: ``few items``,
        ``nearly all`` items are in it, or most are ``unscored``.
    """
    scores = asked.scores.of(asked.outcome.model)
    known = ~np.isnan(scores) & ~np.isnan(asked.outcome.values)
    block, whole = asked.units.block, np.ones((len(asked.values), 1), bool)
    left, joint = centred(asked.values, whole, block), model_of(asked)
    tables = [pl.DataFrame(schema=_FIGURES)]
    for own in asked.families:
        count = own.family.member @ known.astype(np.float64)
        total = own.family.member @ np.where(known, scores, 0.0)
        size = np.where(own.usable, own.size, np.nan)
        gap, error = np.full((2, len(size)), np.nan)
        if joint is not None and own.usable.any():
            sums, _, errors = joint.expected(left, 1.0, own.weights[own.usable])
            gap[own.usable], error[own.usable] = sums[:, 0] / size[own.usable], errors[:, 0] / size[own.usable]
        low, high = gap - NORMAL * error, gap + NORMAL * error
        table = pl.DataFrame(
            {
                "items": own.items,
                "of_items": own.of_items,
                "mean": np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0),
                **{"gap": gap, "low": low, "high": high},
                **_changes(asked, own.weights, gap, error),
                "verdict": np.where(low > 0, "stronger", np.where(high < 0, "weaker", "typical")),
                "reason": own.reason,
            },
            schema=_FIGURES,
        )
        table = table.with_columns(pl.col(pl.Float64).fill_nan(None))
        tables.append(table.with_columns(verdict=pl.when(pl.col("gap").is_not_null()).then("verdict")))
    return listed(own.family for own in asked.families).hstack(pl.concat(tables))
