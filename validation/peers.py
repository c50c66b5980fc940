"""Scores against peers on planted weaknesses: do they find what is planted, and nothing else?

    python validation/peers.py RUN [--model NAME ...] [--worlds 20] [--only METHOD ...] [--json FILE]

RUN is a finished run with scores of several models (``cgaps score``). Its activations, lengths, repeats, unscored items
and the items' difficulty are real. In every world the scores of all models are drawn anew: a model's chance on an item
is what its own logistic curve of the others' mean score gives, so that nothing but difficulty makes a concept look weak
(the real scores of its peers have weaknesses of their own, beside which it would be strong); then ten concepts are
planted, whose items' chances are multiplied by d for the model alone. A listed concept is a false discovery if
the planted part gives it no negative gap against other clusters of its benchmark and length. Compared are the score
(``score``), the score less the peers' mean (``mean``), less a logistic curve of a shrunk difficulty (``logistic``), and
as shipped (``peers``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logit

import competency_gaps as cg
from competency_gaps.evidence import ItemSample, evidence, units_of
from competency_gaps.evidence.interval import net_association
from competency_gaps.evidence.outcomes import choose_peers, expected_scores
from competency_gaps.runs.sample import Outcomes, item_sample, with_outcomes
from competency_gaps.runs.scores import model_scores

PLANTED = 10
FACTORS = (None, 0.3, 0.5, 0.7)
"""What chances are multiplied by; None: nothing is planted."""
FLOOR = 0.1
"""Chance of a lucky guess."""


@dataclass(frozen=True)
class Result:
    """One method in one world."""

    model: str
    method: str
    factor: float | None
    listed: int
    false: int
    hit: int
    """Planted concepts that are listed."""


def calibrated(difficulty: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Fit a logistic curve of the difficulty to scores, by Newton's method."""
    known = ~np.isnan(own) & ~np.isnan(difficulty)
    x = np.stack([np.ones(known.sum()), difficulty[known]], axis=1)
    w = np.zeros(2)
    for _ in range(30):
        p = expit(x @ w)
        w += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2), x.T @ (own[known] - p))
    return np.asarray(expit(w[0] + w[1] * difficulty))


def shrunk(others: np.ndarray) -> np.ndarray:
    """Logit of the others' mean score on each item, with one pseudo-model of average score."""
    known = ~np.isnan(others)
    level = np.nanmean(others, axis=1, keepdims=True)
    count = known.sum(axis=0)
    total = np.where(known, others - level, 0.0).sum(axis=0) + count * level.mean() + level.mean()
    return np.asarray(logit(np.clip(total / (count + 1), 0.02, 0.98)))


