"""A scope's clauses, and the texts that they were made of."""

from __future__ import annotations

import re
from collections.abc import Sequence

from competency_gaps.errors import UserError
from competency_gaps.text import visible

CLAUSE_LIMIT = 40
"""Clauses of a description that are compared; more are refused, since each one widens the scope."""
DESCRIPTION_LIMIT = 4000
"""Characters of a description."""
_BREAK = re.compile(r"[.!?](?=\s|$)|[;:\n,()]|\s[-–—]\s")
_WORD = re.compile(r"\w{3,}")


def clauses(description: str | Sequence[str]) -> list[str]:
    """The description as a whole, then its clauses: what stands between full stops, semicolons, colons, commas,
    brackets, dashes and line breaks, where it has a word of three or more characters. Each once.

    Raises
    ------
    UserError
        If there are no words, or more than ``CLAUSE_LIMIT`` clauses.
    """
    given = [description] if isinstance(description, str) else list(description)
    whole = visible("\n".join(one.strip() for one in given)).strip()
    if not _WORD.search(whole) or len(whole) > DESCRIPTION_LIMIT:
        raise UserError(
            f"the description has {len(whole):,} characters; expected a sentence or a few (up to "
            f"{DESCRIPTION_LIMIT:,} characters) on what the benchmark claims to test."
        )
    parts = [" ".join(part.split()) for part in _BREAK.split(whole)]
    found = list(dict.fromkeys([" ".join(whole.split()), *(part for part in parts if _WORD.search(part))]))
    if len(found) > CLAUSE_LIMIT:
        raise UserError(
            f"the description has {len(found) - 1} clauses, at most {CLAUSE_LIMIT - 1} are compared. Shorten it to "
            "what the benchmark claims to test."
        )
    return found


def described(kept: Sequence[str]) -> list[str]:
    """Texts of which :func:`clauses` makes these clauses again, as few as need be.

    Parameters
    ----------
    kept
        What :func:`clauses` gave, at least one.

    Returns
    -------
    list of str
        Where no such texts are found (a clause was said twice, say), the clauses without the whole: the same clauses,
        beside a whole of other punctuation.
    """
    whole, *parts = kept
    cuts, place = [0], 0
    for part in parts:
        at = whole.find(part, place)
        if at < 0:
            break
        # Between clauses of one text stands a mark, between two texts nothing but the line break that was one.
        if place and not whole[place:at].strip():
            cuts.append(at)
        place = at + len(part)
    texts = [whole[start:end].strip() for start, end in zip(cuts, [*cuts[1:], len(whole)], strict=True)]
    return texts if made_of(texts) == list(kept) else parts or [whole]


def made_of(texts: Sequence[str]) -> list[str] | None:
    """:func:`clauses`; null where they make none."""
    try:
        return clauses(texts)
    except UserError:
        return None
