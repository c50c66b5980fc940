"""Entries whose examples are a run's own items: nothing has to be read.

Tags come from a table, from a column of the items whose values are the tags, or from SQL conditions on the items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.errors import UserError, nearest
from competency_gaps.matching.conditions import satisfying
from competency_gaps.matching.division import Examples, one_of_each
from competency_gaps.matching.examples import ReadExamples
from competency_gaps.matching.kept import Source
from competency_gaps.matching.taxonomy import TaxonomyEntry
from competency_gaps.runs.covariates import read_covariates
from competency_gaps.runs.open import RunFolder
from competency_gaps.table_files import read_csv, read_parquet
from competency_gaps.text import plural, shorten, visible

KEYS = ("id", "benchmark")
"""Columns of a table that name an item; all others are tags. ``benchmark`` may be absent where ids are not repeated."""
MOST_TAGS = 1000
"""Most different values of a column whose values are tags."""
FEATURES = ("benchmark", "group", "policy", "options", "answer_position")
"""Columns of a run's items whose values can be tags; so can those of its covariates."""
_FURTHER = ("prompt", "response", "answer", "score", "n_span_tokens", "n_tokens", "epochs")
"""Columns that conditions can name besides ``id``, ``FEATURES`` and the covariates."""


@dataclass(frozen=True)
class Tags:
    """Tags of a run's items. T tags, n items."""

    names: list[str]
    """Visible characters only."""
    row: np.ndarray
    """int64 of shape (n,): rows of ``items.parquet`` that take part."""
    member: np.ndarray
    """bool of shape (T, n)."""
    source: Source
    notes: tuple[str, ...] = ()
    """The conditions, and what was left out."""


def tags_of(run: RunFolder, given: Path | str | Mapping[str, str]) -> Tags:
    """Read tags of a run's items.

    Parameters
    ----------
    given
        Path of a table (:func:`read_tags`); else a column of the items, of ``FEATURES`` or a covariate, each value of
        which is a tag; or names of tags, each with the SQL condition that its items satisfy.

    Raises
    ------
    UserError
        If it is neither a file nor a column, the table is none of tags, it names items that the run does not have, a
        column has one value or more than ``MOST_TAGS``, or a condition is malformed.
    """
    if isinstance(given, Mapping):
        return _by_conditions(run, given)
    path = Path(given)
    if path.is_file():
        return _by_table(run, read_tags(path), Source.of_path(path))
    features = item_features(run.items)
    if str(given) in features.columns:
        return _by_column(features[str(given)])
    raise UserError(
        f"the tags {visible(str(given))!r} are neither a file nor a column of the run's items. Columns whose values "
        f"can be tags: {', '.join(visible(name) for name in features.columns)}.{nearest(str(given), features.columns)}"
    )


def item_features(items: pl.DataFrame) -> pl.DataFrame:
    """The ``FEATURES`` of items, and their covariates: a column of texts or numbers each, without those of nulls only.

    Parameters
    ----------
    items
        ``items.parquet``.
    """
    made = items.select(
        "benchmark",
        "group",
        "policy",
        options=pl.col("choices").list.len(),
        answer_position=pl.col("answer_index") + 1,
    )
    further = [read_covariates(text) for text in items["covariates"]]
    for name in dict.fromkeys(name for values in further for name in values):
        if name not in made.columns:
            column = [values.get(name) for values in further]
            numbers = all(value is None or isinstance(value, (int, float)) for value in column)
            texts = [None if value is None else str(value) for value in column]
            made = made.with_columns(pl.Series(name, column if numbers else texts, strict=False))
    return made.select(column for column in made if column.null_count() < len(column))


def read_tags(path: Path) -> pl.DataFrame:
    """Read a CSV or Parquet table of tags: ``id``, ``benchmark`` if there are several, and a column of 0 and 1 per tag.

    Returns
    -------
    polars.DataFrame
        ``id``, ``benchmark`` (where given), and one boolean column per tag; null: not tagged.

    Raises
    ------
    UserError
        If it is no such table, or a tag holds something else than 0, 1, true, false or nothing.
    """
    try:
        table = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"the tags {str(path)!r} cannot be read: {shorten(str(error), 200)}.") from error
    tags = [name for name in table.columns if name not in KEYS]
    if "id" not in table.columns or not tags:
        raise UserError(f"the tags {str(path)!r}: expected a column 'id' and a column per tag, found {table.columns}.")
    return table.select(
        *(pl.col(name).cast(pl.String) for name in KEYS if name in table.columns),
        *(_tag(table[name], path) for name in tags),
    )


