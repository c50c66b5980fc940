"""From rows and scores to the tables of the run folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from competency_gaps.activations.store import CasBlock
from competency_gaps.config import MetricsConfig
from competency_gaps.dictionary.flags import MIN_SUPPORT, LatentFacts, flag
from competency_gaps.evidence.sample import effective_sample
from competency_gaps.metrics.peaks import MajorityToken
from competency_gaps.metrics.structure import overlap
from competency_gaps.metrics.suite import SuiteMetrics, combine
from competency_gaps.metrics.sums import Sums, add_all
from competency_gaps.sae.reference import Reference


@dataclass(frozen=True)
class Collected:
    """What one pass over a run's rows gives."""

    sums: dict[str, Sums]
    """Per benchmark."""
    peaks: MajorityToken
    """Majority token string of each concept; tokens are numbered by ``strings``."""
    strings: list[str]


@dataclass(frozen=True)
class Tables:
    """The tables of a run folder; their columns are described in the documentation of the run folder."""

    concepts: pl.DataFrame
    concept_benchmarks: pl.DataFrame
    benchmarks: pl.DataFrame
    overlap: pl.DataFrame


def collect(
    benchmarks: Mapping[str, Iterable[CasBlock]],
    scores: Mapping[str, np.ndarray],
    width: int,
    token_strings: Mapping[int, str],
) -> Collected:
    """One pass over all rows: sums per benchmark and majority tokens.

    Parameters
    ----------
    scores
        Per benchmark, float64 of shape (items,): NaN = unscored.
    token_strings
        String of every token id that occurs; ids whose strings differ only in outer blanks and case count as one.
    """
    strings = sorted({_fold(text) for text in token_strings.values()})
    number = {text: i for i, text in enumerate(strings)}
    lookup = np.zeros(max(token_strings, default=0) + 1, dtype=np.int64)
    for token, text in token_strings.items():
        lookup[token] = number[_fold(text)]
    peaks = MajorityToken(width)
    sums: dict[str, Sums] = {}
    for name, blocks in benchmarks.items():
        total = Sums.zeros(width)
        for block in blocks:
            total = total + Sums.of(block.cas, scores[name][block.items])
            peaks.add(np.asarray(block.cas.indices, np.int64), lookup[block.peak_tokens()], block.cas.data)
        sums[name] = total
    return Collected(sums, peaks, strings)


def make_tables(
    collected: Collected,
    items: pl.DataFrame,
    reference: Reference | None,
    sample: LatentFacts,
    labels: list[str | None],
    config: MetricsConfig,
) -> Tables:
    """Make a run's tables.

    Parameters
    ----------
    items
        ``items.parquet``.
    sample
        Facts of the run's own sample of tokens, used for the flags beside the reference.
    """
    metrics = combine(
        collected.sums,
        reference.share if reference else None,
        config,
        reference_active=reference.density > 0 if reference else None,
    )
    facts = _facts(collected, metrics, reference, sample)
    return Tables(
        concepts=_concepts(collected, metrics, facts, labels, config),
        concept_benchmarks=_concept_benchmarks(collected, metrics),
        benchmarks=_benchmarks(collected, metrics, items),
        overlap=_overlaps(metrics),
    )


def _facts(
    collected: Collected, metrics: SuiteMetrics, reference: Reference | None, sample: LatentFacts
) -> LatentFacts:
    """Reference facts where there is a reference, else the run's own; the template share is the larger of both."""
    peaks = collected.peaks
    own_share = np.where(metrics.support >= MIN_SUPPORT, peaks.share(), np.nan)
    tokens = [collected.strings[t] if t >= 0 else None for t in peaks.token]
    if reference is None:
        return LatentFacts(sample.density, sample.template_share, own_share, tokens)
    known = [own if own is not None else other for own, other in zip(tokens, reference.token, strict=True)]
    seen = ~np.isnan(reference.token_share)
    return LatentFacts(
        density=reference.density,
        template_share=np.fmax(reference.template_share, sample.template_share),
        token_share=np.where(seen, reference.token_share, own_share),
        token=known,
    )


