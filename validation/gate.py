"""Does the gate of ``cgaps compare --fail-on regression`` find a loss, and none where there is none?

    python validation/gate.py RUN [--model NAME] [--worlds 100]

RUN is a finished run with scores of a model. Baseline and candidate are two draws of that model: an item that it got
right is right with a chance of 1 - e, one that it got wrong with a chance of e, as two seeds would decide a share of
items otherwise. (A noisy copy of the scores themselves is no null: what is right by luck can only be lost.) Then some
right items of the candidate are made wrong: all over (``spread``), or in one category of a column (``slice``). Prints
how often each test sees a loss at 5%: the gate, McNemar's test on the whole (exact), an unpaired test of two shares.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, norm

import competency_gaps as cg
from competency_gaps.findings.compare import ALPHA, Basis, Comparison, Side, basis_of, compare_scores
from competency_gaps.runs.scores import model_scores

NOISE = (0.0, 0.1)
"""Shares of items that two draws decide differently."""
LOSSES = (0.0, 0.003, 0.01, 0.02, 0.05)
"""Shares of all items that become wrong."""


def drawn(scores: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw scores anew, of which about ``share`` differ from those of another draw."""
    error = (1 - np.sqrt(1 - 2 * share)) / 2  # 2 e (1 - e) = share
    other = rng.random(len(scores)) < error
    return np.where(np.isnan(scores), np.nan, np.where(other, 1 - scores, scores))


def unpaired(after: np.ndarray, before: np.ndarray) -> bool:
    """Whether the test of two independent shares sees a loss."""
    both = ~np.isnan(after) & ~np.isnan(before)
    means, pooled = (after[both].mean(), before[both].mean()), np.concatenate([after[both], before[both]])
    deviation = np.sqrt(2 * pooled.var() / both.sum())
    return bool(2 * norm.cdf((means[0] - means[1]) / deviation) <= ALPHA and means[0] < means[1])


def compared(basis: Basis, after: np.ndarray, before: np.ndarray) -> Comparison:
    """Compare two draws, of which nothing that is unscored was asked."""
    asked = np.zeros(len(after), bool)
    return compare_scores(basis, Side("after", after, asked), Side("before", before, asked), 0.0, listed=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--worlds", type=int, default=100)
    given = parser.parse_args()
    run = cg.open_run(given.run)
    scores = model_scores(run)
    own = scores.of(given.model or scores.models[0])
    basis = basis_of(run)
    if not basis.columns.names:
        raise SystemExit(f"{given.run}: its items have no column that differs")
    rows = basis.columns.weights
    scored = int((~np.isnan(own)).sum())
    print(f"{given.model or scores.models[0]}: {scored:,} items, {np.nanmean(own):.1%} right")
    print(
        "| decided anew | lost | where | gate | McNemar, whole | unpaired |\n| ---: | ---: | --- | ---: | ---: | ---: |"
    )
    for share in NOISE:
        for loss in LOSSES:
            for where in ("spread", "slice") if loss else ("",):
                seen = np.zeros(3)
                for seed in range(given.worlds):
                    rng = np.random.default_rng(seed)
                    before, after = drawn(own, share, rng), drawn(own, share, rng)
                    right = np.flatnonzero(after == 1)
                    if where == "slice":
                        right = np.intersect1d(right, rows[[rng.integers(rows.shape[0])]].indices)
                    after[rng.choice(right, min(len(right), round(loss * scored)), replace=False)] = 0
                    made = compared(basis, after, before)
                    gained, lost = int(np.nansum(after > before)), int(np.nansum(after < before))
                    mcnemar = lost > gained and binomtest(gained, gained + lost).pvalue <= ALPHA
                    seen += (made.verdict == "regression", mcnemar, unpaired(after, before))
                shown = " | ".join(f"{part:.2f}" for part in seen / given.worlds)
                print(f"| {share:.0%} | {loss:.1%} | {where} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