def tagged_items(run: RunFolder, tags: Tags, seed: int = 0) -> tuple[list[TaxonomyEntry], ReadExamples]:
    """Make entries of tags, and their examples of the run's items.

    Items that take no part are no examples of anything and compared with nothing. Of a cluster one takes part, drawn at
    random by ``seed`` (``division.one_of_each``).
    """
    read = run.items["excluded"].is_null().to_numpy()[tags.row]
    taking_part = np.flatnonzero(read)
    kept = taking_part[one_of_each(run.items["cluster"].to_numpy()[tags.row[taking_part]], seed)]
    rows, member = tags.row[kept], tags.member[:, kept].astype(float)
    # Items stand benchmark after benchmark.
    benchmarks = run.items["benchmark"].unique(maintain_order=True)
    values = sp.csr_array(sp.vstack([run.cas(name) for name in benchmarks], format="csr"))[rows]
    length = run.items["n_span_tokens"].fill_null(0).to_numpy()[rows].astype(float)
    examples = Examples(values, sp.csr_array(member), np.zeros(len(rows), np.int64), length)
    entries = [TaxonomyEntry(name, name.replace("_", " "), None, None, None, {}) for name in tags.names]
    excluded = tags.member[:, ~read].sum(axis=1)
    left_out = [(name, "excluded") for name, count in zip(tags.names, excluded, strict=True) for _ in range(count)]
    frame = pl.DataFrame(left_out, schema={"entry": pl.String, "reason": pl.String}, orient="row")
    return entries, ReadExamples(examples, member.sum(axis=1).astype(np.int64), rows, frame)


def _by_table(run: RunFolder, table: pl.DataFrame, source: Source) -> Tags:
    known = run.items.select("benchmark", id="item_id").with_row_index("row")
    keys = [name for name in ("benchmark", "id") if name in table.columns]
    repeated = table.filter(table.select(keys).is_duplicated())
    if repeated.height:
        raise UserError(f"the tags name the item {_item(repeated, keys)} more than once.")
    joined = table.join(known, on=keys, how="left", maintain_order="left")
    for faulty, why in (
        (joined.filter(pl.col("row").is_null()), "is in no benchmark of the run"),
        (joined.filter(joined.select(keys).is_duplicated()), "is in several benchmarks: add a column 'benchmark'"),
    ):
        if faulty.height:
            ids = known["id"].unique().to_list()
            raise UserError(f"the tags' item {_item(faulty, keys)} {why}.{nearest(faulty['id'][0], ids)}")
    names = [name for name in table.columns if name not in KEYS]
    member = np.stack([joined[name].fill_null(value=False).to_numpy() for name in names])
    return Tags([visible(name) for name in names], joined["row"].to_numpy().astype(np.int64), member, source)


def _by_column(column: pl.Series) -> Tags:
    name = visible(column.name)
    row = np.flatnonzero(column.is_not_null())
    texts = np.array([visible(str(value)) for value in column.drop_nulls()])
    values = list(dict.fromkeys(texts.tolist()))
    if not 1 < len(values) <= MOST_TAGS:
        raise UserError(
            f"the column {name!r} of the run's items has {plural(len(values), 'different value')}, expected 2 to "
            f"{MOST_TAGS:,}. Give conditions as NAME=SQL, or a table of tags."
        )
    without = len(column) - len(row)
    note = f"{plural(without, 'item')} without a value of {name!r} take no part" if without else None
    member = np.array(values)[:, None] == texts
    return Tags(values, row, member, Source(name, name, f"column\n{name}"), (note,) if note else ())


def _by_conditions(run: RunFolder, conditions: Mapping[str, str]) -> Tags:
    names = [visible(name.strip()) for name in conditions]
    if not names or not all(names) or len(set(names)) < len(names):
        raise UserError(f"the tags' names are {names}, expected different ones, each with an SQL condition.")
    features = item_features(run.items)
    # An item's own field comes before a covariate of the same name.
    fields = run.items.select(*_FURTHER, id="item_id").with_columns(features.drop(*_FURTHER, "id", strict=False))
    example = "score < 0.5 AND benchmark = 'quiz'"
    member = np.array([satisfying(fields, condition, "item", example) for condition in conditions.values()])
    notes = tuple(f"{name}: {condition}" for name, condition in zip(names, conditions.values(), strict=True))
    shown = ", ".join(names)
    return Tags(names, np.arange(run.items.height), member, Source(shown, shown, "\n".join(notes)), notes)


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
