"""Real models' results read through one small model's concepts: the figures of docs/real-models.md.

    python validation/real_models.py RUN [--part counts nulls halves carry subjects items] [--model NAME ...]

RUN is a finished run with scores of several models (``cgaps run --no-ask --scores``, ``cgaps score``). Prints Markdown.

counts   weak and strong concepts and themes of each model, by its scores and against its peers
nulls    the same with outcomes shuffled within benchmarks and lengths, 20 draws: what is listed by chance
halves   what one half of the items lists, looked up on the other half
carry    what one set of scores lists, looked up in another set (pairs NAME=NAME of --pair), without the items whose
         question both sets ask (--shared keeps them)
subjects each model's mean score against its peers by the items' own group, which no concept knows of
items    items on which strong models are wrong and weak ones right, and items on which models agree against the key
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

import competency_gaps as cg
from competency_gaps.evidence import Evidence, ItemSample, evidence, units_of
from competency_gaps.runs.sample import Outcomes, run_sample, with_outcomes
from competency_gaps.runs.scores import model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.outcomes import outcome_of

DRAWS = 20
SPLITS = 10


def judged(run: cg.Run, sample: ItemSample, values: np.ndarray, limits: tuple[float, float]) -> Evidence:
    """Gather the evidence of a run's ranked concepts for some outcomes."""
    ranked = run.concepts["ranked"].to_numpy()
    return evidence(with_outcomes(sample, Outcomes(values, limits)), evidence_config(run), eligible=ranked)


