"""The label table of an SAE: it keeps several labels per concept, of which one is shown."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from pathlib import Path

import polars as pl

from competency_gaps.dictionary.label_text import LABEL_LIMIT, clean_label, clean_name
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.text import shorten, visible

FILE = "labels.parquet"

SCHEMA: dict[str, pl.DataType] = {
    "concept": pl.Int32(),
    "label": pl.String(),
    "kind": pl.String(),
    "explainer": pl.String(),
    "exemplars": pl.String(),
    "detection": pl.Float64(),
    "fuzzing": pl.Float64(),
    "embedding": pl.Float64(),
    "score": pl.Float64(),
    "scored_by": pl.String(),
    "source": pl.String(),
    "placeholder": pl.Boolean(),
    "date": pl.String(),
}
"""Columns of ``labels.parquet``, in their order. Null label: looked up, and there is none (or the explainer abstained).
Scores lie in [0, 1] (0.5 = chance); null = not scored."""

KEY = ("concept", "kind", "explainer", "source")
"""A newer row with the same key replaces the older; null equals null."""

KINDS = ("explained", "imported", "automatic")
"""Kinds of labels, the most trusted first."""

SCORES = ("detection", "fuzzing", "embedding")
"""Scores of a label, the most trusted first."""

STATED = "source"
"""``scored_by`` of a score that a source states without saying how it was made [ours]."""

POOR = 0.6
"""Labels with a detection or fuzzing score below this come last."""

_PLAIN = "^[!-~]+( [!-~]+)*$"
"""ASCII words with single blanks between: such text is clean already."""


def today() -> str:
    """The date (UTC) in ISO form, as a row's ``date``."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def empty_labels() -> pl.DataFrame:
    """A label table without rows."""
    return pl.DataFrame(schema=SCHEMA)


def read_label_table(path: Path, width: int) -> pl.DataFrame:
    """Read and check a label table.

    Parameters
    ----------
    path
        ``labels.parquet``, or the dictionary folder that holds it.
    width
        Number of concepts of the SAE.

    Returns
    -------
    polars.DataFrame with the columns of ``SCHEMA``; text is cleaned again, since the file may come from anyone

    Raises
    ------
    UserError
        If the file is missing or unreadable, has other columns or types, names a concept that the SAE lacks, holds a
        key twice, or an unknown kind, or a score outside [0, 1].
    """
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"labels {str(path)!r}: there is no such file. Expected a label table made by 'cgaps label'.")
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"labels {str(path)!r} cannot be read as Parquet: {_brief(error)}") from error
    check_label_table(table, width, f"labels {str(path)!r}")
    cleaners = {"label": clean_label, "explainer": clean_name, "source": clean_name}
    return table.select(*SCHEMA).with_columns(_cleaned(table[name], clean) for name, clean in cleaners.items())


def _cleaned(texts: pl.Series, clean: Callable[[str | None], str | None]) -> pl.Series:
    """Clean texts, except plain short lines, which are clean already and of which a table has a hundred thousand."""
    plain = texts.str.contains(_PLAIN) & (texts.str.len_bytes() <= LABEL_LIMIT)
    places = (~plain).fill_null(False).arg_true()
    done = [clean(text) for text in texts.gather(places)]
    return texts.scatter(places, pl.Series(done, dtype=pl.String)) if done else texts


def check_label_table(table: pl.DataFrame, width: int, what: str = "labels") -> None:
    """Check a label table's form.

    Parameters
    ----------
    table
        The table.
    width
        Number of concepts of the SAE.
    what
        Name of the table in messages.

    Raises
    ------
    UserError
        See :func:`read_label_table`.
    """
    columns = {name: table.schema[name] for name in table.columns}
    if missing := [name for name in SCHEMA if name not in columns]:
        raise UserError(f"{what}: columns {', '.join(missing)} are missing; it has {_named(table.columns)}.")
    if extra := [name for name in columns if name not in SCHEMA]:
        raise UserError(f"{what}: columns {_named(extra)} are unknown; expected {', '.join(SCHEMA)}.")
    for name, expected in SCHEMA.items():
        if columns[name] != expected:
            raise UserError(f"{what}: column {name!r} is {columns[name]}, expected {expected}.")
    for name in ("concept", "kind", "placeholder", "date"):
        if table[name].null_count():
            raise UserError(f"{what}: column {name!r} is null in {table[name].null_count():,} rows; it never is.")
    outside = table.filter((pl.col("concept") < 0) | (pl.col("concept") >= width))
    if outside.height:
        raise UserError(
            f"{what}: concept {outside['concept'][0]} is not one of the SAE's 0 to {width - 1} "
            f"({outside.height:,} rows). The labels belong to another SAE."
        )
    unknown = table.filter(~pl.col("kind").is_in(KINDS))["kind"]
    if unknown.len():
        raise UserError(f"{what}: kind {_named([unknown[0]])} is unknown; expected {', '.join(KINDS)}.")
    for name in (*SCORES, "score"):
        wrong = table.filter(~pl.col(name).is_between(0, 1) | pl.col(name).is_nan())[name]
        if wrong.len():
            raise UserError(f"{what}: {name} {wrong[0]} lies outside [0, 1].")
    twice = table.filter(pl.struct(KEY).is_duplicated())
    if twice.height:
        raise UserError(
            f"{what}: concept {twice['concept'][0]} has two rows of one kind, explainer and source; one replaces "
            f"the other. Make the table again with 'cgaps label'."
        )


