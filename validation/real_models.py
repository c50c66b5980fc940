"""Real models' results read through one small model's concepts: the figures of docs/real-models.md.

    python validation/real_models.py RUN [--part PART ...] [--model NAME ...] [--without NAME ...]

RUN is a finished run with scores of several models (``cgaps run --no-ask --scores``, ``cgaps score``). Prints Markdown.

counts   weak and strong concepts and themes of each model, by its scores and against its peers, and the gap that the
         median concept and theme would need to be found
nulls    the same with outcomes shuffled within benchmarks and lengths, 20 draws: what is listed by chance
halves   what one half of the items lists, looked up on the other half
carry    what one set of scores lists, looked up in another set (pairs NAME=NAME of --pair), without the items whose
         question both sets ask (--shared keeps them)
lens     AUC of failure on unseen halves, from concepts and from the peers' scores, as ``cgaps robustness`` has it, but
         on fewer splits; and the correlation of scores against peers with what concepts predict of them
families how much of the differences between models' themes, against peers, lies between families of models
sae      what another SAE says of the same items: pairs of concepts that are each other's best match over the items, and
         how far their gaps agree (--against, a run of all or some of the items with the same scores)
where    which groups of items (their own column) hold most of each theme's activation
subjects each model's mean score against its peers by the items' own group, which no concept knows of
sizes    the same by the size of the item's numeric answer
items    items on which strong models are wrong and weak ones right, and items on which models agree against the key
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import false_discovery_control, norm

import competency_gaps as cg
from competency_gaps.evidence import Evidence, ItemSample, evidence, units_of
from competency_gaps.outcomes import choose_peers, expected_scores
from competency_gaps.robustness.agreement import agreement
from competency_gaps.robustness.data import RunData, run_data
from competency_gaps.robustness.heldout import Interval, predict_failure
from competency_gaps.runs.sample import Outcomes, run_sample, with_outcomes
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.outcomes import outcome_of, outcome_run
from competency_gaps.stages.paired_tests import holm

DRAWS = 20
SPLITS = 10
LISTED = 40
"""Most ids that are printed of items that look broken."""
RELABELLED = 9_999
"""Random assignments of families to models; all, where there are no more than twice as many."""
FAMILIES = {
    "Llama": r"llama",
    "Mistral": r"mistral|mixtral",
    "Qwen": r"qwen",
    "Yi": r"yi-",
    "Gemma and Gemini": r"gemma|gemini",
    "Claude": r"claude",
    "GPT": r"gpt-|o1-",
    "DeepSeek": r"deepseek",
}
"""Family -> what its models' names begin with, apart from a maker's prefix. mathstral, a specialist, is in none."""


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
                (plain.auc, against.auc_baseline, against.auc, against.auc_gain, foretold(*sides[1])),
                strict=True,
            ):
                values[name].append(value)
        cells = [shown(Interval.of(values[name]), signed=name == "gain") for name in columns]
        print(f"| {model} | {' | '.join(cells)} |", flush=True)


def shown(interval: Interval, *, signed: bool) -> str:
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


class Labels(NamedTuple):
    """Families of models: number of each model's, and their names."""

    number: np.ndarray
    names: tuple[str, ...]


def families_of(models: list[str]) -> Labels:
    """Find the family of each model; -1: none, or it is the only one of its family."""
    own = []
    for model in models:
        name = re.sub(r"^meta-", "", model.lower())
        own.append(next((family for family, start in FAMILIES.items() if re.match(start, name)), ""))
    names = tuple(family for family in FAMILIES if own.count(family) > 1)
    return Labels(np.array([names.index(family) if family in names else -1 for family in own]), names)


