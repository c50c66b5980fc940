"""The parts of real_models.py that look at concepts: counts, nulls, halves, other scores, predictions, another SAE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from scipy.stats import norm

import competency_gaps as cg
from competency_gaps.evidence import Evidence, ItemSample, evidence, units_of
from competency_gaps.outcomes import choose_peers, expected_scores
from competency_gaps.robustness.data import RunData, run_data
from competency_gaps.robustness.heldout import OverSplits, agreement, predict_failure
from competency_gaps.runs.sample import Outcomes, run_sample, with_outcomes
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.outcomes import outcome_of, outcome_run

DRAWS = 20
SPLITS = 10


def judged(run: cg.Run, sample: ItemSample, values: np.ndarray, limits: tuple[float, float]) -> Evidence:
    """Gather the evidence of a run's ranked concepts for some outcomes."""
    ranked = run.concepts["ranked"].to_numpy()
    return evidence(with_outcomes(sample, Outcomes(values, limits)), evidence_config(run), eligible=ranked)


def counts(run: cg.Run, models: list[str]) -> None:
    """Print how many concepts and themes stand out, and the smallest gaps (in points of 100) that would."""
    config, scores = evidence_config(run), model_scores(run)
    sample, least = run_sample(run, config.strata), config.min_gap
    themes = {kind: run.model_themes(against_peers=kind == "peers", models=models) for kind in ("score", "peers")}
    columns = ("weak : strong", "in groups", "themes", "smallest: concept", "theme")
    both = " | ".join([*columns, "against peers", *columns[1:]])
    print(f"| model | scored | mean | {both} | slope |\n| --- | ---: | ---: |{' ---: |' * 11}")
    for model in models:
        own = scores.of(model)
        cells = [model, f"{int((~np.isnan(own)).sum()):,}", f"{np.nanmean(own):.3f}"]
        for kind in ("score", "peers"):
            outcome = outcome_of(run, scores, model, kind)
            of_concepts = judged(run, sample, outcome.values, outcome.limits)
            of_themes = themes[kind].filter(pl.col("model") == model)
            listed, status = of_concepts.counts(), of_themes["status"]
            tested = ~np.isnan(of_concepts.p_value)
            widths = of_concepts.gap_high[tested] - of_concepts.gap_low[tested]
            theme_widths = (of_themes["gap_high"] - of_themes["gap_low"]).drop_nulls().to_numpy()
            cells += [
                f"{listed['weak']} : {listed['strong']}",
                f"{listed['weak_groups']} : {listed['strong_groups']}",
                f"{int((status == 'weak').sum())} : {int((status == 'strong').sum())}",
                f"{100 * smallest(widths, len(widths), least):.1f}",
                f"{100 * smallest(theme_widths, themes[kind].height, least):.1f}",
            ]
        print(f"| {' | '.join(cells)} | {', '.join(slopes(run, scores, model))} |", flush=True)


