"""The last stage of a run: write the concept-major copy and all tables from stored rows and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from competency_gaps.activations.by_concept import ByConcept, write_by_concept
from competency_gaps.activations.store import CasBlock, CasStore
from competency_gaps.config import RunConfig
from competency_gaps.dictionary.kinds import LatentFacts
from competency_gaps.files import write_atomic
from competency_gaps.runs.sample import item_sample, item_strata
from competency_gaps.sae.reference import Reference
from competency_gaps.stages.collect import collect
from competency_gaps.stages.items import token_table
from competency_gaps.stages.tables import make_tables

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GROUP = 32 * 2**20
"""About how many bytes of items a row group of ``items.parquet`` holds [ours]."""


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
        The manifest's record of the evidence.
    """
    width = store.width
    sizes = dict(items.group_by("benchmark", maintain_order=True).len().iter_rows())
    first = dict(zip(shards, np.cumsum([0, *(sizes[name] for name in shards)]).tolist(), strict=False))

    def blocks() -> Iterator[tuple[int, CasBlock]]:
        for name, names in shards.items():
            yield from ((first[name], block) for block in store.blocks(names))

    write_by_concept(store.shards.folder, blocks, width)
    tokens = token_table((store.blocks(names) for names in shards.values()), tokenizer)
    sample = item_sample(ByConcept(store.shards.folder), items, config.evidence.strata)
    scores = {name: sample.scores[first[name] : first[name] + sizes[name]] for name in shards}
    rows = {name: store.blocks(names) for name, names in shards.items()}
    collected = collect(rows, scores, width, dict(tokens.iter_rows()))
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
    """Write ``items.parquet`` in row groups of about ``GROUP`` bytes, so that readers need not hold all texts."""
    rows = max(1, int(items.height * GROUP // max(1, int(items.estimated_size()))))
    write_atomic(file, lambda part: items.write_parquet(part, row_group_size=min(rows, max(1, items.height))))
