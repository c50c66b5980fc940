"""Does overlap of concepts foretell overlap of scores, and is what `Run.redundancy` says of planted scores true?

    python validation/redundancy.py runs RUN [RUN ...] [--what group|regions] [--embeddings FILE.npy]
    python validation/redundancy.py planted [--draws 200]

``runs`` prints, for each run, Spearman's correlation over pairs of parts between the models' correlation and several
likenesses of the parts: cosine of mean concept activations (what ``Run.redundancy`` uses), Jaccard of covered concepts,
shares of the atlas' regions, and sentence embeddings (one row per item; made where the extra texts is installed
and no file is given); each beside 95% of shuffles of the parts' names. *Ceiling*: the same between correlations over
two halves of the models (middle of 40 halves). ``planted`` draws right and wrong answers with one or two axes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.special import expit
from scipy.stats import spearmanr

import competency_gaps as cg
from competency_gaps.concepts.atlas import members_of
from competency_gaps.concepts.scopes import LEVEL
from competency_gaps.improve.redundancy import MIN_MODELS, axes_of, correlation, foretells, likeness, parts_of, units_of
from competency_gaps.reading.profiles import cas_of
from competency_gaps.runs.scores import model_scores


def cosines(rows: np.ndarray) -> np.ndarray:
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return rows @ rows.T


def correlations(mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
    parts = mean.shape[1]
    matrix = np.full((parts, parts), np.nan)
    for a, b in zip(*np.triu_indices(parts, 1), strict=True):
        matrix[a, b] = matrix[b, a] = correlation(mean[:, [a, b]], noise[:, [a, b]])[0]
    return matrix


def ceiling(mean: np.ndarray, noise: np.ndarray) -> float:
    """How well the correlations over half of the models rank those over the other half."""
    whole = np.flatnonzero(~np.isnan(mean).any(axis=1))
    if len(whole) < 2 * MIN_MODELS:
        return np.nan
    at, found, rng = np.triu_indices(mean.shape[1], 1), [], np.random.default_rng(0)
    for _ in range(40):
        mixed = rng.permutation(whole)
        halves = [correlations(mean[own], noise[own])[at] for own in np.array_split(mixed, 2)]
        found.append(spearmanr(*halves, nan_scorer="omit")[0])
    return float(np.median(found))


def of_run(path: Path, what: str | None, embeddings: Path | None) -> list[dict[str, Any]]:
    run = cg.open_run(path)
    parts = parts_of(run, what)
    assert parts is not None, f"{path} has no parts"
    count, label = len(parts.names), parts.label
    units = units_of(model_scores(run).values, label, run.items["cluster"].to_numpy())
    mean, noise = units.means()
    alike = correlations(mean, noise)
    rows = np.flatnonzero(label >= 0)
    gather = sp.csr_array((np.ones(len(rows)), (label[rows], np.arange(len(rows)))), shape=(count, len(rows)))
    covered = (gather @ (cas_of(run.by_concept, rows, np.arange(run.width)).T > 0).astype(float)).toarray() > 0
    both = covered.astype(float) @ covered.T
    size = covered.sum(axis=1)
    measures = {
        "concepts (cosine)": likeness(run, label, count),
        "concepts (Jaccard)": both / (size[:, None] + size - both),
    }
    if run.item_regions is not None and run.regions is not None and parts.what != "regions":
        finest = run.item_regions["region"].fill_null(-1).to_numpy().astype(int)
        inside = members_of(run.regions["parent"].fill_null(-1).to_numpy(), finest)
        inside = inside[run.regions["level"].to_numpy() == LEVEL]
        measures["regions of the atlas"] = cosines(np.sqrt(gather @ inside[:, rows].T.astype(float)))
    if embeddings is not None or what is None:
        from competency_gaps.model.embed import embed_texts

        vectors = np.load(embeddings) if embeddings else embed_texts(run.items["prompt"].to_list())
        middle = gather @ vectors[rows] / np.bincount(label[rows])[:, None]
        measures["sentence embeddings"] = cosines(middle)
        measures["the same, centred"] = cosines(middle - middle.mean(axis=0))
    known = int((~np.isnan(alike[np.triu_indices(count, 1)])).sum())
    same = {"run": path.name, "parts": f"{count} {parts.what}", "models": len(mean), "pairs": known}
    shown = []
    for name, like in measures.items():
        found = foretells(like, alike)
        if found is not None:
            chance = f"{found.low:.2f} to {found.high:.2f}"
            without = [np.delete(np.arange(count), part) for part in range(count)]
            left = []
            for own in without:
                fewer = foretells(like[np.ix_(own, own)], alike[np.ix_(own, own)], shuffles=2)
                assert fewer is not None, "too few parts to leave one out"
                left.append(fewer.correlation)
            ends = f"{min(left):.2f} to {max(left):.2f}"
            figures = {"spearman": round(found.correlation, 2), "chance": chance, "without a part": ends}
            shown.append({**same, "likeness": name, **figures})
    return [*shown, {**same, "likeness": "ceiling (halves of models)", "spearman": round(ceiling(mean, noise), 2)}]


def planted(draws: int) -> None:
    """False second axes, power, and how many parts without anything of their own are said to add."""
    rng, part = np.random.default_rng(0), np.repeat(np.arange(8), 150)
    names = pl.Series([f"part {n}" for n in range(8)])
    print("12 models, 8 parts of 150 items; second axis: standard deviation in logits (the level's is 1)")
    for apart in (0.0, 0.2, 0.4, 0.8):
        second, adding = 0, 0
        for _ in range(draws):
            level, other = rng.normal(0, 1, (2, 12, 1))
            slope = rng.lognormal(0, 0.3, len(part))
            chance = expit(slope * (level + apart * other * np.where(part < 4, 1, -1) + rng.normal(0, 1, len(part))))
            scores = (rng.random(chance.shape) < chance).astype(float)
            table, found = axes_of(units_of(scores, part, np.arange(len(part))), names, rng)
            second += found["count"] > 1
            adding += bool(table["adds"].any())
        print(
            f"  {apart:.1f}: a second axis in {second / draws:.2f}, a part that adds in {adding / draws:.2f} of draws"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("runs")
    runs.add_argument("runs", nargs="+", type=Path)
    runs.add_argument("--what")
    runs.add_argument("--embeddings", type=Path)
    commands.add_parser("planted").add_argument("--draws", type=int, default=200)
    asked = parser.parse_args()
    if asked.command == "planted":
        planted(asked.draws)
        return
    rows = [row for run in asked.runs for row in of_run(run, asked.what, asked.embeddings)]
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_width_chars=140, fmt_str_lengths=40):
        print(pl.DataFrame(rows, infer_schema_length=None))


if __name__ == "__main__":
    main()
