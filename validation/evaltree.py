"""Held-out weakest: how a model does on the unseen items that a list of named slices calls its weakest.

    python validation/evaltree.py RUN --train FILE [--skills FILE] [--embed] [--vectors FOLDER] [--folds 5]

RUN is a finished run with scores; FILE a JSON list of the rows of its items from which everything is chosen (EvalTree's
split of MMLU; ``--train .7`` draws a share of them instead). A list of at most ``--longest`` slices is chosen on these,
by the package's own procedure for one model alone, without strata, and each other item is expected to do what its
slices let expect. Printed is the mean of the ``--counts`` items of which least is expected (of items that are expected
alike, a part of each), beside the mean accuracy of each category of the items' ``group`` on the training items (their
subjects), and beside what EvalTree published (Zeng et al., 2025, its results for weak nodes of about as many items).
Differences have 95% intervals by a bootstrap over clusters of items, with the lists as they are; EvalTree's items are
not published, so it counts as independent there.

``--folds K`` never looks at the test items: it judges by K folds of the training ones, to choose settings by.
``--against peers`` asks for outcomes against the other models. ``--skills`` is a JSON list (.gz) of a phrase per item
that a language model wrote. Slices are made without scores, of all items; of an item's features some know which
option is right, so there is a row without these. Vectors of sentences (``--skills``, ``--embed``) are kept in
``--vectors``; they need the extra texts.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import polars as pl
import scipy.sparse as sp
from own_profile import embeddings, shares_of

import competency_gaps as cg
from competency_gaps.findings.answer import chosen_outcome, slices_of, units_with_outcomes
from competency_gaps.findings.choose import choose, global_p_values, null_distributions
from competency_gaps.findings.on_units import aggregate
from competency_gaps.findings.slice_model import fit, learn, observe
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices import Family
from competency_gaps.slices.make import questions, with_tree_names
from competency_gaps.slices.skills import with_central_phrases
from competency_gaps.slices.tree import SCALES, concept_space, tree_of
from competency_gaps.util.errors import UserError

BOOTSTRAPS = 1000
PUBLISHED = {
    "Llama-3.1-8B-Instruct": {200: 0.464, 400: 0.474, 800: 0.499, 1600: 0.555},
    "Llama-3.1-Tulu-3-8B": {200: 0.418, 400: 0.405, 800: 0.427, 1600: 0.488},
    "gpt-4o-mini-2024-07-18": {200: 0.565, 400: 0.608, 800: 0.658, 1600: 0.725},
}
"""EvalTree's accuracy of the test items in its weak nodes, at about so many items."""


class Told(NamedTuple):
    """What the training items tell. N items."""

    by_list: np.ndarray
    """float64 of shape (N,): what the list lets expect of each item, up to a constant."""
    by_all: np.ndarray
    """The same of all slices."""
    names: list[str]
    """Of the listed slices, with their gaps, the weakest first."""


def tell(items: pl.DataFrame, outcome: Any, families: Sequence[Family], train: np.ndarray, longest: int) -> Told:
    """Choose and fit on the training items alone."""
    known = replace(outcome, values=np.where(train, outcome.values, np.nan))
    units, values = units_with_outcomes(items, known, ())
    kept = items["excluded"].is_null().to_numpy() & train
    weighed = [aggregate(family, units, kept) for family in families]
    nulls = null_distributions(weighed, values, units.block)
    whole = np.ones((len(values), 1), bool)
    p = global_p_values(weighed, nulls, values, whole, units.block)
    own = observe(weighed, values, whole[:, 0], units.block)
    slice_model = fit(own, learn([own]))
    family, place = slice_model.design.family, slice_model.design.slice
    with patch("competency_gaps.findings.choose.MAX_FINDINGS", longest):
        chosen = choose(slice_model, values, whole, p)[0]

    def rows(places: np.ndarray) -> sp.csr_array:
        every = [families[family[at]].weights[[place[at]]] for at in places]
        return sp.csr_array(sp.vstack(every)) if every else sp.csr_array((0, items.height))

    listed = np.array([one.position for one in chosen], int)
    parts = shares_of(slice_model, chosen, values, whole[:, 0]) if chosen else np.zeros(0)
    # Coefficients by the axes on which they are independent: those that items say nothing of are 0.
    information, basis = slice_model.axes
    sums = basis.T @ slice_model.expected(own.residual, own.share)[0][:, 0]
    every = basis @ np.divide(sums, information, out=np.zeros(len(sums)), where=information > 1e-9)
    order = sorted(chosen, key=lambda one: one.gap)
    names = [
        f"{100 * one.gap:+.0f} {families[family[one.position]].names[place[one.position]]} "
        f"[{families[family[one.position]].name}]"
        for one in order
    ]
    return Told(rows(listed).T @ parts, rows(np.arange(len(every))).T @ every, names)


