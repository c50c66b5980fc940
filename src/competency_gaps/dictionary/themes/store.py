"""The themes of a dictionary on disk: ``themes.parquet`` and ``theme_names.parquet``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.dictionary.label_table import today
from competency_gaps.dictionary.themes.cluster import ThemeTree
from competency_gaps.dictionary.themes.names import ThemeNames
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.text import shorten, visible

THEMES = "themes.parquet"
NAMES = "theme_names.parquet"
KINDS = ("explained", "automatic")
LONGEST_NAME = 200
"""Approximate limit of a name's characters; longer names are cut."""

THEME_COLUMNS: dict[str, pl.DataType] = {
    "concept": pl.Int32(),
    "theme": pl.Int32(),
    "subtheme": pl.Int32(),
    "x": pl.Float32(),
    "y": pl.Float32(),
}
NAME_COLUMNS: dict[str, pl.DataType] = {
    "level": pl.String(),
    "id": pl.Int32(),
    "parent": pl.Int32(),
    "name": pl.String(),
    "kind": pl.String(),
    "explainer": pl.String(),
    "date": pl.String(),
}


def theme_table(themes: ThemeTree, use: np.ndarray) -> pl.DataFrame:
    """Make the table of themes, one row for every concept of the SAE.

    Parameters
    ----------
    use : ndarray of bool of shape (SAE width,)
        Concepts that ``themes`` is about, in their order; the others are in no theme (null).

    Raises
    ------
    ValueError
        If ``themes`` is about another number of concepts.
    """
    if int(use.sum()) != len(themes.theme):
        raise ValueError(f"{int(use.sum())} concepts are used, but the themes are of {len(themes.theme)}")
    place = np.where(use, np.cumsum(use) - 1, 0)
    columns = {"theme": themes.theme, "subtheme": themes.subtheme, "x": themes.xy[:, 0], "y": themes.xy[:, 1]}
    table = pl.DataFrame(
        {"concept": np.arange(len(use)), **{name: values[place] for name, values in columns.items()}},
        schema=THEME_COLUMNS,
        strict=False,
    )
    shown = pl.Series(use)
    return table.with_columns(pl.when(shown).then(pl.col(name)).alias(name) for name in columns)


def name_table(names: ThemeNames, themes: pl.DataFrame) -> pl.DataFrame:
    """Make the table of automatic names: themes, then subthemes, each by number, dated today (UTC).

    Parameters
    ----------
    themes
        From :func:`theme_table`.
    """
    pairs = themes.select("theme", "subtheme").drop_nulls().unique()
    parent = dict(pairs.select("subtheme", "theme").iter_rows())
    rows = [("theme", i, None, name) for i, name in enumerate(names.themes)]
    rows += [("subtheme", i, parent.get(i), name) for i, name in enumerate(names.subthemes)]
    full = [(*row[:3], _shown(row[3]), "automatic", None, today()) for row in rows]
    return pl.DataFrame(full, schema=NAME_COLUMNS, orient="row")


def write_themes(folder: Path, themes: pl.DataFrame, names: pl.DataFrame) -> None:
    """Write both tables, each whole or not at all.

    Raises
    ------
    UserError
        If :func:`read_themes` would refuse the tables.
    """
    themes = _typed(themes, THEME_COLUMNS, folder / THEMES)
    names = _typed(names, NAME_COLUMNS, folder / NAMES)
    _check_themes(themes, themes.height, folder / THEMES)
    _check_names(names, themes, folder / NAMES)
    write_atomic(folder / THEMES, themes.write_parquet)
    write_atomic(folder / NAMES, names.write_parquet)


