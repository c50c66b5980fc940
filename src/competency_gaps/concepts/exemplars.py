"""Exemplars on disk, in two tables. Reading them needs no torch and no tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from competency_gaps.concepts.document import read_table, write_tables
from competency_gaps.util.checked import Write
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


EXEMPLARS, WINDOWS = "exemplars.parquet", "windows.parquet"
_AGAIN = "Collect exemplars again."
DECODE = 4096
ExemplarKind = Literal["top", "spread", "negative"]


@dataclass(frozen=True)
class Exemplar:
    """A window of text with a concept's activations."""

    kind: ExemplarKind
    rank: int
    """0 is the strongest (of negatives: the hardest)."""
    value: float
    """Highest activation in the window; for a negative, its cosine to the mean of the concept's exemplars."""
    window: int
    """Row of ``windows.parquet``."""
    text: str
    ends: np.ndarray
    """int32 of shape (tokens,): character at which each token ends in ``text``, ascending."""
    activations: np.ndarray
    """float32 of shape (tokens,), >= 0; all 0 in a negative."""

    def tokens(self) -> list[str]:
        """Return the text token by token; of the tokens that share a character, all but the last are empty."""
        starts = [0, *self.ends[:-1].tolist()]
        return [self.text[a:b] for a, b in zip(starts, self.ends.tolist(), strict=True)]


class Exemplars:
    """Reads a dictionary's exemplars.

    Raises
    ------
    UserError
        If the folder has none, or they are damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (EXEMPLARS, WINDOWS):
            if not (folder / name).is_file():
                raise UserError(f"{folder / name} is missing: collect exemplars first.")

    @cached_property
    def table(self) -> pl.DataFrame:
        """One row per exemplar, sorted: concept, kind (top, spread, negative), rank, window, value, activations."""
        return read_table(self.folder / EXEMPLARS, _AGAIN)

    @cached_property
    def windows(self) -> pl.DataFrame:
        """One row per window: window, tokens, text, ends."""
        return read_table(self.folder / WINDOWS, _AGAIN)

    @property
    def concepts(self) -> np.ndarray:
        """Concepts that have exemplars: int32, ascending."""
        return self.table["concept"].unique().sort().to_numpy()

    def of(self, concept: int, *kinds: ExemplarKind) -> list[Exemplar]:
        """Return a concept's exemplars of some kinds (all kinds if none is named), the best of each kind first."""
        a, b = self.table["concept"].search_sorted(np.array([concept, concept + 1]), side="left")
        rows = self.table[int(a) : int(b)]
        exemplars = []
        for row in rows.iter_rows(named=True):
            if kinds and row["kind"] not in kinds:
                continue
            _, _, text, ends = self.windows.row(row["window"])
            activations = np.zeros(len(ends), np.float32)
            activations[: len(row["activations"])] = row["activations"]
            numbers = row["rank"], row["value"], row["window"]
            exemplars.append(Exemplar(row["kind"], *numbers, text, np.asarray(ends, np.int32), activations))
        return exemplars


