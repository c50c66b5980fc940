"""Evidence per benchmark for the manifest: counts, trends, and whether most of its concepts are weak or strong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import Evidence, ItemSample, units_of
from competency_gaps.evidence.trends import Trend, trends
from competency_gaps.runs.covariates import item_covariates

MOST = 0.5
"""Share of weak or strong concepts, among a benchmark's tested ones, above which a shared cause is likelier."""
FEWEST = 10
"""Fewest tested concepts for that conclusion."""
SURE = 0.001
"""Largest p-value of a trend that is kept."""


def benchmark_facts(
    sample: ItemSample, items: pl.DataFrame, single: Mapping[str, Evidence], config: EvidenceConfig
) -> dict[str, dict[str, Any]]:
    """Give the manifest's record of each benchmark's evidence.

    Parameters
    ----------
    items
        ``items.parquet``.
    single
        Evidence of each benchmark by itself, in the order of the benchmarks' numbers.

    Returns
    -------
    dict
        By benchmark: the counts of its concepts; ``trends``: the association of scores with length and other
        covariates, the strongest first; ``most_stand_out``: whether more than half of the tested concepts are weak or
        strong; ``shared_reason``: the covariate that is then most associated with the scores, net of the strata, or
        None.
    """
    units = units_of(sample, across=False)
    every = item_covariates(items)
    facts = {}
    for number, (name, evidence) in enumerate(single.items()):
        counts = evidence.counts()
        sure = [trend for trend in trends(sample, units, number, every, net=False) if trend.p_value <= SURE]
        most = counts["tested"] >= FEWEST and counts["weak"] + counts["strong"] > MOST * counts["tested"]
        facts[name] = {
            **counts,
            "trends": [_facts(trend, config, sample) for trend in sure],
            "most_stand_out": most,
            "shared_reason": _left(trends(sample, units, number, every, net=True), config) if most else None,
        }
    return facts


def _facts(trend: Trend, config: EvidenceConfig, sample: ItemSample) -> dict[str, Any]:
    """A trend as the manifest holds it.

    ``first`` and ``last`` are the mean outcomes of a number's lowest and highest fifth, or of the ``categories`` with
    the lowest and the highest mean.
    """
    ends = (0, len(trend.means) - 1)
    named = isinstance(trend.values[0], str)
    if named:
        order = sorted(range(len(trend.means)), key=trend.means.__getitem__)
        ends = (order[0], order[-1])
    return {
        "covariate": trend.covariate,
        "first": sample.limits[0] + sample.scale * trend.means[ends[0]],
        "last": sample.limits[0] + sample.scale * trend.means[ends[1]],
        "categories": [trend.values[end] for end in ends] if named else None,
        "share": trend.share,
        "p": trend.p_value,
        "controlled": trend.covariate in config.strata,
    }


def _left(rest: list[Trend], config: EvidenceConfig) -> str | None:
    """Name the covariate that explains most of the variance left by the strata."""
    sure = [trend.covariate for trend in rest if trend.p_value <= SURE and trend.covariate not in config.strata]
    return sure[0] if sure else None
