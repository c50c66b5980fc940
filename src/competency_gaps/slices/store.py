"""Make the slices of a run, keep them in its folder, and read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import SlicesConfig
from competency_gaps.runs.manifest import changing_run
from competency_gaps.runs.schemas import SLICES as SCHEMA
from competency_gaps.slices.concepts import concepts
from competency_gaps.slices.family import Family
from competency_gaps.slices.make import Source, make_families, renamed

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder

FILE = "slices.parquet"


def make_slices(source: Source) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Make the slices of a run from its items and rows of activations.

    Returns
    -------
    tuple of DataFrame and dict
        The columns of :data:`~competency_gaps.runs.schemas.SLICES`, and the manifest's record: for each family its
        number of ``slices`` and what it was ``made_with``.
    """
    return _stored(make_families(source))


def read_slices(run: RunFolder) -> list[Family]:
    """Read the families of slices that a run has; concepts are made from its rows of activations.

    Raises
    ------
    UserError
        If the table is missing or damaged.
    """
    single = concepts(run.concepts, run.by_concept, run.items.height)
    return [*_read(run), *([single] if single.names else [])]


def write_slices(run: RunFolder, source: Source | None = None) -> None:
    """Make the slices of a finished run anew.

    Parameters
    ----------
    source
        None: as the run's configuration says.
    """
    with changing_run(run.path) as change:
        table, record = make_slices(source or Source(run, SlicesConfig(**run.manifest["settings"].get("slices", {}))))
        change.write(FILE, table.write_parquet)
        change.commit(slices=record)


def renamed_slices(run: RunFolder, table: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The slices of a run with new labels; as :func:`make_slices`.

    Parameters
    ----------
    table
        ``concepts.parquet`` as it is going to be.
    """
    return _stored([renamed(run, family, table) for family in _read(run)])


def _stored(families: Sequence[Family]) -> tuple[pl.DataFrame, dict[str, Any]]:
    return _table(families), {f.name: {"slices": len(f.names), "made_with": f.made_with} for f in families}


def _read(run: RunFolder) -> list[Family]:
    table = run.files.collect("slices", run.scan("slices"))
    made = {name: entry.get("made_with", {}) for name, entry in run.manifest["slices"].items()}
    parts = table.partition_by("family", maintain_order=True)
    return [replace(_family(part, run.items.height), made_with=made.get(part["family"][0], {})) for part in parts]


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
                    "parent": [int(p - family.number[0]) + first if p >= 0 else None for p in family.parent],
                    "items": [weights.indices[a:b].tolist() for a, b in bounds],
                    "weights": [None if (own == 1).all() else own.tolist() for own in values],
                    "words": family.words,
                    "typical": family.typical,
                },
                schema=SCHEMA,
            )
        )
        first += len(family.names)
    return pl.concat(tables) if tables else pl.DataFrame(schema=SCHEMA)


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