def weakest(expected: np.ndarray, outcome: np.ndarray, drawn: np.ndarray, count: float) -> np.ndarray:
    """Mean outcome of the ``count`` items of which least is expected, for each draw: shape (draws,).

    Parameters
    ----------
    expected, outcome : ndarray of float of shape (n,)
    drawn : ndarray of float of shape (n, draws)
        How often each item counts. Of items that are expected alike, the same part of each counts.
    """
    _, place = np.unique(expected.round(8), return_inverse=True)
    group = sp.csr_array((np.ones(len(place)), (place, np.arange(len(place)))))
    many, total = group @ drawn, group @ (drawn * outcome[:, None])
    before = np.cumsum(many, axis=0) - many
    part = np.clip((count - before) / np.maximum(many, 1e-9), 0, 1)
    return (part * total).sum(axis=0) / (part * many).sum(axis=0)


def families_of(run: cg.Run, args: argparse.Namespace) -> dict[str, Family]:
    """The run's families, with trees of the wanted scales in the place of its own."""
    items = run.items
    rows = np.flatnonzero(items["excluded"].is_null().to_numpy())
    found = {family.name: family for family in slices_of(run)}
    scales = tuple(int(scale) for scale in args.scales.split(","))
    spaces = {}
    if "profiles" in found and scales != SCALES:
        spaces["profiles"] = concept_space(run.by_concept, rows)
    cache = args.vectors
    if args.embed:
        spaces["clusters"] = embeddings(questions(items), cache and cache / "items.npy")[rows]
    for name, space in spaces.items():
        tree = tree_of(name, space, rows, items.height, scales=scales)
        assert tree is not None, "too few items for a tree"
        (found[name],) = with_tree_names(run, [tree], run.concepts, None)
    if args.skills is not None:
        phrases = json.loads(gzip.decompress(args.skills.read_bytes()))
        space = embeddings(phrases, cache and cache / "skills.npy")[rows]
        tree = tree_of("skills", space, rows, items.height, scales=scales)
        assert tree is not None, "too few items for a tree"
        found["skills"] = with_central_phrases(tree, dict(enumerate(phrases)))
    return found


def sets_of(names: Sequence[str]) -> dict[str, list[str]]:
    """Sets of families that are compared."""
    alone = [
        name
        for name in ("columns", "regions", "profiles", "clusters", "skills", "concepts", "features")
        if name in names
    ]
    found = {name: [name] for name in alone}
    for more in (["profiles"], ["clusters"], ["profiles", "clusters"], ["skills"]):
        if all(name in names for name in more):
            found[" + ".join(["columns", *more])] = ["columns", *more]
    every = [name for name in names if name != "skills"]
    found["all"] = every
    found["all, without the SAE"] = [name for name in every if name not in ("regions", "profiles", "concepts")]
    if "skills" in names:
        found["all and skills"] = [*every, "skills"]
    return found


