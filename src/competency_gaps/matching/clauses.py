"""Split a scope's description into clauses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from competency_gaps.errors import UserError
from competency_gaps.text import visible

CLAUSE_LIMIT = 40
"""Most clauses of a description: each widens the scope."""
DESCRIPTION_LIMIT = 4000
"""Most characters of a description."""
_BREAK = re.compile(r"[.!?](?=\s|$)|[;:,()]|\s[-–—]\s")
_WORD = re.compile(r"\w{3,}")


def clauses(description: str | Sequence[str]) -> list[str]:
    """Give the whole description, then its distinct clauses.

    Clauses are the parts between full stops, semicolons, colons, commas, brackets, dashes and line breaks that have a
    word of three or more characters. In the whole, a semicolon stands for a line break, so that the whole gives the
    same clauses again.

    Raises
    ------
    UserError
        If there are no words, or more than ``CLAUSE_LIMIT`` clauses.
    """
    text = description if isinstance(description, str) else "\n".join(description)
    lines = [" ".join(line.split()) for line in visible(text).split("\n") if line.strip()]
    whole = "; ".join([*(line.rstrip(".;") for line in lines[:-1]), *lines[-1:]])
    if not _WORD.search(whole) or len(whole) > DESCRIPTION_LIMIT:
        raise UserError(
            f"the description has {len(whole):,} characters; expected a sentence or a few (up to "
            f"{DESCRIPTION_LIMIT:,} characters) on what the benchmark claims to test."
        )
    pieces = [" ".join(part.split()) for part in _BREAK.split(whole)]
    parts = list(dict.fromkeys([whole, *(part for part in pieces if _WORD.search(part))]))
    if len(parts) > CLAUSE_LIMIT:
        raise UserError(
            f"the description has {len(parts) - 1} clauses, at most {CLAUSE_LIMIT - 1} are compared. Shorten it to "
            "what the benchmark claims to test."
        )
    return parts


def made_of(texts: Sequence[str]) -> list[str] | None:
    """:func:`clauses`; None where it raises."""
    try:
        return clauses(texts)
    except UserError:
        return None
