"""Store the slices of a run in its folder, and read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.runs.schemas import SLICES as SCHEMA
from competency_gaps.slices.concepts import concepts
from competency_gaps.slices.family import Family

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder


def read_slices(run: RunFolder) -> list[Family]:
    """Return a run's families of slices; with a reading, concepts (which are not stored) are among them.

    Raises
    ------
    UserError
        If the table is missing or damaged.
    """
    families = stored_families(run)
    if run.has_reading and (single := concepts(run.concepts, run.by_concept, run.items.height)).names:
        families.append(single)
    return families


def stored(families: Sequence[Family]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the table of slices, and the manifest's record: each family's number of ``slices``, and ``made_with``."""
    tables, first = [], 0
    for family in families:
        weights = family.weights
        bounds = list(zip(weights.indptr[:-1], weights.indptr[1:], strict=True))
        values = [weights.data[a:b] for a, b in bounds]
        tables.append(
            pl.DataFrame(
                {
                    "slice": first + np.arange(len(family.names)),
                    "family": [family.name] * len(family.names),
                    "name": family.names,
                    "column": family.column,
                    "parent": [int(p - family.number[0]) + first if p >= 0 else None for p in family.parent],
                    "items": [weights.indices[a:b].tolist() for a, b in bounds],
                    "weights": [None if (row == 1).all() else row.tolist() for row in values],
                    "words": family.words,
                    "typical": family.typical,
                },
                schema=SCHEMA,
            )
        )
        first += len(family.names)
    record = {f.name: {"slices": len(f.names), "made_with": f.made_with} for f in families}
    return pl.concat(tables) if tables else pl.DataFrame(schema=SCHEMA), record


def stored_families(run: RunFolder) -> list[Family]:
    """Return all families of a run but the concepts."""
    table = run.files.collect("slices", run.scan("slices"))
    made_with = {name: entry.get("made_with", {}) for name, entry in run.manifest["slices"].items()}
    parts = table.partition_by("family", maintain_order=True)
    return [replace(_family(part, run.items.height), made_with=made_with.get(part["family"][0], {})) for part in parts]


def _family(table: pl.DataFrame, items: int) -> Family:
    """Return one family from its rows of the table."""
    start = np.concatenate([[0], table["items"].list.len().cum_sum().to_numpy()]).astype(np.int64)
    index = table["items"].explode().drop_nulls().to_numpy()
    ones = pl.lit(1.0, pl.Float32).repeat_by(pl.col("items").list.len())
    data = table.select(weight=pl.coalesce("weights", ones))["weight"].explode().drop_nulls().to_numpy()
    return Family(
        table["family"][0],
        sp.csr_array((data, index, start), shape=(table.height, items)),
        table["name"].to_list(),
        table["column"].to_list(),
        table["parent"].fill_null(-1).to_numpy(),
        table["slice"].to_numpy(),
        table["words"].to_list(),
        table["typical"].to_list(),
    )
