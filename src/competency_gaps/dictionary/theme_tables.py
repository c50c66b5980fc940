"""The themes of a dictionary: made, named from labels' words, and kept in two tables."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from competency_gaps.config import MetricsConfig
from competency_gaps.dictionary.document import has_table, read_table, write_tables
from competency_gaps.dictionary.exemplars import POOL, read_pool
from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.kinds import CONTEXTUAL, LatentFacts, kinds_of
from competency_gaps.dictionary.labelling.automatic import LABEL_STOP_WORDS
from competency_gaps.dictionary.labels import clean_name, today
from competency_gaps.dictionary.themes import ThemeTree, find_themes, theme_features
from competency_gaps.errors import UserError
from competency_gaps.model.embed import embed_texts
from competency_gaps.progress import Progress
from competency_gaps.runs.schemas import THEME_NAMES as NAME_COLUMNS
from competency_gaps.runs.schemas import THEMES as COLUMNS
from competency_gaps.runs.schemas import Schema
from competency_gaps.sae.reference import FILE as REFERENCE_FILE
from competency_gaps.sae.reference import read_reference

WORDS = 3
"""Words of a name; one more if two names would be equal."""
LONGEST = 24
"""Characters of a word; longer strings are not counted as words."""
READ = 300
"""Characters of a label that are read."""

_WORD = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]{2,})*")


class ThemeNames(NamedTuple):
    """A name for each theme and subtheme."""

    themes: list[str]
    """By number of the theme; no two are the same."""
    subthemes: list[str]
    """By number of the subtheme; no two of one theme are the same."""


def automatic_names(labels: Sequence[str | None], theme: np.ndarray, subtheme: np.ndarray) -> ThemeNames:
    """Name themes and subthemes by words that are frequent in their labels and rare in others.

    A word's weight is the share of the theme's labels that have it, times ``log(1 + A / f)``, where ``A`` is the mean
    number of words per theme, and ``f`` the number of labels in all themes that have the word. Subthemes are
    compared with those of the same theme. Without any word the name is ``theme 7`` or ``subtheme 7``.

    Parameters
    ----------
    labels : sequence of str or None, of length n
        Foreign text: only letters of its first 300 characters enter a name.
    theme, subtheme : ndarray of int of shape (n,)
        Numbers from 0 without a gap; -1: in none. Each subtheme lies in one theme.
    """
    words = [_words(label) for label in labels]
    themes = _named(words, theme, "theme")
    subthemes: dict[int, str] = {}
    for number in themes:
        inside = np.flatnonzero(theme == number)
        subthemes |= _named([words[i] for i in inside], subtheme[inside], "subtheme")
    return ThemeNames([themes[i] for i in sorted(themes)], [subthemes[i] for i in sorted(subthemes)])


def _words(label: str | None) -> dict[str, str]:
    """Informative words of a label: the counted form, and the word as written."""
    if not label:
        return {}
    words = [
        word for word in _WORD.findall(label[:READ].lower()) if word not in LABEL_STOP_WORDS and len(word) <= LONGEST
    ]
    return {_folded(word): word for word in words}


def _folded(word: str) -> str:
    """A form that singular and plural share; wrong forms do no harm, as they are never shown."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _named(words_by_concept: Sequence[dict[str, str]], group: np.ndarray, noun: str) -> dict[int, str]:
    """Name of each group that has a member."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    written: dict[str, Counter[str]] = defaultdict(Counter)
    labelled: Counter[int] = Counter()
    for words, number in zip(words_by_concept, group.tolist(), strict=True):
        if number < 0:
            continue
        counts[number].update(words.keys())
        labelled[number] += bool(words)
        for key, word in words.items():
            written[key][word] += 1
    total: Counter[str] = Counter()
    for own in counts.values():
        total.update(own)
    mean = sum(total.values()) / max(1, len(counts))
    ranked = {
        number: _ranked(own, labelled[number], total, mean, written) if own else [] for number, own in counts.items()
    }
    return _distinct(ranked, noun)


def _ranked(
    own: Counter[str], labels: int, total: Counter[str], mean: float, written: dict[str, Counter[str]]
) -> list[str]:
    """A group's words, best first; each as it is most often written."""
    often = {key: n for key, n in own.items() if n > 1} or dict(own)
    worth = {key: n / labels * np.log1p(mean / total[key]) for key, n in often.items()}
    order = sorted(worth, key=lambda key: (-worth[key], key))
    return [min(written[key], key=lambda word: (-written[key][word], word)) for key in order[: WORDS + 1]]


def _distinct(ranked: dict[int, list[str]], noun: str) -> dict[int, str]:
    """Join the words; a name that is taken gets one more word, then its number."""
    names: dict[int, str] = {}
    taken: set[frozenset[str]] = set()
    for number in sorted(ranked):
        words = ranked[number]
        if not words:
            names[number] = f"{noun} {number}"
            continue
        choices = [words[:WORDS], words[: WORDS + 1]]
        free = next((choice for choice in choices if frozenset(choice) not in taken), None)
        chosen = free if free is not None else choices[0]
        names[number] = ", ".join(chosen) + ("" if free is not None else f" ({noun} {number})")
        taken.add(frozenset(chosen))
    return names


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
    table = read_table(path, "Make the themes again.")
    if any(table.schema.get(name) != kind for name, kind in columns.items()):
        raise UserError(f"{path} is damaged: expected the columns {', '.join(columns)}. Make the themes again.")
    return table.select(*columns)


