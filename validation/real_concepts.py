"""The parts of real_models.py that look at concepts: counts, nulls, halves and other scores."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.stats import norm

import competency_gaps as cg
from competency_gaps.evidence import Evidence, ItemSample, evidence, units_of
from competency_gaps.evidence.outcomes import choose_peers, expected_scores
from competency_gaps.runs.outcomes import outcome_of
from competency_gaps.runs.sample import Outcomes, item_sample, with_outcomes
from competency_gaps.runs.scores import ModelScores, model_scores

DRAWS = 20
SPLITS = 10


def run_sample(run: cg.Run) -> ItemSample:
    """Make the sample of a run's items, with its outcomes."""
    return item_sample(run.by_concept, run.items, run.evidence_config.strata, Outcomes(run.outcomes, run.limits))


def judged(run: cg.Run, sample: ItemSample, values: np.ndarray, limits: tuple[float, float]) -> Evidence:
    """Gather the evidence of a run's ranked concepts for some outcomes."""
    ranked = run.concepts["ranked"].to_numpy()
    return evidence(with_outcomes(sample, Outcomes(values, limits)), run.evidence_config.thresholds, eligible=ranked)


def counts(run: cg.Run, models: list[str]) -> None:
    """Print how many concepts and slices stand out, and the smallest effects (in points of 100) that would."""
    config, scores = run.evidence_config, model_scores(run)
    sample, least = run_sample(run), config.min_association
    ways = {"score": "benchmark", "peers": "peers"}
    slices = {kind: run.model_slices(against=way, models=models).cells for kind, way in ways.items()}
    columns = ("failure : success", "slices", "smallest: concept", "slice")
    both = " | ".join([*columns, "against peers", *columns[1:]])
    print(f"| model | scored | mean | {both} | slope |\n| --- | ---: | ---: |{' ---: |' * 11}")
    for model in models:
        own = scores.of(model)
        cells = [model, f"{int((~np.isnan(own)).sum()):,}", f"{np.nanmean(own):.3f}"]
        for kind in ("score", "peers"):
            outcome = outcome_of(run, scores, model, kind)[0]
            of_concepts = judged(run, sample, outcome.values, outcome.limits)
            of_slices = slices[kind].filter(pl.col("model") == model)
            listed, status = of_concepts.counts(), of_slices["verdict"]
            tested = ~np.isnan(of_concepts.p_value)
            widths = of_concepts.association_high[tested] - of_concepts.association_low[tested]
            slice_widths = (of_slices["high"] - of_slices["low"]).drop_nulls().to_numpy()
            cells += [
                f"{listed['failure']} : {listed['success']}",
                f"{int((status == 'weaker').sum())} : {int((status == 'stronger').sum())}",
                f"{100 * smallest(widths, len(widths), least):.1f}",
                f"{100 * smallest(slice_widths, slices[kind].height, least):.1f}",
            ]
        print(f"| {' | '.join(cells)} | {', '.join(slopes(run, scores, model))} |", flush=True)


def smallest(widths: np.ndarray, tests: int, least: float) -> float:
    """Give the effect that is listed with a chance of 80% if it is the only one.

    Its p-value must pass the first step of Benjamini-Hochberg, and its whole interval lie beyond ``least``; ``widths``
    are those of 95% intervals.
    """
    error = float(np.median(widths)) / (2 * norm.ppf(0.975))
    by_size = least + error * float(norm.ppf(0.975) + norm.ppf(0.8))
    return max(error * float(norm.isf(0.025 / tests) + norm.ppf(0.8)), by_size)


def slopes(run: cg.Run, scores: ModelScores, model: str) -> list[str]:
    """How much a model's scores change with its peers', by benchmark."""
    row, names = scores.row(model), run.items["benchmark"]
    expected = expected_scores(scores.values, row, choose_peers(scores.values, row), names.rank("dense").to_numpy())
    return [f"{slope:.2f}" for slope in expected.slopes.values()]


