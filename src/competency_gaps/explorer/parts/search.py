"""Items whose texts hold some words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from competency_gaps.explorer.parts.context import Context


def search(context: Context, query: str, limit: int) -> dict[str, Any]:
    """Find items that hold a text, regardless of case.

    Looked at are what the model read, the response, the answer and the item's id; redacted, the id alone, so that
    nobody can guess at texts.

    Parameters
    ----------
    query : str
        Taken as it is, no pattern. Blank: nothing is found.
    limit : int
        Most rows.

    Returns
    -------
    dict
        ``rows``: the first of the rows of ``items.parquet``, ascending; ``total``: how many hold the text.
    """
    query = query.strip()
    if not query:
        return {"rows": [], "total": 0}
    table = context.items if context.redact else context.sources.texts
    columns = ("item_id",) if context.redact else ("text", "response", "answer", "item_id")
    pattern = "(?i)" + re.escape(query)
    found = table.select(pl.any_horizontal(pl.col(name).str.contains(pattern).fill_null(False) for name in columns))
    rows = found.to_series().arg_true()
    return {"rows": rows.head(limit).to_list(), "total": rows.len()}