def outcomes(scores: np.ndarray, row: int, group: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """The outcome by each method."""
    own, peers = scores[row], choose_peers(scores, row)

    def by_mean() -> np.ndarray:
        expected = np.full(len(own), np.nan)
        for number in np.unique(group):
            place = np.flatnonzero(group == number)
            others = scores[np.ix_(peers, place)]
            count = (~np.isnan(others)).sum(axis=0)
            mean = np.divide(np.nansum(others, axis=0), count, out=np.full(len(place), np.nan), where=count > 0)
            both = ~np.isnan(own[place]) & ~np.isnan(mean)
            expected[place] = mean + own[place][both].mean() - mean[both].mean()
        return own - expected

    return {
        "score": lambda: own,
        "mean": by_mean,
        "logistic": lambda: own - calibrated(shrunk(scores[peers]), own),
        "peers": lambda: own - expected_scores(scores, row, peers, group).values,
    }


def worlds(run: cg.Run, model: str, count: int, only: list[str] | None) -> list[Result]:
    """Draw worlds for one model, and judge each by every method."""
    strata = ["length"]
    real = model_scores(run)
    row, own = real.row(model), Outcomes(run.outcomes, run.limits)
    sample = item_sample(run.by_concept, run.items, strata, own)
    ranked = np.flatnonzero(run.concepts["ranked"].to_numpy())
    cas = sp.csr_array(sample.rows(ranked))  # read once
    sample = replace(sample, rows=lambda asked: sp.csr_array(cas[asked]), support=sample.support[ranked])
    unscored = np.isnan(real.values[row])
    difficulty = np.nan_to_num(shrunk(np.delete(real.values, row, axis=0)))
    curves = np.stack([calibrated(difficulty, own) for own in real.values])
    chances = FLOOR + (1 - FLOOR) * np.clip((curves - FLOOR) / (1 - FLOOR), 0.02, 0.98)
    chance = chances[row]
    common = np.flatnonzero((sample.support >= 60) & (sample.support <= 0.3 * len(unscored)))
    results = []
    for number in range(count):
        rng = np.random.default_rng(number)
        for factor in FACTORS:
            planted = rng.choice(common, PLANTED, replace=False) if factor else np.zeros(0, np.int64)
            rows = sp.csr_array(sample.rows(planted)) if factor else sp.csr_array((0, len(chance)))
            own = chance.copy()
            for concept in range(rows.shape[0]):
                active = rows.indices[rows.indptr[concept] : rows.indptr[concept + 1]]
                weight = rows.data[rows.indptr[concept] : rows.indptr[concept + 1]]
                own[active[weight >= np.median(weight)]] *= factor or 1.0
            drawn = np.where(np.arange(len(chances))[:, None] == row, own, chances)
            scores = np.where(np.isnan(real.values), np.nan, rng.random(drawn.shape) < drawn)
            truth = true_gaps(sample, own - chance, unscored)
            for method, make in outcomes(scores, row, sample.benchmark).items():
                if only and method not in only:
                    continue
                values = make()
                largest = max(1.0, float(np.nanmax(np.abs(values))))
                limits = (0.0, 1.0) if method == "score" else (-largest, largest)
                found = evidence(with_outcomes(sample, Outcomes(values, limits)))
                weak, strong = (np.flatnonzero(found.status == status) for status in ("failure", "success"))
                false = int((truth[weak] >= -1e-9).sum() + (truth[strong] <= 1e-9).sum())
                hit = int(np.isin(planted, weak).sum())
                results.append(Result(model, method, factor, len(weak) + len(strong), false, hit))
    return results


def true_gaps(sample: ItemSample, change: np.ndarray, unscored: np.ndarray) -> np.ndarray:
    """The gap that the planted change of the chances gives each concept."""
    scored = with_outcomes(sample, Outcomes(np.where(unscored, np.nan, change), (-1.0, 1.0)))
    units = units_of(scored)
    return np.nan_to_num(2 * net_association(units.sums(units.rows(sample.rows(np.arange(sample.concepts))))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--model", action="append")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--only", action="append")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run = cg.open_run(given.run)
    results = []
    for model in given.model or run.models["model"].to_list()[:3]:
        results += worlds(run, model, given.worlds, given.only)
    print(f"{'model':32} {'method':10} {'d':>4}  any   listed  false  FDR    hit of {PLANTED}")
    for key in sorted({(r.model, r.method, r.factor or 0) for r in results}):
        own = [r for r in results if (r.model, r.method, r.factor or 0) == key]
        any_, listed = (np.mean([r.listed > 0 for r in own]), np.mean([r.listed for r in own]))
        rate = np.mean([r.false / max(1, r.listed) for r in own])
        false, hit = np.mean([r.false for r in own]), np.mean([r.hit for r in own])
        head = f"{key[0][:32]:32} {key[1]:10} {key[2] or '-':>4}"
        print(f"{head}  {any_:.2f} {listed:8.1f} {false:6.2f}  {rate:.3f}  {hit:.2f}")
    if given.json:
        given.json.write_text(json.dumps([asdict(result) for result in results]))


if __name__ == "__main__":
    main()
