"""Does an SAE foretell its own model's failures better than another model's?

    python validation/own_sae.py RUN [--scores FILE] [--splits 10] [--vectors FILE]

RUN is a finished run of the SAE's own model, with its scores; FILE a CSV without a head: benchmark, id and score of
another model on some of the items. What the items' concepts foretell of scores, net of benchmark and length, on halves
of the items that were not fitted, is set beside what sentence embeddings foretell. If concepts held what goes on in
their own model, beyond what the items are about, they would be ahead of the embeddings by more for their own model than
for the other one: the difference of differences. Intervals are by a jackknife over twenty groups of clusters of items,
with everything fitted anew.

Compared are slices (profiles beside clusters of embeddings, all of them fitted together, and lists of ten, which are
empty where nothing stands out) and ridge regression on the spaces in which both are clustered. Embeddings need
the extra texts, and are kept in ``--vectors``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from own_profile import World, correlations, embeddings, tell, world_of

import competency_gaps as cg
from competency_gaps.findings.answer import held_equal, units_asked
from competency_gaps.findings.choose import centred, weigh
from competency_gaps.findings.prior import fit, learn, seen
from competency_gaps.outcomes import Outcome
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices import Family
from competency_gaps.slices.make import questions
from competency_gaps.slices.tree import concept_space, tree_of

PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
GROUPS = 20
MEASURES = ("slices", "ridge regression")


def ridge(own: World, space: np.ndarray) -> np.ndarray:
    """What a space foretells of the units, for each half: shape (U, S); the penalty by leaving one unit out.

    Parameters
    ----------
    space : ndarray of float of shape (U, d)
    """
    whole = np.ones((len(space), 1), bool)
    told: np.ndarray = np.zeros(own.halves.shape)
    for split in range(told.shape[1]):
        taken = own.halves[:, split]
        left = centred(own.outcome, taken[:, None], own.block).ravel().astype(np.float64)[taken]
        x = space - space[taken].mean(axis=0)
        values, vectors = np.linalg.eigh(x[taken].T @ x[taken])
        turned = x @ vectors
        part = turned[taken].T @ left
        found = []
        for penalty in PENALTIES:
            hat = (turned[taken] ** 2 / (values + penalty)).sum(axis=1)
            fitted = turned[taken] @ (part / (values + penalty))
            found.append((float((((left - fitted) / (1 - hat)) ** 2).sum()), penalty))
        told[:, split] = turned @ (part / (values + min(found)[1]))
    return centred(told, np.repeat(whole, told.shape[1], axis=1), own.block).astype(np.float64)


def slices(own: World, name: str) -> np.ndarray:
    """What all slices of a family foretell of the units, for each half: shape (U, S)."""
    told = []
    for taken in own.halves.T:
        half = seen([own.tried[name][0]], own.outcome, taken, own.block)
        told.append(fit(half, learn([half])).outcomes(half.left, half.part))
    expected = np.concatenate(told, axis=1)
    return centred(expected, np.ones(expected.shape, bool), own.block).astype(np.float64)


def others_scores(run: cg.Run, path: Path) -> np.ndarray:
    """Scores of the other model, NaN where there are none: shape (N,)."""
    table = pl.read_csv(path, has_header=False, new_columns=["benchmark", "item_id", "other"], infer_schema=False)
    table = table.with_columns(pl.col("other").cast(pl.Float64, strict=False)).unique(["benchmark", "item_id"])
    keys = run.items.select("benchmark", "item_id").join(table, ["benchmark", "item_id"], "left", maintain_order="left")
    return keys["other"].cast(pl.Float64).to_numpy()


def correlations_of(
    run: cg.Run, values: np.ndarray, spaces: dict[str, np.ndarray], families: dict[str, Family], halves: np.ndarray
) -> tuple[dict[tuple[str, str], float], str]:
    """Own profile of a model by measure and space, and a line on it.

    Parameters
    ----------
    values : ndarray of float of shape (N,)
        Scores; NaN: not asked.
    halves : ndarray of bool of shape (clusters, splits)
        The clusters that are fitted.
    """
    items = run.items
    kept = items["excluded"].is_null().to_numpy() & ~np.isnan(values)
    rows = np.flatnonzero(kept)
    outcome = Outcome("score", "", np.where(kept, values, np.nan))
    units, means = units_asked(items, outcome, held_equal(run, []))
    weighed = {name: weigh(family, units, kept) for name, family in families.items()}
    own = world_of(items, units, means, weighed, halves)
    first = np.zeros(len(means), np.int64)
    first[units.unit[rows]] = rows
    found, listed = {}, []
    for name, space in spaces.items():
        (told,) = tell([own], [name])
        expected = (slices(own, name), ridge(own, space[first].astype(np.float64)))
        for measure, values_told in zip(MEASURES, expected, strict=True):
            found[measure, name] = float(correlations(own, values_told)[0])
        some = sum(length > 0 for length in told.lengths)
        listed.append(
            f"{some} of {len(told.lengths)} lists by {name} not empty, correlation "
            f"{float(correlations(own, told.expected)[0]):+.3f}"
        )
    return found, f"{len(means)} units, mean {means.mean():.3f}; {'; '.join(listed)}"


def interval(estimates: np.ndarray) -> str:
    """The first value, with an interval of 95% by the others, each of which lacks a group."""
    rest = estimates[1:]
    reach = 1.96 * np.sqrt((len(rest) - 1) * np.mean((rest - rest.mean()) ** 2))
    return f"{estimates[0]:+.3f} ({estimates[0] - reach:+.3f} to {estimates[0] + reach:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--vectors", type=Path)
    args = parser.parse_args()
    run = cg.open_run(args.run)
    items = run.items
    space = concept_space(run.by_concept, np.arange(items.height))
    spaces = {"profiles": space, "MiniLM": embeddings(questions(items), args.vectors)}
    rows = np.flatnonzero(items["excluded"].is_null().to_numpy())
    trees = {name: tree_of(name, space[rows], rows, items.height) for name, space in spaces.items()}
    families = {name: tree for name, tree in trees.items() if tree is not None}
    cluster = items["cluster"].to_numpy()
    rng = np.random.default_rng(0)
    halves = rng.random((int(cluster.max()) + 1, args.splits)) < 0.5
    group = rng.permutation(len(halves))[cluster] % GROUPS
    assert run.own_model is not None, "the run's own model has no scores"
    own = model_scores(run).of(run.own_model)
    models = {f"{run.own_model}, all items": own}
    if args.scores is not None:
        other = others_scores(run, args.scores)
        both = ~np.isnan(own) & ~np.isnan(other)
        models |= {"own": np.where(both, own, np.nan), "other": np.where(both, other, np.nan)}
    found: dict[str, dict[tuple[str, str], np.ndarray]] = {}
    for name, values in models.items():
        made, line = correlations_of(run, values, spaces, families, halves)
        print(f"{name}: {line}", flush=True)
        without = [
            correlations_of(run, np.where(group == number, np.nan, values), spaces, families, halves)[0]
            for number in range(GROUPS)
        ]
        found[name] = {key: np.array([one[key] for one in (made, *without)]) for key in made}
    print(f"\n{'':40s} profiles                  MiniLM                    profiles less MiniLM")
    for measure in MEASURES:
        less = {}
        for name, cells in found.items():
            ours, theirs = (cells[measure, space] for space in spaces)
            less[name] = ours - theirs
            print(
                f"{measure + '; ' + name[:22]:40s}", *(f"{interval(held):25s}" for held in (ours, theirs, less[name]))
            )
        if "other" in less:
            print(f"{measure + '; own less other':40s}", " " * 51, interval(less["own"] - less["other"]))


if __name__ == "__main__":
    main()
