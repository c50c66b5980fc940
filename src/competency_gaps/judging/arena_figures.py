"""Figures of a benchmark's games: win rate, strength, style control, position bias, ties and failures.

Style control is Arena-Hard-Auto's (Li et al., 2024): Bradley-Terry strengths by weighted logistic regression (Bradley
and Terry, 1952), ``P(i beats j) = 1 / (1 + exp(-(s_i - s_j + x . c)))`` with strengths ``s`` and coefficients ``c`` of
covariates ``x`` that say how the two answers look. A tie is half a win. A game's row of the design has 1 for the one,
-1 for the other, and the covariates; one model against a baseline of strength 0 is a single column of ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import binomtest

from competency_gaps.evidence.interval import DRAWS, Estimate, drawn, mean
from competency_gaps.items.item import Reason
from competency_gaps.judging.verdicts import VERDICTS, results_of_games, score_of_games
from competency_gaps.text import plural

PER_COLUMN = 5
"""Fewest games of the rarer outcome per coefficient for an estimate at equal style [ours]: where nearly every game ends
alike, style and strength cannot be told apart, and the ridge decides the fit."""
PLACE_LEVEL = 0.05
"""Largest p-value at which a judge is said to go by the place of an answer [ours]."""


CHARACTERS_PER_TOKEN = 4.0
"""Arena-Hard counts tokens of one vendor's tokenizer; about one per four characters [ours]."""

