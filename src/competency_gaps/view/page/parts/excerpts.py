"""Items in a line each: what a list shows of their texts."""

from __future__ import annotations

import polars as pl

from competency_gaps.runs.open import RunFolder
from competency_gaps.util.text import HIDDEN, visible

EXCERPT = 160
"""Characters of an item's own text in the table of items."""
ANSWER_EXCERPT = 80
"""Characters of a response, an expected answer and all choices together in the table of items."""
_HIDDEN = f"[{HIDDEN}]"
"""What :func:`~competency_gaps.util.text.visible` writes out (without lone surrogates, which no table has)."""
_BLANKS = r"\s{2,}|[\s&&[^ ]]"
"""White space that is not one plain blank; these, unlike all of it, are few and so quickly replaced."""

EXCERPTS = ("excerpt", "response", "answer", "choices")


def excerpts(run: RunFolder, height: int, *, texts: bool) -> pl.DataFrame:
    """Return the beginnings of each item's texts, on one line, with hidden characters written out.

    Parameters
    ----------
    run : RunFolder
    height : int
        Number of items.
    texts : bool
        Whether texts are shown; if not, all is null.

    Returns
    -------
    DataFrame
        ``excerpt`` (of its own text, at most ``EXCERPT`` characters), ``response``, ``answer`` and ``choices`` (joined;
        at most ``ANSWER_EXCERPT``), each with an ellipsis where it goes on; null where there is none.
    """
    if not texts:
        return pl.DataFrame({name: pl.Series([None] * height, dtype=pl.String) for name in EXCERPTS})
    choices = pl.col("choices").list.eval(pl.element().str.slice(0, ANSWER_EXCERPT + 1)).list.join(" · ")
    lines = {
        "excerpt": _line(pl.col("prompt"), EXCERPT),
        "response": _line(pl.col("response"), ANSWER_EXCERPT),
        "answer": _line(pl.col("answer"), ANSWER_EXCERPT),
        "choices": _line(choices, ANSWER_EXCERPT),
    }
    frame = run.files.collect("items", run.scan("items").select(**lines), "streaming")
    return frame.with_columns(_visible(frame[name]) for name in lines)


def _line(text: pl.Expr, limit: int) -> pl.Expr:
    """A text's beginning on one line, with an ellipsis where it goes on."""
    # Cut before anything else is done: a text may have a megabyte. Blanks that are folded make a line shorter.
    room = 2 * limit
    start = text.str.slice(0, room + 1)
    line = start.str.replace_all(_BLANKS, " ").str.strip_chars(" ")
    longer = (line.str.len_chars() > limit) | (start.str.len_chars() > room)
    return pl.when(longer).then(line.str.slice(0, limit) + "…").otherwise(line)


def _visible(texts: pl.Series) -> pl.Series:
    """Write out hidden characters; only the few texts that have some pass through Python."""
    hidden = texts.str.contains(_HIDDEN).fill_null(value=False)
    if not hidden.any():
        return texts
    rows = hidden.arg_true()
    return texts.scatter(rows, [visible(text) for text in texts.gather(rows)])
