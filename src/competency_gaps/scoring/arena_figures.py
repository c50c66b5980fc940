"""Figures of a benchmark's games: mean score, position bias, ties and failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from competency_gaps.evidence.interval import Estimate, mean
from competency_gaps.items.item import Reason
from competency_gaps.scoring.verdicts import VERDICTS, score_of_games
from competency_gaps.util.text import plural

PLACE_LEVEL = 0.05
"""Level of the test that a judge goes by the place of an answer."""


Games = tuple[str | None, str | None]
"""The labels of an item's two games; None: no usable verdict."""


def arena_figures(matches: Sequence[Games]) -> dict[str, Any]:
    """Figures of one benchmark, of the items both of whose games were put to the judge.

    An item with one judged game has no score: in one order alone, a judge's preference for the first place cannot be
    told from the answer's merit.

    Returns
    -------
    dict
        ``items`` (with a score), ``games`` (with a verdict), ``failed``
        (asked, no usable verdict) and ``one_order`` (items with one judged game) are counts. ``score`` (mean of the
        items' scores) and ``position_bias`` (how much more often than half the first place wins, ties half; from items
        with both games) are each ``{value, low, high}`` with a 95% interval, items being independent, or None.
        ``tie_rate`` and ``failure_rate`` (of games asked) are shares; ``agreement`` is the share of items with both
        games in which the same side wins or both are ties, ``by_place`` whether the judge goes by the place of an
        answer: the bias is clear, and its orders agree less often than a coin's (:func:`goes_by_place`).
    """
    asked = 2 * len(matches)
    known = [label for games in matches for label in games if label is not None]
    both = [games for games in matches if None not in games]
    scores = np.asarray([score_of_games(*games) for games in both], np.float64)
    figures: dict[str, Any] = {
        "items": len(both),
        "games": len(known),
        "failed": asked - len(known),
        "one_order": sum(games.count(None) == 1 for games in matches),
        "failure_rate": (asked - len(known)) / asked if asked else None,
        "tie_rate": sum(label == "A=B" for label in known) / len(known) if known else None,
        "verdicts": {label: known.count(label) for label in VERDICTS},
        "score": _fields(mean(scores)),
        **_position(both),
    }
    figures["summary"] = _summary(figures)
    return figures


def _position(both: Sequence[Games]) -> dict[str, Any]:
    first = np.asarray([[VERDICTS[str(label)].first for label in games] for games in both]).reshape(-1, 2)
    share = mean(first.mean(axis=1))
    bias = None if share is None else share.scaled(1.0, -0.5)
    # In the other order the same side wins if the first place has the opposite result.
    agreeing = first[:, 0] == 1 - first[:, 1]
    decisive = (first != 0.5).all(axis=1)
    clear = bias is not None and not bias.low <= 0 <= bias.high
    return {
        "position_bias": _fields(bias),
        "agreement": float(agreeing.mean()) if len(first) else None,
        "by_place": clear and goes_by_place(int(agreeing[decisive].sum()), int(decisive.sum())),
    }


def goes_by_place(agreeing: int, items: int) -> bool:
    """Whether a judge's two orders agree on fewer items than a coin's would: it goes by the place of an answer.

    Parameters
    ----------
    agreeing
        Items in both of whose games the same side wins.
    items
        Items with a win in both games. Ties do not count: a coin that ties often agrees less often as well.
    """
    from scipy.stats import binomtest  # takes a second to import

    return bool(items and binomtest(agreeing, items, 0.5, alternative="less").pvalue <= PLACE_LEVEL)


def _fields(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else estimate._asdict()


def _summary(figures: dict[str, Any]) -> list[Reason]:
    lines = []
    items, failed, one_order = (figures[name] for name in ("items", "failed", "one_order"))
    if not items:
        text = f"no item has a score; {plural(failed, 'game')} without a usable verdict"
        lines.append(Reason("arena_none", text, (failed,)))
    else:
        text = f"score {_shown(figures['score'])} over {plural(items, 'item')}"
        lines.append(Reason("arena_score", text, (*figures["score"].values(), items)))
        ties, failures = figures["tie_rate"], figures["failure_rate"]
        text = f"ties {ties:.1%} of {plural(figures['games'], 'game')}, without a usable verdict {failures:.1%}"
        lines.append(Reason("arena_ties", text, (ties, figures["games"], failures)))
    if one_order:
        text = f"{plural(one_order, 'item')} with a verdict in only one order, left out"
        lines.append(Reason("arena_one_order", text, (one_order,)))
    if items:
        bias, agreement = figures["position_bias"], figures["agreement"]
        text = f"position bias {_shown(bias, '+.3f')} (0: none); both orders agree on {agreement:.0%} of"
        numbers = (*bias.values(), agreement, items)
        lines.append(Reason("arena_position", f"{text} {plural(items, 'item')}", numbers))
    return lines


def _shown(estimate: dict[str, float], form: str = ".3f") -> str:
    value, low, high = (format(number, form) for number in estimate.values())
    return f"{value} [{low}, {high}]"
