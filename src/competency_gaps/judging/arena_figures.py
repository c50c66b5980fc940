"""Figures of a benchmark's games: win rate, strength, position bias, ties and failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import logit
from scipy.stats import binomtest

from competency_gaps.evidence.interval import DRAWS, Estimate, mean
from competency_gaps.items.item import Reason
from competency_gaps.judging.bradley_terry import bradley_terry
from competency_gaps.judging.style import FEATURES, Style, style_features
from competency_gaps.judging.verdicts import VERDICTS, results_of_games, score_of_games
from competency_gaps.text import plural

PER_COLUMN = 5
"""Fewest games of the rarer outcome per coefficient for an estimate at equal style [ours]: where nearly every game ends
alike, style and strength cannot be told apart, and the ridge decides the fit."""
PLACE_LEVEL = 0.05
"""Largest p-value at which a judge is said to go by the place of an answer [ours]."""


OneGame = Literal["leave_out", "keep"]
"""Whether an item with a usable verdict in only one of its two games is left out or kept."""


class Match(NamedTuple):
    """One item: the labels of its two games, and how both answers look."""

    games: tuple[str | None, str | None]
    """None: no usable verdict."""
    model: Style = Style()
    baseline: Style = Style()
    asked: tuple[bool, bool] = (True, True)
    """Whether each game was put to the judge; one that was not is not counted as a failure."""

    def judged(self) -> int:
        """How many games have a verdict."""
        return sum(label is not None for label in self.games)

    def counts(self, one_game: OneGame) -> bool:
        """Whether the item has a score."""
        return self.judged() == 2 or (one_game == "keep" and self.judged() == 1 and all(self.asked))


class _Games(NamedTuple):
    """Arrays over the judged games."""

    item: np.ndarray
    result: np.ndarray
    times: np.ndarray


def arena_figures(
    matches: Sequence[Match],
    *,
    style: bool = False,
    one_game: OneGame = "leave_out",
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Figures of one benchmark.

    Parameters
    ----------
    matches
        The items about which the judge was asked.
    style
        Also fit with the differences in style between ``model`` and ``baseline`` as covariates.
    one_game
        Whether an item with one judged game counts. In one order alone, a judge's preference for the first place
        cannot be told from the answer's merit, so Arena-Hard-Auto leaves such items out.

    Returns
    -------
    dict
        ``items`` (with a score), ``games`` (with a verdict), ``unasked`` (games not put to the judge), ``failed``
        (asked, no usable verdict) and ``one_order`` (items with one judged game) are counts. ``score`` (mean of the
        items' scores), ``win_rate`` and ``strength`` (natural log-odds against the baseline; both of the scored items,
        None without a win and a loss), ``position_bias`` (how much more often than half the first place wins, ties
        half; from items with both games) are each ``{value, low, high}`` with a 95% interval, items being independent,
        or None. ``tie_rate`` and ``failure_rate`` (of games asked) are shares; ``agreement`` is the share of items
        with both games in which the same side wins or both are ties, ``by_place`` whether the judge goes by the place
        of an answer: the bias is clear, and its orders agree less often than a coin's (:func:`goes_by_place`).
        ``style`` has the win rate at equal style, and the coefficients; a rate of None comes with the games of the
        ``rarer`` outcome and how many are ``needed``.
    """
    asked = sum(sum(match.asked) for match in matches)
    counted = [match for match in matches if match.counts(one_game)]
    known = [label for match in matches for label in match.games if label is not None]
    scored = [value for match in counted if (value := score_of_games(*match.games)) is not None]
    figures: dict[str, Any] = {
        "items": len(scored),
        "games": len(known),
        "unasked": 2 * len(matches) - asked,
        "failed": asked - len(known),
        "one_order": sum(match.judged() == 1 for match in matches),
        "one_game": one_game,
        "failure_rate": (asked - len(known)) / asked if asked else None,
        "tie_rate": sum(label == "A=B" for label in known) / len(known) if known else None,
        "verdicts": {label: known.count(label) for label in VERDICTS},
        "score": _estimate_fields(mean(np.asarray(scored))),
        "win_rate": None,
        "strength": None,
        **_position(matches),
    }
    if scored:
        games = _games(counted)
        figures |= _strength(games)
        if style:
            figures["style"] = _style(counted, games, min(draws, 300), seed)
    figures["summary"] = _summary(figures)
    return figures


def _games(matches: Sequence[Match]) -> _Games:
    """All judged games from the model's side; items are numbered over those that have one."""
    rows = []
    number = -1
    for match in matches:
        judged = [verdict for game in results_of_games(match.games) for verdict in game]
        number += bool(judged)
        rows += [(number, verdict.first, verdict.times) for verdict in judged]
    item, result, times = zip(*rows, strict=True)
    return _Games(np.asarray(item), np.asarray(result, np.float64), np.asarray(times, np.float64))


def _strength(games: _Games) -> dict[str, Any]:
    """Win rate and strength against the baseline.

    The Bradley-Terry strength of one model against a baseline is the log-odds of its weighted mean result, so that its
    interval is that of a ratio over items. Without a win and a loss there is no finite strength.
    """
    if not {0.0, 1.0} <= set(games.result.tolist()):
        return {"win_rate": None, "strength": None}
    weights = np.bincount(games.item, games.times)
    rate = mean(np.bincount(games.item, games.times * games.result) / weights, weights)
    assert rate is not None
    return {"win_rate": rate.as_dict(), "strength": Estimate(*(float(logit(value)) for value in rate)).as_dict()}


