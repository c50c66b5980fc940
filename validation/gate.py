"""Does the gate of ``cgaps compare --fail-on regression`` find a loss, and none where there is none?

    python validation/gate.py RUN [--model NAME] [--worlds 100]

RUN is a finished run with scores of a model. Baseline and candidate are two draws of that model: an item that it got
right is right with a chance of 1 - e, one that it got wrong with a chance of e, as two seeds would decide a share of
items otherwise. (A noisy copy of the scores themselves is no null: what is right by luck can only be lost.) Then some
right items of the candidate are made wrong: all over (``spread``), or in one theme (``theme``). Prints how often each
test sees a loss at 5%: the gate, McNemar's test on the whole (exact), and an unpaired test of two shares.

    python validation/gate.py RUN --weightings [--model NAME] [--worlds 100]

Which overall difference shall the gate test: that in which every item counts the same, that in which every benchmark
does, or both by Holm (as shipped)? Every other benchmark is cut to 30 items, and a share of the right items is made
wrong: all over, in one small benchmark, in all of these, or in one large benchmark. Prints how often the gate sees a
loss by each, and how often the test of the overall difference alone does.

    python validation/gate.py RUN --unscored [--model NAME] [--worlds 100]

What if no score can be read from some answers of one of two equal models: from a share of its wrong answers, of its
answers to hard items (those that the model got wrong), or of all; or from right answers of the candidate? Prints how
often a loss is seen if such items are left out, and how often the gate sees one, or says that it cannot tell.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, norm

import competency_gaps as cg
from competency_gaps.runs.scores import model_scores
from competency_gaps.stages.compare import ALPHA, Comparison, Families, Side, compare_scores, lost_on
from competency_gaps.stages.themes import theme_rows

NOISE = (0.0, 0.1)
"""Shares of items that two draws decide differently."""
LOSSES = (0.0, 0.003, 0.01, 0.02, 0.05)
"""Shares of all items that become wrong."""

SMALL = 30
"""Items of a small benchmark."""
PLACES = (
    ("nowhere", 0.0),
    ("all over", 0.02),
    ("all over", 0.04),
    ("one small benchmark", 0.5),
    ("one small benchmark", 1.0),
    ("all small benchmarks", 0.15),
    ("all small benchmarks", 0.3),
    ("one large benchmark", 0.1),
    ("one large benchmark", 0.2),
)
"""Where items become wrong, and which share of the right ones there."""

UNSCORED = (
    ("baseline", "wrong answers", 0.2),
    ("baseline", "wrong answers", 0.5),
    ("baseline", "hard items", 0.5),
    ("baseline", "any", 0.3),
    ("candidate", "wrong answers", 0.5),
    ("candidate", "hard items", 0.5),
    ("candidate", "any", 0.3),
    ("candidate", "right answers", 0.1),
)
"""Whose answers give no score, which of them, and what share of these."""


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


def compared(run: cg.Run, after: np.ndarray, before: np.ndarray, *, asked: bool = False) -> Comparison:
    """Compare two draws; ``asked``: what is unscored was asked, so that its answer could not be read."""
    everywhere = np.full(len(after), asked)
    candidate, baseline = Side("after", after, everywhere), Side("before", before, everywhere)
    return compare_scores(run, candidate, baseline, 0.0, concepts=False)


def tested(made: Comparison) -> list[Families]:
    """What the gate rests on if it tests the mean over items, that over benchmarks, or both."""
    alone = [made.overall.filter(weighting=weighting) for weighting in ("items", "benchmarks")]
    return [Families(overall, made.benchmarks, made.themes) for overall in (*alone, made.overall)]


def weightings(run: cg.Run, own: np.ndarray, worlds: int) -> None:
    """Print the table of the weightings."""
    number = run.items["benchmark"].rank("dense").to_numpy() - 1
    print("| lost | of the right items there | gate: items | benchmarks | both | overall alone: items | benchmarks |")
    print("| --- |" + " ---: |" * 6)
    for where, share in PLACES:
        seen = np.zeros(5)
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            scores = own.copy()
            for small in range(1, int(number.max()) + 1, 2):
                items = rng.permutation(np.flatnonzero((number == small) & ~np.isnan(own)))
                scores[items[SMALL:]] = np.nan
            before, after = drawn(scores, NOISE[-1], rng), drawn(scores, NOISE[-1], rng)
            lost = {"all over": number >= 0, "one small benchmark": number == 1, "one large benchmark": number == 0}
            place = lost.get(where, number % 2 == 1)
            right = np.flatnonzero((after == 1) & place)
            after[rng.choice(right, round(share * len(right)), replace=False)] = 0
            made = compared(run, after, before)
            verdicts = [bool(lost_on(tests, 0.0)) for tests in tested(made)]
            seen += [*verdicts, *(made.overall["status"] == "worse")]
        print(f"| {where} | {share:.0%} | {' | '.join(f'{part:.2f}' for part in seen / worlds)} |", flush=True)


def unscored(run: cg.Run, own: np.ndarray, worlds: int) -> None:
    """Print the table of answers without a score."""
    print("| unscored | of | share | a loss, left out | gate: a loss | gate: cannot tell |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for side, which, share in UNSCORED:
        seen = np.zeros(3)
        for seed in range(worlds):
            rng = np.random.default_rng(seed)
            draws = {"baseline": drawn(own, NOISE[-1], rng), "candidate": drawn(own, NOISE[-1], rng)}
            of_it = draws[side]
            chosen = {"wrong answers": of_it == 0, "hard items": own == 0, "right answers": of_it == 1}
            of_it[chosen.get(which, own >= 0) & (rng.random(len(own)) < share)] = np.nan
            made = compared(run, draws["candidate"], draws["baseline"], asked=True)
            left_out = bool(lost_on(tested(made)[-1], 0.0))
            seen += (left_out, made.verdict == "regression", made.verdict == "not comparable")
        print(f"| {side} | {which} | {share:.0%} | {' | '.join(f'{part:.2f}' for part in seen / worlds)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--worlds", type=int, default=100)
    parser.add_argument("--weightings", action="store_true")
    parser.add_argument("--unscored", action="store_true")
    given = parser.parse_args()
    run = cg.open_run(given.run)
    scores = model_scores(run)
    own = scores.of(given.model or scores.models[0])
    if given.weightings or given.unscored:
        (weightings if given.weightings else unscored)(run, own, given.worlds)
        return
    if run.themes is None:
        raise SystemExit(f"{given.run} has no themes")
    rows = theme_rows(run, run.themes["theme"], run.concepts["ranked"].to_numpy())
    scored = int((~np.isnan(own)).sum())
    print(f"{given.model or scores.models[0]}: {scored:,} items, {np.nanmean(own):.1%} right")
    print(
        "| decided anew | lost | where | gate | McNemar, whole | unpaired |\n| ---: | ---: | --- | ---: | ---: | ---: |"
    )
    for share in NOISE:
        for loss in LOSSES:
            for where in ("spread", "theme") if loss else ("",):
                seen = np.zeros(3)
                for seed in range(given.worlds):
                    rng = np.random.default_rng(seed)
                    before, after = drawn(own, share, rng), drawn(own, share, rng)
                    right = np.flatnonzero(after == 1)
                    if where == "theme":
                        theme = rng.integers(rows.shape[0])
                        strength = np.asarray(rows[[theme]].toarray())[0]
                        right = right[np.argsort(-strength[right], kind="stable")][: max(1, len(right) // 5)]
                    after[rng.choice(right, min(len(right), round(loss * scored)), replace=False)] = 0
                    made = compared(run, after, before)
                    gained, lost = int(np.nansum(after > before)), int(np.nansum(after < before))
                    mcnemar = lost > gained and binomtest(gained, gained + lost).pvalue <= ALPHA
                    seen += (made.verdict == "regression", mcnemar, unpaired(after, before))
                shown = " | ".join(f"{part:.2f}" for part in seen / given.worlds)
                print(f"| {share:.0%} | {loss:.1%} | {where} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
