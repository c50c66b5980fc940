"""A run's tables, from stored rows and scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.concepts.kinds import MIN_SUPPORT, LatentFacts, kinds_of, ranked
from competency_gaps.evidence import Evidence, ItemSample, evidence_by_benchmark
from competency_gaps.evidence.chi import ConceptMetrics, SuiteMetrics, Sums, chance_seen, combine, overlap, typical_cas
from competency_gaps.evidence.tokens import MajorityToken
from competency_gaps.items.config import EvidenceConfig, RunConfig
from competency_gaps.items.item import item_row
from competency_gaps.items.repeats import Repeats
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.pipeline.items import ItemInput, token_table
from competency_gaps.reading.by_concept import ByConcept, write_by_concept
from competency_gaps.reading.extract import TEXT_ONLY
from competency_gaps.reading.rows import CasBlock, CasStore
from competency_gaps.runs.manifest import write_tables
from competency_gaps.runs.sample import item_sample, item_strata
from competency_gaps.runs.schemas import BENCHMARKS, CONCEPT_BENCHMARKS, CONCEPTS, ITEMS, LABELS, OVERLAP
from competency_gaps.sae.reference import SURFACE, WINDOW, Reference
from competency_gaps.util.files import write_atomic

if TYPE_CHECKING:
    from competency_gaps.pipeline.extraction import Extraction
    from competency_gaps.pipeline.setting import Setting


def items_table(
    read: Mapping[str, Extraction], responses: Mapping[str, pl.DataFrame], repeats: Repeats
) -> pl.DataFrame:
    """Return ``items.parquet``, one row per item in the benchmarks' order, without the strata, which need the
    evidence.
    """
    pairs = ((name, *pair) for name, e in read.items() for pair in zip(e.items, e.inputs, strict=True))
    columns = ("response", "score", "unscored", "logprobs", "greedy", "details")
    of_model = pl.concat(responses[name].select(columns) for name in read)
    return with_clusters([_row(*pair) for pair in pairs], repeats).with_columns(of_model)


def with_clusters(rows: list[dict[str, Any]], repeats: Repeats) -> pl.DataFrame:
    """Return rows as ``items.parquet``, with clusters but without strata; columns that a row lacks are null."""
    table = pl.DataFrame(rows, schema={name: kind for name, kind in ITEMS.items() if name != "stratum"})
    kind = pl.Series("cluster_kind", repeats.kind, pl.String)
    return table.with_columns(pl.Series("cluster", repeats.cluster), kind)


def _row(benchmark: str, item: PreparedItem, item_input: ItemInput) -> dict[str, Any]:
    """Return the row of one item."""
    start, end = item.text.body
    return item_row(benchmark, item.item) | {
        "prompt": item.text.text[start:end],
        "text": item_input.text,
        "scorer": item.scorer.name,
        "n_span_tokens": int(item_input.tokens.span.sum()) if item_input.tokens is not None else 0,
        "n_tokens": len(item.tokens.ids) if item_input.tokens is None else len(item_input.tokens.ids),
        "excluded": None if item_input.excluded is None else item_input.excluded.as_dict(),
        "body_start": start,
        "body_end": end,
    }


@dataclass(frozen=True)
class Collected:
    """Sums and majority tokens from one pass over a run's CAS rows."""

    sums: dict[str, Sums]
    """Name of a benchmark -> its sums."""
    peaks: MajorityToken
    """Majority token string of each concept, as an index into ``strings``."""
    strings: list[str]


