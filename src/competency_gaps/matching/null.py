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

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from competency_gaps.errors import UserError, argument
from competency_gaps.matching.embedding import Embed, best_similarity, embed_distinct
from competency_gaps.matching.shares import Share, share
from competency_gaps.matching.shuffle import shuffle
from competency_gaps.progress import Progress

OnDraw = Callable[[int, int], None]
"""Called after each draw with the number of draws done and their total."""

BUDGET = 60_000
"""Shuffled labels embedded by default, unless the level needs more."""
MOST_DRAWS = 99
CHECK_SHARE = 4
"""Draws that set the bounds, per further draw that checks them."""
LEAST_CHECKS = 5
"""Fewest draws that check the bounds."""
TOLERANCE = 1e-5
"""Similarities that differ by less count as equal: embedding a text twice differs by as much."""


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
        """Rank of the bound among the null's best similarities, the largest being 1."""
        return math.floor(alpha * (self.bests.shape[1] + 1) + 1e-9)

    def bounds(self, alpha: float) -> np.ndarray:
        """Each entry's bound, ``TOLERANCE`` included: float32 of shape (entries,)."""
        rank = self.rank(alpha)
        return np.partition(self.bests, -rank, axis=1)[:, -rank] + np.float32(TOLERANCE)

    def p_values(self, entries: np.ndarray, similarities: np.ndarray) -> np.ndarray:
        """Estimate the chance that the best of as many shuffled labels is as similar to the same entry.

        ``(1 + draws that reach it) / (1 + draws)``: never 0, and valid for any number of draws.

        Parameters
        ----------
        entries : ndarray of int of shape (n,)
        similarities : ndarray of shape (n,)

        Returns
        -------
        ndarray of float64 of shape (n,), in (0, 1]
        """
        as_similar = self.bests[entries] >= (similarities - TOLERANCE)[:, None]
        return np.asarray((1.0 + as_similar.sum(axis=1)) / (1.0 + self.bests.shape[1]))

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


def check_level(alpha: float) -> None:
    """Raise UserError if ``alpha`` is not in (0, 0.5]."""
    if not 0 < alpha <= 0.5:
        raise UserError(f"{argument('alpha')} is {alpha:g}, expected a level above 0 and up to 0.5, e.g. 0.05.")


def plan_draws(labels: int, alpha: float, draws: int | None = None) -> tuple[int, int]:
    """Number of draws that set the bounds, and of draws that check them.

    By default as many as ``BUDGET`` allows, at most ``MOST_DRAWS`` and at least as many as the level needs.

    Raises
    ------
    UserError
        If ``alpha`` is not in (0, 0.5], or the draws cannot reach it.
    """
    check_level(alpha)
    least = least_draws(alpha)
    if draws is not None and draws < least:
        raise UserError(f"{draws} draws cannot reach alpha = {alpha:g}: take at least {least}, or a larger alpha.")
    chosen = draws if draws is not None else max(least, min(MOST_DRAWS, BUDGET // max(labels, 1)))
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
    """Compute the best similarity of each entry to shuffled labels, draw by draw.

    Parameters
    ----------
    entries : ndarray of float32 of shape (entries, dimensions)
        Embedded entries.
    labels
        Distinct labels.
    """
    embedded = shuffled_rows(labels, embed, seed, draws + checks, on_draw)
    bests, unbroken = zip(*((best_similarity(entries, rows), unchanged) for rows, unchanged in embedded), strict=True)
    columns = np.column_stack(bests)
    return Null(columns[:, :draws], columns[:, draws:], len(labels), float(np.mean(unbroken)))


def shuffled_rows(
    labels: Sequence[str], embed: Embed, seed: int, draws: int, on_draw: OnDraw | None
) -> Iterator[tuple[np.ndarray, float]]:
    """Shuffle and embed the labels once per draw; the n-th draw does not depend on the number of draws.

    Yields
    ------
    tuple
        float32 of shape (labels, dimensions); share of labels that still have the words of a real one.
    """
    for draw in range(draws):
        texts, unbroken = shuffle(labels, np.random.default_rng([seed, draw]))
        yield embed_distinct(embed, texts), unbroken
        if on_draw is not None:
            on_draw(draw + 1, draws)


@contextlib.contextmanager
def shown_draws(progress: Progress) -> Iterator[OnDraw]:
    """Show the draws of shuffled labels; their number is known after the first."""
    with progress.stage("comparing with shuffled labels", unit="draws") as bar:

        def on_draw(done: int, total: int) -> None:
            bar.expect(total)
            bar.advance(done - bar.done)

        yield on_draw
