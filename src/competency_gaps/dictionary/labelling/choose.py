"""Choose the concepts to label first: those that matter in runs [ours]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.runs.open import RunFolder


def important(runs: Sequence[RunFolder], count: int) -> list[int]:
    """The concepts that matter most in some runs.

    Concepts are taken in turn from several lists: weak concepts and strong ones (leaders of groups first, then by
    p-value), those that the suite exercises most, those nearest to being weak or strong, those that are missing
    although a text of that size should show them, and per benchmark those that it exercises far more than ordinary text
    does. Concepts that are not ranked are left out.

    Returns
    -------
    list of int, ``count`` different concepts or all there are, the most important first
    """
    lists = list(chain.from_iterable(_lists(run) for run in runs))
    order = dict.fromkeys(c for turn in zip_longest(*lists) for c in turn if c is not None)
    return list(order)[:count]


def _lists(run: RunFolder) -> list[list[int]]:
    ranked = run.concepts.filter(pl.col("ranked"))
    by_p = ranked.filter(pl.col("p_value").is_not_null()).sort("p_value", "concept")
    leads = (pl.col("leader") == pl.col("concept")).fill_null(False)
    lists = []
    for status in ("weak", "strong"):
        same_status = by_p.filter(pl.col("performance_status") == status)
        lists.append(pl.concat([same_status.filter(leads), same_status.filter(~leads)])["concept"].to_list())
    lists.append(by_p["concept"].to_list())
    lists.append(ranked.sort("chi_bench", descending=True)["concept"].to_list())
    absent = ranked.filter(pl.col("missing")).sort("chance_seen", "density", descending=True, nulls_last=True)
    lists.append(absent["concept"].to_list())
    rows = run.concept_benchmarks.filter(pl.col("concept").is_in(ranked["concept"].to_list()) & (pl.col("support") > 0))
    for _, part in rows.group_by("benchmark", maintain_order=True):
        key = "lift" if part["lift"].null_count() < part.height else "chi_bench"
        own = part.filter(pl.col("support") >= 3).sort(key, descending=True, nulls_last=True)
        lists.append(own["concept"].to_list())
    return lists


def check_concepts(concepts: Iterable[int], width: int) -> None:
    """Raise UserError if one of these is no concept of an SAE of this width."""
    for concept in concepts:
        if not 0 <= concept < width:
            raise UserError(f"concept {concept} does not exist: the SAE has concepts 0 to {width - 1}.")
