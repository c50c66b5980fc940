"""Scores against peers where the truth is drawn: families, guessing, steepness, few peers, scores missing by choice.

    python validation/synthetic_peers.py [--worlds 40] [--only METHOD ...] [--setting NAME ...]

Items have topics, which make them hard and excite concepts; nothing is a model's own weakness unless it is planted. So
every concept that is listed in the first column of a setting is an artefact of difficulty. Compared are the score, the
score less the peers' mean, less a logistic curve of a shrunk difficulty, and against peers as shipped. Prints the share
of worlds in which anything is listed, and with ten planted concepts the false-discovery rate and how many are found.

``too far`` are the worlds whose peers are so far from the model's level that scores against them are refused; they are
not in the row ``peers``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from peers import outcomes
from scipy.special import expit

from competency_gaps.evidence import Covariate, measure_evidence
from competency_gaps.evidence.outcomes import MAX_DISTANCE, choose_peers, distances

ITEMS, TOPICS, CONCEPTS, PLANTED = 3000, 30, 400, 10
FACTOR = 0.5


@dataclass(frozen=True)
class Setting:
    """How the models differ besides in level."""

    name: str
    models: int = 12
    floor: float = 0.0
    """Chance of a lucky guess."""
    steepness: float = 0.2
    """Standard deviation of the logarithm of how steeply success falls with difficulty."""
    hard: float = 1.5
    """How much of the difficulty is the topics', which concepts go with."""
    family: float = 0.5
    """Standard deviation of what three models of a family share on an item, the first model's among them."""
    missing: float = 0.1
    """Share of missing scores of some models, mostly on hard items."""
    largest: int = 1
    """Most items of a cluster."""


SETTINGS = (
    Setting("as usual"),
    Setting("four models", models=4),
    Setting("guessing, 1 of 4", floor=0.25, steepness=0.4, hard=2),
    Setting("steepness differs", steepness=0.5, hard=2),
    Setting("families alike", family=1.5),
    Setting("a third missing", missing=0.33),
    Setting("clusters to 30", largest=30),
)


def draw(
    setting: Setting, rng: np.random.Generator, *, planted: bool
) -> tuple[sp.csr_array, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw a world: CAS (items, concepts), lengths, clusters, scores (models, items), planted concepts."""
    sizes = rng.integers(1, setting.largest + 1, ITEMS)
    cluster = np.repeat(np.arange(ITEMS), sizes)[:ITEMS]
    heads = int(cluster[-1]) + 1
    topics = rng.choice(TOPICS, (heads, 2), p=rng.dirichlet(np.full(TOPICS, 0.4)))[cluster]
    of_item = np.zeros((ITEMS, TOPICS))
    of_item[np.arange(ITEMS)[:, None], topics] = 1
    length = rng.normal(size=ITEMS) + of_item @ rng.normal(0, 0.5, TOPICS)
    own = 0.9 * (rng.normal(size=heads)[cluster] if setting.largest > 1 else rng.normal(size=ITEMS))
    difficulty = setting.hard * (of_item @ rng.normal(0, 0.7, TOPICS)) + own + 0.2 * length
    difficulty -= difficulty.mean()
    topic = rng.integers(0, TOPICS, CONCEPTS)
    rate = np.exp(rng.uniform(np.log(0.01), np.log(0.15), CONCEPTS))[:, None] * np.ones(ITEMS)
    tied = rng.random(CONCEPTS) < 0.6
    rate[tied] = 0.02 + 0.6 * of_item.T[topic[tied]] * rng.random((tied.sum(), 1))
    weights = (rng.random(rate.shape) < rate) * rng.lognormal(0, 0.6, rate.shape)
    family = np.arange(setting.models) // 3
    ability, steep = rng.normal(0.3, 0.7, setting.models), np.exp(rng.normal(0, setting.steepness, setting.models))
    shared = rng.normal(0, setting.family, (family.max() + 1, ITEMS))
    chance = expit(steep[:, None] * (ability[:, None] - difficulty) + shared[family])
    chance = setting.floor + (1 - setting.floor) * chance
    chosen = rng.choice(CONCEPTS, PLANTED, replace=False) if planted else np.zeros(0, np.int64)
    for concept in chosen:
        chance[0] *= np.where(weights[concept] > 0, FACTOR, 1.0)
    scores = (rng.random(chance.shape) < chance).astype(float)
    some = (rng.random(setting.models) < 0.6)[:, None]
    scores[(rng.random(scores.shape) < 2 * setting.missing * expit(difficulty)) & some] = np.nan
    return sp.csr_array(weights.T), length, cluster, scores, chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=40)
    parser.add_argument("--only", action="append")
    parser.add_argument("--setting", action="append")
    given = parser.parse_args()
    group = np.zeros(ITEMS, np.int64)
    print(f"{'setting':20} {'method':10} worlds  anything listed   FDR  found of {PLANTED}")
    for setting in SETTINGS:
        if given.setting and setting.name not in given.setting:
            continue
        figures: dict[str, dict[bool, list[tuple[float, float]]]] = {}
        for seed in range(given.worlds):
            for planted in (False, True):
                cas, length, cluster, scores, chosen = draw(setting, np.random.default_rng(seed), planted=planted)

                def judged(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
                    """Verdicts of the concepts."""
                    covariates = [Covariate("length", length)]  # noqa: B023
                    made = measure_evidence(
                        cas,  # noqa: B023
                        values,
                        group,
                        cluster=cluster,  # noqa: B023
                        covariates=covariates,
                        limits=limits,
                    )
                    return made.status

                far = distances(scores, 0)[choose_peers(scores, 0)].mean() > MAX_DISTANCE
                for method, make in outcomes(scores, 0, group).items():
                    if given.only and method not in given.only:
                        continue
                    values = make()
                    largest = max(1.0, float(np.nanmax(np.abs(values))))
                    status = judged(values, (0.0, 1.0) if method == "score" else (-largest, largest))
                    weak, strong = (np.flatnonzero(status == word) for word in ("failure", "success"))
                    listed = len(weak) + len(strong)
                    # What goes with a planted concept is lower too: only what shares none of its items is false.
                    touched = (cas[:, chosen].T @ (cas > 0)).sum(axis=0) if len(chosen) else np.zeros(CONCEPTS)
                    false = len(strong) + int((np.asarray(touched).ravel()[weak] == 0).sum())
                    name = "too far" if far and method == "peers" else method
                    rows = figures.setdefault(name, {False: [], True: []})
                    rows[planted].append((false / max(1, listed), float(np.isin(chosen, weak).sum())))
        for method, rows in figures.items():
            any_, rate, hit = (
                np.mean([row[place] for row in rows[planted]]) if rows[planted] else np.nan
                for planted, place in ((False, 0), (True, 0), (True, 1))
            )
            count = len(rows[False])
            print(f"{setting.name:20} {method:10} {count:6} {any_:16.2f} {rate:5.3f} {hit:6.2f}", flush=True)


if __name__ == "__main__":
    main()