def read_themes(folder: Path, width: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read both tables; names are made harmless to show and, where much longer, cut at 200 characters.

    Parameters
    ----------
    width
        Number of concepts of the SAE.

    Returns
    -------
    themes
        concept, theme, subtheme (null: in none), x, y (null likewise); one row for each concept, in order.
    names
        level (``theme`` or ``subtheme``), id, parent (null for a theme), name, kind, explainer, date.

    Raises
    ------
    UserError
        If a table is missing, damaged, of another SAE's width, or the two do not fit together.
    """
    tables = [_read(folder / file, columns) for file, columns in ((THEMES, THEME_COLUMNS), (NAMES, NAME_COLUMNS))]
    themes, names = tables
    _check_themes(themes, width, folder / THEMES)
    _check_names(names, themes, folder / NAMES)
    safe = [
        pl.Series(column, [None if text is None else _shown(text) for text in names[column]], dtype=pl.String)
        for column in ("name", "explainer", "date")
    ]
    return themes.sort("concept"), names.with_columns(safe)


def _shown(text: str) -> str:
    """Make a text harmless, short and a single line; idempotent."""
    safe = visible(text[: 10 * LONGEST_NAME]).replace("\n", " ")
    return safe if len(safe) <= LONGEST_NAME + 40 else shorten(safe, LONGEST_NAME)


def _read(path: Path, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    if not path.is_file():
        raise UserError(f"{path} does not exist: the dictionary has no themes. Make them first.")
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}. Make the themes again.") from error
    return _typed(table, columns, path)


def _typed(table: pl.DataFrame, columns: dict[str, pl.DataType], path: Path) -> pl.DataFrame:
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise UserError(f"{path}: column {absent[0]!r} is missing; it has {table.columns}.")
    try:
        return table.select(pl.col(name).cast(dtype) for name, dtype in columns.items())
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path}: a column is of the wrong kind: {error}. Expected {columns}.") from error


def _check_themes(themes: pl.DataFrame, width: int, path: Path) -> None:
    if themes.height != width:
        raise UserError(
            f"{path} is of {themes.height:,} concepts, but the SAE has {width:,}: it is another SAE's dictionary."
        )
    if not themes["concept"].sort().equals(pl.Series("concept", np.arange(width, dtype=np.int32))):
        raise UserError(f"{path}: expected each concept from 0 to {width - 1} exactly once.")
    empty = themes.select(pl.col("theme", "subtheme", "x", "y").is_null())
    if not empty.select(pl.all_horizontal("*") == pl.any_horizontal("*")).to_series().all():
        raise UserError(f"{path}: a concept must have theme, subtheme, x and y, or none of them.")
    if not themes.select(pl.col("x", "y").is_finite().fill_null(True)).select(pl.all_horizontal("*")).to_series().all():
        raise UserError(f"{path}: a place on the map is not finite.")
    for level in ("theme", "subtheme"):
        numbers = themes[level].drop_nulls().unique().sort()
        if not numbers.equals(pl.Series(level, np.arange(len(numbers), dtype=np.int32))):
            raise UserError(f"{path}: {level}s must be numbered from 0 without a gap.")
    pairs = themes.select("theme", "subtheme").drop_nulls().unique()
    if pairs["subtheme"].is_duplicated().any():
        child = pairs.filter(pl.col("subtheme").is_duplicated())["subtheme"][0]
        raise UserError(f"{path}: subtheme {child} lies in two themes.")


def _check_names(names: pl.DataFrame, themes: pl.DataFrame, path: Path) -> None:
    wrong = names.filter(~pl.col("kind").is_in(KINDS) | pl.col("kind").is_null())
    if wrong.height:
        raise UserError(f"{path}: kind {wrong['kind'][0]!r} is unknown; expected one of {', '.join(KINDS)}.")
    if names["name"].null_count():
        raise UserError(f"{path}: a name is missing.")
    pairs = themes.select("theme", "subtheme").drop_nulls().unique()
    wanted = {("theme", theme, None) for theme in pairs["theme"].to_list()}
    wanted |= {("subtheme", child, above) for above, child in pairs.iter_rows()}
    listed = list(names.select("level", "id", "parent").iter_rows())
    if len(listed) != len(set(listed)):
        raise UserError(f"{path}: a theme or subtheme is named twice.")
    odd = sorted(wanted.symmetric_difference(listed), key=str)
    if odd:
        level, number, above = odd[0]
        inside = "" if above is None else f" in theme {above}"
        fault = "is not named" if odd[0] in wanted else f"is named, but not in {THEMES}"
        raise UserError(f"{path}: {level} {number}{inside} {fault}. Make the themes again.")
