"""What a comparison of two models says: a loss, none, or that nothing can be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from competency_gaps.stages.paired_tests import ALPHA, Families, holm
from competency_gaps.text import plural

FEWEST = 20
"""Fewest pairs of clusters, and ..."""
PAIRED = 0.5
"""... least share of either model's scored items that must pair, for a comparison to say anything."""
WEIGHTINGS = {"items": "overall", "benchmarks": "the mean over benchmarks"}
"""What a loss is called by what counts the same."""
GateVerdict = Literal["regression", "no regression", "not comparable"]


def undecided(unscored: int, losses: Sequence[str], if_wrong: Sequence[str]) -> str:
    """Say that it depends on answers without a score whether there is a loss: on what, without them and as wrong."""
    left_out, counted = (f"a loss ({', '.join(lost[:3])})" if lost else "no loss" for lost in (losses, if_wrong))
    return (
        f"it depends on {plural(unscored, 'answer')} from which no score could be read: without them there is "
        f"{left_out}, and {counted} if they count as wrong. Score them, as 0 where they are wrong"
    )


def too_few_pairs(clusters: int, paired: int, unpaired: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Say why too little pairs to tell anything; empty: enough does.

    Parameters
    ----------
    clusters, paired
        Clusters and items that are scored for both.
    unpaired
        Name of each side, and the number of items that only it is scored on.
    """
    faults = []
    if clusters < FEWEST:
        faults.append(f"only {clusters} pairs of clusters; {FEWEST} are needed")
    for name, only in unpaired:
        share = paired / (paired + only)
        if share < PAIRED:
            faults.append(f"only {share:.0%} of the items scored for {name} are scored for both")
    return tuple(faults)


def lost_on(tests: Families, min_effect: float) -> tuple[str, ...]:
    """What the candidate lost on: each family of tests gets an equal part of the chance of a false alarm.

    Themes are corrected by Holm's method here: where many got better, Benjamini and Hochberg's lets more of the others
    pass for losses.
    """
    families = {"overall": tests.overall}
    if tests.benchmarks.height > 1:
        families["benchmark"] = tests.benchmarks
    if tests.themes.height:
        families["theme"] = tests.themes.with_columns(pl.col("name").fill_null(pl.col("theme").cast(pl.String)))
    reasons = []
    for family, frame in families.items():
        counts = pl.Series(holm(frame["p_value"].to_numpy()) <= ALPHA / len(families))
        lost = frame.filter(counts & (pl.col("high") < -min_effect))
        if family == "overall":
            reasons += [WEIGHTINGS[weighting] for weighting in lost["weighting"]]
        else:
            reasons += [f"{family} {name}" for name in lost["benchmark" if family == "benchmark" else "name"]]
    return tuple(reasons)
