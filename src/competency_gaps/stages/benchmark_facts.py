"""What the evidence says of each benchmark: counts, trends, and whether most of its concepts stand out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import Evidence, ItemSample, units_of
from competency_gaps.evidence.trends import Trend, trends
from competency_gaps.runs.covariates import item_covariates

MOST = 0.5
"""Share of a benchmark's tested concepts above which something that they share is the likelier reason."""
FEWEST = 10
"""Tested concepts, at least, for that to be said."""
SURE = 0.001
"""p-value up to which a trend is kept."""


def benchmark_facts(
    sample: ItemSample, items: pl.DataFrame, single: Mapping[str, Evidence], config: EvidenceConfig
) -> dict[str, dict[str, Any]]:
    """Give what the manifest says of each benchmark's evidence.

    Parameters
    ----------
    items
        ``items.parquet``.
    single
        Evidence of each benchmark by itself, in the order of the benchmarks' numbers.

    Returns
    -------
    dict
        By benchmark: the counts of its concepts; ``trends``: how scores go with length and other covariates, the
        strongest first; ``most_stand_out``: whether more than half of the tested concepts are weak or strong;
        ``shared_reason``: the covariate that then goes with the scores most, net of the strata; None: none of those
        known does.
    """
    units = units_of(sample, across=False)
    every = item_covariates(items)
    facts = {}
    for number, (name, evidence) in enumerate(single.items()):
        counts = evidence.counts()
        sure = [one for one in trends(sample, units, number, every, net=False) if one.p_value <= SURE]
        most = counts["tested"] >= FEWEST and counts["weak"] + counts["strong"] > MOST * counts["tested"]
        facts[name] = {
            **counts,
            "trends": [_facts(one, config) for one in sure],
            "most_stand_out": most,
            "shared_reason": _left(trends(sample, units, number, every, net=True), config) if most else None,
        }
    return facts


def _facts(one: Trend, config: EvidenceConfig) -> dict[str, Any]:
    """Write a trend for the manifest.

    ``first`` and ``last`` are the mean outcomes of the smallest and the largest fifth of a number; of categories those
    of the lowest and the highest mean, and ``categories`` names these two.
    """
    ends = (0, len(one.means) - 1)
    named = isinstance(one.values[0], str)
    if named:
        order = sorted(range(len(one.means)), key=one.means.__getitem__)
        ends = (order[0], order[-1])
    return {
        "covariate": one.covariate,
        "first": one.means[ends[0]],
        "last": one.means[ends[1]],
        "categories": [one.values[end] for end in ends] if named else None,
        "share": one.share,
        "p": one.p_value,
        "controlled": one.covariate in config.strata,
    }


def _left(rest: list[Trend], config: EvidenceConfig) -> str | None:
    """Name the covariate that explains most of what the strata leave."""
    sure = [one.covariate for one in rest if one.p_value <= SURE and one.covariate not in config.strata]
    return sure[0] if sure else None
