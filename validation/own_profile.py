"""Own profile: how well lists of at most ten slices foretell what a model does on items that did not choose them.

    python validation/own_profile.py RUN... [--splits 10] [--rivals] [--shuffled 1000] [--json FILE]

RUN is a finished run with scores of several models. A list is chosen on half of the clusters of items, by the same
procedure for every family of slices, with variances learned from the same half of several models. Its profile is the
correlation, on the other half, of the model's outcome against its peers (net of length) with what the list lets expect.
Printed are means over models and splits, the slope of held-out on expected outcomes (pooled over lists) and of held-out
gaps on those that lists show, differences to columns and to columns with sentence embeddings, paired and bootstrapped
by clusters of items, what all slices together say (the ceiling of lists), ridge regression on a space of the items (the
ceiling of slices), the share of the intervals that hold on the other half, the correlation of gaps, averaged over
models, with difficulty, and how many lists of shuffled outcomes are not empty. For all slices of the run, and for
columns, follow the slopes and the share with intervals by a bootstrap of models and clusters, how many lists are not
empty, and how many of the lines called solid, likely or a hint have a gap on the same side on the other half; with
several runs, also over the models of all of them.

``--rivals`` adds slices of others: clusters of sentence embeddings by a recursive k-means as in EvalTree's stage 3
(Zeng et al., 2025), words, pairs of features (SliceLine's lattice of two levels), and clusters of the other models'
right and wrong answers. Embeddings need the extra texts, and are kept in ``--cache``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import ndtr

import competency_gaps as cg
from competency_gaps.evidence import Units
from competency_gaps.findings.answer import MAX_PRIOR_MODELS, analyse
from competency_gaps.findings.choose import (
    ERROR_RATE,
    Chosen,
    NullDistribution,
    choose,
    global_p_values,
    null_distributions,
    shuffled,
)
from competency_gaps.findings.estimate import Z_95, gaps_of, half_samples
from competency_gaps.findings.finding import LIKELY, SOLID
from competency_gaps.findings.on_units import FamilyOnUnits, aggregate, centred
from competency_gaps.findings.slice_model import Design, Observed, SliceModel, design_of, fit, learn
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices import Family
from competency_gaps.slices.make import questions

MIN_ITEMS = 20
"""Items of a rival's slice."""
RIDGES = (30.0, 100.0, 300.0, 1000.0, 3000.0)
BOOTSTRAPS = 500
MODEL_BOOTSTRAPS = 200
MAIN = ("all of the run", "columns")
"""Sets of families whose figures have intervals over models."""
SLICED = ("columns", "profiles", "clusters")
"""Families whose gaps are set beside difficulty."""
LARGE = 0.08
"""Shown gap that is large."""


class World(NamedTuple):
    """One model's outcome. U units, S splits."""

    outcome: np.ndarray
    """float64 of shape (U,)."""
    net: np.ndarray
    """The same, net of its strata."""
    block: np.ndarray
    cluster: np.ndarray
    """int64 of shape (U,): the cluster of items that each unit is."""
    halves: np.ndarray
    """bool of shape (U, S): the units that choose."""
    tried: dict[str, tuple[FamilyOnUnits, NullDistribution]]
    """By family."""


def outcomes(slice_model: SliceModel, own: Observed) -> np.ndarray:
    """What all slices let expect of every unit: shape (U, 1), not centred."""
    by_scale, _, scales = slice_model._posterior(own.residual, own.share)
    return np.asarray(slice_model.design.rows.T @ (slice_model.axes[1] @ np.einsum("lh,lkh->kh", scales, by_scale)))


