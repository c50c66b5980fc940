"""Does an SAE foretell its own model's failures better than another's? And is it the SAE, or any directions?

    python validation/own_sae.py RUN RUN... [--panel SCORES.csv...] [--splits 6] [--vectors FILE]

Each RUN is a finished run of the same items, read through an SAE: those whose model answered give outcomes, all give
profiles of concepts, beside which stand sentence embeddings (they need the extra texts, and are kept in ``--vectors``).
``--panel``: tables of other models' scores on some of the items, a column ``id`` and a column a model.
``--residual N``: also the mean of the residual stream, where the SAEs of the first N runs read it.

What a space of the items foretells of an outcome, net of benchmark and length, is the correlation on halves of the
items that were not fitted, of ridge regression whose penalty leave-one-out chooses. Outcomes are right or wrong, and
for the models that were run the margin: the log-probability per character of the right option, less the best other's,
as a rank. If concepts held what goes on in their own model, beyond what items are about, a model's own SAE would
foretell more of its outcomes, and another's more of that one's: own less other's, on both sides. Intervals of 95% are
by 1,000 bootstraps of clusters of items, fits as they are; the smallest difference that would be seen four times of
five is printed with them. Items are those of the smallest run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from atlas import residual
from own_profile import embeddings
from scipy.stats import rankdata

import competency_gaps as cg
from competency_gaps.evidence.outcomes import Outcome
from competency_gaps.findings.answer import strata_of, units_with_outcomes
from competency_gaps.findings.on_units import centred
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices.make import questions
from competency_gaps.slices.tree import concept_space, unit

PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
BOOTSTRAPS = 1000
PANEL = "mean of the panel"
POWER = 1.96 + 0.84
"""Standard errors of a difference that is seen four times of five."""


def ridge(outcome: np.ndarray, block: np.ndarray, space: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Predict the outcome of each unit from the half that is fitted; the penalty by leaving one unit out.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,)
    block : ndarray of int of shape (U,)
        Strata within which outcomes are centred.
    space : ndarray of float of shape (U, d)
    fitted : ndarray of bool of shape (U,)

    Returns
    -------
    ndarray of float of shape (U,)
    """
    left = centred(outcome, fitted[:, None], block).ravel().astype(np.float64)[fitted]
    x = space - space[fitted].mean(axis=0)
    values, vectors = np.linalg.eigh(x[fitted].T @ x[fitted])
    turned = x @ vectors
    part = turned[fitted].T @ left
    errors = []
    for penalty in PENALTIES:
        hat = (turned[fitted] ** 2 / (values + penalty)).sum(axis=1)
        missed = left - turned[fitted] @ (part / (values + penalty))
        errors.append((float(((missed / (1 - hat)) ** 2).sum()), penalty))
    return turned @ (part / (values + min(errors)[1]))


def rows_of(run: cg.Run, first: cg.Run) -> np.ndarray:
    """The rows of a run that hold the items of the first, in its order: int of shape (N,)."""
    keys = ["benchmark", "item_id"]
    rows = first.items.select(keys).join(run.items.select(keys).with_row_index(), keys, "left", maintain_order="left")
    assert not rows["index"].has_nulls(), f"{run.path} lacks some of the items of {first.path}"
    return rows["index"].to_numpy()


def margins(run: cg.Run) -> np.ndarray:
    """Rank in (0, 1) of the right option's log-probability per character less the best other's; NaN: not scored."""
    found = np.full(run.items.height, np.nan)
    columns = ("score", "choices", "answer_index", "logprobs")
    for row, (score, choices, right, logprobs) in enumerate(run.items.select(columns).iter_rows()):
        if score is not None:
            each = np.array(logprobs) / [len(choice) for choice in choices]
            found[row] = each[right] - np.delete(each, right).max()
    scored = ~np.isnan(found)
    found[scored] = (rankdata(found[scored]) - 0.5) / scored.sum()
    return found


def panel(items: pl.DataFrame, path: Path) -> dict[str, np.ndarray]:
    """Scores of each model of a table, NaN where there are none: shape (N,)."""
    table = items.select(id="item_id").join(pl.read_csv(path), "id", "left", maintain_order="left").drop("id")
    return {f"{path.parent.name} {name}": table[name].cast(pl.Float64).to_numpy() for name in table.columns}