def collect(
    benchmarks: Mapping[str, Iterable[CasBlock]],
    scores: Mapping[str, np.ndarray],
    width: int,
    token_strings: Mapping[int, str],
) -> Collected:
    """Return sums per benchmark and majority tokens, from one pass over all rows.

    Parameters
    ----------
    scores
        Name of a benchmark -> float64 of shape (items,); NaN = unscored.
    token_strings
        String of every token id that occurs; strings are compared without outer blanks and case.
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


def _fold(text: str) -> str:
    """Return a token string in lower case without outer blanks; a blank string becomes its repr."""
    return text.strip().casefold() or repr(text)


def make_tables(
    collected: Collected,
    items: pl.DataFrame,
    reference: Reference | None,
    sampled: LatentFacts,
    sample: ItemSample,
    config: RunConfig,
) -> tuple[dict[str, pl.DataFrame], dict[str, Any]]:
    """Return a run's tables by name, and the manifest's record of the evidence.

    Parameters
    ----------
    items
        ``items.parquet``.
    sampled
        Statistics of latents on the gate's sample of tokens, which complement the reference's in deciding kinds.
    sample
        The run's items; benchmarks are numbered in the order of ``collected``.
    """
    metrics = combine(
        collected.sums,
        reference.share if reference and has_lift(config) else None,
        reference_active=reference.density > 0 if reference else None,
        under_lift=config.metrics.under_lift,
        over_lift=config.metrics.over_lift,
    )
    facts = _facts(collected, metrics, reference, sampled, text_only=config.span in TEXT_ONLY)
    identity = _identity(metrics, facts, reference, config)
    suite, numbered = evidence_by_benchmark(sample, config.evidence.thresholds, eligible=identity["ranked"].to_numpy())
    single = {name: numbered[number] for number, name in enumerate(collected.sums)}
    chances = _chances(items, reference, config, metrics)
    concepts = pl.DataFrame(
        {
            **identity.to_dict(as_series=True),
            **_columns(metrics.suite, suite, chances[None]),
            "n_benchmarks": metrics.n_benchmarks,
            "tau": _null(_tau(collected, reference, config)),
        }
    )
    schema = {name: kind for name, kind in CONCEPTS.items() if name not in LABELS}
    covered = {name: int((sums.cas > 0).sum()) for name, sums in collected.sums.items()}
    by_benchmark = [
        pl.DataFrame({"concept": identity["concept"], "benchmark": name, **_columns(m, single[name], chances[name])})
        for name, m in metrics.single.items()
    ]
    vectors = [(m.chi_bench, m.chi_model) for m in metrics.single.values()]
    tables = {
        "concepts": concepts.select(*schema).cast(pl.Schema(schema)),
        "concept_benchmarks": pl.concat(by_benchmark).select(*CONCEPT_BENCHMARKS).cast(pl.Schema(CONCEPT_BENCHMARKS)),
        "benchmarks": benchmark_table(items, covered, int(metrics.alive.sum())),
        "overlap": overlaps(list(metrics.single), *map(np.stack, zip(*vectors, strict=True))),
    }
    return tables, evidence_record(config.evidence, suite, single)


def evidence_record(config: EvidenceConfig, suite: Evidence, single: Mapping[str, Evidence]) -> dict[str, Any]:
    """Return the manifest's record of the evidence: thresholds, and counts of concepts by status, in all and by
    benchmark.
    """
    counts = {name: evidence.counts() for name, evidence in single.items()}
    return {**config.model_dump(mode="json"), **suite.counts(), "benchmarks": counts}


def has_lift(config: RunConfig) -> bool:
    """Return whether the run's shares are comparable with the reference's, which are of summed activation over plain
    text.
    """
    return config.span in TEXT_ONLY and config.pooling == "mean"


def _facts(
    collected: Collected, metrics: SuiteMetrics, reference: Reference | None, sample: LatentFacts, *, text_only: bool
) -> LatentFacts:
    """Return the statistics that decide kinds: the reference's, or the run's if there is no reference.

    Every item repeats the template, so in a run of short items most of an ordinary concept's mass may lie on it. If the
    span leaves the template out, the reference's share therefore decides on template concepts; otherwise the larger of
    both shares does.
    """
    peaks = collected.peaks
    own_share = np.where(metrics.suite.support >= MIN_SUPPORT, peaks.share(), np.nan)
    tokens = [collected.strings[t] if t >= 0 else None for t in peaks.token]
    if reference is None:
        return replace(sample, token_share=own_share, token=tokens)
    known = [token if token is not None else other for token, other in zip(tokens, reference.token, strict=True)]
    seen = ~np.isnan(reference.token_share)
    larger = np.fmax(reference.template_share, sample.template_share)
    return replace(
        LatentFacts.of_reference(reference),
        template_share=np.where(text_only & ~np.isnan(reference.template_share), reference.template_share, larger),
        token_share=np.where(seen, reference.token_share, own_share),
        token=known,
    )


def _tau(collected: Collected, reference: Reference | None, config: RunConfig) -> np.ndarray:
    """Return the typical CAS of each concept: over the reference's windows if it is active there, else over the run."""
    total = sum(collected.sums.values(), Sums.zeros(len(collected.peaks.token)))
    of_run = typical_cas(total.cas, total.support)
    if reference is None or config.pooling != "mean":  # the windows' CAS is a mean
        return of_run
    return np.where(np.isnan(reference.window_cas), of_run, reference.window_cas)