def listed(slice_model: SliceModel, chosen: Sequence[Chosen], outcome: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """What a list alone lets expect of every unit: shape (U,)."""
    if not chosen:
        return np.zeros(len(outcome))
    return slice_model.design.rows[[one.position for one in chosen]].T @ shares_of(slice_model, chosen, outcome, taken)


def shares_of(slice_model: SliceModel, chosen: Sequence[Chosen], outcome: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """What each slice of a list adds, by projecting the expected outcomes on the list: shape (slices,)."""
    places = [one.position for one in chosen]
    sums, *_ = slice_model.expected(centred(outcome, taken[:, None], slice_model.design.block), float(taken.mean()))
    among = slice_model.design.gram[np.ix_(places, places)] + 1e-6 * np.eye(len(places))
    return np.asarray(np.linalg.solve(among, sums[places, 0]))


def family(name: str, members: Sequence[np.ndarray] | np.ndarray) -> Family:
    """A family of plain memberships: bool of shape (K, N)."""
    rows = sp.csr_array(np.asarray(members, np.float32))
    count = rows.shape[0]
    names = [f"{name} {i}" for i in range(count)]
    return Family(name, rows, names, [None] * count, np.full(count, -1), np.arange(count))


def tree(space: np.ndarray, rows: np.ndarray, depth: int = 0) -> list[np.ndarray]:
    """Recursive k-means, each time with the number of clusters of the best silhouette (2 to 10): rows of each node."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    if len(rows) < 2 * MIN_ITEMS or depth > 6:
        return []
    tried = []
    for k in range(2, 11):
        member = KMeans(k, n_init=1, random_state=0).fit_predict(space[rows])
        some = np.random.default_rng(0).permutation(len(rows))[:1500]
        if len(set(member[some])) > 1:
            tried.append((silhouette_score(space[rows][some], member[some]), k, member))
    if not tried:
        return []
    member = max(tried, key=lambda entry: entry[:2])[2]
    nodes = []
    for number in range(member.max() + 1):
        inside = rows[member == number]
        if len(inside) >= MIN_ITEMS:
            nodes += [inside, *tree(space, inside, depth + 1)]
    return nodes


def k_means(space: np.ndarray, scales: Sequence[int] = (6, 14, 44, 150)) -> list[np.ndarray]:
    """Clusters at several scales: bool of shape (N,) each."""
    from sklearn.cluster import KMeans

    found = []
    for k in scales:
        member = KMeans(k, n_init=2, random_state=0).fit_predict(space)
        found += [member == j for j in range(k) if (member == j).sum() >= MIN_ITEMS]
    return found


def embeddings(texts: list[str], cache: Path | None) -> np.ndarray:
    """Sentence embeddings of the items, from the cache where there are any."""
    from competency_gaps.model.embed import embed_texts

    if cache is not None and cache.is_file():
        return np.load(cache)
    space = np.asarray(embed_texts(texts), np.float32)
    if cache is not None:
        np.save(cache, space)
    return space


def rivals(run: cg.Run, families: dict[str, Family], cache: Path | None) -> dict[str, Family]:
    """Slices of others that do not depend on the model that is asked about."""
    from sklearn.feature_extraction.text import CountVectorizer

    texts = run.items["prompt"].to_list()
    space = embeddings(questions(run.items), cache)
    nodes = tree(space, np.arange(len(texts)))
    members = np.zeros((len(nodes), len(texts)), bool)
    for member, node in zip(members, nodes, strict=True):
        member[node] = True
    made = {"MiniLM tree": family("tree", members), "MiniLM k-means": family("clusters", k_means(space))}
    words = CountVectorizer(binary=True, min_df=50, max_df=0.5).fit_transform(texts).T
    made["words"] = family("words", words.toarray())
    if "features" in families:
        single = families["features"].weights.toarray() > 0
        pairs = [a & b for i, a in enumerate(single) for b in single[:i]]
        kept = [pair for pair in pairs if pair.sum() >= MIN_ITEMS]
        made["pairs of features"] = family("pairs", [*single, *kept])
    return made


def of_others(values: np.ndarray, model: int) -> Family:
    """Clusters of the items by which other models are right, the model and the items' difficulty left out."""
    from sklearn.decomposition import TruncatedSVD

    own = np.delete(values, model, axis=0)
    own = own - np.nanmean(own, axis=1, keepdims=True)
    own = np.nan_to_num(own - np.nanmean(np.where(np.isnan(own), 0, own), axis=0))
    space = TruncatedSVD(min(8, len(own) - 1), random_state=0).fit_transform(own.T)
    return family("others", k_means(space, (6, 14, 44)))


def world(run: cg.Run, model: str, halves: np.ndarray, made: dict[str, Family]) -> tuple[World, Any]:
    """The outcome of a model and the families that may explain it."""
    analysis = analyse(run, model)
    kept = run.items["excluded"].is_null().to_numpy()
    families = {own.family.name: own for own in analysis.families}
    if made:
        others = of_others(analysis.scores.values, analysis.scores.row(model))
        families |= {
            name: aggregate(own, analysis.units, kept) for name, own in {**made, "others' answers": others}.items()
        }
    return world_of(run.items, analysis.units, analysis.values, families, halves), analysis


def world_of(
    items: pl.DataFrame, units: Units, values: np.ndarray, families: dict[str, FamilyOnUnits], halves: np.ndarray
) -> World:
    """An outcome of the units, and the families that may explain it; ``halves``: (clusters of items, S)."""
    nulls = null_distributions(list(families.values()), values, units.block)
    whole = np.ones((len(values), 1), bool)
    scored = np.flatnonzero(units.unit >= 0)
    cluster = np.zeros(len(values), np.int64)
    cluster[units.unit[scored]] = items["cluster"].to_numpy()[scored]
    tried = {name: (own, bar) for (name, own), bar in zip(families.items(), nulls, strict=True)}
    net = centred(values, whole, units.block).ravel().astype(np.float64)
    return World(values, net, units.block, cluster, halves[cluster], tried)


class Told(NamedTuple):
    """What the lists of one set of families tell of one model, for each split."""

    expected: np.ndarray
    """float64 of shape (U, S): by the list, net of strata."""
    every: np.ndarray
    """The same by all slices."""
    lengths: list[int]
    gaps: list[tuple[float, float, float, float]]
    """Per slice of a list: expected gap and its error, and the gap on the other half and its error."""
    shares: list[np.ndarray]
    """What each unit adds to that gap on the other half: float64 of shape (U,) each."""


class Trusted(NamedTuple):
    """What the figures of :func:`show_trust` are ratios of. M models, C clusters of items."""

    counts: np.ndarray
    """float64 of shape (M, 5, 2): intervals that hold, lists not empty, and by word lines on the same side."""
    slopes: np.ndarray
    """float64 of shape (M, 2, 2, C): of outcomes and of gaps, products with what is expected, and squares of that."""


def seen_half(own: World, design: Design, split: int) -> Observed:
    """The outcome on the half that chooses; the design, which is that of every half, is not made again."""
    taken = own.halves[:, split]
    left = centred(own.outcome, taken[:, None], own.block)
    return Observed(design, left, float(taken.mean()), float((left.astype(np.float64) ** 2).sum() / taken.sum()))


def tell(worlds: Sequence[World], names: Sequence[str]) -> list[Told]:
    """Choose on each half of each model's outcome, with a prior from the same half of some, evenly spaced."""
    designs = [design_of([own.tried[name][0] for name in names], own.block) for own in worlds]
    pool = np.unique(np.linspace(0, len(worlds) - 1, min(MAX_PRIOR_MODELS, len(worlds))).round().astype(int)).tolist()
    tests, found = [], []
    for own in worlds:
        families, nulls = [own.tried[name][0] for name in names], [own.tried[name][1] for name in names]
        tests.append(global_p_values(families, nulls, own.outcome, own.halves, own.block))
        found.append(Told(np.zeros(own.halves.shape), np.zeros(own.halves.shape), [], [], []))
    for split in range(worlds[0].halves.shape[1]):
        prior = learn([seen_half(worlds[at], designs[at], split) for at in pool])
        for own, design, p, told in zip(worlds, designs, tests, found, strict=True):
            if p[split] > ERROR_RATE:
                told.lengths.append(0)
                continue
            taken, whole = own.halves[:, split], np.ones((len(own.outcome), 1), bool)
            seen = seen_half(own, design, split)
            slice_model = fit(seen, prior)
            chosen = choose(slice_model, own.outcome, taken[:, None], p[[split]])[0]
            told.lengths.append(len(chosen))
            told.every[:, split] = centred(outcomes(slice_model, seen), whole, own.block).ravel()
            told.expected[:, split] = centred(listed(slice_model, chosen, own.outcome, taken), whole, own.block).ravel()
            left = centred(own.outcome, ~taken[:, None], own.block).ravel()
            for one in chosen:
                row = slice_model.design.rows[[one.position]]
                there, error = gaps_of(row, own.outcome, ~taken[:, None], own.block)
                told.gaps.append((one.gap, one.error, float(there[0, 0]), float(error[0, 0])))
                weight = row.toarray().ravel() * ~taken
                told.shares.append(weight * left / max(float(weight.sum()), 1e-9))
    return found


def trust(pairs: Sequence[tuple[World, Told]]) -> Trusted:
    """What the figures of :func:`show_trust` are ratios of, of the models of a run."""
    clusters = 1 + max(int(own.cluster.max()) for own, _ in pairs)
    counts, slopes = [], np.zeros((len(pairs), 2, 2, clusters))
    for number, (own, told) in enumerate(pairs):
        gap, error, there, there_error = np.array(told.gaps, np.float64).reshape(-1, 4).T
        weight, spread = there_error**-2, np.hypot(error, there_error)
        recurs, same = ndtr(np.abs(gap) / spread), gap * there > 0
        called = (recurs >= SOLID, (recurs >= LIKELY) & (recurs < SOLID), recurs < LIKELY)
        counts.append(
            [
                ((np.abs(gap - there) <= Z_95 * spread).sum(), len(gap)),
                (np.count_nonzero(told.lengths), len(told.lengths)),
                *((same[lines].sum(), lines.sum()) for lines in called),
            ]
        )
        expected = told.expected * ~own.halves
        for at, part in enumerate((expected * own.net[:, None], expected**2)):
            slopes[number, 0, at] = np.bincount(own.cluster, part.sum(axis=1), clusters)
        if len(gap):
            products = (weight * gap) @ np.array(told.shares)
            slopes[number, 1, 0] = np.bincount(own.cluster, products, clusters)
            slopes[number, 1, 1] = (weight * gap**2).sum() / clusters
    return Trusted(np.array(counts, np.float64), slopes)


def show_trust(name: str, runs: Sequence[Trusted]) -> dict[str, Any]:
    """Print and return the figures of the models of some runs, with intervals by models and clusters of items."""
    models = sum(len(run.counts) for run in runs)
    total = np.sum([run.counts.sum(axis=0) for run in runs], axis=0)
    if not total[0, 1]:
        print(f"{name}, {models} models: no list of {total[1, 1]:.0f} says anything", flush=True)
        return {"counts": total[1:].tolist()}
    rng, draws = np.random.default_rng(0), np.zeros((MODEL_BOOTSTRAPS, 3, 2))
    for counts, slopes in runs:
        many, clusters = slopes.shape[0], slopes.shape[-1]
        by_model = rng.multinomial(many, np.full(many, 1 / many), MODEL_BOOTSTRAPS).astype(np.float64)
        by_cluster = rng.multinomial(clusters, np.full(clusters, 1 / clusters), MODEL_BOOTSTRAPS).astype(np.float64)
        draws[:, :2] += np.einsum("dm,mfpd->dfp", by_model, slopes @ by_cluster.T)
        draws[:, 2] += by_model @ counts[:, 0]
    sums = np.concatenate([np.sum([run.slopes.sum(axis=(0, 3)) for run in runs], axis=0), total])
    with np.errstate(invalid="ignore", divide="ignore"):
        value = sums[:, 0] / sums[:, 1]
        low, high = np.nanquantile(draws[:, :, 0] / draws[:, :, 1], (0.025, 0.975), axis=0)
    heads = ("held-out on expected outcomes", "held-out on shown gaps", "intervals that hold")
    figures = {head: [value[at], low[at], high[at]] for at, head in enumerate(heads)}
    parts = [f"{head} {a:.2f} ({b:.2f} to {c:.2f})" for head, (a, b, c) in figures.items()]
    parts.append(f"lists not empty {total[1, 0]:.0f} of {total[1, 1]:.0f}")
    sides = zip(("solid", "likely", "a hint"), value[4:], total[2:, 1], strict=True)
    kept = [f"{word} {100 * share:.0f}% of {lines:.0f}" for word, share, lines in sides if lines]
    parts.append(f"same side: {', '.join(kept)}")
    print(f"{name}, {models} models: {'; '.join(parts)}", flush=True)
    return {**figures, "counts": total[1:].tolist()}


def correlations(own: World, expected: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean over splits of the correlation on the other halves: shape (draws,); ``weights``: (U, draws)."""
    weights = np.ones((len(own.net), 1)) if weights is None else weights
    total = np.zeros(weights.shape[1])
    for split in range(expected.shape[1]):
        out = ~own.halves[:, split]
        x, y, w = expected[out, split], own.net[out], weights[out]
        if x.std() == 0:
            continue
        n = w.sum(axis=0)
        mx, my = x @ w / n, y @ w / n
        cov = (x * y) @ w / n - mx * my
        total += cov / np.sqrt(((x**2) @ w / n - mx**2) * ((y**2) @ w / n - my**2))
    return total / expected.shape[1]


def ridge(own: World, space: np.ndarray, units: np.ndarray) -> float:
    """Own profile of ridge regression on a space of the items, with the best penalty: the ceiling of slices."""
    first = np.zeros(len(own.net), np.int64)
    scored = np.flatnonzero(units >= 0)
    first[units[scored]] = scored
    x = space[first] - space[first].mean(axis=0)
    found = []
    for split in range(min(3, own.halves.shape[1])):
        taken = own.halves[:, split]
        values, vectors = np.linalg.eigh(x[taken].T @ x[taken])
        part = vectors.T @ (x[taken].T @ own.net[taken])
        turned = x[~taken] @ vectors
        found.append([np.corrcoef(turned @ (part / (values + penalty)), own.net[~taken])[0, 1] for penalty in RIDGES])
    return float(np.mean(found, axis=0).max())


def sets_of(names: Sequence[str], embedded: str | None) -> dict[str, list[str]]:
    """Sets of families that are compared."""
    own = [name for name in ("columns", "regions", "profiles", "clusters", "concepts", "features") if name in names]
    found = {name: [name] for name in names}
    if embedded is not None and "columns" in names:
        found["columns + MiniLM"] = ["columns", embedded]
    if embedded is not None and {"columns", "profiles"} <= set(names):
        found["columns + MiniLM + profiles"] = ["columns", embedded, "profiles"]
        if "concepts" in names:
            found["columns + MiniLM + profiles + concepts"] = ["columns", embedded, "profiles", "concepts"]
    if "columns" in names and "profiles" in names:
        found["columns + profiles"] = ["columns", "profiles"]
    found["all of the run"] = own
    found["all without regions"] = [name for name in own if name != "regions"]
    found["all without the SAE"] = [name for name in own if name not in ("regions", "profiles", "concepts")]
    found["all without MiniLM"] = [name for name in own if name != "clusters"]
    return found


def nothing_listed(own: World, names: Sequence[str], count: int, seed: int) -> float:
    """Share of shuffled outcomes whose list would not be empty; models of other seeds are shuffled in other ways."""
    families, nulls = [own.tried[name][0] for name in names], [own.tried[name][1] for name in names]
    opened = 0
    for start in range(0, count, 250):
        many = min(250, count - start)
        draws = shuffled(own.net, own.block, many, seed=1 + seed * count + start)
        opened += int(
            (global_p_values(families, nulls, draws, np.ones(draws.shape, bool), own.block) <= ERROR_RATE).sum()
        )
    return opened / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--models")
    parser.add_argument("--sets", help="of families, as they are named; all by default")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--rivals", action="store_true")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--shuffled", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    reports: dict[str, Any] = {}
    trusted: dict[str, list[Trusted]] = {}
    for path in args.runs:
        print(f"\n{path.name}", flush=True)
        reports[path.name], by_set = of_run(path, args)
        for name, models in by_set.items():
            reports[path.name]["sets"][name]["trust"] = show_trust(f"{path.name}, {name}", [models])
            trusted.setdefault(name, []).append(models)
    if len(args.runs) > 1:
        print()
        pooled = {name: show_trust(f"all runs, {name}", models) for name, models in trusted.items()}
        reports["all runs"] = pooled
    if args.json:
        args.json.write_text(json.dumps(reports, indent=1))


def of_run(path: Path, args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Trusted]]:
    """Print a run's table; return it, and what is trusted of each model by the main sets of families."""
    run = cg.open_run(path)
    scores = model_scores(run)
    names = args.models.split(",") if args.models else run.models["model"].to_list()
    names.sort(key=lambda name: float(np.nanmean(scores.of(name))))  # for the models that a prior is learned from
    clusters = int(run.items["cluster"].to_numpy().max()) + 1
    halves = half_samples(clusters, args.splits, seed=1)
    made = {}
    if args.rivals:
        made = rivals(run, {own.family.name: own.family for own in analyse(run, names[0]).families}, args.cache)
    worlds, questions_asked = zip(*(world(run, model, halves, made) for model in names), strict=True)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), BOOTSTRAPS).T.astype(np.float64)
    tried = list(worlds[0].tried)
    embedded = next((name for name in ("clusters", "MiniLM k-means") if name in tried), None)
    sets = sets_of(tried, embedded)
    profile: dict[str, list[float]] = {}
    every: dict[str, list[float]] = {}
    boots: dict[str, np.ndarray] = {}
    gaps: dict[str, list[tuple[float, float, float, float]]] = {}
    trusted: dict[str, Trusted] = {}
    wanted = args.sets.split(",") if args.sets else list(sets)
    for name in (name for name in wanted if sets.get(name)):
        tells = tell(worlds, sets[name])
        pairs = list(zip(worlds, tells, strict=True))
        profile[name] = [float(correlations(own, told.expected)[0]) for own, told in pairs]
        every[name] = [float(correlations(own, told.every)[0]) for own, told in pairs]
        boots[name] = np.mean([correlations(own, told.expected, drawn[own.cluster]) for own, told in pairs], axis=0)
        gaps[name] = [line for told in tells for line in told.gaps]
        trusted[name] = trust(pairs)
        print(f"{name[:42]:42s}", *(f"{value:.3f}" for value in profile[name]), flush=True)
    slopes = {name: models.slopes[:, 0].sum(axis=(0, 2)) for name, models in trusted.items()}
    report = table(profile, every, slopes, gaps, boots)
    rest = of_slices(run, worlds, questions_asked)
    if args.shuffled:
        rest["not_empty"] = [
            nothing_listed(own, sets["all of the run"], args.shuffled, at) for at, own in enumerate(worlds)
        ]
        share = np.mean(rest["not_empty"])
        print(f"lists of shuffled outcomes that are not empty: {share:.3f} of {args.shuffled} for each model")
    shown = {name: models for name, models in trusted.items() if name in MAIN}
    return {"sets": report, "by_model": profile, "models": names, **rest}, shown


def of_slices(run: cg.Run, worlds: Sequence[World], questions_asked: Sequence[Any]) -> dict[str, Any]:
    """Print and return the ceiling of slices, and what gaps have to do with difficulty."""
    space = space_of(run)
    ceiling = [ridge(own, space, analysis.units.unit) for own, analysis in zip(worlds, questions_asked, strict=True)]
    print(f"ridge on {'concept profiles' if run.has_reading else 'sentence embeddings'} {np.mean(ceiling):.3f}")
    if len(worlds) == 1 or not any(name in worlds[0].tried for name in SLICED):
        return {"ridge": ceiling}
    pairs = [gaps_and_difficulty(own, analysis) for own, analysis in zip(worlds, questions_asked, strict=True)]
    gap, hard = (np.array(part) for part in zip(*pairs, strict=True))
    everywhere = ~np.isnan(gap).any(axis=0)
    mean_gap = gap.mean(axis=0)[everywhere]
    with_difficulty = float(np.corrcoef(mean_gap, hard.mean(axis=0)[everywhere])[0, 1])
    print(f"gaps averaged over models: spread {mean_gap.std():.4f}, correlation with difficulty {with_difficulty:+.2f}")
    return {"ridge": ceiling, "difficulty": with_difficulty}


def space_of(run: cg.Run) -> np.ndarray:
    """The space in which items are clustered: of profiles, or of sentence embeddings in a run without a reading."""
    from competency_gaps.slices.tree import concept_space

    if not run.has_reading:
        return embeddings(questions(run.items), None).astype(np.float64)
    return concept_space(run.by_concept, np.arange(run.items.height)).astype(np.float64)


def gaps_and_difficulty(own: World, analysis: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gaps of columns, profiles and clusters, and how much others score on their items, net of strata."""
    others = np.nanmean(np.delete(analysis.scores.values, analysis.scores.row(analysis.outcome.model), axis=0), axis=0)
    scored = np.flatnonzero(analysis.units.unit >= 0)
    hard = np.zeros(len(own.net))
    hard[analysis.units.unit[scored]] = np.nan_to_num(others[scored], nan=float(np.nanmean(others)))
    whole = np.ones((len(hard), 1), bool)
    gaps: list[np.ndarray] = []
    difficulties: list[np.ndarray] = []
    for name in SLICED:
        if name in own.tried:
            weighed = own.tried[name][0]
            for values, into in ((own.outcome, gaps), (hard, difficulties)):
                gap = gaps_of(weighed.weights, values, whole, own.block)[0][:, 0]
                into.append(np.where(weighed.usable, gap, np.nan))
    return np.concatenate(gaps), np.concatenate(difficulties)


def rise(gaps: np.ndarray) -> float:
    """Slope of the gaps on the other halves on those that a list shows, weighted by precision."""
    if not len(gaps):
        return float("nan")
    weight = gaps[:, 3] ** -2
    return float((weight * gaps[:, 0] * gaps[:, 2]).sum() / (weight * gaps[:, 0] ** 2).sum())


def table(
    profile: dict[str, list[float]],
    every: dict[str, list[float]],
    slopes: dict[str, np.ndarray],
    gaps: dict[str, list[tuple[float, float, float, float]]],
    boots: dict[str, np.ndarray],
) -> dict[str, dict[str, Any]]:
    """Print and return one row per set of families."""
    bases = [name for name in ("columns", "columns + MiniLM") if name in boots]
    report: dict[str, dict[str, Any]] = {}
    print(
        f"\n{'families':42s} profile   all slices  slope  gaps  large gaps  covered",
        *(f"  less {name:24s}" for name in bases),
    )
    for name in sorted(profile, key=lambda key: -float(np.mean(profile[key]))):
        found = np.array(gaps[name]).reshape(-1, 4)
        away = np.abs(found[:, 0] - found[:, 2]) <= 1.96 * np.hypot(found[:, 1], found[:, 3])
        slope = float(slopes[name][0] / max(slopes[name][1], 1e-12))
        large = found[np.abs(found[:, 0]) >= LARGE]
        row: dict[str, Any] = {
            "profile": float(np.mean(profile[name])),
            "all_slices": float(np.mean(every[name])),
            "slope": slope,
            "covered": float(away.mean()) if len(away) else None,
            "shown": rise(found),
            "shown_large": rise(large),
            "large": len(large),
        }
        parts = []
        for base in bases:
            difference = float(np.mean(profile[name]) - np.mean(profile[base]))
            low, high = (
                difference + np.quantile(boots[name] - boots[base], (0.025, 0.975)) - np.mean(boots[name] - boots[base])
            )
            row[f"less {base}"] = [difference, float(low), float(high)]
            parts.append(f"{difference:+.3f} ({low:+.3f} to {high:+.3f})")
        report[name] = row
        covered = "" if row["covered"] is None else f"{100 * row['covered']:.1f}%"
        shown = f"{row['shown']:.2f}  {row['shown_large']:.2f} ({len(large)})"
        print(
            f"{name:42s} {row['profile']:.4f}    {row['all_slices']:.4f}     {slope:.2f}   {shown:16s} {covered:7s}",
            *parts,
        )
    return report


if __name__ == "__main__":
    main()