def nulls(run: cg.Run, models: list[str]) -> None:
    """Print what is listed if outcomes are shuffled within benchmarks and strata."""
    sample, scores = run_sample(run), model_scores(run)
    print("| model | outcome | draws that list anything | listed in the worst draw |\n| --- | --- | ---: | ---: |")
    for model in models:
        for kind in ("score", "peers"):
            outcome = outcome_of(run, scores, model, kind)[0]
            units = units_of(with_outcomes(sample, Outcomes(outcome.values, outcome.limits)))
            listed = []
            for seed in range(DRAWS):
                shuffled = permuted(outcome.values, units.unit, units.block, np.random.default_rng(seed))
                number = judged(run, sample, shuffled, outcome.limits).counts()
                listed.append(number["failure"] + number["success"])
            print(f"| {model} | {kind} | {np.count_nonzero(listed)} of {DRAWS} | {max(listed)} |", flush=True)


def permuted(values: np.ndarray, unit: np.ndarray, block: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle whole clusters' mean outcomes within their blocks."""
    known = unit >= 0
    count = np.bincount(unit[known], minlength=len(block))
    mean = np.bincount(unit[known], values[known], len(block)) / np.maximum(count, 1)
    order = np.lexsort((rng.random(len(block)), block))
    drawn = np.empty(len(block))
    drawn[np.argsort(block, kind="stable")] = mean[order]
    return np.where(known, drawn[np.maximum(unit, 0)], np.nan)


def halves(run: cg.Run, models: list[str]) -> None:
    """Print how far what one half of the clusters lists shows on the other half."""
    sample, scores = run_sample(run), model_scores(run)
    print("| model | outcome | listed on a half | same sign on the other | of the association that is left |")
    print("| --- | --- | ---: | ---: | ---: |")
    for model in models:
        for kind in ("score", "peers"):
            outcome = outcome_of(run, scores, model, kind)[0]
            units = units_of(with_outcomes(sample, Outcomes(outcome.values, outcome.limits)))
            listed, same, left = [], [], []
            for seed in range(SPLITS):
                first = np.random.default_rng(seed).random(len(units.block)) < 0.5
                sides = []
                for half in (first, ~first):
                    kept = (units.unit >= 0) & half[np.maximum(units.unit, 0)]
                    sides.append(judged(run, sample, np.where(kept, outcome.values, np.nan), outcome.limits))
                chosen = np.isin(sides[0].status, ["failure", "success"]) & ~np.isnan(sides[1].association)
                listed.append(int(chosen.sum()))
                if chosen.any():
                    here, there = (side.association[chosen] for side in sides)
                    same.append(float((np.sign(here) == np.sign(there)).mean()))
                    left.append(float((here * there).sum() / (here**2).sum()))
            shown = (f"{np.mean(same):.0%}", f"{np.mean(left):.0%}") if same else ("", "")
            print(f"| {model} | {kind} | {np.mean(listed):.1f} | {shown[0]} | {shown[1]} |", flush=True)


def carry(run: cg.Run, pairs: list[str], *, shared: bool) -> None:
    """Print how far what one set of scores lists shows in another set of the same model, on other items."""
    sample, scores = run_sample(run), model_scores(run)
    cluster = run.items["cluster"].to_numpy()
    columns = ("failure", "negative there", "failure there", "success", "positive there", "success there")
    print(f"| found with | looked up with | outcome | {' | '.join(columns)} |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for pair in pairs:
        names = tuple(pair.split("="))
        for kind in ("score", "peers"):
            sides = []
            first = outcome_of(run, scores, names[0], kind)[0]
            asked = np.unique(cluster[~np.isnan(first.values)])
            for name in names:
                outcome = outcome_of(run, scores, name, kind)[0]
                values = outcome.values
                if name != names[0] and not shared:
                    values = np.where(np.isin(cluster, asked), np.nan, values)
                sides.append(judged(run, sample, values, outcome.limits))
            cells = []
            for status, sign in (("failure", -1), ("success", 1)):
                chosen = (sides[0].status == status) & ~np.isnan(sides[1].p_value)
                there = sides[1].association[chosen]
                share = f"{(np.sign(there) == sign).mean():.0%}" if chosen.any() else ""
                cells += [str(int(chosen.sum())), share, str(int((sides[1].status[chosen] == status).sum()))]
            correlation = correlation_of(*sides)
            print(f"| {names[0]} | {names[1]} | {kind} (r = {correlation:.2f}) | {' | '.join(cells)} |", flush=True)


def correlation_of(first: Evidence, second: Evidence) -> float:
    """Correlation of the associations of all concepts that are tested on both sides."""
    both = ~np.isnan(first.p_value) & ~np.isnan(second.p_value)
    return float(np.corrcoef(first.association[both], second.association[both])[0, 1])