def smallest(widths: np.ndarray, tests: int, least: float) -> float:
    """Give the gap that is listed with a chance of 80% if it is the only one.

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
    sample, scores = run_sample(run, evidence_config(run).strata), model_scores(run)
    print("| model | outcome | draws that list anything | listed in the worst draw |\n| --- | --- | ---: | ---: |")
    for model in models:
        for kind in ("score", "peers"):
            outcome = outcome_of(run, scores, model, kind)
            units = units_of(with_outcomes(sample, Outcomes(outcome.values, outcome.limits)))
            listed = []
            for seed in range(DRAWS):
                shuffled = permuted(outcome.values, units.unit, units.block, np.random.default_rng(seed))
                number = judged(run, sample, shuffled, outcome.limits).counts()
                listed.append(number["weak"] + number["strong"])
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
    sample, scores = run_sample(run, evidence_config(run).strata), model_scores(run)
    print("| model | outcome | listed on a half | same sign on the other | of the gap that is left |")
    print("| --- | --- | ---: | ---: | ---: |")
    for model in models:
        for kind in ("score", "peers"):
            outcome = outcome_of(run, scores, model, kind)
            units = units_of(with_outcomes(sample, Outcomes(outcome.values, outcome.limits)))
            listed, same, left = [], [], []
            for seed in range(SPLITS):
                first = np.random.default_rng(seed).random(len(units.block)) < 0.5
                sides = []
                for half in (first, ~first):
                    kept = (units.unit >= 0) & half[np.maximum(units.unit, 0)]
                    sides.append(judged(run, sample, np.where(kept, outcome.values, np.nan), outcome.limits))
                chosen = np.isin(sides[0].status, ["weak", "strong"]) & ~np.isnan(sides[1].gap)
                listed.append(int(chosen.sum()))
                if chosen.any():
                    gaps = sides[0].gap[chosen], sides[1].gap[chosen]
                    same.append(float((np.sign(gaps[0]) == np.sign(gaps[1])).mean()))
                    left.append(float((gaps[0] * gaps[1]).sum() / (gaps[0] ** 2).sum()))
            shown = (f"{np.mean(same):.0%}", f"{np.mean(left):.0%}") if same else ("", "")
            print(f"| {model} | {kind} | {np.mean(listed):.1f} | {shown[0]} | {shown[1]} |", flush=True)


def carry(run: cg.Run, pairs: list[str], *, shared: bool) -> None:
    """Print how far what one set of scores lists shows in another set of the same model, on other items."""
    sample, scores = run_sample(run, evidence_config(run).strata), model_scores(run)
    cluster = run.items["cluster"].to_numpy()
    columns = ("weak", "negative there", "weak there", "strong", "positive there", "strong there")
    print(f"| found with | looked up with | outcome | {' | '.join(columns)} |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for pair in pairs:
        names = tuple(pair.split("="))
        for kind in ("score", "peers"):
            sides = []
            first = outcome_of(run, scores, names[0], kind)
            asked = np.unique(cluster[~np.isnan(first.values)])
            for name in names:
                outcome = outcome_of(run, scores, name, kind)
                values = outcome.values
                if name != names[0] and not shared:
                    values = np.where(np.isin(cluster, asked), np.nan, values)
                sides.append(judged(run, sample, values, outcome.limits))
            cells = []
            for status, sign in (("weak", -1), ("strong", 1)):
                chosen = (sides[0].status == status) & ~np.isnan(sides[1].p_value)
                there = sides[1].gap[chosen]
                share = f"{(np.sign(there) == sign).mean():.0%}" if chosen.any() else ""
                cells += [str(int(chosen.sum())), share, str(int((sides[1].status[chosen] == status).sum()))]
            correlation = both_gaps(*sides)
            print(f"| {names[0]} | {names[1]} | {kind} (r = {correlation:.2f}) | {' | '.join(cells)} |", flush=True)


def both_gaps(first: Evidence, second: Evidence) -> float:
    """Correlation of the gaps of all concepts that are tested on both sides."""
    both = ~np.isnan(first.p_value) & ~np.isnan(second.p_value)
    return float(np.corrcoef(first.gap[both], second.gap[both])[0, 1])


def lens(run: cg.Run, models: list[str], splits: int) -> None:
    """Print how well failures on unseen items are predicted, with and without concepts."""
    columns = ("concepts", "peers", "peers and concepts", "gain", "predicted : observed against peers")
    print(f"| model | {' | '.join(columns)} |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for model in models:
        by_score, by_peers = run_data(run.as_model(model)), run_data(run.as_model(model, "peers"))
        values: dict[str, list[float]] = {name: [] for name in columns}
        rng = np.random.default_rng(0)
        for _ in range(splits):
            masks = by_score.draw(0.5, rng)
            sides = [
                [data.of_items([kept == side for kept in masks]) for side in (True, False)]
                for data in (by_score, by_peers)
            ]
            plain, against = (predict_failure(*halves) for halves in sides)
            for name, value in zip(
                columns,
                (plain["auc"], against["auc_baseline"], against["auc"], against["auc_gain"], foretold(*sides[1])),
                strict=True,
            ):
                values[name].append(value)
        cells = [shown(OverSplits.of(values[name]), signed=name == "gain") for name in columns]
        print(f"| {model} | {' | '.join(cells)} |", flush=True)


def shown(interval: OverSplits, *, signed: bool) -> str:
    """Write a mean over splits and their range."""
    form = "+.3f" if signed else ".2f"
    return f"{interval.mean:{form}} ({interval.low:{form}} to {interval.high:{form}})"


def foretold(first: RunData, second: RunData) -> float:
    """Correlation, on the second half, of scores against peers with those that the first half's concepts predict.

    What peers make of an item is subtracted, not used to predict: so concepts gain nothing by seeing an item's
    difficulty better than a few peers' scores show it.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold

    known, unseen = (~np.isnan(half.scores) for half in (first, second))
    cluster = np.concatenate([part.cluster for part in first.parts])[known]
    search = GridSearchCV(Ridge(solver="sparse_cg"), {"alpha": [30, 100, 300, 1000, 3000]}, cv=GroupKFold(3))
    search.fit(first.saliency()[known], first.scores[known], groups=cluster)
    return float(np.corrcoef(search.predict(second.saliency()[unseen]), second.scores[unseen])[0, 1])


def sae(run: cg.Run, models: list[str], against: Path) -> None:
    """Print how far the gaps of concepts agree with those of another SAE's concepts, matched by their items."""
    columns = ("items", "concepts", "matched", "correlation of gaps", "same sign", "weak", "weak there")
    print(f"| model | outcome | {' | '.join(columns)} |")
    print(f"| --- | --- |{' ---: |' * len(columns)}")
    for model in models:
        for kind in ("score", "peers"):
            here = outcome_run(run, model, kind)
            peers = tuple(here.manifest["outcome"]["against"]) if kind == "peers" else ()
            there = outcome_run(cg.open_run(against), model, kind, against=peers)
            both = agreement(here, there, run_data(here), run_data(there))
            figures = (both.items, both.concepts, both.matched, f"{both.gap_correlation:.2f}", f"{both.same_sign:.0%}")
            print(
                f"| {model} | {kind} | {' | '.join(map(str, figures))} | {both.weak} | {both.weak_in_both} |",
                flush=True,
            )