def counts(run: cg.Run, models: list[str]) -> None:
    """Print how many concepts and themes stand out."""
    sample, scores = run_sample(run, evidence_config(run).strata), model_scores(run)
    has_themes = run.themes is not None
    themes = {kind: run.model_themes(against_peers=kind == "peers") for kind in ("score", "peers") if has_themes}
    print("| model | scored | mean | weak : strong | in groups | themes | against peers | in groups | themes | slope |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for model in models:
        own = scores.of(model)
        cells = [model, f"{int((~np.isnan(own)).sum()):,}", f"{np.nanmean(own):.3f}"]
        slope = ""
        for kind in ("score", "peers"):
            outcome = outcome_of(run, scores, model, kind)
            found = judged(run, sample, outcome.values, outcome.limits).counts()
            cells.append(f"{found['weak']} : {found['strong']}")
            cells.append(f"{found['weak_groups']} : {found['strong_groups']}")
            if has_themes:
                rows = themes[kind].filter(pl.col("model") == model)["status"]
                cells.append(f"{int((rows == 'weak').sum())} : {int((rows == 'strong').sum())}")
            if kind == "peers":
                slopes = run.as_model(model, "peers").manifest["outcome"]["slopes"].values()
                slope = ", ".join(f"{value:.2f}" for value in slopes)
        print(f"| {' | '.join([*cells, slope])} |", flush=True)


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
                found = judged(run, sample, shuffled, outcome.limits).counts()
                listed.append(found["weak"] + found["strong"])
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
                for chosen in (first, ~first):
                    kept = (units.unit >= 0) & chosen[np.maximum(units.unit, 0)]
                    sides.append(judged(run, sample, np.where(kept, outcome.values, np.nan), outcome.limits))
                found = np.isin(sides[0].status, ["weak", "strong"]) & ~np.isnan(sides[1].gap)
                listed.append(int(found.sum()))
                if found.any():
                    gaps = sides[0].gap[found], sides[1].gap[found]
                    same.append(float((np.sign(gaps[0]) == np.sign(gaps[1])).mean()))
                    left.append(float((gaps[0] * gaps[1]).sum() / (gaps[0] ** 2).sum()))
            shown = (f"{np.mean(same):.0%}", f"{np.mean(left):.0%}") if same else ("", "")
            print(f"| {model} | {kind} | {np.mean(listed):.1f} | {shown[0]} | {shown[1]} |", flush=True)


def carry(run: cg.Run, pairs: list[str], *, shared: bool) -> None:
    """Print how far what one set of scores lists shows in another set of the same model, on other items."""
    sample, scores = run_sample(run, evidence_config(run).strata), model_scores(run)
    columns = ("weak", "negative there", "weak there", "strong", "positive there", "strong there")
    print(f"| found with | looked up with | outcome | {' | '.join(columns)} |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for pair in pairs:
        names = tuple(pair.split("="))
        for kind in ("score", "peers"):
            sides = []
            first = outcome_of(run, scores, names[0], kind)
            asked = np.unique(sample.cluster[~np.isnan(first.values)])
            for name in names:
                outcome = outcome_of(run, scores, name, kind)
                values = outcome.values
                if name != names[0] and not shared:
                    values = np.where(np.isin(sample.cluster, asked), np.nan, values)
                sides.append(judged(run, sample, values, outcome.limits))
            cells = []
            for status, sign in (("weak", -1), ("strong", 1)):
                found = (sides[0].status == status) & ~np.isnan(sides[1].p_value)
                there = sides[1].gap[found]
                share = f"{(np.sign(there) == sign).mean():.0%}" if found.any() else ""
                cells += [str(int(found.sum())), share, str(int((sides[1].status[found] == status).sum()))]
            correlation = both_gaps(*sides)
            print(f"| {names[0]} | {names[1]} | {kind} (r = {correlation:.2f}) | {' | '.join(cells)} |", flush=True)


def both_gaps(first: Evidence, second: Evidence) -> float:
    """Correlation of the gaps of all concepts that are tested on both sides."""
    both = ~np.isnan(first.p_value) & ~np.isnan(second.p_value)
    return float(np.corrcoef(first.gap[both], second.gap[both])[0, 1])


def subjects(run: cg.Run, models: list[str]) -> None:
    """Print mean scores against peers by group, with standard errors, the lowest first."""
    scores, groups = model_scores(run), run.items["group"]
    for model in models:
        outcome = pl.Series("outcome", outcome_of(run, scores, model, "peers").values).fill_nan(None)
        table = pl.DataFrame({"group": groups, "outcome": outcome}).drop_nulls().group_by("group")
        deviation = pl.col("outcome").std() / pl.len().sqrt()
        rows = table.agg(pl.col("outcome").mean().alias("mean"), deviation.alias("error")).sort("mean")
        print(f"{model}: {'; '.join(f'{name} {mean:+.3f} ({error:.3f})' for name, mean, error in rows.iter_rows())}")


def items(run: cg.Run) -> None:
    """Print how many items look broken."""
    facts = run.item_models()
    columns = ("items", "tested", "median discrimination", "below 0", "p < 0.001 (by chance)", "q <= 0.05")
    print(f"| benchmark | {' | '.join(columns)} | all right | all wrong |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (name,), rows in facts.group_by("benchmark", maintain_order=True):
        tested = rows["p_value"].drop_nulls()
        means, discrimination = rows["mean"], rows["discrimination"]
        cells = (
            f"{rows.height:,}",
            f"{tested.len():,}",
            f"{discrimination.median() or 0:.2f}",
            f"{int((discrimination < 0).sum()):,}",
            f"{int((tested < 0.001).sum())} ({0.001 * tested.len():.1f})",
            str(int((rows["q_value"] <= 0.05).sum())),
            f"{int((means == 1).sum()):,}",
            f"{int((means == 0).sum()):,}",
        )
        print(f"| {name} | {' | '.join(cells)} |")
        for row in rows.filter(pl.col("q_value") <= 0.05).sort("q_value").head(10).iter_rows(named=True):
            print(f"  {row['item_id']}: mean {row['mean']:.2f}, discrimination {row['discrimination']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--part", nargs="+", default=["counts", "nulls", "halves", "items"])
    parser.add_argument("--model", action="append")
    parser.add_argument("--pair", action="append", default=[])
    parser.add_argument("--shared", action="store_true")
    given = parser.parse_args()
    run = cg.open_run(given.run)
    models = given.model or run.models["model"].to_list()
    for part in given.part:
        print(f"\n## {part}\n", flush=True)
        if part == "items":
            items(run)
        elif part == "carry":
            carry(run, given.pair, shared=given.shared)
        else:
            {"counts": counts, "nulls": nulls, "halves": halves, "subjects": subjects}[part](run, models)


if __name__ == "__main__":
    main()
