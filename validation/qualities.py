"""How well do concepts tell a quality of prompts, and how much of it does a suite ask for?

    python validation/qualities.py RUN --tags TAGS.csv [--suite SUITE]

RUN is a run whose items TAGS.csv tags (columns ``id`` and one of 0 and 1 for each quality; ``cgaps run --set
ask=false``). For each quality prints the area under the ROC curve, on items that had no part in
the fit (five folds, three times), of

- ten concepts: a logistic regression on the ranked concepts whose AUROC is furthest from 1/2 on the other folds;
- all ranked concepts, and the mean residual stream at the run's hook: logistic regressions, the penalty chosen within
  the other folds (a line below the table says how often it was at an end of its grid);
- the prompt's length alone.

A quality that too few prompts have, or too few lack, is not told: the folds would hold none of them.

With --suite, a run of the same SAE on benchmarks (the ranked concepts are RUN's): the mean probability that ten
concepts of all of RUN's items give to the quality on each benchmark's items, beside the share of RUN's items that have
it. Where a benchmark's items are of a length that RUN hardly has, this is an extrapolation: the share of items inside
RUN's range of lengths is printed too.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np
import polars as pl
import scipy.sparse as sp
from probes import features
from scipy.stats import rankdata
from sklearn.base import TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

import competency_gaps as cg
from competency_gaps.items.config import RunConfig, parse_config
from competency_gaps.sae.load import load_pair

TEN = 10
FOLDS = RepeatedStratifiedKFold(n_splits=5, n_repeats=3, random_state=0)
PENALTIES = np.geomspace(1e-4, 1e2, 7)
"""Inverse strengths of the penalty. Wide: concepts between 0 and 1 take another than standardised dimensions do."""
LONGEST = 2048
"""Tokens of a prompt that the residual stream is averaged over."""
Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""From values and labels of some items, a function that gives others the probability of the label."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--tags", required=True)
    parser.add_argument("--suite")
    args = parser.parse_args()
    run = cg.open_run(args.run)
    tags = pl.read_csv(args.tags)
    items = items_of(run)
    table = items.join(tags.with_columns(pl.col("id").cast(pl.String)), left_on="item_id", right_on="id", how="inner")
    rows = table["row"].to_numpy()
    ranked = np.flatnonzero(run.concepts["ranked"].to_numpy())
    concepts, length = concept_values(run, ranked)[rows], lengths(items)[rows]
    settings = parse_config(RunConfig, {**run.manifest["settings"], "out": None}, "the run's settings")
    texts = table["prompt"].to_list()
    residual = features(load_pair(settings.model, settings.sae), texts, LONGEST)[1]
    names = [name for name in tags.columns if name not in ("id", "benchmark")]
    at_edge: Counter[str] = Counter()
    print("| quality | have it | ten concepts | all concepts | residual stream | length |\n|" + " --- |" * 6)
    for name in names:
        has = table[name].to_numpy() == 1
        if few := too_few(has):
            print(f"| {name} | {has.sum()} of {len(has)} | {few} | | | |")
            continue
        all_concepts = penalised(MaxAbsScaler, at_edge, "all concepts")
        all_residual = penalised(StandardScaler, at_edge, "residual stream")
        fits = ((concepts, by_ten), (concepts, all_concepts), (residual, all_residual), (length, by_length))
        cells = ["{:.2f} ± {:.2f}".format(*held_out(values, has, fit)) for values, fit in fits]
        print(f"| {name} | {has.sum()} of {len(has)} | {' | '.join(cells)} |", flush=True)
    counts = ", ".join(f"{name}: {count}" for name, count in at_edge.items())
    print(f"\nfits with a penalty at an end of the grid: {counts or 'none'}")
    if args.suite:
        other = cg.open_run(args.suite)
        same_sae(run, other)
        suite(other, ranked, concepts, length, {name: table[name].to_numpy() == 1 for name in names})


def too_few(has: np.ndarray) -> str | None:
    """Why a quality cannot be told on folds; None: it can."""
    for count, what in ((int(has.sum()), "have"), (int((~has).sum()), "lack")):
        if count < 2 * FOLDS.cvargs["n_splits"]:
            return f"N/A: {count} of {len(has)} {what} it"
    return None


def same_sae(run: cg.Run, other: cg.Run) -> None:
    """Exit if the runs' concepts are not the same."""
    saes = [held.manifest["sae"]["weights_sha256"] for held in (run, other)]
    if saes[0] != saes[1]:
        raise SystemExit(f"{other.path} has another SAE ({saes[1][:12]}) than {run.path} ({saes[0][:12]}).")


