"""Null distribution of similarities [ours]: entries against labels whose words are shuffled.

The similarity of two embedded texts means little by itself: a general entry is similar to everything. So each entry is
compared with *shuffled labels*: all words of all labels, redistributed to labels of the same lengths, with content
words and function words shuffled separately. These have the labels' words and number, but no meaning as a whole. One
draw shuffles all labels; its best similarity to an entry is a sample of the entry's best similarity by chance, with as
many labels to choose from.

Each entry has its own null: a label matches if its similarity exceeds the entry's bound, the
``floor(alpha (draws + 1))``-th largest of the null's best similarities. An entry without a fitting label then matches
something with a chance of about ``alpha``, whatever its wording. This is a rate per entry, not a false-discovery rate;
compare the recovery rate with it. One bound for all entries (``Calibration.overall``) is reported only.

Shuffled labels still hold the words, and single words say much: the null is strict for short labels, and useless if all
are single words (``Calibration.unbroken``). Real labels on a related subject (jewellery, for an entry on minerals) may
exceed the bound; verdicts of a model (:mod:`competency_gaps.matching.confirm`) separate these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from competency_gaps.errors import UserError
from competency_gaps.matching.shares import Share, share

ROUNDS = 20
"""Most times that a label with the words of a real one is shuffled again."""
_FUNCTION_WORDS = """
a about after an and another are around as at be before between but by during each either for from
had has have how in into is it its like not of off on onto one or other out over per so such than
that the their them then these they this those through to too under until up was were what when
where which while who whose why with within without
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words without a meaning of their own, which are shuffled among themselves. The stop words of labelling also
hold words such as "first" or "describing", which here are content words."""


def shuffle(labels: Sequence[str], rng: np.random.Generator) -> tuple[list[str], float]:
    """Shuffle the words of all labels.

    Function words replace function words and content words replace content words; otherwise many shuffled labels would
    be a noun among prepositions, unlike any real label. A label with exactly the content words of a real one (in any
    order) is shuffled again together with another label, up to ``ROUNDS`` times.

    Returns
    -------
    tuple
        Labels of the same numbers of words; share of labels that still have the words of a real one.
    """
    words = [label.split() for label in labels]
    real = {_content(label_words) for label_words in words}
    shuffled = _shuffled(words, rng)
    unbroken = [i for i, label_words in enumerate(shuffled) if _content(label_words) in real]
    for _ in range(ROUNDS):
        if not unbroken:
            break
        others = np.setdiff1d(np.arange(len(shuffled)), unbroken)
        helpers = rng.choice(others, size=min(len(unbroken), len(others)), replace=False)
        together = [*unbroken, *(int(i) for i in helpers)]
        for i, label_words in zip(together, _shuffled([shuffled[i] for i in together], rng), strict=True):
            shuffled[i] = label_words
        unbroken = [i for i in together if _content(shuffled[i]) in real]
    return [" ".join(label_words) for label_words in shuffled], len(unbroken) / len(labels) if labels else 0.0


def _shuffled(words: Sequence[Sequence[str]], rng: np.random.Generator) -> list[list[str]]:
    """Shuffle the function words among their positions, and the content words among theirs."""
    flat = [word for label_words in words for word in label_words]
    kinds = np.array([_plain(word) in FUNCTION_WORDS for word in flat], dtype=bool)
    source = np.arange(len(flat))
    for kind in (True, False):
        places = np.flatnonzero(kinds == kind)
        source[places] = rng.permutation(places)
    order = iter(source.tolist())
    return [[flat[next(order)] for _ in label_words] for label_words in words]


def _content(words: Sequence[str]) -> tuple[str, ...]:
    plain = [_plain(word) for word in words]
    return tuple(sorted(word for word in plain if word not in FUNCTION_WORDS)) or tuple(sorted(plain))


def _plain(word: str) -> str:
    return word.casefold().strip(".,;:!?()[]\"'")


Embed = Callable[[Sequence[str]], np.ndarray]
"""Maps texts to float32 of shape (texts, dimensions), rows of length 1."""
OnDraw = Callable[[int, int], None]
"""Called after each draw with the number of draws done and their total."""

BUDGET = 60_000
"""Shuffled labels embedded by default, unless the level needs more."""
MOST_DRAWS = 99
CHECK_SHARE = 4
"""Draws per further draw that checks the level; at least ``LEAST_CHECKS`` check it."""
LEAST_CHECKS = 5
TOLERANCE = 1e-5
"""Largest difference of equal similarities: embedding a text twice differs by as much."""
BLOCK = 8192
"""Labels compared at a time."""


@dataclass(frozen=True)
class Calibration:
    """Calibration of the matches."""

    alpha: float
    draws: int
    """Draws that set the entries' bounds."""
    check_draws: int
    """Further draws that check the bounds."""
    labels: int
    """Distinct labels per draw."""
    expected: float
    """Share of entries that match something by chance, by construction: ``floor(alpha (draws + 1)) / (draws + 1)``."""
    realised: Share
    """Share of pairs of entry and check draw that matched. Those of one draw are dependent, so the interval is too
    narrow."""
    overall: float
    """The ``1 - alpha`` quantile of the null's best similarities over all entries, for comparison."""
    unbroken: float
    """Share of shuffled labels with exactly the words of a real label."""


