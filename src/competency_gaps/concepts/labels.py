"""The label table of an SAE: several labels per concept, one of which is shown; and the cleaning of labels."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from competency_gaps.concepts.document import read_table
from competency_gaps.util.errors import UserError
from competency_gaps.util.text import shorten, visible

LABEL_LIMIT = 160
"""Maximum length of a label, and of the name of an explainer or source, in characters [ours]."""

_JOINERS = "\u200c\u200d"
_MARKERS = "▁ĠĊ"
_QUOTES = "\"'`“”‘’«»"
_WORD = re.compile(r"[^\W_]+(?:[-'’/.&][^\W_]+)*")


def clean_line(text: str | None) -> str | None:
    """Return foreign text, a label or a name, as one visible line of bounded length.

    White space is folded to single blanks; controls, directional overrides and every other format character (marks,
    zero-width and tag characters; not the joiners that scripts and emoji need) are written as their code point.

    Returns
    -------
    str of 1 to 160 characters, or None
        None if nothing readable is left. Cleaning is idempotent.
    """
    if text is None or not any(
        character.isalnum() or unicodedata.category(character)[0] in "LNPS" for character in text
    ):
        return None
    # More than the limit, so that the cut shows; not all, because a line may have 100 kB.
    line = " ".join(text.split())[: LABEL_LIMIT + 1]
    line = "".join(_shown(character) for character in visible(line))
    return line if len(line) <= LABEL_LIMIT else line[: LABEL_LIMIT - 1].rstrip() + "…"


def _shown(character: str) -> str:
    """Return a character, or its code point if it is invisible."""
    hidden = unicodedata.category(character) == "Cf" and character not in _JOINERS
    return f"<U+{ord(character):04X}>" if hidden else character


def is_placeholder(label: str, tokens: Iterable[str] | None = None) -> bool:
    """Whether a label is only a token's text, and so adds nothing to the tokens [ours].

    Pass the label as its source has it: cleaning removes the leading blank that marks a token.
    A label that contains white space is no placeholder. If the concept's tokens (its top or promoted ones) are known, a
    label is a placeholder if it equals one of them; case, outer blanks, quotes, ``▁``, ``Ġ`` and ``##`` do not count.
    Without tokens "dogs" could be a token or a word, so a single word is a placeholder only if it looks like a token:
    by a leading blank or marker (``" the"``, ``"Ġthe"``, ``"##ing"``), by characters that no plain word has
    (``"<bos>"``, ``"_id"``; a hyphen or apostrophe inside is plain), or by having fewer than 3 characters.

    Parameters
    ----------
    label
        The raw label.
    tokens
        Texts of the concept's tokens; None or empty if they are unknown.
    """
    core = _core(label)
    if any(character.isspace() for character in core):
        return False
    known = {_core(token).casefold() for token in tokens or ()} - {""}
    if known:
        return not core or core.casefold() in known
    marked = label[:1].isspace() or label.strip().strip(_QUOTES)[:1] in tuple(_MARKERS)
    return marked or len(core) < 3 or _WORD.fullmatch(core) is None or "##" in label


def _core(text: str) -> str:
    """Return a text without outer blanks, quotes and markers of tokens."""
    before = None
    while before != text:
        before = text
        text = text.strip().strip(_QUOTES).strip(_MARKERS).removeprefix("##")
    return text


FILE = "labels.parquet"

SCHEMA: dict[str, pl.DataType] = {
    "concept": pl.Int32(),
    "label": pl.String(),
    "kind": pl.String(),
    "explainer": pl.String(),
    "score": pl.Float64(),
    "scored_by": pl.String(),
    "source": pl.String(),
    "placeholder": pl.Boolean(),
    "date": pl.String(),
}
"""Columns of ``labels.parquet``, in their order. A null label: the concept was looked up, but has none (or the
explainer abstained). Scores lie in [0, 1] (0.5 = chance); null = not scored."""

KEY = ("concept", "kind", "explainer", "source")
"""A newer row with the same key replaces the older; null equals null."""

KINDS = ("explained", "imported", "automatic")
"""Kinds of labels, the most trusted first."""

STATED = "source"
"""``scored_by`` of a score that a source states without saying how it was made [ours]."""

POOR = 0.6
"""Labels with a detection score below this are not shown: readers could not tell the concept by them."""

_PLAIN = "^[!-~]+( [!-~]+)*$"
"""Matches ASCII words with single blanks between them: such text is clean already."""


def today() -> str:
    """Return the date (UTC) in ISO form, for the column ``date``."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def empty_labels() -> pl.DataFrame:
    """Return a label table without rows."""
    return pl.DataFrame(schema=SCHEMA)


def read_label_table(folder: Path, width: int) -> pl.DataFrame:
    """Return a dictionary's label table, after checking it.

    Parameters
    ----------
    width
        Number of concepts of the SAE.

    Returns
    -------
    polars.DataFrame with the columns of ``SCHEMA``; text is cleaned again, since the file may come from a stranger

    Raises
    ------
    UserError
        If the file is missing or unreadable, has other columns or types, has a concept that the SAE lacks, a duplicate
        key, an unknown kind, or a score outside [0, 1].
    """
    path = folder / FILE
    table = read_table(path, "Restore it from a copy, or delete the dictionary's folder and rebuild it.")
    _check(table, width, f"labels {str(path)!r}")
    return table.select(*SCHEMA).with_columns(_cleaned(table[name]) for name in ("label", "explainer", "source"))


