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

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import Covariate, evidence, sample_of
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=30)
    parser.add_argument("--items", type=int, default=12_032)
    parser.add_argument("--concepts", type=int, default=4096)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    cas = drawn_rows(given.items, given.concepts)
    difficulty, ability = rng.normal(size=given.items), rng.normal(0, 0.8, given.models)
    scores = (rng.random((given.models, given.items)) < expit(ability[:, None] - difficulty)).astype(float)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    cluster = np.arange(given.items)
    cluster[: given.items // 30] //= 2
    length = Covariate("length", rng.lognormal(4, 0.6, given.items))
    benchmark, config = np.zeros(given.items, np.int64), EvidenceConfig()
    print(f"{given.models} models, {given.items:,} items, {given.concepts:,} concepts, {cas.nnz / 1e6:.1f} M non-zeros")

    start = time.process_time()
    sample = sample_of(cas, scores[0], benchmark, cluster=cluster, covariates=[length])
    seconds = []
    for model in range(given.models):
        began = time.process_time()
        expected = expected_scores(scores, model, choose_peers(scores, model), benchmark)
        against = scores[model] - expected.values
        largest = max(1.0, float(np.nanmax(np.abs(against))))
        for values, limits in ((scores[model], (0.0, 1.0)), (against, (-largest, largest))):
            evidence(with_outcomes(sample, Outcomes(values, limits)), config)
        seconds.append(time.process_time() - began)
    whole = time.process_time() - start

    start = time.process_time()
    matrix = np.nan_to_num(np.concatenate([scores, scores])).T
    for first in range(0, given.concepts, 256):
        sample.rows(np.arange(first, min(first + 256, given.concepts))) @ matrix
    floor = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"all outcomes {whole:.1f} s, one model {np.median(seconds):.2f} s, floor {floor:.2f} s")
    alone = np.median(seconds)
    print(f"ratio to one model {whole / alone:.1f}, to the floor {whole / floor:.1f}; peak memory {memory:.1f} GB")


if __name__ == "__main__":
    main()