def _chances(
    items: pl.DataFrame, reference: Reference | None, config: RunConfig, metrics: SuiteMetrics
) -> dict[str | None, pl.Series]:
    """Return the chance of seeing each concept in the tokens of each benchmark and of the suite (None); null:
    unknown.
    """
    names: list[str | None] = [*metrics.single, None]
    if reference is None or config.span not in TEXT_ONLY:
        nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, len(metrics.alive))
        return dict.fromkeys(names, nothing)
    kept = items.filter(pl.col("excluded").is_null())
    tokens: dict[str | None, float] = dict(kept.group_by("benchmark").agg(pl.col("n_span_tokens").sum()).iter_rows())
    tokens[None] = float(sum(tokens.values()))
    return {name: pl.Series(chance_seen(reference.window_density, tokens.get(name, 0.0), WINDOW)) for name in names}


def _identity(
    metrics: SuiteMetrics, facts: LatentFacts, reference: Reference | None, config: RunConfig
) -> pl.DataFrame:
    """Return the columns of ``concepts.parquet`` that describe each concept: whether it is alive, its kind, and so
    on.
    """
    width = len(metrics.alive)
    kind = kinds_of(facts, config.metrics)
    kind[~metrics.alive] = None
    unknown = np.full(width, np.nan)
    surface = {name: _null(getattr(reference, name) if reference else unknown) for name in SURFACE}
    table = pl.DataFrame(
        {
            "concept": np.arange(width, dtype=np.int32),
            "alive": metrics.alive,
            "kind": pl.Series(kind.tolist(), dtype=pl.String),
            **surface,
            "missing": metrics.missing,
            "density": facts.density.astype(np.float64),
            "peak_token": pl.Series(facts.token, dtype=pl.String),
        }
    )
    return table.with_columns(ranked(table, config.evidence).alias("ranked"))


def evidence_columns(evidence: Evidence) -> dict[str, Any]:
    """Return the columns of a table of concepts that hold the evidence."""
    named = {"chi_model_low": evidence.low, "chi_model_high": evidence.high}
    names = ("association", "association_low", "association_high", "plain_association", "p_value", "q_value")
    named |= {name: getattr(evidence, name) for name in names}
    columns = {name: _null(values) for name, values in named.items()}
    status = pl.Series(evidence.status.tolist(), dtype=pl.String)
    return {"n_eff": evidence.n_eff, **columns, "performance_status": status}


def _columns(m: ConceptMetrics, evidence: Evidence, chance: pl.Series) -> dict[str, Any]:
    """Return the columns of coverage and evidence, of a benchmark or the suite."""
    columns = {name: _null(getattr(m, name)) for name in ("chi_bench", "chi_model", "share", "lift")}
    status = pl.Series(m.status.tolist(), dtype=pl.String)
    more = {"support": m.support, "coverage_status": status, "chance_seen": chance}
    return {**columns, **evidence_columns(evidence), **more}


def benchmark_table(items: pl.DataFrame, covered: Mapping[str, int], alive: int) -> pl.DataFrame:
    """Return ``benchmarks.parquet``; ``covered``: number of the ``alive`` concepts that are active in each
    benchmark.
    """
    kept = pl.col("excluded").is_null()
    scores, active = pl.col("score").filter(kept), pl.col("benchmark").replace_strict(covered, return_dtype=pl.Int64)
    counted = items.group_by("benchmark", maintain_order=True).agg(
        items=pl.len(),
        kept=kept.sum(),
        excluded=kept.not_().sum(),
        scored=scores.count(),
        mean_score=scores.mean(),
        mean_span_tokens=pl.col("n_span_tokens").filter(kept).mean(),
    )
    counted = counted.with_columns(covered=active, missing=alive - active, alive=pl.lit(alive))
    return counted.select(*BENCHMARKS).cast(pl.Schema(BENCHMARKS))


