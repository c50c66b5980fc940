"""Find concepts that a benchmark lacks although they belong to its stated scope."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.errors import UserError, nearest
from competency_gaps.llm import Answer, Request
from competency_gaps.matching.candidates import MatchCandidates
from competency_gaps.matching.candidates import candidates as gather
from competency_gaps.matching.clauses import clauses
from competency_gaps.matching.confirm import confirm_requests, newest_verdicts
from competency_gaps.matching.embedding import Embed, best_similarity, embed_distinct
from competency_gaps.matching.null import (
    CHECK_SHARE,
    MOST_DRAWS,
    TOLERANCE,
    OnDraw,
    check_level,
    least_draws,
    shuffled_rows,
)
from competency_gaps.matching.outcomes import LACKING
from competency_gaps.matching.shares import Share, share

ALPHA = 0.01
"""Default level: of 4,000 labels, 40 are expected in scope by chance."""
SHUFFLED = 10_000
"""Least number of shuffled labels in the null, if ``MOST_DRAWS`` draws give as many: the resolution of a p-value is
``1 / (1 + shuffled labels)``. The labels of all draws form one null, so a few draws suffice."""
COLUMNS = (
    "concept",
    "label",
    "label_kind",
    "label_score",
    "text",
    "similarity",
    "clause",
    "p_value",
    "q_value",
    "in_scope",
    "coverage_status",
    "chance_seen",
    "density",
    "chi_bench",
    "chi_bench_elsewhere",
    "verdict",
)


@dataclass(frozen=True)
class ScopeFindings:
    """Coverage of a benchmark's stated scope."""

    benchmark: str
    clauses: list[str]
    """The description and its clauses; a label's similarity is the largest with any of them."""
    table: pl.DataFrame
    """All ranked, labelled concepts with a coverage status in the benchmark, the nearest to the scope first:
    concept, label, label_kind, label_score, text (embedded text), similarity, clause (the nearest), p_value,
    q_value, in_scope, coverage_status, chance_seen (null: no base rate), density, chi_bench (0 = missing),
    chi_bench_elsewhere (mean over the other benchmarks; null: there are none), verdict (null: not asked).
    ``in_scope``: p_value at most ``alpha``, and not judged outside."""
    covered: Share
    """Share of the in-scope concepts that the benchmark covers."""
    under: Share
    """Share of the in-scope concepts that it under-represents; of none where the run has no reference."""
    missing: Share
    """Share of the in-scope concepts that it misses."""
    unlabelled: int
    """Ranked concepts without a label, which are left out."""
    alpha: float
    """Share of shuffled labels that would be in scope."""
    labels: int
    """Distinct labels compared; ``alpha * labels`` of them are expected in scope by chance."""
    bound: float | None
    """Least similarity of an in-scope label; None: none is in scope."""
    null_rate: Share
    """Share of shuffled labels in the check draws that reach the bound; about ``alpha``."""
    unbroken: float
    """Share of shuffled labels with exactly the words of a real label."""
    verdicts: dict[str, int]
    """Number of labels by verdict; empty if none was asked."""

    @property
    def lacking(self) -> pl.DataFrame:
        """Rows of ``table`` that the benchmark lacks (missing or under-represented), in scope or not."""
        return self.table.filter(pl.col("coverage_status").is_in(LACKING))


def scope(
    concepts: pl.DataFrame,
    concept_benchmarks: pl.DataFrame,
    benchmark: str,
    description: str | Sequence[str],
    embed: Embed,
    *,
    seed: int = 0,
    alpha: float = ALPHA,
    on_draw: OnDraw | None = None,
) -> ScopeFindings:
    """Rank the concepts that a benchmark lacks by how much they belong to its stated scope.

    A label's similarity to the scope is the largest cosine with the whole description or any of its clauses [ours], as
    a scope of several parts has no single direction. Its p-value is the share of shuffled labels (see
    :mod:`competency_gaps.matching.null`) that are as similar; labels with a p-value up to ``alpha`` are in scope
    [ours]. Each label is tested separately, as many may belong to a scope, whereas
    :func:`~competency_gaps.matching.match` controls the chance of any match. ``q_value`` is Benjamini-Hochberg's over
    all distinct labels; it is strict, because shuffled labels hold the words of the scope as often as real ones. The
    ranking is the result; the bound marks where it is no better than chance, and a model's verdicts judge more finely.
    p-values are multiples of ``1 / (1 + n)``, where ``n`` is the number of shuffled labels in the null, about 10,000.

    Parameters
    ----------
    concepts, concept_benchmarks
        Tables of a run.
    description
        What the benchmark claims to test, in one or several texts.

    Raises
    ------
    UserError
        If the run has no such benchmark, the description has no words or too many clauses, or no concept has a label.
    """
    from scipy.stats import false_discovery_control

    known = concept_benchmarks["benchmark"].unique(maintain_order=True).to_list()
    if benchmark not in known:
        raise UserError(
            f"the run has no benchmark {benchmark!r}; it has {', '.join(known)}.{nearest(benchmark, known)}"
        )
    check_level(alpha)
    parts = clauses(description)
    pool = gather(concepts)
    here = _here(pool, concepts, concept_benchmarks, benchmark)
    texts = here["text"].unique(maintain_order=True).to_list()
    if not texts:
        raise UserError(f"{benchmark!r} has no labelled concept with a coverage status: it kept no item.")
    scopes = embed_distinct(embed, parts)
    similarities = embed_distinct(embed, texts) @ scopes.T
    best = similarities.max(axis=1)
    null, checks, unbroken = _null(scopes, texts, embed, alpha, seed, on_draw)
    below = np.searchsorted(null, best - np.float32(TOLERANCE), side="left")
    p_value = (1.0 + len(null) - below) / (1.0 + len(null))
    inside = p_value <= alpha
    by_text = pl.DataFrame(
        {
            "text": texts,
            "similarity": best.astype(np.float64),
            "clause": [parts[i] for i in similarities.argmax(axis=1)],
            "p_value": p_value,
            "q_value": false_discovery_control(p_value),
            "in_scope": inside,
        }
    )
    bound = float(best[inside].min()) if inside.any() else None
    reach = 0 if bound is None else int((checks >= np.float32(bound)).sum())
    table = here.join(by_text, on="text", how="left").with_columns(verdict=pl.lit(None, dtype=pl.String))
    return ScopeFindings(
        **_counts(table.select(COLUMNS).sort("similarity", "concept", descending=[True, False])),
        benchmark=benchmark,
        clauses=parts,
        unlabelled=pool.unlabelled,
        alpha=alpha,
        labels=len(texts),
        bound=bound,
        null_rate=share(reach, checks.size),
        unbroken=unbroken,
    )