def splits_of(args: argparse.Namespace, items: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test items: bool of shape (N,) each."""
    rng = np.random.default_rng(0)
    train = np.zeros(items, bool)
    if Path(args.train).is_file():
        train[json.loads(Path(args.train).read_text())] = True
    else:
        train[rng.permutation(items)[: round(float(args.train) * items)]] = True
    if not args.folds:
        return [(train, ~train)]
    fold = rng.integers(args.folds, size=items)
    return [(train & (fold != number), train & (fold == number)) for number in range(args.folds)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--train", required=True)
    parser.add_argument("--skills", type=Path)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--embed", action="store_true", help="add clusters of sentence embeddings")
    parser.add_argument("--models")
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--against", choices=("benchmark", "peers"), default="benchmark")
    parser.add_argument("--counts", default="400,800")
    parser.add_argument("--longest", type=int, default=30)
    parser.add_argument("--scales", default=",".join(map(str, SCALES)))
    parser.add_argument("--show", help="print the list of this set of families")
    args = parser.parse_args()
    run = cg.open_run(args.run)
    items, scores, families = run.items, model_scores(run), families_of(run, args)
    splits = splits_of(args, items.height)
    counts = [int(count) for count in args.counts.split(",")]
    cluster = np.unique(items["cluster"].to_numpy(), return_inverse=True)[1]
    many = int(cluster.max()) + 1
    times = np.random.default_rng(1).multinomial(many, np.full(many, 1 / many), BOOTSTRAPS).T
    drawn = np.concatenate([np.ones((items.height, 1)), times[cluster]], axis=1)
    print({name: len(family.names) for name, family in families.items()})
    for model in args.models.split(",") if args.models else scores.models:
        others = [name for name in scores.models if name != model]
        try:
            outcome, _ = chosen_outcome(run, scores, model, others if args.against == "peers" else "benchmark")
        except UserError as error:
            print(f"\n{model}: {error}")
            continue
        report(model, run, outcome, families, splits, counts, drawn, args)


def report(
    model: str,
    run: cg.Run,
    outcome: Any,
    families: dict[str, Family],
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    counts: Sequence[int],
    drawn: np.ndarray,
    args: argparse.Namespace,
) -> None:
    """Print a model's table."""
    found: dict[str, list[np.ndarray]] = {}
    lengths: dict[str, list[int]] = {}
    group = np.unique(run.items["group"].fill_null("").to_numpy(), return_inverse=True)[1]
    scored = ~np.isnan(outcome.values)
    for train, test in splits:
        judged = np.flatnonzero(test & scored)

        def judge(name: str, expected: np.ndarray, judged: np.ndarray = judged) -> None:
            share = len(judged) / 4000 if args.folds else 1.0
            means = [weakest(expected[judged], outcome.values[judged], drawn[judged], share * n) for n in counts]
            found.setdefault(name, []).append(np.array(means))

        taken = train & scored
        number = np.maximum(np.bincount(group[taken], minlength=group.max() + 1), 1)
        judge("subjects", (np.bincount(group[taken], outcome.values[taken], minlength=len(number)) / number)[group])
        for name, used in sets_of(list(families)).items():
            told = tell(run.items, outcome, [families[own] for own in used], train, args.longest)
            judge(name, told.by_list)
            judge(f"{name}: every slice", told.by_all)
            lengths.setdefault(name, []).append(len(told.names))
            if name == args.show:
                print("\n".join(told.names))
    means = {name: np.mean(own, axis=0) for name, own in found.items()}
    overall = np.mean([outcome.values[test & scored].mean() for _, test in splits])
    print(
        f"\n{model}: {overall:.3f} on test items{f', {args.folds} folds of the training items' if args.folds else ''}"
    )
    heads = [f"{n:4d} weakest;  less subjects" + " " * 12 + "less EvalTree" for n in counts]
    print(f"{'families':52s} slices ", "     ".join(heads))
    for name, own in means.items():
        cells = []
        for at, count in enumerate(counts):
            less = own[at] - means["subjects"][at]
            cell = f"{own[at, 0]:.3f}  {interval(less[0], less[1:])}"
            published = PUBLISHED.get(model, {}).get(count)
            if published is not None and args.against == "benchmark" and not args.folds:
                error = np.random.default_rng(2).normal(0, np.sqrt(published * (1 - published) / count), len(less) - 1)
                cell += f"  {interval(own[at, 0] - published, own[at, 1:] - published + error)}"
            cells.append(cell)
        length = f"{np.mean(lengths[name]):5.1f}" if name in lengths else ""
        print(f"{name:52s} {length:6s} ", "     ".join(cells), flush=True)

    bare = ", without the SAE"
    for name, own in means.items():
        without = name.replace(":", f"{bare}:") if ":" in name else name + bare
        if without in means:
            less = own - means[without]
            print(f"{name:50s} less without the SAE  ", "   ".join(interval(one[0], one[1:]) for one in less))


def interval(value: float, draws: np.ndarray) -> str:
    """A difference with its interval of 95%: the bootstrap's about its own mean."""
    low, high = value + np.quantile(draws - draws.mean(), (0.025, 0.975))
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