def with_scores(table: pl.DataFrame) -> pl.DataFrame:
    """Derive ``score`` and ``scored_by``: the first of detection, fuzzing and embedding that is not null.

    A row that has none of them keeps a score that its source stated, marked ``scored_by`` "source".
    """
    by = pl.coalesce(pl.when(pl.col(name).is_not_null()).then(pl.lit(name)) for name in SCORES)
    stated = pl.when(pl.col("scored_by") == STATED)
    return table.with_columns(
        pl.coalesce(*SCORES, stated.then(pl.col("score"))).alias("score"),
        pl.coalesce(by, stated.then(pl.when(pl.col("score").is_not_null()).then(pl.lit(STATED)))).alias("scored_by"),
    )


def merge_labels(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Add labels; a row of ``new`` replaces the row of ``old`` with the same key.

    Scores belong to a label's words: where these stay the same, scores that ``new`` lacks are kept.

    Parameters
    ----------
    old, new
        Tables with the columns of ``SCHEMA``. Within each, of rows with one key the last counts.

    Returns
    -------
    polars.DataFrame
        In an order that depends on the rows alone: concept, kind (as in ``KINDS``), explainer, source (null first).
    """
    known = old.select(*KEY, "label", *SCORES).unique(subset=list(KEY), keep="last")
    kept = new.select(*SCHEMA).join(
        known, on=[*KEY, "label"], how="left", nulls_equal=True, suffix="_known", maintain_order="left"
    )
    fresh = kept.with_columns(pl.coalesce(name, f"{name}_known").alias(name) for name in SCORES)
    both = pl.concat([old.select(*SCHEMA), fresh.select(*SCHEMA)])
    both = both.unique(subset=list(KEY), keep="last", maintain_order=True)
    return with_scores(both).sort("concept", _rank(), "explainer", "source", nulls_last=False, maintain_order=True)


def write_label_table(path: Path, table: pl.DataFrame) -> None:
    """Write a label table, whole or not at all.

    Parameters
    ----------
    path
        ``labels.parquet``, or the dictionary folder to put it in.
    table
        Columns of ``SCHEMA``.
    """
    file = path if path.suffix == ".parquet" else path / FILE
    write_atomic(file, with_scores(table.select(*SCHEMA)).write_parquet)


def shown_labels(table: pl.DataFrame, width: int) -> pl.DataFrame:
    """Choose each concept's label to show.

    The rule: (1) placeholders, and labels whose score is a detection or fuzzing score below 0.6, come last;
    (2) then by kind: explained, imported, automatic; (3) then the higher score, none last; (4) the newer date;
    (5) explainer, label and source alphabetically. So a poor label is shown only if there is no other.

    Parameters
    ----------
    table
        Columns of ``SCHEMA``.
    width
        Number of concepts of the SAE.

    Returns
    -------
    polars.DataFrame of ``width`` rows
        concept int32 (0 to width - 1), label string (null: none), label_kind string, label_score float64 in [0, 1]
        (null: not scored), label_scored_by string, explainer string (null: unknown), and label_state: "labelled",
        "none" (looked up, and there is none) or "never" (never looked up). All but concept and state are null
        where there is no label.
    """
    poor = (pl.col("score") < POOR) & pl.col("scored_by").is_in(["detection", "fuzzing"])
    last = pl.col("placeholder") | poor.fill_null(False)
    order = [last, _rank(), -pl.col("score"), pl.col("date"), pl.col("explainer"), pl.col("label"), pl.col("source")]
    best = (
        with_scores(table)
        .filter(pl.col("label").is_not_null())
        .sort(order, descending=[False, False, False, True, False, False, False], nulls_last=True)
        .unique(subset="concept", keep="first", maintain_order=True)
        .select(
            "concept",
            "label",
            pl.col("kind").alias("label_kind"),
            pl.col("score").alias("label_score"),
            pl.col("scored_by").alias("label_scored_by"),
            "explainer",
        )
    )
    looked_up = pl.col("concept").is_in(table["concept"].unique().to_list())
    state = pl.when(pl.col("label").is_not_null()).then(pl.lit("labelled")).when(looked_up).then(pl.lit("none"))
    concepts = pl.DataFrame({"concept": pl.arange(0, width, eager=True, dtype=pl.Int32)})
    joined = concepts.join(best, on="concept", how="left", maintain_order="left")
    return joined.with_columns(state.otherwise(pl.lit("never")).alias("label_state"))


def _rank() -> pl.Expr:
    return pl.col("kind").replace_strict({kind: rank for rank, kind in enumerate(KINDS)}, default=len(KINDS))


def _named(names: Iterable[object]) -> str:
    return shorten(visible(", ".join(repr(name) for name in names)), 300)


def _brief(error: BaseException) -> str:
    return shorten(visible(str(error)).split("\n")[0], 200)
