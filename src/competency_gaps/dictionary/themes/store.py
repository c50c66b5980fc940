"""The themes of a dictionary on disk: ``themes.parquet`` and ``theme_names.parquet``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.dictionary.document import check_table, write_tables
from competency_gaps.dictionary.label_table import today
from competency_gaps.dictionary.label_text import clean_name
from competency_gaps.dictionary.themes.cluster import ThemeTree
from competency_gaps.dictionary.themes.names import ThemeNames
from competency_gaps.errors import UserError
from competency_gaps.runs.schemas import THEME_NAMES as NAME_COLUMNS
from competency_gaps.runs.schemas import THEMES as COLUMNS
from competency_gaps.runs.schemas import Schema
from competency_gaps.table_files import read_parquet

THEMES = "themes.parquet"
NAMES = "theme_names.parquet"
KINDS = ("explained", "automatic")


def theme_table(themes: ThemeTree, use: np.ndarray) -> pl.DataFrame:
    """Make the table of themes, one row for every concept of the SAE.

    Parameters
    ----------
    use : ndarray of bool of shape (SAE width,)
        The concepts of ``themes``, in their order; the others are in no theme (null).
    """
    place = np.where(use, np.cumsum(use) - 1, 0)
    columns = {"theme": themes.theme, "subtheme": themes.subtheme, "x": themes.xy[:, 0], "y": themes.xy[:, 1]}
    table = pl.DataFrame(
        {"concept": np.arange(len(use)), **{name: values[place] for name, values in columns.items()}},
        schema=COLUMNS,
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
    full = [(*row[:3], clean_name(row[3]), "automatic", None, today()) for row in rows]
    return pl.DataFrame(full, schema=NAME_COLUMNS, orient="row")


def write_themes(folder: Path, themes: pl.DataFrame, names: pl.DataFrame) -> None:
    """Write both tables; in a dictionary both or none."""
    write_tables(folder, {THEMES: themes.write_parquet, NAMES: names.write_parquet})


def read_themes(folder: Path, width: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read both tables; names are cleaned, since the files may come from anyone.

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
    themes, names = _read(folder / THEMES, COLUMNS).sort("concept"), _read(folder / NAMES, NAME_COLUMNS)
    if fault := _fault(themes, names, width):
        raise UserError(f"the themes in {folder} are damaged: {fault}. Make the themes again.")
    safe = [
        pl.Series(column, [clean_name(text) for text in names[column]], dtype=pl.String)
        for column in ("name", "explainer", "date")
    ]
    return themes, names.with_columns(safe)


def _read(path: Path, columns: Schema) -> pl.DataFrame:
    check_table(path.parent, path.name, "Make the themes again.")
    if not path.is_file():
        raise UserError(f"{path} does not exist: the dictionary has no themes. Make them first.")
    try:
        table = read_parquet(path).select(pl.col(name).cast(dtype) for name, dtype in columns.items())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} is damaged: {error}. Make the themes again.") from error
    # polars casts the fields of a struct, which stays one.
    if odd := [name for name, kind in columns.items() if table.schema[name] != kind]:
        raise UserError(f"{path} is damaged: the column {odd[0]!r} is of another type. Make the themes again.")
    return table


def _fault(themes: pl.DataFrame, names: pl.DataFrame, width: int) -> str | None:
    """What is wrong with the tables; None if nothing is."""
    if themes["concept"].to_list() != list(range(width)):
        return f"expected one row for each of the SAE's {width:,} concepts, found {themes.height:,} rows"
    placed = themes.drop_nulls()
    if themes.drop("concept").filter(~pl.all_horizontal(pl.all().is_null())).height != placed.height:
        return "a concept must have theme, subtheme, x and y, or none of them"
    if not placed["x"].is_finite().all() or not placed["y"].is_finite().all():
        return "a place on the map is not finite"
    pairs = placed.select("theme", "subtheme").unique()
    for level in ("theme", "subtheme"):
        numbers = pairs[level].unique().sort()
        if numbers.to_list() != list(range(len(numbers))):
            return f"{level}s must be numbered from 0 without a gap"
    if pairs["subtheme"].is_duplicated().any():
        return "a subtheme lies in two themes"
    expected = {("theme", theme, None) for theme in pairs["theme"]}
    expected |= {("subtheme", subtheme, theme) for theme, subtheme in pairs.iter_rows()}
    named = Counter(names.select("level", "id", "parent").iter_rows())
    if odd := sorted(Counter(expected) - named | named - Counter(expected), key=str):
        return f"{odd[0]} (level, id, parent) must be named once, and no other"
    if names["name"].null_count():
        return "a name is missing"
    kinds = names.filter(~pl.col("kind").is_in(KINDS) | pl.col("kind").is_null())["kind"]
    return f"kind {kinds[0]!r} is unknown; expected one of {', '.join(KINDS)}" if len(kinds) else None