def _fault(themes: pl.DataFrame, names: pl.DataFrame, width: int) -> str | None:
    """What is wrong with the tables; None if nothing is."""
    if themes["concept"].to_list() != list(range(width)):
        return f"expected one row for each of the SAE's {width:,} concepts, found {themes.height:,} rows"
    placed = themes.drop_nulls()
    if themes.drop("concept").filter(~pl.all_horizontal(pl.all().is_null())).height != placed.height:
        return "a concept must have theme, subtheme, x and y, or none of them"
    pairs = placed.select("theme", "subtheme").unique()
    expected = {("theme", theme, None) for theme in pairs["theme"]}
    expected |= {("subtheme", subtheme, theme) for theme, subtheme in pairs.iter_rows()}
    named = Counter(names.select("level", "id", "parent").iter_rows())
    if odd := sorted(Counter(expected) - named | named - Counter(expected), key=str):
        return f"{odd[0]} (level, id, parent) must be named once, and no other"
    numbers = (pairs[level].unique().sort().to_list() for level in ("theme", "subtheme"))
    if pairs["subtheme"].is_duplicated().any() or any(own != list(range(len(own))) for own in numbers):
        return "themes and subthemes must be numbered from 0 without a gap, and a subtheme lies in one theme"
    if names["name"].null_count() or not names["kind"].is_in(KINDS).all():
        return f"a name is missing, or its kind is none of {', '.join(KINDS)}"
    return None


def make_themes(
    dictionary: Dictionary, decoder: np.ndarray, progress: Progress, *, fewest: int = 20, most: int = 60, seed: int = 0
) -> dict[str, Any]:
    """Group a dictionary's concepts and write ``themes.parquet`` and ``theme_names.parquet``, named from labels' words.

    Concepts without exemplars are in no theme; if the dictionary has no exemplars, concepts with a zero decoder
    direction are in none. With a reference in the dictionary's folder only contextual concepts, and those of unknown
    kind, are in themes.

    Parameters
    ----------
    decoder : ndarray of float32 of shape (concepts, d_in)

    Returns
    -------
    dict
        Counts, and the views that took part.
    """
    use = np.linalg.norm(decoder, axis=1) > 0
    firing = read_pool(dictionary.folder)[1] if has_table(dictionary.folder, POOL) else None
    if dictionary.has_exemplars:
        known = np.zeros(len(use), bool)
        known[dictionary.exemplars.concepts] = True
        use &= known
    if (dictionary.folder / REFERENCE_FILE).is_file():
        reference = read_reference(dictionary.folder / REFERENCE_FILE, dictionary.width)
        kinds = kinds_of(LatentFacts.of_reference(reference), MetricsConfig())
        use &= np.array([kind in (CONTEXTUAL, None) for kind in kinds])
    shown = dictionary.shown()
    labels = shown["label"].to_list()
    with progress.stage("embedding labels"):
        embedded = _embedded(meanings(shown, use))
    with progress.stage("describing concepts"):
        features = theme_features(decoder, firing, embedded, use=use, seed=seed)
    with progress.stage("grouping concepts"):
        tree = find_themes(features, seed=seed, fewest=fewest, most=most)
    table = theme_table(tree, use)
    numbers = [table[level].fill_null(-1).to_numpy() for level in ("theme", "subtheme")]
    names = name_table(automatic_names(labels, *numbers), table)
    write_themes(dictionary.folder, table, names)
    return {
        "themes": names.filter(pl.col("level") == "theme").height,
        "subthemes": names.filter(pl.col("level") == "subtheme").height,
        "concepts": int(use.sum()),
        "views": ["decoder"] + ["firing"] * (firing is not None) + ["labels"] * (embedded is not None),
    }


ENOUGH = 0.25
"""Share of the concepts in use from which on labels that somebody wrote are enough."""


def meanings(shown: pl.DataFrame, use: np.ndarray) -> list[str | None]:
    """Labels of the concepts in use that say what these are about; None for all others.

    Automatic labels count only where fewer than a quarter of the concepts have another: they share their form ("text
    about ..."), which would make a theme of its own of the concepts that nobody could name.

    Parameters
    ----------
    shown
        A row per concept, as :func:`~competency_gaps.dictionary.labels.shown_labels` gives it.
    use : ndarray of bool of shape (concepts,)
    """
    labelled = shown["label"].is_not_null().to_numpy() & use
    read = labelled & (shown["label_kind"] != "automatic").fill_null(False).to_numpy()
    chosen = read if read.sum() >= ENOUGH * use.sum() else labelled
    return [label if counts else None for label, counts in zip(shown["label"], chosen.tolist(), strict=True)]


def _embedded(labels: list[str | None]) -> np.ndarray | None:
    """Label embeddings of shape (concepts, d), NaN rows where there is no label; None without any."""
    places = [i for i, label in enumerate(labels) if label]
    if not places:
        return None
    vectors = embed_texts([str(labels[i]) for i in places])
    embedded = np.full((len(labels), vectors.shape[1]), np.nan, np.float32)
    embedded[places] = vectors
    return embedded
