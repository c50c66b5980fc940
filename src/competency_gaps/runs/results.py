"""The last stage of a run: from stored rows and scores to the concept-major copy and all tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.activations.by_concept import ByConcept, write_by_concept
from competency_gaps.activations.store import CasBlock, CasStore
from competency_gaps.config import RunConfig
from competency_gaps.dictionary.flags import LatentFacts
from competency_gaps.evidence import ItemSample, units_of
from competency_gaps.files import write_atomic
from competency_gaps.runs.collect import collect
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.items import token_table
from competency_gaps.runs.tables import make_tables
from competency_gaps.sae.reference import Reference

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GROUP = 32 * 2**20
"""Bytes of items in a row group of ``items.parquet``, about [ours]."""


def write_results(
    folder: Path,
    store: CasStore,
    shards: Mapping[str, list[str]],
    items: pl.DataFrame,
    *,
    tokenizer: PreTrainedTokenizerBase,
    reference: Reference | None,
    sampled: LatentFacts,
    config: RunConfig,
) -> dict[str, Any]:
    """Write every table of a run folder but the manifest.

    Parameters
    ----------
    shards
        Names of each benchmark's shards; benchmarks in the order of ``items``.
    items
        ``items.parquet``.
    sampled
        Facts of the gate's sample of tokens.

    Returns
    -------
    dict
        What the manifest says of the evidence.
    """
    width = store.width
    sizes = dict(items.group_by("benchmark", maintain_order=True).len().iter_rows())
    first = dict(zip(shards, np.cumsum([0, *(sizes[name] for name in shards)]).tolist(), strict=False))

    def blocks() -> Iterator[tuple[int, CasBlock]]:
        for name, names in shards.items():
            yield from ((first[name], block) for block in store.blocks(names))

    write_by_concept(store.shards.folder, blocks, width)
    tokens = token_table((store.blocks(names) for names in shards.values()), tokenizer)
    scores = {
        name: items.filter(pl.col("benchmark") == name)["score"].fill_null(float("nan")).to_numpy() for name in shards
    }
    rows = {name: store.blocks(names) for name, names in shards.items()}
    collected = collect(rows, scores, width, dict(tokens.iter_rows()))
    sample = item_sample(ByConcept(store.shards.folder), items, config.evidence.strata)
    tables = make_tables(collected, items, reference, sampled, sample, config)
    items = items.with_columns(stratum=item_strata(sample))
    write_items(folder / "items.parquet", items)
    for name, table in {
        "tokens": tokens,
        "concepts": tables.concepts,
        "concept_benchmarks": tables.concept_benchmarks,
        "benchmarks": tables.benchmarks,
        "overlap": tables.overlap,
    }.items():
        write_atomic(folder / f"{name}.parquet", table.write_parquet)
    return tables.evidence


def write_items(file: Path, items: pl.DataFrame) -> None:
    """Write ``items.parquet`` in row groups of about ``GROUP`` bytes: readers need not hold all texts at once."""
    rows = max(1, int(items.height * GROUP // max(1, int(items.estimated_size()))))
    write_atomic(file, lambda part: items.write_parquet(part, row_group_size=min(rows, max(1, items.height))))


def item_sample(by_concept: ByConcept, items: pl.DataFrame, strata: Sequence[str]) -> ItemSample:
    """Make the sample of a run's items: rows of ``items.parquet``, benchmarks numbered as they appear there."""
    order = {name: i for i, name in enumerate(items["benchmark"].unique(maintain_order=True))}
    numbers = items["benchmark"].replace_strict(order, return_dtype=pl.Int64).to_numpy()
    scored = pl.when(pl.col("excluded").is_null()).then(pl.col("score")).fill_null(float("nan"))
    return ItemSample(
        items.select(scored.alias("score"))["score"].to_numpy(),
        numbers,
        lambda concepts: by_concept.cas(concepts, items.height),
        by_concept.support,
        items["cluster"].cast(pl.Int64).to_numpy(),
        item_covariates(items, strata),
        repeats(items),
    )


def item_strata(sample: ItemSample) -> pl.Series:
    """Give each item's stratum: numbers over the whole suite; None for items that take no part."""
    units = units_of(sample)
    taking = units.unit >= 0
    block = np.full(len(taking), -1, np.int64)
    block[taking] = units.block[units.unit[taking]]
    return pl.Series("stratum", [int(b) if b >= 0 else None for b in block], dtype=pl.Int32)