def predictions(run: cg.Run, values: np.ndarray, spaces: dict[str, np.ndarray], halves: np.ndarray) -> np.ndarray:
    """Correlations on held-out halves of one outcome with what each space foretells.

    Parameters
    ----------
    values : ndarray of float of shape (N,)
        NaN: not scored.
    halves : ndarray of bool of shape (clusters, S)
        The clusters that are fitted.

    Returns
    -------
    ndarray of float of shape (spaces, 1 + BOOTSTRAPS)
        The first of all units, the others of bootstraps of clusters, the same for all outcomes.
    """
    kept = run.items["excluded"].is_null().to_numpy() & ~np.isnan(values)
    units, means = units_with_outcomes(
        run.items, Outcome("score", "", np.where(kept, values, np.nan)), strata_of(run, [])
    )
    rows = np.flatnonzero(kept)
    first = np.zeros(len(means), np.int64)
    first[units.unit[rows]] = rows
    cluster = run.items["cluster"].to_numpy()[first]
    drawn = np.random.default_rng(1).poisson(1.0, (len(halves), BOOTSTRAPS))
    weights = np.column_stack([np.ones(len(first)), drawn[cluster]])
    net = centred(means, np.ones((len(means), 1), bool), units.block).ravel().astype(np.float64)
    result = np.zeros((len(spaces), 1 + BOOTSTRAPS))
    for number, space in enumerate(spaces.values()):
        for fitted in halves[cluster].T:
            expected = ridge(means, units.block, space[first].astype(np.float64), fitted)
            expected = centred(expected, np.ones((len(means), 1), bool), units.block).ravel().astype(np.float64)
            result[number] += weighted_correlation(expected[~fitted], net[~fitted], weights[~fitted])
    return result / halves.shape[1]


def weighted_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    n = weights.sum(axis=0)
    mx, my = x @ weights / n, y @ weights / n
    variances = ((x**2) @ weights / n - mx**2) * ((y**2) @ weights / n - my**2)
    return ((x * y) @ weights / n - mx * my) / np.sqrt(np.maximum(variances, 1e-12))


def with_interval(draws: np.ndarray) -> str:
    """The first value, with the interval of 95% of the others."""
    error = draws[1:].std()
    return f"{draws[0]:+.3f} ({draws[0] - 1.96 * error:+.3f} to {draws[0] + 1.96 * error:+.3f})"


def print_differences(title: str, table: dict[str, np.ndarray], names: Sequence[str], models: Sequence[str]) -> None:
    """A row per outcome; then own less the other's, the mean over both models that were run."""
    print(f"\n{title}\n{'':34s}" + "".join(f"{name:>16s}" for name in names))
    for outcome, draws in table.items():
        print(f"{outcome[:33]:34s}" + "".join(f"{value:16.3f}" for value in draws[:, 0]))
    if len(models) > 1:
        a, b = (names.index(name) for name in models[:2])
        ours = (table[models[0]][a] - table[models[0]][b] + table[models[1]][b] - table[models[1]][a]) / 2
        error = ours[1:].std()
        print(f"own SAE less the other model's: {with_interval(ours)}; {POWER * error:.3f} would be seen 4 times of 5")
    panel_mean = [PANEL] if PANEL in table else []
    for outcome in [*models, *panel_mean]:
        own = outcome if outcome in models else models[0]
        for name in names:
            if name != own:
                difference = table[outcome][names.index(own)] - table[outcome][names.index(name)]
                print(f"{outcome}: {own}'s profiles less {name} {with_interval(difference)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--panel", type=Path, nargs="*", default=[])
    parser.add_argument("--residual", type=int, default=0, metavar="N", help="also of the first N runs' models")
    parser.add_argument("--splits", type=int, default=6)
    parser.add_argument("--vectors", type=Path)
    args = parser.parse_args()
    runs = {path.name.removesuffix("_run"): cg.open_run(path) for path in args.runs}
    first = min(runs.values(), key=lambda run: run.items.height)
    rows = {name: rows_of(run, first) for name, run in runs.items()}
    spaces = {name: concept_space(run.by_concept, rows[name]) for name, run in runs.items()}
    for name, run in list(runs.items())[: args.residual]:
        mean = residual(run, rows[name])
        spaces[f"{name} residual"] = unit((mean - mean.mean(axis=0)) / mean.std(axis=0))
    spaces["MiniLM"] = embeddings(questions(first.items), args.vectors)
    halves = np.random.default_rng(0).random((int(first.items["cluster"].to_numpy().max()) + 1, args.splits // 2)) < 0.5
    halves = np.concatenate([halves, ~halves], axis=1)
    answered = {name: run for name, run in runs.items() if run.own_model is not None}
    scores = {name: model_scores(run).of(str(run.own_model))[rows[name]] for name, run in answered.items()}
    others = {name: values for path in args.panel for name, values in panel(first.items, path).items()}
    names = list(spaces)
    for title, outcomes in (
        ("right or wrong", scores),
        ("margin of the right option", {name: margins(run)[rows[name]] for name, run in answered.items()}),
    ):
        table = {name: predictions(first, values, spaces, halves) for name, values in outcomes.items()}
        print_differences(title, table, names, list(answered))
    if others:
        # Own models on the panel's items, so that rows can be compared.
        asked = ~np.isnan(np.array(list(others.values()))).all(axis=0)
        models = {name: np.where(asked, values, np.nan) for name, values in scores.items()} | others
        table = {name: predictions(first, values, spaces, halves) for name, values in models.items()}
        table[PANEL] = np.mean([table[name] for name in others], axis=0)
        print_differences("right or wrong, items of the panel", table, names, list(answered))
        last = names.index("MiniLM")
        for name in answered:
            ahead = table[name][names.index(name)] - table[name][last]
            theirs = table[PANEL][names.index(name)] - table[PANEL][last]
            print(f"{name}'s profiles less MiniLM, its own model less the panel: {with_interval(ahead - theirs)}")


if __name__ == "__main__":
    main()
