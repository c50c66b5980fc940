"""Questions about the benchmarks of the run."""

from __future__ import annotations

from typing import Annotated, Any

import polars as pl

from competency_gaps.explorer.queries.arguments import Nothing, TwoBenchmarks
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import AtMost, NamedConcept, Number, QueryAnswer

_SIDE = ("chi_model", "gap", "n_eff")


class BenchmarkLine(QueryAnswer):
    """A benchmark of the run."""

    name: Annotated[str, AtMost(200)]
    items: int
    kept: int
    excluded: int
    scored: int
    mean_score: Number
    covered: int
    missing: int
    alive: int
    mean_span_tokens: Number
    tested: int
    weak: int
    strong: int
    policy: str
    scope: Annotated[str | None, AtMost(200)]
    warnings: Annotated[list[str], AtMost(200)]


class AddedConcepts(QueryAnswer):
    """What a benchmark adds to those before it, in ranked concepts."""

    benchmark: str
    ranked_added: int
    ranked_covered: int
    ranked_cumulative: int


class BenchmarkList(QueryAnswer):
    """All benchmarks, and the order in which each adds most concepts."""

    benchmarks: list[BenchmarkLine]
    redundancy: list[AddedConcepts]


class DifferingConcept(NamedConcept):
    """A concept with its numbers in two benchmarks."""

    gap_difference: Number
    chi_model_first: Number
    gap_first: Number
    n_eff_first: Number
    chi_model_second: Number
    gap_second: Number
    n_eff_second: Number


class Correlation(QueryAnswer):
    """Two benchmarks side by side."""

    first: str
    second: str
    jaccard: Number
    cosine: Number
    spearman: Number
    n_concepts: int
    covered_by_both: int
    covered_by_first_only: int
    covered_by_second_only: int
    compared: int
    min_n_eff: Number
    better_in_first: list[DifferingConcept]
    better_in_second: list[DifferingConcept]


def benchmarks(subject: Subject, arguments: Nothing) -> BenchmarkList:
    """All benchmarks with their counts and scores, and the order in which each adds most concepts to the suite.

    Counts of benchmarks are of alive concepts, those of the order of ranked concepts, hence the different names.
    """
    info = subject.info
    return BenchmarkList(
        benchmarks=[BenchmarkLine.model_validate(entry) for entry in info.benchmarks],
        redundancy=[
            AddedConcepts(
                benchmark=info.benchmarks[entry.benchmark].name,
                ranked_added=entry.adds,
                ranked_covered=entry.covered,
                ranked_cumulative=entry.cumulative,
            )
            for entry in info.redundancy
        ],
    )


def correlation(subject: Subject, arguments: TwoBenchmarks) -> Correlation:
    """How much two benchmarks cover the same concepts, whether they agree on performance, and where they differ.

    Concepts are set side by side where both benchmarks have enough items for a test (``compared`` of them), by their
    gaps: each is relative to the mean of its own benchmark.
    """
    first, second = (subject.place_of(name) for name in (arguments.first, arguments.second))
    names = subject.context.names[first], subject.context.names[second]
    joined = _side_by_side(subject, first, second)
    here = (pl.col("benchmark_a") == names[0]) & (pl.col("benchmark_b") == names[1])
    pair = subject.run.overlap.filter(here).row(0, named=True)
    alive = joined.filter(pl.col("alive"))
    in_first, in_second = pl.col("support") > 0, pl.col("support_second") > 0
    least = float(subject.run.manifest["evidence"]["min_n_eff"])
    enough = (pl.col("n_eff") >= least) & (pl.col("n_eff_second") >= least)
    both = joined.filter(pl.col("ranked") & enough)
    # Gaps, not scores: a hard benchmark makes every concept's score low.
    both = both.with_columns(gap_difference=pl.col("gap") - pl.col("gap_second"))
    above = both.filter(pl.col("gap_difference") > 0).sort(["gap_difference", "concept"], descending=[True, False])
    below = both.filter(pl.col("gap_difference") < 0).sort(["gap_difference", "concept"])
    facts = {
        "first": names[0],
        "second": names[1],
        "covered_by_both": alive.filter(in_first & in_second).height,
        "covered_by_first_only": alive.filter(in_first & ~in_second).height,
        "covered_by_second_only": alive.filter(~in_first & in_second).height,
        "compared": both.height,
        "min_n_eff": least,
        "better_in_first": [_differing(row) for row in above.head(arguments.concepts).iter_rows(named=True)],
        "better_in_second": [_differing(row) for row in below.head(arguments.concepts).iter_rows(named=True)],
    }
    return Correlation.model_validate({**pair, **facts})


def _side_by_side(subject: Subject, first: int, second: int) -> pl.DataFrame:
    """Every concept with its numbers in the first benchmark, and those in the second with the ending ``_second``."""
    here, there = (subject.context.benchmark_concepts(place, ("support", *_SIDE)) for place in (first, second))
    facts = subject.concepts.select("concept", "label", "alive", "ranked")
    return pl.concat([facts, here, there.select(pl.all().name.suffix("_second"))], how="horizontal")


def _differing(row: dict[str, Any]) -> DifferingConcept:
    return DifferingConcept.model_validate({**row, **{f"{key}_first": row[key] for key in _SIDE}})
