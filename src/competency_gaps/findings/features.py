"""Features of items, as candidates for the description of a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from competency_gaps.findings.attributes import Attributes

RARE = 0.04
"""Smallest share of the units that must have a candidate, and that must lack it [ours]."""
FEWEST = 8
"""Fewest units that must have a candidate, and that must lack it."""
FAMILIES = ("answer.", "number.", "option.", "group:", "covariate.", "prompt.")
"""Starts of codes, in the order in which equal features are preferred."""
PRIOR = 10.0
"""Units that the prior of the log-odds counts as."""
CUTS = (0.25, 0.5, 0.75)
"""Quantiles at which numbers are cut into features."""


@dataclass(frozen=True)
class Candidates:
    """Features that could describe some of K units."""

    codes: list[str]
    values: np.ndarray
    """float64 of shape (K, features), in [0, 1]: part of each unit's items that have the feature."""


def has_feature(code: str, attributes: Sequence[Attributes]) -> np.ndarray:
    """Which items have a feature: bool of shape (items,)."""
    for ending in (".above", ".to"):
        name, separator, value = code.partition(f"{ending}:")
        if separator:
            numbers = np.array([item.numbers.get(name, np.nan) for item in attributes])
            return numbers > float(value) if ending == ".above" else numbers <= float(value)
    return np.array([code in item.flags or code in item.values for item in attributes], bool)


def candidates(attributes: Sequence[Attributes], unit: np.ndarray, units: int) -> Candidates:
    """Form the features that are neither rare nor nearly everywhere, each once.

    Of features that the same items have, only the plainest is kept (:func:`_preference`).

    Parameters
    ----------
    attributes
        Of the items.
    unit : ndarray of int of shape (items,)
        Each item's unit, from 0 to ``units - 1``; every unit has an item.
    """
    least = max(FEWEST, RARE * units)
    columns: dict[bytes, tuple[str, np.ndarray]] = {}
    size = np.bincount(unit, minlength=units)
    for code, items in sorted(_frequent_features(attributes, least), key=lambda pair: _preference(pair[0])):
        values = np.bincount(unit[items], minlength=units) / size
        if min(values.sum(), units - values.sum()) >= least:
            columns.setdefault(np.round(values, 6).tobytes(), (code, values))
    kept = list(columns.values())
    matrix = np.stack([values for _, values in kept], axis=1) if kept else np.zeros((units, 0))
    return Candidates([code for code, _ in kept], matrix)


def _frequent_features(attributes: Sequence[Attributes], least: float) -> list[tuple[str, np.ndarray]]:
    """Codes of features that may be frequent enough, with the rows of the items that have them."""
    places: dict[str, list[int]] = {}
    for i, item in enumerate(attributes):
        for code in (*item.flags, *item.values):
            places.setdefault(code, []).append(i)
    features = [(code, np.array(rows)) for code, rows in places.items() if len(rows) >= least]
    for name in {name for item in attributes for name in item.numbers}:
        values = np.array([item.numbers.get(name, np.nan) for item in attributes])
        for edge in np.unique(np.nanquantile(values, CUTS, method="lower")):
            cut = f"{edge:.0f}" if edge == round(edge) else f"{edge:.6g}"
            features.append((f"{name}.above:{cut}", np.flatnonzero(values > float(cut))))
            features.append((f"{name}.to:{cut}", np.flatnonzero(values <= float(cut))))
    return features


def _preference(code: str) -> tuple[bool, int, str]:
    """Flags before thresholds, single words and answers, whose meaning is narrower; then as in ``FAMILIES``."""
    narrow = ".above:" in code or ".to:" in code or code.startswith(("prompt.word:", "answer.value:"))
    return narrow, next(i for i, start in enumerate(FAMILIES) if code.startswith(start)), code


def log_odds(inside: np.ndarray, outside: np.ndarray, features: np.ndarray) -> np.ndarray:
    """How well features distinguish one set of units from another: log-odds with a Dirichlet prior, over their error.

    Monroe, Colaresi and Quinn, "Fightin' Words", Political Analysis 16 (2008), equations 16 and 22, with presence in
    place of counts: a word that an item repeats counts once. The prior is the frequency in both sets together, as if
    ``PRIOR`` units had shown it.

    Parameters
    ----------
    inside, outside : ndarray of float of shape (K,)
        Weights of the units in each set, >= 0, in units.
    features : ndarray of float of shape (K, F)
        In [0, 1].

    Returns
    -------
    ndarray of float64 of shape (F,)
        z-scores; positive: more frequent inside.
    """
    total = inside.sum() + outside.sum()
    if not total:
        return np.zeros(features.shape[1])
    share = ((inside + outside) @ features + 0.5) / (total + 1)
    delta, variance = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for sign, weights in ((1, inside), (-1, outside)):
        present = weights @ features + PRIOR * share
        absent = weights.sum() + PRIOR - present
        delta += sign * np.log(present / absent)
        variance += 1 / present + 1 / absent
    return np.asarray(delta / np.sqrt(variance))
