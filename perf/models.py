"""Measure the evidence of many models on the items of one run: all scores, and all scores against peers.

    python perf/models.py                            # 30 models, 12,032 items, 4,096 concepts, 10 million non-zeros
    python perf/models.py --models 5 --items 3000

Rows are synthetic, with concepts as skewed as those of MMLU-Pro; scores come from the items' difficulty and the models'
abilities, a tenth of them is missing. Prints seconds of processor time (of all threads), and the ratios to one model
and to the floor: one product of the same rows with a matrix of all outcomes, which gives every concept's mean outcome
and nothing else.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import Covariate, ItemSample, evidence_of_each, sample_of
from competency_gaps.outcomes import choose_peers, expected_scores
from competency_gaps.runs.sample import Outcomes, with_outcomes

PER_ITEM = 800


def drawn_rows(items: int, concepts: int, seed: int = 0) -> sp.csr_array:
    """Draw rows of activations: frequencies follow a power law, weights are log-normal."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, concepts + 1) ** 0.6
    share = np.minimum(0.9, share * PER_ITEM / share.sum())
    own = [np.sort(rng.choice(items, rng.binomial(items, part), replace=False)) for part in share]
    indptr = np.concatenate([[0], np.cumsum([len(places) for places in own])])
    data = rng.lognormal(-2, 1, indptr[-1]).astype(np.float32)
    return sp.csc_array((data, np.concatenate(own), indptr), shape=(items, concepts)).tocsr()


def drawn_scores(models: int, items: int, missing: float) -> np.ndarray:
    """Draw scores of 0 and 1 from difficulties and abilities, each model's own share of them NaN."""
    rng = np.random.default_rng(1)
    difficulty, ability = rng.normal(size=items), rng.normal(0, 0.8, models)
    scores = (rng.random((models, items)) < expit(ability[:, None] - difficulty)).astype(float)
    scores[rng.random(scores.shape) < missing] = np.nan
    return scores


def samples_of(sample: ItemSample, scores: np.ndarray, models: int) -> Iterator[ItemSample]:
    """Give the outcomes of the first models: their scores, then their scores against peers."""
    for model in range(models):
        expected = expected_scores(scores, model, choose_peers(scores, model), sample.benchmark)
        against = scores[model] - expected.values
        largest = max(1.0, float(np.nanmax(np.abs(against))))
        yield with_outcomes(sample, Outcomes(scores[model]))
        yield with_outcomes(sample, Outcomes(against, (-largest, largest)))


def seconds(sample: ItemSample, scores: np.ndarray, models: int, *, groups: bool) -> float:
    """Processor time of the evidence of the first models."""
    start = time.process_time()
    for _ in evidence_of_each(samples_of(sample, scores, models), EvidenceConfig(), groups=groups):
        pass
    return time.process_time() - start


def floor_seconds(sample: ItemSample, scores: np.ndarray) -> float:
    """Processor time of one product of the rows with a matrix of all outcomes."""
    start = time.process_time()
    matrix = np.nan_to_num(np.concatenate([scores, scores])).T
    for first in range(0, sample.concepts, 256):
        sample.rows(np.arange(first, min(first + 256, sample.concepts))) @ matrix
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=30)
    parser.add_argument("--items", type=int, default=12_032)
    parser.add_argument("--concepts", type=int, default=4096)
    given = parser.parse_args()
    rng = np.random.default_rng(2)
    cas = drawn_rows(given.items, given.concepts)
    cluster = np.arange(given.items)
    cluster[: given.items // 30] //= 2
    length = Covariate("length", rng.lognormal(4, 0.6, given.items))
    nothing, benchmark = np.full(given.items, np.nan), np.zeros(given.items, np.int64)
    sample = sample_of(cas, nothing, benchmark, cluster=cluster, covariates=[length])
    print(f"{given.models} models, {given.items:,} items, {given.concepts:,} concepts, {cas.nnz / 1e6:.1f} M non-zeros")
    for missing in (0.0, 0.1):
        scores = drawn_scores(given.models, given.items, missing)
        floor = floor_seconds(sample, scores)
        for groups in (False, True):
            alone = np.median([seconds(sample, scores[::step], 1, groups=groups) for step in (1, 1, -1)])
            whole = seconds(sample, scores, given.models, groups=groups)
            print(
                f"{missing:.0%} missing, {'verdicts' if groups else 'gaps'}: all {whole:.1f} s, "
                f"one model {alone:.2f} s, ratio {whole / alone:.1f}; to the floor {whole / floor:.0f}"
            )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


if __name__ == "__main__":
    main()
