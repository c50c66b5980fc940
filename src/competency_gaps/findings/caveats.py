"""What a reader of an answer should know: codes and numbers, what may overturn the list first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.evidence import Units
from competency_gaps.evidence.outcomes import FEW_PEERS, NEAR_PEERS, Outcome
from competency_gaps.evidence.trends import trends
from competency_gaps.findings.choose import ERROR, FEWEST, FLOOR, Weighed
from competency_gaps.findings.finding import Caveat
from competency_gaps.runs.covariates import repeats
from competency_gaps.runs.manifest import read_assessment
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.outcomes import Peers
from competency_gaps.runs.scores import ModelScores


def caveats_of(
    run: RunFolder,
    outcome: Outcome,
    peers: Peers | None,
    scores: ModelScores,
    families: Sequence[Weighed],
    units: Units,
    strata: Sequence[str],
) -> tuple[Caveat, ...]:
    """The caveats of an answer; ``strata``: the covariates that its items are equal in."""
    # Robustness is that of the run's own scores.
    own = outcome.kind == "score" and outcome.model == run.own_model
    assessment = read_assessment(run.path) if own else None
    found = [
        *_of_reading(run, families, assessment),
        *_of_scores(run, outcome, peers, scores, families, units, strata),
    ]
    names = [own.family.name for own in families]
    tested = int(sum(own.usable.sum() for own in families))
    if tested:
        found.append(Caveat("rate", {"error": ERROR, "families": names, "tested": tested}))
    small = sum(int((~own.usable & (own.items >= FLOOR * np.maximum(own.of_items, 1))).sum()) for own in families)
    if small:
        found.append(Caveat("too_small", {"slices": small, "floor": FEWEST}))
    if own and assessment is None and run.has_reading:
        found.append(Caveat("unchecked"))
    return tuple(found)


def _of_reading(run: RunFolder, families: Sequence[Weighed], assessment: Mapping[str, Any] | None) -> Iterator[Caveat]:
    """What makes the slices or the scores themselves less sure."""
    gate = run.manifest["gate"] or {"passed": True}
    if not gate.get("passed") and any(own.family.name in ("concepts", "regions", "profiles") for own in families):
        yield Caveat("gate", {"explained_variance": gate.get("explained_variance"), "forced": bool(gate.get("forced"))})
    for benchmark in run.manifest["benchmarks"]:
        for figures in (benchmark.get("figures") or {}).values():
            if figures.get("by_place"):
                told = {name: figures[name] for name in ("agreement", "items")}
                told |= {"benchmark": benchmark["name"], "first": 0.5 + figures["position_bias"]["value"]}
                yield Caveat("judge_by_place", told)
    verdicts = (assessment or {}).get("verdicts") or []
    failed = [verdict["code"] for verdict in verdicts if verdict["tone"] == "bad"]
    if failed:
        yield Caveat("robustness", {"failed": failed, "tests": len(verdicts)})


def _of_scores(
    run: RunFolder,
    outcome: Outcome,
    peers: Peers | None,
    scores: ModelScores,
    families: Sequence[Weighed],
    units: Units,
    strata: Sequence[str],
) -> Iterator[Caveat]:
    """What the outcomes do not cover, and what they are set against."""
    items = run.items
    kept = items["excluded"].is_null().to_numpy()
    missing = int((kept & np.isnan(scores.of(outcome.model))).sum())
    if missing and outcome.kind != "parsed":  # what is missing is then what it is about
        yield Caveat(
            "unscored", {"items": int(kept.sum()), "missing": missing, "gap": _others_gap(run, outcome.model, scores)}
        )
    unscored = (own.items < FLOOR * np.maximum(own.of_items, 1) for own in families)
    floor = [own.family.names[at] for own, few in zip(families, unscored, strict=True) for at in np.flatnonzero(few)]
    if floor:
        yield Caveat("no_verdict", {"slices": len(floor), "names": floor[:3], "floor": FLOOR})
    yield from _of_form(run, outcome, units, strata)
    if strata:
        yield Caveat("held_equal", {"covariates": list(strata)})
    same = repeats(items) & kept
    clusters, whole = items.filter(kept)["cluster"].n_unique(), int(kept.sum())
    if clusters < whole:
        numbers = {"items": whole, "clusters": clusters, "repeats": int(same.sum()), "together": whole - clusters}
        yield Caveat("repeats", numbers)
    if not kept.all():
        yield Caveat("excluded", {"items": items.height, "excluded": int((~kept).sum())})
    if run.reader not in (None, outcome.model):
        yield Caveat("lens", {"reads": run.reader})
    if peers is not None and (len(peers.rows) < FEW_PEERS or peers.distance > NEAR_PEERS):
        yield Caveat("peers", {"peers": len(peers.rows), "distance": peers.distance})


CLEAR = 0.001
"""Largest p-value of a trend that is told."""
SMALLEST = 0.03
"""Smallest gap that is told."""


def _of_form(run: RunFolder, outcome: Outcome, units: Units, strata: Sequence[str]) -> Iterator[Caveat]:
    """Outcomes that clearly go with the form of the items, net of their strata: the part of the largest gap."""
    covariates = [covariate for covariate in run.form if covariate.name not in strata]
    names = run.items["benchmark"].unique(maintain_order=True).to_list()
    scale = outcome.limits[1] - outcome.limits[0]
    for number, name in enumerate(names):
        for trend in trends(units, number, covariates):
            clusters, means = np.array(trend.clusters), np.array(trend.means)
            gaps = np.where(clusters >= FEWEST, scale * (means - np.average(means, weights=clusters)), 0.0)
            most = int(np.abs(gaps).argmax())
            if trend.p_value <= CLEAR and abs(gaps[most]) >= SMALLEST:
                told = {"benchmark": name if len(names) > 1 else None, "covariate": trend.covariate}
                told |= {"category": str(trend.values[most]), "gap": float(gaps[most]), "items": trend.clusters[most]}
                yield Caveat("trend", told)


def _others_gap(run: RunFolder, model: str, scores: ModelScores) -> float | None:
    """By how much others score more on the items that lack a score, against others of the same benchmark."""
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
