"""Caveats of an answer, as codes and numbers; those that may overturn the list come first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.evidence import Units
from competency_gaps.evidence.outcomes import ENOUGH_PEERS, NEAR_DISTANCE, Outcome
from competency_gaps.evidence.trends import trends
from competency_gaps.findings.choose import ERROR_RATE
from competency_gaps.findings.finding import Caveat
from competency_gaps.findings.on_units import MIN_SCORED_SHARE, MIN_UNITS, FamilyOnUnits
from competency_gaps.findings.slice_model import Analysis
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.manifest import read_assessment
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import ModelScores


def caveats_of(run: RunFolder, analysis: Analysis, strata: Sequence[str]) -> tuple[Caveat, ...]:
    """Return the caveats of an answer, as codes with numbers."""
    outcome, families = analysis.outcome, analysis.families
    # The assessment of robustness is of the run's own scores.
    of_own_scores = outcome.kind == "score" and outcome.model == run.own_model
    assessment = read_assessment(run.path) if of_own_scores else None
    caveats = [*_of_reading(run, families, assessment), *_of_scores(run, analysis, strata)]
    names = [on_units.family.name for on_units in families]
    tested = int(sum(on_units.usable.sum() for on_units in families))
    if tested:
        caveats.append(Caveat("rate", {"error": ERROR_RATE, "families": names, "tested": tested}))
    reasons = [reason for on_units in families for reason in on_units.reason]
    if small := sum(reason in ("few items", "nearly all") for reason in reasons):
        caveats.append(Caveat("too_small", {"slices": small, "floor": MIN_UNITS}))
    if of_own_scores and assessment is None and run.has_reading:
        caveats.append(Caveat("unchecked"))
    return tuple(caveats)


def _of_reading(
    run: RunFolder, families: Sequence[FamilyOnUnits], assessment: Mapping[str, Any] | None
) -> Iterator[Caveat]:
    """Yield caveats on the reading, the judge and the robustness of the run."""
    gate = run.manifest["gate"] or {"passed": True}
    if not gate.get("passed") and any(family.family.name in ("concepts", "regions", "profiles") for family in families):
        yield Caveat("gate", {"explained_variance": gate.get("explained_variance"), "forced": bool(gate.get("forced"))})
    for benchmark in run.manifest["benchmarks"]:
        for figures in (benchmark.get("figures") or {}).values():
            if figures.get("by_place"):
                numbers = {name: figures[name] for name in ("agreement", "items")}
                numbers |= {"benchmark": benchmark["name"], "first": 0.5 + figures["position_bias"]["value"]}
                yield Caveat("judge_by_place", numbers)
    verdicts = (assessment or {}).get("verdicts") or []
    failed = [verdict["code"] for verdict in verdicts if verdict["tone"] == "bad"]
    if failed:
        yield Caveat("robustness", {"failed": failed, "tests": len(verdicts)})


def _of_scores(run: RunFolder, analysis: Analysis, strata: Sequence[str]) -> Iterator[Caveat]:
    """Yield caveats on missing scores, repeats, strata, the reader and the peers."""
    items, outcome, peers, scores = run.items, analysis.outcome, analysis.peers, analysis.scores
    kept = items["excluded"].is_null().to_numpy()
    missing = int((kept & np.isnan(scores.of(outcome.model))).sum())
    if missing and outcome.kind != "parsed":
        difference = _others_difference(run, outcome.model, scores)
        yield Caveat("unscored", {"items": int(kept.sum()), "missing": missing, "difference": difference})
    floor = [
        name
        for on_units in analysis.families
        for name, reason in zip(on_units.family.names, on_units.reason, strict=True)
        if reason == "unscored"
    ]
    if floor:
        yield Caveat("no_verdict", {"slices": len(floor), "names": floor[:3], "floor": MIN_SCORED_SHARE})
    yield from _of_form(run, outcome, analysis.units, strata)
    if strata:
        yield Caveat("strata", {"covariates": list(strata)})
    repeated = repeats(items) & kept
    clusters, whole = items.filter(kept)["cluster"].n_unique(), int(kept.sum())
    if clusters < whole:
        numbers = {"items": whole, "clusters": clusters, "repeats": int(repeated.sum()), "together": whole - clusters}
        yield Caveat("repeats", numbers)
    if not kept.all():
        yield Caveat("excluded", {"items": items.height, "excluded": int((~kept).sum())})
    if run.reader not in (None, outcome.model):
        yield Caveat("lens", {"reads": run.reader})
    if peers is not None and (len(peers.rows) < ENOUGH_PEERS or peers.distance > NEAR_DISTANCE):
        yield Caveat("peers", {"peers": len(peers.rows), "distance": peers.distance})


MAX_TREND_P_VALUE = 0.001
"""Maximum p-value of a trend that becomes a caveat."""
MIN_TREND_DIFFERENCE = 0.03
"""Minimum difference of a category's mean from the overall mean, in [0, 1], for a trend to become a caveat."""


def _of_form(run: RunFolder, outcome: Outcome, units: Units, strata: Sequence[str]) -> Iterator[Caveat]:
    """Yield caveats on trends of the outcome with the form of items, within strata: the category that differs most."""
    covariates = [covariate for covariate in run.form if covariate.name not in strata]
    names = run.items["benchmark"].unique(maintain_order=True).to_list()
    scale = outcome.limits[1] - outcome.limits[0]
    for number, name in enumerate(names):
        for trend in trends(units, number, covariates):
            clusters, means = np.array(trend.clusters), np.array(trend.means)
            difference = np.where(clusters >= MIN_UNITS, scale * (means - np.average(means, weights=clusters)), 0.0)
            largest = int(np.abs(difference).argmax())
            if trend.p_value <= MAX_TREND_P_VALUE and abs(difference[largest]) >= MIN_TREND_DIFFERENCE:
                numbers = {"benchmark": name if len(names) > 1 else None, "covariate": trend.covariate}
                numbers |= {"category": str(trend.values[largest]), "difference": float(difference[largest])}
                yield Caveat("trend", numbers | {"items": trend.clusters[largest]})


def _others_difference(run: RunFolder, model: str, scores: ModelScores) -> float | None:
    """Return how much higher other models score on the unscored items than on the benchmark's others; None: unknown."""
    others = np.delete(scores.values, scores.row(model), axis=0)
    known = ~np.isnan(others)
    count = known.sum(axis=0)
    if not len(others) or not count.any():
        return None
    mean = np.where(known, others, 0).sum(axis=0) / np.maximum(count, 1)
    table = run.items.select("benchmark", mean=mean, lacks=np.isnan(scores.of(model))).filter(count > 0)
    away = table.select("lacks", away=pl.col("mean") - pl.col("mean").mean().over("benchmark"))
    gap, rest = (away.filter(lacks=lacks)["away"].to_numpy() for lacks in (True, False))
    return float(gap.mean() - rest.mean()) if len(gap) and len(rest) else None
