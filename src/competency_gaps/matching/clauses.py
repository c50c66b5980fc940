"""Split a scope's description into clauses, and put clauses back together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from competency_gaps.errors import UserError
from competency_gaps.text import visible

CLAUSE_LIMIT = 40
"""Most clauses of a description: each widens the scope."""
DESCRIPTION_LIMIT = 4000
"""Most characters of a description."""
_BREAK = re.compile(r"[.!?](?=\s|$)|[;:\n,()]|\s[-–—]\s")
_WORD = re.compile(r"\w{3,}")


def clauses(description: str | Sequence[str]) -> list[str]:
    """The whole description, then its distinct clauses: the parts between full stops, semicolons, colons, commas,
    brackets, dashes and line breaks that have a word of three or more characters.

    Raises
    ------
    UserError
        If there are no words, or more than ``CLAUSE_LIMIT`` clauses.
    """
    given = [description] if isinstance(description, str) else list(description)
    whole = visible("\n".join(text.strip() for text in given)).strip()
    if not _WORD.search(whole) or len(whole) > DESCRIPTION_LIMIT:
        raise UserError(
            f"the description has {len(whole):,} characters; expected a sentence or a few (up to "
            f"{DESCRIPTION_LIMIT:,} characters) on what the benchmark claims to test."
        )
    pieces = [" ".join(part.split()) for part in _BREAK.split(whole)]
    parts = list(dict.fromkeys([" ".join(whole.split()), *(part for part in pieces if _WORD.search(part))]))
    if len(parts) > CLAUSE_LIMIT:
        raise UserError(
            f"the description has {len(parts) - 1} clauses, at most {CLAUSE_LIMIT - 1} are compared. Shorten it to "
            "what the benchmark claims to test."
        )
    return parts


def described(kept: Sequence[str]) -> list[str]:
    """The fewest texts of which :func:`clauses` makes these clauses again.

    Parameters
    ----------
    kept
        Result of :func:`clauses`, at least one clause.

    Returns
    -------
    list of str
        If there are no such texts (for example, because a clause was repeated), the clauses without the whole, which
        give the same clauses and a whole of other punctuation.
    """
    whole, *parts = kept
    cuts, place = [0], 0
    for part in parts:
        at = whole.find(part, place)
        if at < 0:
            break
        # Clauses of one text are separated by punctuation, texts by a line break alone.
        if place and not whole[place:at].strip():
            cuts.append(at)
        place = at + len(part)
    texts = [whole[start:end].strip() for start, end in zip(cuts, [*cuts[1:], len(whole)], strict=True)]
    return texts if made_of(texts) == list(kept) else parts or [whole]


def made_of(texts: Sequence[str]) -> list[str] | None:
    """:func:`clauses`; None where it raises."""
    try:
        return clauses(texts)
    except UserError:
        return None
