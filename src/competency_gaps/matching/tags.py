"""Entries whose examples are a run's own items, by a table of tags: nothing has to be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.errors import UserError, nearest
from competency_gaps.matching.examples import ReadExamples
from competency_gaps.matching.markers import Examples
from competency_gaps.matching.taxonomy import TaxonomyEntry
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import shorten, visible

KEYS = ("id", "benchmark")
"""Columns that name an item; all others are tags. ``benchmark`` may be absent where ids are not repeated."""


def read_tags(path: Path) -> pl.DataFrame:
    """Read a CSV or Parquet table of tags: ``id``, ``benchmark`` if there are several, and a column of 0 and 1 per tag.

    Returns
    -------
    polars.DataFrame
        ``id``, ``benchmark`` (where given), and one boolean column per tag; null: not tagged.

    Raises
    ------
    UserError
        If the file is missing, is no such table, or a tag holds something else than 0, 1, true, false or nothing.
    """
    if not path.is_file():
        raise UserError(f"the tags {str(path)!r} do not exist.")
    try:
        table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise UserError(f"the tags {str(path)!r} cannot be read: {shorten(str(error), 200)}.") from error
    tags = [name for name in table.columns if name not in KEYS]
    if "id" not in table.columns or not tags:
        raise UserError(f"the tags {str(path)!r}: expected a column 'id' and a column per tag, found {table.columns}.")
    return table.select(
        *(pl.col(name).cast(pl.String) for name in KEYS if name in table.columns),
        *(_tag(table[name], path) for name in tags),
    )


def tagged_items(run: RunFolder, tags: pl.DataFrame) -> tuple[list[TaxonomyEntry], ReadExamples]:
    """Make entries of tags, and their examples of the run's items.

    Items that the table lacks, or a tag leaves out, are no examples of anything and compared with nothing.

    Parameters
    ----------
    tags
        As :func:`read_tags` gives it.

    Raises
    ------
    UserError
        If an id of the table is in no, or in several benchmarks of the run, or occurs twice.
    """
    items = run.items.select("benchmark", "item_id", "n_span_tokens", kept=pl.col("excluded").is_null())
    items = items.with_row_index("row")
    keys = [name for name in ("benchmark", "id") if name in tags.columns]
    known = items.rename({"item_id": "id"})
    repeated = tags.filter(tags.select(keys).is_duplicated())
    if repeated.height:
        raise UserError(f"the tags name the item {_item(repeated, keys)} more than once.")
    joined = tags.join(known, on=keys, how="left", maintain_order="left")
    for faulty, why in (
        (joined.filter(pl.col("row").is_null()), "is in no benchmark of the run"),
        (joined.filter(joined.select(keys).is_duplicated()), "is in several benchmarks: add a column 'benchmark'"),
    ):
        if faulty.height:
            ids = known["id"].unique().to_list()
            raise UserError(f"the tags' item {_item(faulty, keys)} {why}.{nearest(faulty['id'][0], ids)}")
    names = [name for name in tags.columns if name not in KEYS]
    used = joined.filter("kept")
    values = sp.vstack([run.cas(name) for name in run.benchmarks["benchmark"]], format="csr")
    order = items.with_columns(number=pl.int_range(pl.len()).over("benchmark"))
    offset = dict(zip(run.benchmarks["benchmark"], _starts(run), strict=True))
    at = (order["benchmark"].replace_strict(offset, return_dtype=pl.Int64) + order["number"]).to_numpy()
    rows = at[used["row"].to_numpy()]
    member = np.stack([used[name].fill_null(value=False).to_numpy() for name in names]).astype(float)
    length = used["n_span_tokens"].fill_null(0).to_numpy().astype(float)
    examples = Examples(sp.csr_array(values)[rows], sp.csr_array(member), np.zeros(len(rows), np.int64), length)
    entries = [TaxonomyEntry(visible(name), visible(name).replace("_", " "), None, None, None, {}) for name in names]
    excluded = joined.filter(~pl.col("kept"))
    left_out = [(visible(name), "excluded") for name in names for _ in range(int(excluded[name].sum() or 0))]
    frame = pl.DataFrame(left_out, schema={"entry": pl.String, "reason": pl.String}, orient="row")
    count, row = member.sum(axis=1).astype(np.int64), used["row"].cast(pl.Int64).to_numpy()
    return entries, ReadExamples(examples, count, row, frame)


def _starts(run: RunFolder) -> list[int]:
    counts = [run.items.filter(benchmark=name).height for name in run.benchmarks["benchmark"]]
    return np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(int).tolist()


def _tag(column: pl.Series, path: Path) -> pl.Series:
    words = {"1": True, "0": False, "true": True, "false": False, "": None}
    text = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    wrong = text.filter(text.is_not_null() & ~text.is_in(list(words)))
    if len(wrong):
        raise UserError(
            f"the tags {str(path)!r}, column {visible(column.name)!r}: {visible(str(wrong[0]))!r} is none of 0, 1, "
            "true, false and nothing."
        )
    return text.replace_strict(words, return_dtype=pl.Boolean, default=None).alias(column.name)


def _item(table: pl.DataFrame, keys: Sequence[str]) -> str:
    return repr(": ".join(visible(str(table[key][0])) for key in keys))
