"""Own profile: how well lists of at most ten slices foretell what a model does on items that did not choose them.

    python validation/own_profile.py RUN [--models A,B] [--splits 10] [--rivals] [--shuffled 1000] [--json FILE]

RUN is a finished run with scores of several models. A list is chosen on half of the clusters of items, by the same
procedure for every family of slices; its profile is the correlation, on the other half, of the model's outcome against
its peers (net of length) with what the list lets expect. Printed are means over models and splits, the slope of
held-out on expected outcomes (pooled over lists) and of held-out gaps on those that lists show, differences to columns
and to columns with sentence embeddings, paired and bootstrapped by clusters of items, what all slices together say (the
ceiling of lists), ridge regression on a space of the items (the ceiling of slices), the share of the intervals that
hold on the other half, the correlation of gaps, averaged over models, with difficulty, and how many lists of shuffled
outcomes are not empty.

``--rivals`` adds slices of others: clusters of sentence embeddings by a recursive k-means as in EvalTree's stage 3
(Zeng et al., 2025), words, pairs of features (SliceLine's lattice of two levels), and clusters of the other models'
right and wrong answers. Embeddings need sentence-transformers, and are kept in ``--cache``.
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

import competency_gaps as cg
from competency_gaps.evidence import Units
from competency_gaps.findings.answer import ask
from competency_gaps.findings.choose import ERROR, Bar, Weighed, anything, bars_of, centred, choose, shuffled, weigh
from competency_gaps.findings.estimate import fit, gaps_of, half_samples, listed
from competency_gaps.slices import Family
from competency_gaps.slices.make import questions

FEWEST = 20
"""Items of a rival's slice."""
RIDGES = (30.0, 100.0, 300.0, 1000.0, 3000.0)
BOOTSTRAPS = 500
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
    tried: dict[str, tuple[Weighed, Bar]]
    """By family."""


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

    if len(rows) < 2 * FEWEST or depth > 6:
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
        if len(inside) >= FEWEST:
            nodes += [inside, *tree(space, inside, depth + 1)]
    return nodes


def k_means(space: np.ndarray, scales: Sequence[int] = (6, 14, 44, 150)) -> list[np.ndarray]:
    """Clusters at several scales: bool of shape (N,) each."""
    from sklearn.cluster import KMeans

    found = []
    for k in scales:
        member = KMeans(k, n_init=2, random_state=0).fit_predict(space)
        found += [member == j for j in range(k) if (member == j).sum() >= FEWEST]
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
        kept = [pair for pair in pairs if pair.sum() >= FEWEST]
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


def world(run: cg.Run, model: str, splits: int, made: dict[str, Family]) -> tuple[World, Any]:
    """The outcome of a model and the families that may explain it."""
    asked = ask(run, model)
    kept = run.items["excluded"].is_null().to_numpy()
    families = {own.family.name: own for own in asked.families}
    if made:
        others = of_others(asked.scores.values, asked.scores.row(model))
        families |= {name: weigh(own, asked.units, kept) for name, own in {**made, "others' answers": others}.items()}
    return world_of(run.items, asked.units, asked.values, families, splits), asked


def world_of(items: pl.DataFrame, units: Units, values: np.ndarray, families: dict[str, Weighed], splits: int) -> World:
    """An outcome of the units, and the families that may explain it."""
    bars = bars_of(list(families.values()), values, units.block)
    whole = np.ones((len(values), 1), bool)
    scored = np.flatnonzero(units.unit >= 0)
    cluster = np.zeros(len(values), np.int64)
    cluster[units.unit[scored]] = items["cluster"].to_numpy()[scored]
    tried = {name: (own, bar) for (name, own), bar in zip(families.items(), bars, strict=True)}
    net = centred(values, whole, units.block).ravel().astype(np.float64)
    return World(values, net, units.block, cluster, half_samples(len(values), splits, seed=1), tried)


class Told(NamedTuple):
    """What the lists of one set of families tell of one model, for each split."""

    expected: np.ndarray
    """float64 of shape (U, S): by the list, net of strata."""
    every: np.ndarray
    """The same by all slices."""
    lengths: list[int]
    gaps: list[tuple[float, float, float, float]]
    """Per slice of a list: expected gap and its error, and the gap on the other half and its error."""


