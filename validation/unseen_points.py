"""How well are the mean scores of AutoDetect's points predicted from other points? Used by ``autodetect.py``.

From concepts' gaps on half of the points, a ridge on concepts, one on sentence embeddings (of 256 tokens), one on the
mean residual stream, and the length alone. The penalty of a ridge is chosen on points left out. Scores and predictions
are net of the phase (questions that AutoDetect began with, or searched for); in the last column of length too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from judged_points import Domain, judged, net, shuffled
from probes import features
from rivals import sentence_embeddings
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import competency_gaps as cg
from competency_gaps.evidence import evidence
from competency_gaps.runs.settings import run_config
from competency_gaps.sae.load import load_pair

LONGEST = 2048
"""Tokens of a prompt that the residual stream is averaged over."""
FEWEST = 3
"""Fewest weak points, and others, of a domain whose area under the curve is printed."""
SHRINKAGE = 20
"""Effective items that draw the gap of a concept towards 0; fixed beforehand."""
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From bool and float of shape (items,), which items are seen and the scores, to a prediction for every item."""


def print_unseen(run: cg.Run, domains: list[Domain], halves: int) -> None:
    """Print how well the mean scores of unseen points are predicted."""
    print("| domain, model | from | rank correlation | AUC of weak points | rank correlation net of length |")
    print("| --- | --- | --- | --- | --- |")
    residual = mean_residuals(run, [domain.texts for domain in domains])
    for domain, means in zip(domains, residual, strict=True):
        for name, predict in predictors(run, domain, means).items():
            print_row(domain, name, predict, halves)
        print_row(domain, "gaps of concepts, scores shuffled", predictors(run, domain, means)["gaps of concepts"],
                  halves, shuffle=True)  # fmt: skip


def predictors(run: cg.Run, domain: Domain, means: np.ndarray) -> dict[str, Predict]:
    """What predicts, by name; ``means``: mean residual of each item."""
    dense = {
        "sentence embeddings": sentence_embeddings(tuple(domain.texts)),
        "residual stream": means,
        "concepts": np.log1p(domain.cas[:, domain.ranked].toarray()),
    }

    def ridge_on(values: np.ndarray) -> Predict:
        return lambda seen, scores: by_ridge(domain, values, seen, scores)

    return {
        "gaps of concepts": lambda seen, scores: by_gaps(run, domain, seen, scores),
        **{f"ridge on {name}": ridge_on(values) for name, values in dense.items()},
        "length alone": ridge_on(np.log(domain.length)[:, None]),
    }


def print_row(domain: Domain, name: str, predict: Predict, halves: int, *, shuffle: bool = False) -> None:
    """Print one predictor's figures: mean and standard deviation over random halves of the points, which overlap."""
    rng, dealing = np.random.default_rng(0), np.random.default_rng(1)
    phase, length = domain.phase[:, None], np.log(domain.length)[:, None]
    kept: list[tuple[float, float, float]] = []
    for _ in range(halves):
        order = rng.permutation(len(domain.means))
        chosen = order[: len(order) // 2]
        seen = ~np.isin(domain.point, chosen)
        scores = net(shuffled(domain, dealing) if shuffle else domain.scores, phase, seen)
        predicted = net(predict(seen, scores), phase, seen)
        truth, guess = (domain.per_point(values)[chosen] for values in (scores, predicted))
        flat = [domain.per_point(net(values, length, seen))[chosen] for values in (scores, predicted)]
        kept.append((spearmanr(truth, guess).statistic, auc(-guess, domain.weak[chosen]), spearmanr(*flat).statistic))
    table = np.array(kept)
    if min(domain.weak.sum(), (~domain.weak).sum()) < FEWEST or shuffle:
        table[:, 1] = np.nan
    cells = ["N/A" if np.isnan(x).all() else f"{np.nanmean(x):.2f} ± {np.nanstd(x):.2f}" for x in table.T]
    print(f"| {domain.name} | {name} | " + " | ".join(cells) + " |", flush=True)


def auc(value: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve; NaN where all are of one kind."""
    ones, zeros = positive.sum(), (~positive).sum()
    if not ones or not zeros:
        return float("nan")
    return float((rankdata(value)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def by_gaps(run: cg.Run, domain: Domain, seen: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The mean gap of an item's concepts, weighted by CAS; gaps on few items are drawn towards 0."""
    low, high = scores[seen].min(), scores[seen].max()
    sample = domain.sample(domain.cas, np.where(seen, (scores - low) / (high - low), np.nan))
    found = evidence(sample, judged(run), eligible=domain.ranked, groups=False)
    gap = np.nan_to_num(found.gap * found.n_eff / (found.n_eff + SHRINKAGE)) * domain.ranked
    cas = domain.cas[:, domain.ranked]
    return np.asarray(cas @ gap[domain.ranked]) / np.maximum(np.asarray(cas.sum(axis=1)).ravel(), 1e-9)


def by_ridge(domain: Domain, values: np.ndarray, seen: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Ridge regression on standardised columns, its penalty chosen on seen points that are left out."""
    steps = make_pipeline(StandardScaler(), Ridge())
    search = GridSearchCV(steps, {"ridge__alpha": np.geomspace(1, 1e6, 7)}, cv=GroupKFold(5))
    return search.fit(values[seen], scores[seen], groups=domain.point[seen]).predict(values)


def mean_residuals(run: cg.Run, texts: list[list[str]]) -> list[np.ndarray]:
    """Mean activation of each text at the run's hook: float32 of shape (texts, width), for each list."""
    settings = run_config(run)
    pair = load_pair(settings.model, settings.sae)
    means = features(pair, [text for part in texts for text in part], LONGEST)[1]
    return np.split(means, np.cumsum([len(part) for part in texts])[:-1])