def items_of(run: cg.Run) -> pl.DataFrame:
    """The kept items, with their row."""
    return run.items.with_row_index("row").filter(pl.col("excluded").is_null())


def concept_values(run: cg.Run, concepts: np.ndarray) -> np.ndarray:
    """log(1 + CAS) of some concepts: float of shape (items, concepts)."""
    cas = sp.vstack([run.cas(name) for name in run.benchmarks["benchmark"]], format="csr")
    return np.log1p(cas[:, concepts].toarray())


def lengths(items: pl.DataFrame) -> np.ndarray:
    """log of the span's length: float of shape (items, 1)."""
    return np.log(items["n_span_tokens"].to_numpy().astype(float))[:, None]


def held_out(values: np.ndarray, has: np.ndarray, fit: Fit) -> tuple[float, float]:
    """AUROC on the folds that were not fitted: the mean, and the standard deviation of the repeats' means."""
    areas = []
    for train, test in FOLDS.split(values, has):
        areas.append(roc_auc_score(has[test], fit(values[train], has[train])(values[test])))
    means = np.array(areas).reshape(FOLDS.n_repeats, -1).mean(axis=1)
    return float(means.mean()), float(means.std())


def by_ten(values: np.ndarray, has: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The ten concepts that tell best, together."""
    active = (values > 0).sum(axis=0) >= TEN
    ranks = rankdata(values, axis=0)
    ones, zeros = has.sum(), (~has).sum()
    area = (ranks[has].sum(axis=0) - ones * (ones + 1) / 2) / (ones * zeros)
    best = np.argsort(-np.where(active, np.abs(area - 0.5), -1), kind="stable")[:TEN]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0)).fit(values[:, best], has)
    return lambda others: model.predict_proba(others[:, best])[:, 1]


def penalised(scaler: type[TransformerMixin], at_edge: Counter[str], name: str) -> Fit:
    """All columns, the penalty chosen within the items; counts the fits with one at an end of the grid."""

    def fit(values: np.ndarray, has: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = LogisticRegression(max_iter=300)
        search = GridSearchCV(model, {"C": PENALTIES}, scoring="roc_auc", cv=3)
        fitted = make_pipeline(scaler(), search).fit(values, has)
        at_edge[name] += int(search.best_params_["C"] in PENALTIES[[0, -1]])
        return lambda others: fitted.predict_proba(others)[:, 1]

    return fit


def by_length(values: np.ndarray, has: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The length alone, as a square."""
    curve = np.c_[values, values**2]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(curve, has)
    return lambda others: model.predict_proba(np.c_[others, others**2])[:, 1]


def suite(
    run: cg.Run, ranked: np.ndarray, concepts: np.ndarray, length: np.ndarray, qualities: dict[str, np.ndarray]
) -> None:
    """Print how much of each quality the benchmarks of a suite ask for.

    ``ranked`` are the concepts whose values in the tagged items ``concepts`` holds.
    """
    items = items_of(run)
    values, own = concept_values(run, ranked)[items["row"].to_numpy()], lengths(items).ravel()
    low, high = np.quantile(length, [0.01, 0.99])
    names = run.benchmarks["benchmark"].to_list()
    print("\n| benchmark | lengths alike | " + " | ".join(qualities) + " |\n| --- | --- |" + " --- |" * len(qualities))
    print("| (tagged items) | | " + " | ".join(f"{has.mean():.2f}" for has in qualities.values()) + " |")
    given = {name: by_ten(concepts, has)(values) for name, has in qualities.items() if too_few(has) is None}
    for name in names:
        rows = (items["benchmark"] == name).to_numpy()
        alike = ((own[rows] >= low) & (own[rows] <= high)).mean()
        cells = [f"{given[quality][rows].mean():.2f}" if quality in given else "N/A" for quality in qualities]
        print(f"| {name} | {alike:.0%} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