@dataclass(frozen=True)
class Null:
    """Best similarities of entries to shuffled labels."""

    bests: np.ndarray
    """float32 of shape (entries, draws)."""
    checks: np.ndarray
    """float32 of shape (entries, check draws)."""
    labels: int
    unbroken: float

    def rank(self, alpha: float) -> int:
        """Rank, from the largest, of the null's best similarity that is the bound."""
        rank = math.floor(alpha * (self.bests.shape[1] + 1) + 1e-9)
        if rank < 1:
            raise UserError(
                f"{self.bests.shape[1]} draws cannot reach alpha = {alpha:g}: "
                f"take at least {least_draws(alpha)} draws, or a larger alpha."
            )
        return rank

    def bounds(self, alpha: float) -> np.ndarray:
        """Each entry's bound, ``TOLERANCE`` included: float32 of shape (entries,)."""
        rank = self.rank(alpha)
        return np.partition(self.bests, -rank, axis=1)[:, -rank] + np.float32(TOLERANCE)

    def p_values(self, entries: np.ndarray, similarities: np.ndarray) -> np.ndarray:
        """Chance that the best of as many shuffled labels is as similar to the same entry.

        ``(1 + draws that reach it) / (1 + draws)``: never 0, and valid for any number of draws.

        Parameters
        ----------
        entries : ndarray of int of shape (n,)
        similarities : ndarray of shape (n,)

        Returns
        -------
        ndarray of float64 of shape (n,), in (0, 1].
        """
        ordered = np.sort(self.bests, axis=1)
        reached = np.asarray(similarities) - TOLERANCE
        below = np.array([np.searchsorted(ordered[e], s, side="left") for e, s in zip(entries, reached, strict=True)])
        draws = ordered.shape[1]
        return (1.0 + draws - below) / (1.0 + draws) if len(below) else np.empty(0)

    def calibration(self, alpha: float) -> Calibration:
        """Calibration at a level, checked on the draws that did not set the bounds."""
        over = self.checks > self.bounds(alpha)[:, None]
        draws = self.bests.shape[1]
        return Calibration(
            alpha=alpha,
            draws=draws,
            check_draws=self.checks.shape[1],
            labels=self.labels,
            expected=self.rank(alpha) / (draws + 1),
            realised=share(int(over.sum()), over.size),
            overall=float(np.quantile(self.bests, 1 - alpha)),
            unbroken=self.unbroken,
        )


def least_draws(alpha: float) -> int:
    """Fewest draws with which a p-value can reach ``alpha``."""
    return math.ceil(1 / alpha - 1e-9) - 1