def relabelled(number: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Deal families out among models anew.

    Returns
    -------
    ndarray of int64 of shape (draws, models), the real assignment first; and whether these are all that are possible
    """
    sizes = np.bincount(number)
    ways = math.factorial(len(number)) // math.prod(map(math.factorial, sizes.tolist()))
    if ways > 2 * RELABELLED:
        return np.stack([number, *(rng.permutation(number) for _ in range(RELABELLED))]), False
    others = [labels for labels in assignments(sizes.tolist()) if labels != number.tolist()]
    return np.array([number.tolist(), *others]), True


def assignments(sizes: list[int]) -> Iterator[list[int]]:
    """Go through all different assignments of families of these sizes."""
    if not any(sizes):
        yield []
    for family, size in enumerate(sizes):
        if size:
            left = [other - (place == family) for place, other in enumerate(sizes)]
            yield from ([family, *rest] for rest in assignments(left))


def between_share(gaps: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the variance that lies between families, for all themes together and for each.

    The first is the R^2 of PERMANOVA with Euclidean distances (Anderson, Austral Ecology 26, 2001).

    Parameters
    ----------
    gaps : ndarray of float64 of shape (models, themes)
    labels : ndarray of int64 of shape (draws, models)

    Returns
    -------
    ndarray of shape (draws,), ndarray of shape (draws, themes)
    """
    centred = gaps - gaps.mean(axis=0)
    member = (labels[:, None, :] == np.arange(labels.max() + 1)[None, :, None]).astype(float)
    size = member.sum(axis=2)
    between = ((member @ centred) ** 2 / size[:, :, None]).sum(axis=1)
    total = (centred**2).sum(axis=0)
    return between.sum(axis=1) / total.sum(), between / total


def families(run: cg.Run, models: list[str]) -> None:
    """Print whether families of models differ in their themes, against peers."""
    table = run.model_themes(against_peers=True, models=models)
    complete = table.filter(pl.col("gap").is_not_null().all().over("name"))
    wide = complete.pivot(on="name", index="model", values="gap")
    labels = families_of(wide["model"].to_list())
    kept = labels.number >= 0
    gaps, names = wide.drop("model").to_numpy()[kept], wide.columns[1:]
    draws, exact = relabelled(labels.number[kept], np.random.default_rng(0))
    whole, each = between_share(gaps, draws)
    p_value = np.mean(np.stack([all_draws >= all_draws[0] - 1e-12 for all_draws in each.T]), axis=1)
    by_holm = holm(p_value)
    fdr = false_discovery_control(p_value)
    sizes = ", ".join(f"{name} {int((labels.number == place).sum())}" for place, name in enumerate(labels.names))
    print(f"{kept.sum()} models ({sizes}), {len(names)} themes; {len(draws):,} assignments{' (all)' if exact else ''}.")
    chance = whole[1:].mean() if not exact else whole.mean()
    low, high = np.quantile(whole, [0.025, 0.975])
    print(
        f"Between families: {whole[0]:.0%} of the variance; by chance {chance:.0%} ({low:.0%} to {high:.0%}); "
        f"p = {np.mean(whole >= whole[0] - 1e-12):.4f}.\n"
    )
    print(f"| theme | share | p | Holm | FDR | {' | '.join(labels.names)} |")
    print(f"| --- | ---: | ---: | ---: | ---: |{' ---: |' * len(labels.names)}")
    for place in np.argsort(p_value, kind="stable")[:10]:
        means = [gaps[draws[0] == family, place].mean() for family in range(len(labels.names))]
        cells = [
            f"{p_value[place]:.4f}",
            f"{by_holm[place]:.3f}",
            f"{fdr[place]:.3f}",
            *(f"{100 * m:+.1f}" for m in means),
        ]
        print(f"| {names[place]} | {each[0, place]:.0%} | {' | '.join(cells)} |")


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


def subjects(run: cg.Run, models: list[str]) -> None:
    """Print mean scores against peers by group, with standard errors, the lowest first.

    An item whose group names several, joined by ``+``, counts in each.
    """
    scores, groups = model_scores(run), run.items["group"].str.split("+")
    for model in models:
        outcome = pl.Series("outcome", outcome_of(run, scores, model, "peers").values).fill_nan(None)
        table = pl.DataFrame({"group": groups, "outcome": outcome}).drop_nulls().explode("group").group_by("group")
        deviation = pl.col("outcome").std() / pl.len().sqrt()
        rows = table.agg(pl.col("outcome").mean().alias("mean"), deviation.alias("error")).sort("mean")
        print(f"{model}: {'; '.join(f'{name} {mean:+.3f} ({error:.3f})' for name, mean, error in rows.iter_rows())}")


def sizes(run: cg.Run, models: list[str]) -> None:
    """Print mean scores against peers by the size of the answer, in points of 100, with standard errors."""
    scores = model_scores(run)
    answer = (
        run.items["answer"].cast(pl.String).str.replace_all(",", "").cast(pl.Float64, strict=False).abs().to_numpy()
    )
    digits = np.where(answer < 1, 1, np.floor(np.log10(np.maximum(answer, 1))) + 1)
    print("| model | below 10 | 10 to 99 | 100 to 999 | from 1,000 |\n| --- | ---: | ---: | ---: | ---: |")
    for model in models:
        outcome, cells = outcome_of(run, scores, model, "peers").values, []
        for chosen in (digits == 1, digits == 2, digits == 3, digits > 3):
            own = 100 * outcome[chosen & ~np.isnan(outcome)]
            cells.append(f"{own.mean():+.1f} ({own.std(ddof=1) / np.sqrt(len(own)):.1f})")
        print(f"| {model} | {' | '.join(cells)} |", flush=True)


def items(run: cg.Run) -> None:
    """Print how many items look broken: weak models right and strong ones wrong, or nearly all strong models wrong."""
    facts = run.item_models()
    scores = model_scores(run)
    columns = (
        "items",
        "tested",
        "median discrimination",
        "below 0",
        "p < 0.001 (by chance)",
        "q <= 0.05",
        "all right",
        "all wrong",
    )
    print(f"| benchmark | {' | '.join(columns)} | stronger half wrong |")
    print(f"| --- |{' ---: |' * (len(columns) + 1)}")
    for (name,), rows in facts.group_by("benchmark", maintain_order=True):
        values = scores.values[:, (facts["benchmark"] == name).to_numpy()]
        missed = rows["item_id"].to_numpy()[missed_by_stronger(values)]
        tested = rows["p_value"].drop_nulls()
        means, discrimination = rows["mean"], rows["discrimination"]
        cells = (
            f"{rows.height:,}",
            f"{tested.len():,}",
            f"{rows.select(pl.col('discrimination').median()).item() or 0:.2f}",
            f"{int((discrimination < 0).sum()):,}",
            f"{int((tested < 0.001).sum())} ({0.001 * tested.len():.1f})",
            str(int((rows["q_value"] <= 0.05).sum())),
            f"{int((means == 1).sum()):,}",
            f"{int((means == 0).sum()):,}",
            f"{len(missed):,}",
        )
        print(f"| {name} | {' | '.join(cells)} |")
        if 0 < len(missed) <= LISTED:
            print(f"  wrong for nine of ten of the stronger half of the models: {', '.join(missed)}")
        discriminating = rows.drop_nulls("discrimination").sort("discrimination", descending=True).head(10)
        print(f"  tell models apart the most: {', '.join(discriminating['item_id'])}")
        for row in rows.filter(pl.col("q_value") <= 0.05).sort("q_value").head(10).iter_rows(named=True):
            print(f"  {row['item_id']}: mean {row['mean']:.2f}, discrimination {row['discrimination']:.2f}")


def missed_by_stronger(scores: np.ndarray) -> np.ndarray:
    """Find the items that at most a tenth of the stronger half of the models get right; shape (models, items)."""
    known = scores[~np.isnan(scores).all(axis=1)]
    level = np.nanmean(known, axis=1)
    stronger = known[level > np.median(level)]
    counted = (~np.isnan(stronger)).sum(axis=0)
    return np.flatnonzero((counted >= 6) & (np.nansum(stronger, axis=0) <= 0.1 * counted))


def where(run: cg.Run) -> None:
    """Print in which of the items' own groups a theme is active: shares of the activation of its ranked concepts."""
    if run.themes is None or run.theme_results is None:
        raise SystemExit(f"{run.folder}: its dictionary has no themes")
    sample, groups = run_sample(run, evidence_config(run).strata), run.items.select("benchmark", "group")
    names = dict(run.theme_results.filter(pl.col("level") == "theme").select("id", "name").iter_rows())
    ranked = run.themes.filter(pl.col("concept").is_in(run.concepts.filter("ranked")["concept"].to_list()))
    for (theme,), rows in ranked.drop_nulls("theme").sort("theme").group_by("theme", maintain_order=True):
        active = np.asarray(sample.rows(rows["concept"].to_numpy()).sum(axis=0)).ravel()
        held = groups.with_columns(active=active).group_by("benchmark", "group").agg(pl.col("active").sum())
        held = held.with_columns(share=pl.col("active") / pl.col("active").sum().over("benchmark")).fill_nan(0)
        held = held.sort("benchmark", "share", descending=[False, True])
        for (benchmark,), own in held.group_by("benchmark", maintain_order=True):
            most = [f"{group} {share:.0%}" for group, share in own.select("group", "share").head(4).iter_rows()]
            print(f"{names[theme]} ({benchmark}): {', '.join(most)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--part", nargs="+", default=["counts", "nulls", "halves", "items"])
    parser.add_argument("--model", action="append")
    parser.add_argument("--fits", type=int, default=5, help="splits on which the part lens fits regressions")
    parser.add_argument("--without", nargs="+", default=[])
    parser.add_argument("--pair", action="append", default=[])
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--against", type=Path, help="run whose SAE the part sae compares with")
    given = parser.parse_args()
    run = cg.open_run(given.run)
    models = [name for name in given.model or run.models["model"].to_list() if name not in given.without]
    for part in given.part:
        print(f"\n## {part}\n", flush=True)
        if part == "items":
            items(run)
        elif part == "where":
            where(run)
        elif part == "carry":
            carry(run, given.pair, shared=given.shared)
        elif part == "sae":
            sae(run, models, given.against)
        elif part == "lens":
            lens(run, models, given.fits)
        else:
            parts = {
                "counts": counts,
                "nulls": nulls,
                "halves": halves,
                "subjects": subjects,
                "sizes": sizes,
                "families": families,
            }
            parts[part](run, models)


if __name__ == "__main__":
    main()
