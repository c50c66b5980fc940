"""Groups of concepts that share their items, led by several models' outcomes at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.stats import false_discovery_control

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import ItemSample, evidence_of_each, shares, units_of
from competency_gaps.evidence.judge import lead
from competency_gaps.runs.sample import Outcomes, with_outcomes

MOST_GROUPS = 60
"""Most groups; the remaining concepts follow the leader whose items are most like theirs."""


class Led(NamedTuple):
    """Groups of concepts that several models' outcomes lead."""

    groups: list[tuple[int, ...]]
    """Concepts of each, the leader first, then by p-value; the group that was led first comes first."""
    tested: int
    """Cells of models against concepts among which the concepts were found."""


def led_over_models(
    sample: ItemSample,
    outcomes: Sequence[Outcomes],
    config: EvidenceConfig,
    eligible: np.ndarray | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Led:
    """Lead groups among the concepts that stand out for some model, Benjamini-Hochberg over all models and concepts.

    The groups are chosen by the outcomes that they are then tested with. So their p-values must be held against all
    cells that they were chosen from: a cell is named if ``p <= q k / tested``, ``k`` being the cells named, as
    :func:`competency_gaps.findings.groups.groups_of` holds those of findings.

    Parameters
    ----------
    eligible : ndarray of bool of shape (concepts,), optional
        Concepts that may be tested; None: all.
    advance
        Called after each model.
    """
    of_models = []
    samples = (with_outcomes(sample, own) for own in outcomes)
    for own in evidence_of_each(samples, config, eligible=eligible, groups=False):
        of_models.append(own)
        advance()
    p_value, low, high = (
        np.stack([getattr(own, name) for own in of_models]) for name in ("p_value", "gap_low", "gap_high")
    )
    real = np.nan_to_num(cell_q_values(p_value, low, high, config.min_gap), nan=1.0) <= config.q
    asked = np.flatnonzero(real.any(axis=0))
    tested = int((~np.isnan(p_value)).sum())
    if not len(asked):
        return Led([], tested)
    lowest = np.where(real, p_value, 1.0).min(axis=0)[asked]
    values = np.stack([shares(own.values, own.limits) for own in outcomes])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # items that no model is scored on
        units = units_of(replace(sample, scores=np.nanmean(values, axis=0)))
    of_units = np.stack([_unit_means(units.unit, own, len(units.outcome)) for own in values])

    def rows(places: np.ndarray) -> sp.csr_array:
        return units.rows(sample.rows(asked[places]))

    leader = asked[lead(rows, sample.support[asked], of_units, units.block, lowest, 0, MOST_GROUPS)]
    order = np.argsort(lowest, kind="stable")
    members: dict[int, list[int]] = {}
    for place in order[np.argsort(leader[order] != asked[order], kind="stable")]:
        members.setdefault(int(leader[place]), []).append(int(asked[place]))
    return Led([tuple(group) for group in members.values()], tested)


def _unit_means(unit: np.ndarray, values: np.ndarray, units: int) -> np.ndarray:
    """Mean outcome of each unit's scored items; NaN: it has none."""
    known = np.flatnonzero(~np.isnan(values) & (unit >= 0))
    count = np.bincount(unit[known], minlength=units)
    sums = np.bincount(unit[known], values[known], units)
    return np.divide(sums, count, out=np.full(units, np.nan), where=count > 0)


def cell_q_values(
    p_value: np.ndarray, low: np.ndarray, high: np.ndarray, min_gap: float, tested: int = 0
) -> np.ndarray:
    """Benjamini-Hochberg over all cells, at least ``tested``; gaps within ``min_gap`` of 0 count as p = 1."""
    known = ~np.isnan(p_value)
    sizeable = (high < -min_gap) | (low > min_gap)
    counted = np.where(sizeable, p_value, 1.0)[known]
    q_value = np.full(p_value.shape, np.nan)
    if len(counted):
        others = np.ones(max(0, tested - len(counted)))
        q_value[known] = false_discovery_control(np.concatenate([counted, others]))[: len(counted)]
    return q_value