def tell(own: World, names: Sequence[str]) -> Told:
    """Choose on each half."""
    families, bars = [own.tried[name][0] for name in names], [own.tried[name][1] for name in names]
    p = anything(families, bars, own.outcome, own.halves, own.block)
    whole = np.ones((len(own.outcome), 1), bool)
    expected, every = np.zeros(own.halves.shape), np.zeros(own.halves.shape)
    lengths, gaps = [], []
    for split in range(own.halves.shape[1]):
        taken = own.halves[:, split]
        joint = fit(families, bars, own.outcome, taken, own.block)
        chosen = choose(joint, own.outcome, taken[:, None], p[[split]])[0]
        lengths.append(len(chosen))
        if p[split] > ERROR:
            continue
        left = centred(own.outcome, taken[:, None], own.block)
        every[:, split] = centred(joint.outcomes(left, float(taken.mean())), whole, own.block).ravel()
        expected[:, split] = centred(listed(joint, chosen, own.outcome, taken), whole, own.block).ravel()
        for one in chosen:
            there, error = gaps_of(joint.rows[[one.place]], own.outcome, ~taken[:, None], own.block)
            gaps.append((one.gap, one.error, float(there[0, 0]), float(error[0, 0])))
    return Told(expected, every, lengths, gaps)


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
        found["columns + MiniLM + profiles"] = ["columns", embedded, "profiles"]
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
    families, bars = [own.tried[name][0] for name in names], [own.tried[name][1] for name in names]
    opened = 0
    for start in range(0, count, 250):
        many = min(250, count - start)
        draws = shuffled(own.net, own.block, many, seed=1 + seed * count + start)
        opened += int((anything(families, bars, draws, np.ones(draws.shape, bool), own.block) <= ERROR).sum())
    return opened / count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--models")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--rivals", action="store_true")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--shuffled", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    run = cg.open_run(args.run)
    names = args.models.split(",") if args.models else run.models["model"].to_list()
    first, _ = world(run, names[0], 1, {})
    made = rivals(run, {name: own.family for name, (own, _) in first.tried.items()}, args.cache) if args.rivals else {}
    space = space_of(run)
    rng = np.random.default_rng(0)
    clusters = int(run.items["cluster"].to_numpy().max()) + 1
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), BOOTSTRAPS).T.astype(np.float64)
    profile: dict[str, list[float]] = {}
    boots: dict[str, np.ndarray] = {}
    every: dict[str, list[float]] = {}
    gaps: dict[str, list[tuple[float, float, float, float]]] = {}
    slopes: dict[str, np.ndarray] = {}
    empty: list[float] = []
    ceiling: list[float] = []
    by_slice: list[np.ndarray] = []
    difficulty: list[np.ndarray] = []
    for model in names:
        own, asked = world(run, model, args.splits, made)
        embedded = next((name for name in ("clusters", "MiniLM k-means") if name in own.tried), None)
        for name, used in sets_of(list(own.tried), embedded).items():
            told = tell(own, used)
            profile.setdefault(name, []).append(float(correlations(own, told.expected)[0]))
            every.setdefault(name, []).append(float(correlations(own, told.every)[0]))
            boots[name] = boots.get(name, 0) + correlations(own, told.expected, drawn[own.cluster]) / len(names)
            gaps.setdefault(name, []).extend(told.gaps)
            out = ~own.halves
            moments = [(told.expected * own.net[:, None] * out).sum(), (told.expected**2 * out).sum()]
            slopes[name] = slopes.get(name, 0) + np.array(moments)
        ceiling.append(ridge(own, space, asked.units.unit))
        if args.shuffled:
            used = sets_of(list(own.tried), None)["all of the run"]
            empty.append(nothing_listed(own, used, args.shuffled, len(empty)))
        gap, hard = gaps_and_difficulty(own, asked)
        by_slice.append(gap)
        difficulty.append(hard)
        print(f"{model[:28]:28s}", *(f"{name} {held[-1]:.3f};" for name, held in profile.items()), flush=True)
    report = table(profile, every, slopes, gaps, boots)
    everywhere = ~np.isnan(by_slice).any(axis=0)
    mean_gap = np.mean(by_slice, axis=0)[everywhere]
    with_difficulty = float(np.corrcoef(mean_gap, np.mean(difficulty, axis=0)[everywhere])[0, 1])
    print(f"ridge on concept profiles {np.mean(ceiling):.3f}")
    print(f"gaps averaged over models: spread {mean_gap.std():.4f}, correlation with difficulty {with_difficulty:+.2f}")
    if empty:
        print(f"lists of shuffled outcomes that are not empty: {np.mean(empty):.3f} of {args.shuffled} for each model")
    if args.json:
        rest = {"ridge": ceiling, "difficulty": with_difficulty, "not_empty": empty, "models": names}
        args.json.write_text(json.dumps({"sets": report, "by_model": profile, **rest}, indent=1))


def space_of(run: cg.Run) -> np.ndarray:
    """The space in which profiles are clustered, of all items."""
    from competency_gaps.slices.tree import concept_space

    return concept_space(run.by_concept, np.arange(run.items.height)).astype(np.float64)


def gaps_and_difficulty(own: World, asked: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gaps of the columns and profiles, and how much others score on their items, net of strata."""
    others = np.nanmean(np.delete(asked.scores.values, asked.scores.row(asked.outcome.model), axis=0), axis=0)
    scored = np.flatnonzero(asked.units.unit >= 0)
    hard = np.zeros(len(own.net))
    hard[asked.units.unit[scored]] = np.nan_to_num(others[scored], nan=float(np.nanmean(others)))
    whole = np.ones((len(hard), 1), bool)
    gaps: list[np.ndarray] = []
    difficulties: list[np.ndarray] = []
    for name in ("columns", "profiles"):
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
