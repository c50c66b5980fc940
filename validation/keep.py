"""How well N items tell what a model scores on all: methods beside each other, on models that were held out.

    python validation/keep.py RUN... --out FOLDER

Each model of a run is held out in turn, then the five best together. A subset is chosen, and a predictor learned, from
the other models alone; the held-out model's scores on the subset then give its mean, and that of each slice. The
benchmark is here the items that the held-out model has a score of. Work that is done is kept in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import kendalltau
from sklearn.cluster import MiniBatchKMeans
from sklearn.ensemble import RandomForestRegressor

import competency_gaps as cg
from competency_gaps.improve.keep import MIN_SLICE_ITEMS, SLICE_WEIGHT, slices_kept
from competency_gaps.improve.response import Responses, _fit, responses
from competency_gaps.runs.scores import model_scores

SIZES = (25, 50, 100, 250, 1000)
DRAWS = 6
STRONGEST = 5
METHODS = {
    "random": "random, plain mean",
    "ridge": "random, ridge regression on the sources",
    "strata": "stratified by subject or difficulty, weighted",
    "neighbours": "DISCO's selection from 0/1 scores, nearest neighbours",
    "forest": "DISCO's selection from 0/1 scores, random forest",
    "anchors": "anchor points by responses, weighted",
    "irt": "anchor points by item response theory, p-IRT",
    "robust": "random, our model and residuals (doubly robust)",
    "model": "random, our model",
    "kept": "cgaps improve --keep",
}


def main() -> None:
    """Hold out each model of each run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in arguments.runs:
        run = cg.open_run(path)
        order = np.argsort(-np.nanmean(model_scores(run).values, axis=1)).tolist()
        for split, models in (("strongest", order[:STRONGEST]), ("one", order)):
            for model in models:
                file = arguments.out / f"{path.name}-{split}-{model}.json"
                if not file.is_file():
                    out = models if split == "strongest" else [model]
                    file.write_text(json.dumps(trials(run, model, out, zlib.crc32(file.name.encode()))))
                place = {"run": path.name, "split": split, "model": model}
                rows += [{**place, **row} for row in json.loads(file.read_text())]
    for path in arguments.runs:
        for split in ("one", "strongest"):
            table([row for row in rows if row["run"] == path.name and row["split"] == split], f"{path.name}, {split}")
    coverage(rows)


def trials(run: cg.Run, model: int, out: list[int], seed: int) -> list[dict[str, Any]]:
    """Every method at every size: what it says of the held-out model, and what is true."""
    scores = model_scores(run)
    source = [row for row in range(len(scores.models)) if row not in out]
    _, inside = slices_kept(run, [scores.models[row] for row in source])
    held, sources = scores.values[model], scores.values[source]
    scored = ~np.isnan(held) & ~np.isnan(sources).all(axis=0)
    y, sources, inside = held[scored], sources[:, scored], inside[:, scored]
    inside = inside[inside.sum(axis=1) >= MIN_SLICE_ITEMS]
    means = inside / inside.sum(axis=1, keepdims=True)
    truth = means @ y
    prior = responses(sources, inside[1:].T)
    filled = np.where(np.isnan(sources), np.nanmean(sources, axis=0), sources)
    groups = run.items["group"].to_numpy()[scored]
    importance = np.array([1.0, *[SLICE_WEIGHT / max(len(inside) - 1, 1)] * (len(inside) - 1)])
    rows: list[dict[str, Any]] = []
    for draw in range(DRAWS):
        rng = np.random.default_rng((seed, draw))
        sizes = [size for size in SIZES if size < 0.9 * len(y)]
        order, unit = rng.permutation(len(y)), np.arange(len(y))
        chosen = np.array(list(prior.choose(max(sizes), means, importance, unit, seed=seed + draw)))
        for size in sizes:
            at, kept = order[:size], chosen[:size]
            ours, own = prior.estimate(at, y[at], means), prior.estimate(kept, y[kept], means)
            p = expit(
                prior.features
                @ _fit(prior.features[at].astype(float), y[at], prior.mean, np.linalg.inv(prior.scaled(4.0)))[0]
            )
            says = {"random": slice_means(at, y, inside), "model": ours.value, "kept": own.value}
            says["robust"] = np.array([p.mean() + (y[at] - p[at]).mean()])
            says |= {
                name: np.atleast_1d(mean) for name, mean in rivals(y, filled, prior, at, groups, rng, draw).items()
            }
            ends = {"model": [ours.low, ours.high], "kept": [own.low, own.high]}
            for name, value in says.items():
                rows.append(
                    {"method": name, "size": size, "says": value.tolist(), "true": truth[: len(value)].tolist()}
                )
                rows[-1]["ends"] = [end.tolist() for end in ends.get(name, [])]
    return rows


