"""Make the slices of a run, keep them in its folder, and read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.runs.schemas import SLICES
from competency_gaps.slices.columns import columns
from competency_gaps.slices.concepts import concepts
from competency_gaps.slices.family import Family
from competency_gaps.slices.names import with_names
from competency_gaps.slices.profiles import concept_space
from competency_gaps.slices.tree import tree_of

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder

FILE = "slices.parquet"


def make_slices(run: RunFolder) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Make the slices of a run from its items and rows of activations.

    Returns
    -------
    tuple of DataFrame and dict
        The columns of :data:`~competency_gaps.runs.schemas.SLICES`, and the manifest's record: families in order, each
        with its number of slices and what it was made with.
    """
    families: list[Family] = []
    record: dict[str, Any] = {}
    kept = np.flatnonzero(run.items["excluded"].is_null().to_numpy())
    if (own := columns(run.items)) is not None:
        families.append(own)
        record["columns"] = {}
    space = concept_space(run.by_concept, kept)
    if (tree := tree_of("profiles", space, kept, run.items.height)) is not None:
        families.append(with_names(tree, run.items, run.concepts, run.by_concept))
        record["profiles"] = {}
    return _table(families), {name: {"slices": _count(families, name), **made} for name, made in record.items()}


def _count(families: Sequence[Family], name: str) -> int:
    return sum(len(family.names) for family in families if family.name == name)


def read_slices(run: RunFolder) -> list[Family]:
    """Read the families of slices that a run has; concepts are made from its rows of activations.

    Raises
    ------
    UserError
        If the table is missing or damaged.
    """
    table = run.files.collect("slices", run.scan("slices"))
    families = [_family(part, run.items.height) for part in table.partition_by("family", maintain_order=True)]
    return [*families, concepts(run.concepts, run.by_concept, run.items.height)]


def _table(families: Sequence[Family]) -> pl.DataFrame:
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
                    "question": family.question,
                    "parent": [int(parent) + first if parent >= 0 else None for parent in family.parent],
                    "items": [weights.indices[a:b].tolist() for a, b in bounds],
                    "weights": [None if (own == 1).all() else own.tolist() for own in values],
                    "words": family.words,
                    "typical": family.typical,
                },
                schema=SLICES,
            )
        )
        first += len(family.names)
    return pl.concat(tables) if tables else pl.DataFrame(schema=SLICES)


def _family(table: pl.DataFrame, items: int) -> Family:
    start = np.concatenate([[0], table["items"].list.len().cum_sum().to_numpy()]).astype(np.int64)
    index = table["items"].explode().drop_nulls().to_numpy()
    ones = pl.lit(1.0, pl.Float32).repeat_by(pl.col("items").list.len())
    data = table.select(weight=pl.coalesce("weights", ones))["weight"].explode().drop_nulls().to_numpy()
    return Family(
        table["family"][0],
        sp.csr_array((data, index, start), shape=(table.height, items)),
        table["name"].to_list(),
        table["question"].to_list(),
        table["parent"].fill_null(-1).to_numpy(),
        table["slice"].to_numpy(),
        table["words"].to_list(),
        table["typical"].to_list(),
    )


def write_slices(run: RunFolder) -> None:
    """Make the slices of a finished run anew."""
    from competency_gaps.runs.manifest import changing_run

    table, record = make_slices(run)
    with changing_run(run.path) as change:
        change.write(FILE, table.write_parquet)
        change.commit(slices=record)
