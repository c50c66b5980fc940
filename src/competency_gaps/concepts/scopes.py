"""Which regions of the atlas belong to the scope that a benchmark states, judged by their names.

A region belongs to a scope if its name is nearer to the scope, or to one of its clauses, than all but
:data:`FALSE_ALARM_RATE` of shuffled names [ours]. The similarity of two embedded texts means little by itself, as a
general text is similar to everything. So names are compared with *shuffled names* [ours]: the words of all names,
redistributed over names of the same lengths, function words among function words. These have the same words and
lengths but no meaning as a whole. Single words say much, so the comparison is strict for short names. A match by text
is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from competency_gaps.runs.schemas import SCOPES
from competency_gaps.util.errors import UserError
from competency_gaps.util.text import visible

LEVEL = 2
"""Level of the regions that scopes are matched to and benchmarks are compared by."""
FALSE_ALARM_RATE = 0.03
"""Share of shuffled names that are as near to a scope as a region must be to belong to it."""
Embed = Callable[[Sequence[str]], np.ndarray]
"""Maps texts to float32 of shape (texts, dimensions), rows of length 1."""
SHUFFLED = 3_000
"""Minimum number of shuffled names, unless ten draws give fewer."""
CLAUSES = 40
MAX_LENGTH = 4_000
"""Maximum number of characters of a description (:data:`CLAUSES`: of parts that are compared)."""
_BREAK = re.compile(r"[.!?](?=\s|$)|[;:,()]|\s[-–—]\s")
_WORD = re.compile(r"\w{3,}")
_FUNCTION_WORDS = """
a about after an and another are around as at be before between but by during each either for from had has have how in
into is it its like not of off on onto one or other out over per so such than that the their them then these they this
those through to too under until up was were what when where which while who whose why with within without
"""
_FUNCTION = frozenset(_FUNCTION_WORDS.split())


def scope_table(regions: pl.DataFrame, stated: Mapping[str, str | None], embed: Embed) -> pl.DataFrame:
    """Return the level-2 regions that belong to each benchmark's stated scope, judged by their names.

    Parameters
    ----------
    regions
        Columns of ``schemas.REGIONS``.
    stated
        Scope that each benchmark states, by its name; None: none.

    Returns
    -------
    polars.DataFrame
        Columns of ``schemas.SCOPES``: benchmark, region; the nearest first. Empty without scopes.
    """
    queries = {name: clauses(text) for name, text in stated.items() if text}
    inside = near(queries, regions["name"].to_list(), embed, FALSE_ALARM_RATE) if queries else {}
    level = regions["level"].to_list()
    rows = [(name, row) for name, regions_ in inside.items() for row in regions_ if level[row] == LEVEL]
    return pl.DataFrame(rows, schema=SCOPES, orient="row")


def clauses(description: str) -> list[str]:
    """Return the whole description, then its distinct clauses: a text of several parts has no single direction.

    Raises
    ------
    UserError
        If it has no words, or is too long for a description.
    """
    whole = " ".join(visible(description).split())
    if not _WORD.search(whole) or len(whole) > MAX_LENGTH:
        raise UserError(
            f"the description {whole[:60]!r} has {len(whole):,} characters; expected a sentence or a few (up to "
            f"{MAX_LENGTH:,} characters)."
        )
    parts = [" ".join(part.split()) for part in _BREAK.split(whole)]
    return list(dict.fromkeys([whole, *(part for part in parts if _WORD.search(part))]))[:CLAUSES]


def near(
    texts: Mapping[str, Sequence[str]], names: Sequence[str], embed: Embed, level: float, *, seed: int = 0
) -> dict[str, list[int]]:
    """Return the names that are nearer to each text than all but a share of shuffled names.

    Parameters
    ----------
    texts
        Key of a text -> its parts; the part nearest to a name counts.
    names
        Names to compare; an empty name is near nothing.
    level
        Share of shuffled names that are as near, in (0, 1).

    Returns
    -------
    dict of str to list of int
        For each text's key, rows of ``names``, the nearest first.
    """
    distinct = [name for name in dict.fromkeys(names) if name]
    position = {name: i for i, name in enumerate(distinct)}
    draws = min(10, -(-SHUFFLED // max(1, len(distinct))))
    shuffled = [name for draw in range(draws) for name in shuffle(distinct, np.random.default_rng([seed, draw]))]
    parts = list(dict.fromkeys(part for parts_of in texts.values() for part in parts_of))
    vectors = embed([*distinct, *shuffled, *parts])
    real, null, asked = np.split(vectors, [len(distinct), len(distinct) + len(shuffled)])
    of_part = dict(zip(parts, asked, strict=True))
    regions_of = {}
    for key, parts_of in texts.items():
        mine = np.stack([of_part[part] for part in parts_of])
        best, by_chance = (real @ mine.T).max(axis=1), (null @ mine.T).max(axis=1)
        bound = np.quantile(by_chance, 1 - level)
        value = np.array([best[position[name]] if name else -np.inf for name in names])
        regions_of[key] = [int(row) for row in np.argsort(-value, kind="stable") if value[row] > bound]
    return regions_of


def shuffle(names: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return names of the same lengths with all words redistributed, function words among function words."""
    flat = [word for name in names for word in name.split()]
    function = np.array([word.casefold().strip(".,;:!?()[]\"'") in _FUNCTION for word in flat], dtype=bool)
    source = np.arange(len(flat))
    for kind in (True, False):
        places = np.flatnonzero(function == kind)
        source[places] = rng.permutation(places)
    order = iter(source.tolist())
    return [" ".join(flat[next(order)] for _ in name.split()) for name in names]