def overlaps(names: Sequence[str], chi_bench: np.ndarray, chi_model: np.ndarray) -> pl.DataFrame:
    """Return ``overlap.parquet``: how similar every two benchmarks are.

    Parameters
    ----------
    chi_bench, chi_model : ndarray of float64 of shape (benchmarks, concepts)
        NaN throughout ``chi_bench``: the benchmark has no kept item.
    """
    rows, read, chi_bench = [], ~np.isnan(chi_bench).all(axis=1), np.nan_to_num(chi_bench)
    for (a, first), (b, second) in combinations_with_replacement(enumerate(names), 2):
        value = overlap(chi_bench[a], chi_bench[b], chi_model[a], chi_model[b])
        if not (read[a] and read[b]):
            value = value._replace(jaccard=float("nan"), cosine=float("nan"))
        for x, y in {(first, second), (second, first)}:
            rows.append({"benchmark_a": x, "benchmark_b": y, **value._asdict()})
    table = pl.DataFrame(rows, schema=OVERLAP)
    table = table.with_columns(pl.col(name).fill_nan(None) for name in ("jaccard", "cosine", "spearman"))
    order = {name: i for i, name in enumerate(names)}
    keys = [pl.col(c).replace_strict(order, return_dtype=pl.Int32) for c in ("benchmark_a", "benchmark_b")]
    return table.sort(keys)


def _null(values: np.ndarray) -> pl.Series:
    """Return a column with null for NaN; an infinite lift (no base rate) stays infinite."""
    return pl.Series(np.asarray(values, dtype=np.float64)).fill_nan(None)


ROW_GROUP_BYTES = 32 * 2**20
"""Approximate number of bytes per row group of ``items.parquet`` [ours]."""


def write_results(
    folder: Path,
    store: CasStore,
    shards: Mapping[str, list[str]],
    items: pl.DataFrame,
    setting: Setting,
    sampled: LatentFacts,
) -> dict[str, Any]:
    """Write all tables of a run folder and return the manifest's record of the evidence.

    Parameters
    ----------
    shards
        Names of each benchmark's shards; benchmarks in the order of ``items``.
    items
        ``items.parquet``.
    sampled
        Statistics of latents on the gate's sample of tokens.

    Returns
    -------
    dict
        Thresholds, and counts of concepts by status.
    """
    width, config = store.width, setting.config
    sizes = dict(items.group_by("benchmark", maintain_order=True).len().iter_rows())
    first = dict(zip(shards, np.cumsum([0, *(sizes[name] for name in shards)]).tolist(), strict=False))

    def blocks() -> Iterator[tuple[int, CasBlock]]:
        """Yield each block with the row of its benchmark's first item."""
        for name, names in shards.items():
            yield from ((first[name], block) for block in store.blocks(names))

    write_by_concept(store.shards.folder, blocks, width)
    tokens = token_table((block for _, block in blocks()), setting.lm.tokenizer)
    sample = item_sample(ByConcept(store.shards.folder), items, config.evidence.strata)
    scores = {name: sample.scores[first[name] : first[name] + sizes[name]] for name in shards}
    rows = {name: store.blocks(names) for name, names in shards.items()}
    collected = collect(rows, scores, width, dict(tokens.iter_rows()))
    tables, recorded = make_tables(collected, items, setting.reference, sampled, sample, config)
    write_items(folder / "items.parquet", items.with_columns(stratum=item_strata(sample)))
    write_tables(folder, {f"{name}.parquet": table for name, table in {"tokens": tokens, **tables}.items()})
    return recorded


def write_items(file: Path, items: pl.DataFrame) -> None:
    """Write ``items.parquet`` in row groups of about ``ROW_GROUP_BYTES``, so that readers need not hold all texts."""
    rows = max(1, int(items.height * ROW_GROUP_BYTES // max(1, int(items.estimated_size()))))
    write_atomic(file, lambda part: items.write_parquet(part, row_group_size=min(rows, max(1, items.height))))
