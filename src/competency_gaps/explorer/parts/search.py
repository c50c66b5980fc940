"""Items whose texts hold some words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from competency_gaps.explorer.parts.records.server import SearchResult

if TYPE_CHECKING:
    from competency_gaps.explorer.parts.context import Context


def never() -> bool:
    """Says that a search goes on to its end."""
    return False


def search(context: Context, query: str, limit: int, stop: Callable[[], bool] = never) -> SearchResult:
    """Find items that hold a text, regardless of case: both in lower case, as ``str.lower`` writes it.

    Looked at are what the model read, the response, the answer and the item's id.

    Parameters
    ----------
    query : str
        Taken as it is, no pattern. Blank: nothing is found.
    limit : int
        Most rows.
    stop
        Asked now and then; true ends the search with what was found so far.

    Returns
    -------
    SearchResult
        The first of the rows of ``items.parquet``, ascending, and how many hold the text.
    """
    query = query.strip()
    if not query:
        return SearchResult([], 0)
    rows = context.sources.texts.search(query, stop)
    return SearchResult(rows[:limit], len(rows))