def _concepts(
    collected: Collected,
    metrics: SuiteMetrics,
    facts: LatentFacts,
    labels: list[str | None],
    config: MetricsConfig,
) -> pl.DataFrame:
    flags = flag(
        facts,
        dense_above=config.dense_above,
        template_above=config.template_above,
        exact_token_above=config.exact_token_above,
    )
    total = add_all(collected.sums.values())
    return pl.DataFrame(
        {
            "concept": np.arange(len(metrics.alive), dtype=np.int32),
            "label": pl.Series(labels, dtype=pl.String),
            "alive": metrics.alive,
            "dense": flags.dense & metrics.alive,
            "template": flags.template & metrics.alive,
            "exact_token": flags.exact_token & metrics.alive,
            "missing": metrics.missing,
            "ranked": metrics.alive & ~flags.any(),
            "density": facts.density.astype(np.float64),
            "peak_token": pl.Series(facts.token, dtype=pl.String),
            "chi_bench": metrics.chi_bench,
            "chi_model": _null(metrics.chi_model),
            "n_benchmarks": metrics.n_benchmarks.astype(np.int32),
            "support": metrics.support,
            "n_eff": effective_sample(total),
            "lift": _null(metrics.lift),
            "tau": _null(
                np.divide(total.cas, total.support, out=np.full(len(total.cas), np.nan), where=total.support > 0)
            ),
        }
    )


def _concept_benchmarks(collected: Collected, metrics: SuiteMetrics) -> pl.DataFrame:
    width = len(metrics.alive)
    tables = []
    for index, name in enumerate(metrics.benchmarks):
        tables.append(
            pl.DataFrame(
                {
                    "concept": np.arange(width, dtype=np.int32),
                    "benchmark": pl.Series([name], dtype=pl.String).new_from_index(0, width),
                    "chi_bench": metrics.by_benchmark_chi_bench[index],
                    "chi_model": _null(metrics.by_benchmark_chi_model[index]),
                    "support": metrics.by_benchmark_support[index],
                    "n_eff": effective_sample(collected.sums[name]),
                    "share": metrics.by_benchmark_share[index],
                    "lift": _null(metrics.by_benchmark_lift[index]),
                    "coverage_status": pl.Series(metrics.by_benchmark_status[index].tolist(), dtype=pl.String),
                }
            )
        )
    return pl.concat(tables)


def _benchmarks(collected: Collected, metrics: SuiteMetrics, items: pl.DataFrame) -> pl.DataFrame:
    alive = int(metrics.alive.sum())
    rows = []
    for name, sums in collected.sums.items():
        own = items.filter(pl.col("benchmark") == name)
        covered = int((sums.cas > 0).sum())
        kept = own.filter(pl.col("excluded").is_null())
        rows.append(
            {
                "benchmark": name,
                "items": own.height,
                "kept": sums.items,
                "excluded": own.height - sums.items,
                "scored": sums.scored,
                "mean_score": sums.mean_score if sums.scored else None,
                "covered": covered,
                "missing": alive - covered,
                "alive": alive,
                "mean_span_tokens": kept["n_span_tokens"].mean() if kept.height else None,
            }
        )
    return pl.DataFrame(rows, schema_overrides={"mean_score": pl.Float64, "mean_span_tokens": pl.Float64})


def _overlaps(metrics: SuiteMetrics) -> pl.DataFrame:
    rows = []
    for a, first in enumerate(metrics.benchmarks):
        for b, second in enumerate(metrics.benchmarks):
            if b < a:
                continue
            value = overlap(
                metrics.by_benchmark_chi_bench[a],
                metrics.by_benchmark_chi_bench[b],
                metrics.by_benchmark_chi_model[a],
                metrics.by_benchmark_chi_model[b],
            )
            for x, y in {(first, second), (second, first)}:
                rows.append({"benchmark_a": x, "benchmark_b": y, **value._asdict()})
    floats = ("jaccard", "cosine", "spearman")
    table = pl.DataFrame(rows, schema_overrides=dict.fromkeys(floats, pl.Float64))
    table = table.with_columns(pl.col(name).fill_nan(None) for name in floats)
    order = {name: i for i, name in enumerate(metrics.benchmarks)}
    keys = [pl.col(c).replace_strict(order, return_dtype=pl.Int32) for c in ("benchmark_a", "benchmark_b")]
    return table.sort(keys)


def _null(values: np.ndarray) -> pl.Series:
    """NaN means "undefined" in arrays; tables say null. An infinite lift (no base rate) stays infinite."""
    return pl.Series(np.asarray(values, dtype=np.float64)).fill_nan(None)


def _fold(text: str) -> str:
    return text.strip().casefold() or repr(text)