def _cleaned(texts: pl.Series) -> pl.Series:
    """Return texts cleaned; plain short lines, of which there may be a hundred thousand, are clean already."""
    plain = texts.str.contains(_PLAIN) & (texts.str.len_bytes() <= LABEL_LIMIT)
    places = (~plain).fill_null(False).arg_true()
    done = [clean_line(text) for text in texts.gather(places)]
    return texts.scatter(places, pl.Series(done, dtype=pl.String)) if done else texts


def _check(table: pl.DataFrame, width: int, what: str) -> None:
    """Raise UserError if a table breaks a rule of :func:`read_label_table`; ``what`` names it in the message."""
    if dict(table.schema) != SCHEMA:
        expected = ", ".join(f"{name} {dtype}" for name, dtype in SCHEMA.items())
        columns = ", ".join(f"{name} {dtype}" for name, dtype in table.schema.items())
        raise UserError(f"{what}: expected the columns {expected}; it has {shorten(visible(columns), 600)}.")
    rules = {
        "concept, kind, placeholder and date are never null": pl.any_horizontal(
            pl.col("concept", "kind", "placeholder", "date").is_null()
        ),
        f"the SAE has concepts 0 to {width - 1}; labels of others belong to another SAE": ~pl.col("concept").is_between(
            0, width - 1
        ),
        f"kind is one of {', '.join(KINDS)}": ~pl.col("kind").is_in(KINDS),
        "scores lie in [0, 1]": ~pl.col("score").is_between(0, 1),
        "no two rows have the same concept, kind, explainer and source": pl.struct(KEY).is_duplicated(),
    }
    for rule, broken in rules.items():
        rows = table.filter(broken)
        if rows.height:
            first = shorten(visible(str(rows.row(0, named=True))), 400)
            raise UserError(f"{what}: {rule}, but {rows.height:,} rows break this. The first: {first}")


def merge_labels(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Return the labels of both tables; a row of ``new`` replaces the row of ``old`` with the same key.

    If the replaced row has the same label, its score stays where ``new`` has none.

    Parameters
    ----------
    old, new
        Tables with the columns of ``SCHEMA``. Within each, the last of the rows with one key counts.

    Returns
    -------
    polars.DataFrame
        Sorted by concept, kind (as in ``KINDS``), explainer, source (null first).
    """
    known = old.select(*KEY, "label", "score", "scored_by").unique(subset=list(KEY), keep="last")
    kept = new.select(*SCHEMA).join(
        known, on=[*KEY, "label"], how="left", nulls_equal=True, suffix="_known", maintain_order="left"
    )
    fresh = kept.with_columns(pl.coalesce(name, f"{name}_known").alias(name) for name in ("score", "scored_by"))
    both = pl.concat([old.select(*SCHEMA), fresh.select(*SCHEMA)])
    both = both.unique(subset=list(KEY), keep="last", maintain_order=True)
    return both.sort("concept", _rank(), "explainer", "source", nulls_last=False, maintain_order=True)


def shown_labels(table: pl.DataFrame, width: int) -> pl.DataFrame:
    """Return the label to show for each concept.

    Labels with a detection score below 0.6 are not shown. Of the others, the first counts in the order: (1)
    placeholders last; (2) by kind: explained, imported, automatic; (3) the higher score, none last; (4) the newer date;
    (5) explainer, label and source alphabetically.

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
        "none" (looked up, but it has no label) or "never" (never looked up). All but concept and state are null
        where there is no label.
    """
    poor = (pl.col("score") < POOR) & (pl.col("scored_by") == "detection")
    order: list[str | pl.Expr] = ["placeholder", _rank(), -pl.col("score"), "date", "explainer", "label", "source"]
    good = pl.col("label").is_not_null() & ~poor.fill_null(False)
    best = (
        table.filter(good)
        .sort(order, descending=[False, False, False, True, False, False, False], nulls_last=True)
        .unique(subset="concept", keep="first", maintain_order=True)
        .select("concept", "label", "kind", "score", "scored_by", "explainer")
        .rename({name: f"label_{name}" for name in ("kind", "score", "scored_by")})
    )
    looked_up = pl.col("concept").is_in(table["concept"].unique().to_list())
    state = pl.when(pl.col("label").is_not_null()).then(pl.lit("labelled")).when(looked_up).then(pl.lit("none"))
    concepts = pl.DataFrame({"concept": pl.arange(0, width, eager=True, dtype=pl.Int32)})
    joined = concepts.join(best, on="concept", how="left", maintain_order="left")
    return joined.with_columns(state.otherwise(pl.lit("never")).alias("label_state"))


def _rank() -> pl.Expr:
    """Return the expression that ranks a row by its kind, the most trusted first."""
    return pl.col("kind").replace_strict({kind: rank for rank, kind in enumerate(KINDS)}, default=len(KINDS))