def choose_spread(reservoir: np.ndarray, count: int) -> np.ndarray:
    """Choose ``count`` windows (``CONCEPT_WINDOW``) of each concept's random sample, evenly spaced by rank of value."""
    rows = reservoir[np.lexsort((reservoir["window"], -reservoir["value"], reservoir["concept"]))]
    first = np.searchsorted(rows["concept"], rows["concept"], side="left")
    size = np.searchsorted(rows["concept"], rows["concept"], side="right") - first
    rank = np.arange(len(rows)) - first
    part = rank * count // size
    return rows[(size <= count) | (rank == 0) | (part != (rank - 1) * count // size)]


def without(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the rows whose pair of concept and window does not occur in ``others``."""
    return rows[~np.isin(_pairs(rows), _pairs(others))]


def write_exemplars(
    folder: Path,
    top: np.ndarray,
    spread: np.ndarray,
    negatives: np.ndarray,
    tokens: np.ndarray,
    tokenizer: PreTrainedTokenizerBase,
    progress: Progress,
    facts: Mapping[str, Any],
) -> None:
    """Write the results of a pass, without windows that are not used.

    Parameters
    ----------
    top, spread, negatives
        Of ``CONCEPT_WINDOW`` and ``NEGATIVE``: sorted by concept, the best first; no window of a concept is in both.
    tokens : ndarray of int32 of shape (windows, WINDOW)
        Tokens of all windows, padded with -1.
    facts
        What a dictionary says of the pass.
    """
    used = np.unique(np.concatenate([rows["window"] for rows in (top, spread, negatives)]))
    sizes = (tokens[used] >= 0).sum(axis=1)
    parts = [
        _rows(kind, rows, used, sizes) for kind, rows in (("top", top), ("spread", spread), ("negative", negatives))
    ]
    table = pl.concat(parts, how="diagonal").sort("concept", maintain_order=True)
    rank = pl.int_range(pl.len(), dtype=pl.Int32).over("concept", "kind")
    table = table.select("concept", "kind", rank.alias("rank"), "window", "value", "activations")
    windows = _windows(tokens[used], tokenizer, progress)
    tables: dict[str, Write] = {WINDOWS: windows.write_parquet, EXEMPLARS: table.write_parquet}
    write_tables(folder, tables, exemplars=facts)


def _pairs(rows: np.ndarray) -> np.ndarray:
    """Return a number for each pair of concept and window."""
    return np.asarray(rows["concept"].astype(np.int64) << 40 | rows["window"])


def _rows(kind: str, rows: np.ndarray, used: np.ndarray, sizes: np.ndarray) -> pl.DataFrame:
    """Return the exemplars of one kind as rows of the table; windows become positions in ``used``."""
    index = np.searchsorted(used, rows["window"])
    columns = {"concept": rows["concept"], "window": index.astype(np.int32), "value": rows["value"]}
    table = pl.DataFrame(columns).with_columns(kind=pl.lit(kind))
    if kind == "negative":
        return table.with_columns(activations=pl.lit([], dtype=pl.List(pl.Float32)))
    values = rows["shape"].astype(np.float32) * rows["value"][:, None]
    activations = pl.Series(values, dtype=pl.Array(pl.Float32, values.shape[1])).arr.to_list()
    return table.with_columns(activations=pl.lit(activations).list.head(pl.lit(pl.Series(sizes[index]))))


def _windows(tokens: np.ndarray, tokenizer: PreTrainedTokenizerBase, progress: Progress) -> pl.DataFrame:
    """Return the table of windows, with their texts decoded."""
    ids = np.unique(tokens[tokens >= 0])
    single = dict(zip(ids.tolist(), tokenizer.batch_decode([[int(i)] for i in ids]), strict=True))
    rows = []
    with progress.stage("decoding windows", total=len(tokens), unit="windows") as bar:
        for start in range(0, len(tokens), DECODE):
            part = [row[row >= 0].tolist() for row in tokens[start : start + DECODE]]
            for window, text in zip(part, tokenizer.batch_decode(part), strict=True):
                rows.append((window, text, _ends(window, text, single, tokenizer)))
            bar.advance(len(part))
    schema: dict[str, Any] = {"tokens": pl.List(pl.Int32), "text": pl.String, "ends": pl.List(pl.Int32)}
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("window")


def _ends(ids: Sequence[int], text: str, single: dict[int, str], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the character at which each token ends; tokens that share a character all end where it ends."""
    ends = np.cumsum([len(single[i]) for i in ids]).tolist()
    if "".join(single[i] for i in ids) == text:
        return ends
    prefixes = tokenizer.batch_decode([list(ids[: n + 1]) for n in range(len(ids))])
    end = 0
    ends = []
    for prefix in prefixes:
        whole = prefix.rstrip("\ufffd")
        if text.startswith(whole):
            end = max(end, len(whole))
        ends.append(end)
    return [*ends[:-1], len(text)]