_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_HEADER = re.compile(r"^#{1,6}\s", re.MULTILINE)
_LIST = re.compile(r"^[ \t]*(?:\d+\.|[-*+])\s", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")

FEATURES = ("length", "headers", "lists", "bold")


class Style(NamedTuple):
    """Length and marks of one answer; of code blocks only the length counts."""

    length: float = 0.0
    """Tokens, estimated from the characters; 0 or more."""
    headers: int = 0
    lists: int = 0
    """Items of numbered and other lists."""
    bold: int = 0


def style_of(text: str) -> Style:
    """Count an answer's marks."""
    prose = _FENCED.sub("", text)
    length = len(text) / CHARACTERS_PER_TOKEN
    return Style(length, len(_HEADER.findall(prose)), len(_LIST.findall(prose)), len(_BOLD.findall(prose)))


def style_features(model: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Differences in style between two answers, scaled.

    Length: ``(m - b) / (m + b)``. Marks per token: ``(m - b) / (m + b + 1)``. Both are Arena-Hard's. Then each column
    is divided by its standard deviation. Arena-Hard also takes its mean away, over many models; for one model against
    a baseline that mean is the very thing to control for, so it stays, and 0 means that both look alike [ours].

    Parameters
    ----------
    model, baseline : ndarray of float64 of shape (items, 4)
        :class:`Style` of each answer.

    Returns
    -------
    ndarray of float64 of shape (items, 4)
        A column without spread is 0.
    """
    differences = np.zeros_like(model, dtype=np.float64)
    both = model[:, 0] + baseline[:, 0]
    differences[:, 0] = np.divide(model[:, 0] - baseline[:, 0], both, out=np.zeros_like(both), where=both > 0)
    ours, theirs = _per_token(model), _per_token(baseline)
    differences[:, 1:] = (ours - theirs) / (ours + theirs + 1)
    spread = differences.std(axis=0, ddof=1) if len(differences) > 1 else np.zeros(differences.shape[1])
    return np.asarray(np.divide(differences, spread, out=np.zeros_like(differences), where=spread > 1e-12))


def _per_token(counts: np.ndarray) -> np.ndarray:
    length = counts[:, :1]
    return np.divide(counts[:, 1:], length, out=np.zeros_like(counts[:, 1:]), where=length > 0)


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
        "score": _fields(mean(np.asarray(scored))),
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
        "position_bias": _fields(bias),
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
    strength, *others = bradley_terry(design, games.result, games.times, games.item, draws=draws, seed=seed)
    return {
        "win_rate": Estimate(*(float(expit(value)) for value in strength)).as_dict(),
        "strength": strength.as_dict(),
        "coefficients": {FEATURES[column]: other.as_dict() for column, other in zip(used, others, strict=True)},
    }


def _fields(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else estimate.as_dict()


def _summary(figures: dict[str, Any]) -> list[Reason]:
    lines: list[Reason] = []

    def add(code: str, text: str, *numbers: float) -> None:
        lines.append(Reason(code, text, numbers))

    if not figures["items"]:
        text = f"no item has a score; {plural(figures['failed'], 'game')} without a usable verdict"
        add("arena_none", text, figures["failed"])
    else:
        text = f"score {_shown(figures['score'])} over {plural(figures['items'], 'item')}"
        numbers = (*figures["score"].values(), figures["items"])
        if (rate := figures["win_rate"]) is not None:
            add("arena_win_rate", f"{text}; win rate {_shown(rate)}", *numbers, *rate.values())
        else:
            add("arena_score", f"{text}; win rate not defined without a win and a loss", *numbers)
        _add_style(figures.get("style"), add)
        text = f"ties {figures['tie_rate']:.1%} of {plural(figures['games'], 'game')}"
        numbers = (figures["tie_rate"], figures["games"], figures["failure_rate"])
        add("arena_ties", f"{text}, without a usable verdict {figures['failure_rate']:.1%}", *numbers)
    if figures["one_order"]:
        kept = figures["one_game"] == "keep"
        text = f"{plural(figures['one_order'], 'item')} with a verdict in one order alone"
        what = ": a favoured place is not balanced there" if kept else ", left out"
        add("arena_one_order_kept" if kept else "arena_one_order", text + what, figures["one_order"])
    if figures["unasked"]:
        add("arena_unasked", f"{plural(figures['unasked'], 'game')} not put to the judge", figures["unasked"])
    if figures["items"] and (bias := figures["position_bias"]):
        text = f"position bias {_shown(bias, '+.3f')} (0: none); both orders agree on {figures['agreement']:.0%} of"
        numbers = (*bias.values(), figures["agreement"], figures["both_games"])
        add("arena_position", f"{text} {plural(figures['both_games'], 'item')}", *numbers)
    return lines


def _add_style(style: dict[str, Any] | None, add: Callable[..., None]) -> None:
    unknown = "win rate at equal style not estimated"
    if style is None:
        return
    if style["win_rate"]:
        add("arena_equal_style", f"win rate at equal style {_shown(style['win_rate'])}", *style["win_rate"].values())
    elif "needed" not in style:
        add("arena_style_items", f"{unknown}: {plural(style['items'], 'item')}, two needed", style["items"])
    else:
        text = f"{plural(style['rarer'], 'game')} of the rarer outcome (win or loss), {style['needed']} needed"
        add("arena_style_rarer", f"{unknown}: {text}", style["rarer"], style["needed"])


def _shown(estimate: dict[str, float], form: str = ".3f") -> str:
    value, low, high = (format(number, form) for number in estimate.values())
    return f"{value} [{low}, {high}]"


RIDGE = 1e-3
"""Weight of the squared coefficients' half in the loss [ours]: a model that wins every game has no finite strength
otherwise. Against some hundred games it moves a win rate in the sixth digit."""


def bradley_terry(
    design: np.ndarray,
    results: np.ndarray,
    weights: np.ndarray,
    items: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Estimate]:
    """Fit strengths, and fit them again on resampled items for their 95% intervals.

    Parameters
    ----------
    design : ndarray of float64 of shape (games, columns)
    results : ndarray of float64 of shape (games,)
        1 a win of the side with +1, 0 a loss, 0.5 a tie.
    weights : ndarray of float64 of shape (games,)
        How often each game counts.
    items : ndarray of int64 of shape (games,)
        Which item a game is about, from 0 on.

    Returns
    -------
    list of Estimate
        Per column, in natural log-odds.
    """
    fit = logistic(design, results, weights)
    counts = drawn(int(items.max()) + 1, draws, seed)
    again = [logistic(design, results, weights * count[items], start=fit) for count in counts]
    low, high = np.quantile(again, [0.025, 0.975], axis=0)
    return [Estimate(*map(float, column)) for column in zip(fit, low, high, strict=True)]


def logistic(
    design: np.ndarray, results: np.ndarray, weights: np.ndarray, *, start: np.ndarray | None = None
) -> np.ndarray:
    """Coefficients that maximise the weighted likelihood less ``RIDGE`` half squares: float64 of shape (columns,)."""

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        logits = design @ coefficients
        fit = weights * (np.logaddexp(0.0, logits) - results * logits)
        slope = design.T @ (weights * (expit(logits) - results)) + RIDGE * coefficients
        return fit.sum() + 0.5 * RIDGE * (coefficients**2).sum(), slope

    first = np.zeros(design.shape[1]) if start is None else start
    return np.asarray(minimize(loss, first, jac=True, method="BFGS", options={"gtol": 1e-7}).x)