def _null(
    scopes: np.ndarray, labels: Sequence[str], embed: Embed, alpha: float, seed: int, on_draw: OnDraw | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Compare shuffled labels with the scope.

    Returns
    -------
    tuple
        The largest similarity of each shuffled label to any text of the scope: float32, sorted; the same in further
        draws, which check the level; share of labels that still have the words of a real one.
    """
    fewest = math.ceil(least_draws(alpha) / len(labels))
    draws = max(fewest, min(MOST_DRAWS, math.ceil(SHUFFLED / len(labels))))
    embedded = shuffled_rows(labels, embed, seed, draws + max(1, draws // CHECK_SHARE), on_draw)
    nearest, unbroken = zip(*((best_similarity(rows, scopes), unchanged) for rows, unchanged in embedded), strict=True)
    return np.sort(np.concatenate(nearest[:draws])), np.concatenate(nearest[draws:]), float(np.mean(unbroken))


def confirm_scope_requests(findings: ScopeFindings) -> list[Request]:
    """Requests to judge every in-scope label, covered or not, as belonging to the scope, borderline or outside."""
    labels = findings.table.filter(pl.col("in_scope") | pl.col("verdict").is_not_null())["text"]
    return confirm_requests(((findings.clauses[0], label) for label in labels.unique(maintain_order=True)), "scope")


def apply_scope_verdicts(findings: ScopeFindings, answers: Iterable[Answer]) -> ScopeFindings:
    """Store verdicts; a concept judged outside is no longer in scope. An answer that cannot be read changes nothing.

    Parameters
    ----------
    answers
        Answers to the requests of :func:`confirm_scope_requests`, in any order; others are ignored.
    """
    pairs = [(findings.clauses[0], *row) for row in findings.table.select("text", "verdict").iter_rows()]
    table = findings.table.with_columns(verdict=newest_verdicts("scope", pairs, answers))
    inside = (pl.col("p_value") <= findings.alpha) & (pl.col("verdict") != "outside").fill_null(True)
    return replace(findings, **_counts(table.with_columns(in_scope=inside)))


def scope_document(findings: ScopeFindings, limit: int) -> dict[str, Any]:
    """Findings on a scope as one JSON document, with ``limit`` lacking concepts."""
    return {
        "benchmark": findings.benchmark,
        "clauses": findings.clauses,
        **{name: getattr(findings, name).as_dict() for name in ("covered", "under", "missing", "null_rate")},
        "bound": findings.bound,
        "unlabelled": findings.unlabelled,
        "labels": findings.labels,
        "alpha": findings.alpha,
        "verdicts": findings.verdicts,
        "rows": findings.lacking.head(limit).to_dicts(),
    }


def _here(pool: MatchCandidates, concepts: pl.DataFrame, by_benchmark: pl.DataFrame, benchmark: str) -> pl.DataFrame:
    """Labelled concepts with their coverage by the benchmark, and by the others."""
    own = by_benchmark.filter(pl.col("benchmark") == benchmark)
    own = own.select("concept", "chi_bench", "coverage_status", "chance_seen")
    others = by_benchmark.filter(pl.col("benchmark") != benchmark).group_by("concept")
    return (
        pool.concepts.select("concept", "label", "label_kind", "label_score", "text")
        .join(own, on="concept", how="inner")
        .join(concepts.select("concept", "density"), on="concept", how="left")
        .join(others.agg(chi_bench_elsewhere=pl.col("chi_bench").mean()), on="concept", how="left")
        .with_columns(
            pl.col("chi_bench_elsewhere").cast(pl.Float64)
            if by_benchmark["benchmark"].n_unique() > 1
            else pl.lit(None, dtype=pl.Float64).alias("chi_bench_elsewhere")
        )
        .filter((pl.col("coverage_status") == "missing").fill_null(value=False) | (pl.col("chi_bench") > 0))
        .sort("concept")
    )


def _counts(table: pl.DataFrame) -> dict[str, Any]:
    """The fields of ``ScopeFindings`` that are read off its table, and the table."""
    inside = table.filter(pl.col("in_scope"))
    status = inside["coverage_status"]
    under, missing = int((status == "under").sum()), int((status == "missing").sum())
    with_lift = table.filter(pl.col("chi_bench") > 0)["coverage_status"].is_not_null().any()
    verdicts = table.filter(pl.col("verdict").is_not_null()).unique("text").group_by("verdict").len().sort("verdict")
    return {
        "table": table,
        "covered": share(inside.height - under - missing, inside.height),
        "under": share(under, inside.height if with_lift else 0),
        "missing": share(missing, inside.height),
        "verdicts": dict(verdicts.iter_rows()),
    }