def _position(matches: Sequence[Match]) -> dict[str, Any]:
    both = [[VERDICTS[label].first for label in match.games if label is not None] for match in matches]
    first = np.asarray([pair for pair in both if len(pair) == 2]).reshape(-1, 2)
    share = mean(first.mean(axis=1))
    bias = None if share is None else share.scaled(1.0, -0.5)
    # In the other order the same side wins if the first place has the opposite result.
    agreeing = first[:, 0] == 1 - first[:, 1]
    decisive = (first != 0.5).all(axis=1)
    return {
        "both_games": len(first),
        "position_bias": _estimate_fields(bias),
        "agreement": float(agreeing.mean()) if len(first) else None,
        "by_place": bias is not None
        and not bias.low <= 0 <= bias.high
        and goes_by_place(int(agreeing[decisive].sum()), int(decisive.sum())),
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
    return bool(items and binomtest(agreeing, items, 0.5, alternative="less").pvalue <= PLACE_LEVEL)


def _style(matches: Sequence[Match], games: _Games, draws: int, seed: int) -> dict[str, Any]:
    judged = [match for match in matches if match.judged()]
    if len(judged) < 2:
        return {"win_rate": None, "items": len(judged)}
    model, baseline = (np.asarray([getattr(match, side) for match in judged], float) for side in ("model", "baseline"))
    features = style_features(model, baseline)
    used = [column for column in range(features.shape[1]) if features[:, column].any()]
    rarer = min(float((games.result == side).sum()) for side in (0.0, 1.0))
    if rarer < PER_COLUMN * (1 + len(used)):
        return {"win_rate": None, "rarer": int(rarer), "needed": PER_COLUMN * (1 + len(used))}
    design = np.column_stack([np.ones(len(games.item)), features[games.item][:, used]])
    fit = bradley_terry(design, games.result, games.times, games.item, draws=draws, seed=seed)
    return {
        "win_rate": fit.win_rate().as_dict(),
        "strength": fit.strength().as_dict(),
        "coefficients": {FEATURES[column]: fit.strength(1 + i).as_dict() for i, column in enumerate(used)},
    }


def _estimate_fields(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else estimate.as_dict()


def _summary(figures: dict[str, Any]) -> list[Reason]:
    if not figures["items"]:
        return [
            Reason(
                "arena_none",
                f"no item has a score; {plural(figures['failed'], 'game')} without a usable verdict",
                (figures["failed"],),
            ),
            *_missing(figures),
        ]
    text = f"score {_shown(figures['score'])} over {plural(figures['items'], 'item')}"
    score = (*_interval(figures["score"]), figures["items"])
    remarks = [
        Reason(
            "arena_win_rate",
            f"{text}; win rate {_shown(figures['win_rate'])}",
            (*score, *_interval(figures["win_rate"])),
        )
        if figures["win_rate"]
        else Reason("arena_score", f"{text}; win rate not defined without a win and a loss", score)
    ]
    style = figures.get("style")
    if style and style["win_rate"]:
        remarks.append(
            Reason(
                "arena_equal_style",
                f"win rate at equal style {_shown(style['win_rate'])}",
                _interval(style["win_rate"]),
            )
        )
    elif style and "needed" not in style:
        remarks.append(
            Reason(
                "arena_style_items",
                f"win rate at equal style not estimated: {plural(style['items'], 'item')}, two needed",
                (style["items"],),
            )
        )
    elif style:
        remarks.append(
            Reason(
                "arena_style_rarer",
                f"win rate at equal style not estimated: {plural(style['rarer'], 'game')} of the "
                f"rarer outcome (win or loss), {style['needed']} needed",
                (style["rarer"], style["needed"]),
            )
        )
    remarks.append(
        Reason(
            "arena_ties",
            f"ties {figures['tie_rate']:.1%} of {plural(figures['games'], 'game')}, without a "
            f"usable verdict {figures['failure_rate']:.1%}",
            (figures["tie_rate"], figures["games"], figures["failure_rate"]),
        )
    )
    remarks += _missing(figures)
    if figures["position_bias"]:
        numbers = (*_interval(figures["position_bias"]), figures["agreement"], figures["both_games"])
        text = (
            f"position bias {_shown(figures['position_bias'], '+.3f')} (0: none); both orders agree on "
            f"{figures['agreement']:.0%} of {plural(figures['both_games'], 'item')}"
        )
        remarks.append(Reason("arena_position", text, numbers))
    return remarks


def _missing(figures: dict[str, Any]) -> list[Reason]:
    """Remarks on items and games that are missing."""
    remarks = []
    if figures["one_order"]:
        code, what = (
            ("arena_one_order_kept", ": a favoured place is not balanced there")
            if figures["one_game"] == "keep"
            else ("arena_one_order", ", left out")
        )
        text = f"{plural(figures['one_order'], 'item')} with a verdict in one order alone{what}"
        remarks.append(Reason(code, text, (figures["one_order"],)))
    if figures["unasked"]:
        remarks.append(
            Reason("arena_unasked", f"{plural(figures['unasked'], 'game')} not put to the judge", (figures["unasked"],))
        )
    return remarks


def _shown(estimate: dict[str, float], form: str = ".3f") -> str:
    value, low, high = (format(number, form) for number in _interval(estimate))
    return f"{value} [{low}, {high}]"


def _interval(estimate: dict[str, float]) -> tuple[float, float, float]:
    return estimate["value"], estimate["low"], estimate["high"]