def slice_means(at: np.ndarray, y: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Plain means over the items of each slice; NaN: there are none."""
    inside = inside[:, at].astype(float)
    count = inside.sum(axis=1)
    return np.divide(inside @ y[at], count, out=np.full(len(count), np.nan), where=count > 0)


def rivals(
    y: np.ndarray,
    filled: np.ndarray,
    prior: Responses,
    at: np.ndarray,
    groups: np.ndarray,
    rng: np.random.Generator,
    draw: int,
) -> dict[str, float]:
    """The mean of all items by each of the other methods; the slow ones once, and of at most 100 items."""
    size, whole = len(at), filled.mean(axis=1)
    x = filled[:, at] - filled[:, at].mean(axis=0)
    dual = np.linalg.solve(x @ x.T + size * 0.1 * np.eye(len(x)), whole - whole.mean())
    says = {"ridge": whole.mean() + (y[at] - filled[:, at].mean(axis=0)) @ x.T @ dual}

    names, level = np.unique([group or "" for group in groups], return_inverse=True)
    if len(names) < 2:
        level = np.argsort(np.argsort(filled.mean(axis=0))) * 10 // len(y)
    count = np.bincount(level)
    spread = np.lexsort((rng.random(len(y)), level))[((np.arange(size) + rng.random()) * len(y) / size).astype(int)]
    drawn = np.bincount(level[spread], minlength=len(count))
    says["strata"] = np.average(y[spread], weights=count[level[spread]] / drawn[level[spread]])

    share = filled.mean(axis=0)
    most = np.lexsort((rng.random(len(y)), -share * (1 - share)))[:size]
    near = np.argsort(((filled[:, most] - y[most]) ** 2).sum(axis=1))[:3]
    says["neighbours"] = whole[near].mean()
    if draw or size > 100:
        return says
    forest = RandomForestRegressor(100, random_state=int(rng.integers(10**9))).fit(filled[:, most], whole)
    says["forest"] = forest.predict(y[most][None])[0]

    rows, weight = medoids(filled.T, size, rng)
    says["anchors"] = np.average(y[rows], weights=weight)
    ease, slope = prior.features[:, 1].astype(float), prior.features[:, 2].astype(float)
    rows, weight = medoids(np.column_stack([ease, slope]), size, rng)
    grid = np.linspace(-4, 5, 181)
    p = np.clip(expit(ease[rows] + np.multiply.outer(grid, slope[rows])), 1e-9, 1 - 1e-9)
    likelihood = (np.log(p) * y[rows] + np.log1p(-p) * (1 - y[rows])).sum(axis=1) - grid**2 / 18
    p = expit(ease + grid[np.argmax(likelihood)] * slope)
    p[rows] = y[rows]
    says["irt"] = p.mean()
    return says


def medoids(points: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The item nearest to the middle of each of so many clusters, and the clusters' sizes."""
    found = MiniBatchKMeans(size, n_init=1, max_iter=5, batch_size=4096, random_state=int(rng.integers(10**9))).fit(
        points
    )
    distance = ((points - found.cluster_centers_[found.labels_]) ** 2).sum(axis=1)
    order = np.lexsort((distance, found.labels_))
    _, first, count = np.unique(found.labels_[order], return_index=True, return_counts=True)
    return order[first], count.astype(float)


def table(rows: list[dict[str, Any]], title: str) -> None:
    """Mean absolute errors in points, with the difference from the plain mean paired over models."""
    print(f"\n{title}: {len({row['model'] for row in rows})} models held out; mean absolute error in points")
    sizes = sorted({row["size"] for row in rows})
    print(f"{'':48}" + "".join(f"{n:>7}" for n in sizes) + "   less than random at 100   tau at 50   slices at 100")
    plain = errors(rows, "random", slice(0, 1))
    for name, words in METHODS.items():
        own = errors(rows, name, slice(0, 1))
        cells = "".join(f"{np.mean(list(own[n].values())):7.2f}" if n in own else f"{'':7}" for n in sizes)
        paired = np.array([plain[100][model] - error for model, error in own[100].items()])
        low, high = np.quantile(
            np.random.default_rng(0).choice(paired, (4000, len(paired))).mean(axis=1), (0.025, 0.975)
        )
        less = f"{paired.mean():6.2f} ({low:.2f} to {high:.2f})"
        of_slices = errors(rows, name, slice(1, None))
        inside = f"{np.nanmean(list(of_slices[100].values())):.2f}" if of_slices else ""
        print(f"{words:48}{cells}   {less:24}  {order(rows, name):8.3f}   {inside:>13}")


def errors(rows: list[dict[str, Any]], name: str, part: slice) -> dict[int, dict[int, float]]:
    """By size and model: mean absolute error in points, of the mean of all items or of the slices' means."""
    found: dict[int, dict[int, list[float]]] = {}
    for row in rows:
        if row["method"] == name and row["says"][part]:
            says, true = (np.array(row[key][part], float) for key in ("says", "true"))
            error = 100 * float(np.nanmean(np.abs(says - true)))
            found.setdefault(row["size"], {}).setdefault(row["model"], []).append(error)
    return {size: {model: float(np.mean(own)) for model, own in models.items()} for size, models in found.items()}


def order(rows: list[dict[str, Any]], name: str, size: int = 50) -> float:
    """Kendall's tau of the models' predicted and true means, the mean over draws."""
    by: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        if row["method"] == name and row["size"] == size:
            by.setdefault(row["model"], []).append((row["says"][0], row["true"][0]))
    draws = zip(*by.values(), strict=True)
    return float(np.mean([kendalltau(*np.array(draw).T)[0] for draw in draws]))


def coverage(rows: list[dict[str, Any]]) -> None:
    """Share of the intervals that hold, with its interval over models."""
    for name in ("kept", "model"):
        for where, part in (("all items", slice(0, 1)), ("slices", slice(1, None))):
            for split in ("one", "strongest"):
                by: dict[tuple[str, int], list[float]] = {}
                for row in rows:
                    if row["method"] == name and row["split"] == split:
                        low, high = (np.array(end[part]) for end in row["ends"])
                        true = np.array(row["true"][part])
                        by.setdefault((row["run"], row["model"]), []).extend(((low <= true) & (true <= high)).tolist())
                each = np.array([np.mean(own) for own in by.values() if own])
                drawn = np.random.default_rng(0).choice(each, (4000, len(each))).mean(axis=1)
                low, high = np.quantile(drawn, (0.025, 0.975))
                print(f"{METHODS[name]:28}{where:12}{split:12} that hold: {each.mean():.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