def plan_draws(labels: int, alpha: float, draws: int | None = None, budget: int = BUDGET) -> tuple[int, int]:
    """Number of draws that set the bounds, and of those that check them.

    By default as many as the budget of shuffled labels allows, at most ``MOST_DRAWS`` and at least as many as the level
    needs.

    Raises
    ------
    UserError
        If ``alpha`` is not in (0, 0.5], or the draws cannot reach it.
    """
    if not 0 < alpha <= 0.5:
        raise UserError(f"alpha is {alpha:g}, expected a level above 0 and up to 0.5, e.g. 0.05.")
    least = least_draws(alpha)
    if draws is not None and draws < least:
        raise UserError(f"{draws} draws cannot reach alpha = {alpha:g}: take at least {least}, or a larger alpha.")
    chosen = draws if draws is not None else max(least, min(MOST_DRAWS, budget // max(labels, 1)))
    return chosen, max(LEAST_CHECKS, chosen // CHECK_SHARE)


def entry_null(
    entries: np.ndarray,
    labels: Sequence[str],
    embed: Embed,
    *,
    seed: int,
    draws: int,
    checks: int,
    on_draw: OnDraw | None = None,
) -> Null:
    """Best similarity of each entry to shuffled labels, draw by draw.

    Parameters
    ----------
    entries : ndarray of float32 of shape (entries, dimensions)
        Embedded entries.
    labels
        Distinct labels.
    """
    columns, unbroken = _compared(
        lambda rows: best_similarity(entries, rows), labels, embed, seed=seed, draws=draws + checks, on_draw=on_draw
    )
    bests = np.column_stack(columns)
    return Null(bests[:, :draws], bests[:, draws:], len(labels), unbroken)


@dataclass(frozen=True)
class ScopeNull:
    """Largest similarity of each shuffled label to any of several texts."""

    values: np.ndarray
    """float32, sorted, of shape (draws * labels,)."""
    checks: np.ndarray
    """float32 of shape (check draws * labels,)."""
    unbroken: float

    def tail(self, similarities: np.ndarray) -> np.ndarray:
        """Share of shuffled labels that are as similar, ``(1 + as similar) / (1 + all)``: float64 in (0, 1]."""
        below = np.searchsorted(self.values, similarities.astype(np.float32) - np.float32(TOLERANCE), side="left")
        return (1.0 + len(self.values) - below) / (1.0 + len(self.values))


def null_similarities(
    scopes: np.ndarray,
    labels: Sequence[str],
    embed: Embed,
    *,
    seed: int,
    draws: int,
    checks: int,
    on_draw: OnDraw | None = None,
) -> ScopeNull:
    """Similarity of every shuffled label to the nearest of several embedded texts.

    Parameters
    ----------
    scopes : ndarray of float32 of shape (texts, dimensions)
    """
    nearest, unbroken = _compared(
        lambda rows: best_similarity(rows, scopes), labels, embed, seed=seed, draws=draws + checks, on_draw=on_draw
    )
    return ScopeNull(np.sort(np.concatenate(nearest[:draws])), np.concatenate(nearest[draws:]), unbroken)


def _compared(
    compare: Callable[[np.ndarray], np.ndarray],
    labels: Sequence[str],
    embed: Embed,
    *,
    seed: int,
    draws: int,
    on_draw: OnDraw | None,
) -> tuple[list[np.ndarray], float]:
    """Compare the embedded labels of each draw; the n-th result does not depend on the number of draws.

    Returns
    -------
    tuple
        What ``compare`` gives for each draw; mean share of labels that still have the words of a real one.
    """
    results, unbroken = [], []
    for draw in range(draws):
        texts, share_unbroken = shuffle(labels, np.random.default_rng([seed, draw]))
        results.append(compare(embed_distinct(embed, texts)))
        unbroken.append(share_unbroken)
        if on_draw is not None:
            on_draw(draw + 1, draws)
    return results, float(np.mean(unbroken))


def embed_distinct(embed: Embed, texts: Sequence[str]) -> np.ndarray:
    """Embed each distinct text once.

    Returns
    -------
    ndarray of float32 of shape (texts, dimensions)
    """
    distinct = list(dict.fromkeys(texts))
    rows = np.asarray(embed(distinct), dtype=np.float32)
    if rows.ndim != 2 or len(rows) != len(distinct) or not np.isfinite(rows).all():
        raise ValueError(f"the embedding gave an array of shape {rows.shape} for {len(distinct)} texts")
    place = {text: i for i, text in enumerate(distinct)}
    return rows[[place[text] for text in texts]]


def best_similarity(entries: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The largest cosine of each entry with any label, float32 of shape (entries,)."""
    best = np.full(len(entries), -np.inf, dtype=np.float32)
    for start in range(0, len(labels), BLOCK):
        np.maximum(best, (entries @ labels[start : start + BLOCK].T).max(axis=1), out=best)
    return best
