"""Models against themes, and against groups of concepts that share their items: gaps, tested over all cells."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.errors import UserError
from competency_gaps.evidence import Evidence, ItemSample, evidence_of_each, shares, units_of
from competency_gaps.evidence.judge import lead
from competency_gaps.findings.groups import as_sample, group_weights
from competency_gaps.outcomes import Kind
from competency_gaps.progress import Progress
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.outcomes import outcome_of
from competency_gaps.runs.sample import Outcomes, item_sample, with_outcomes
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.themes import theme_rows


def model_themes(
    run: RunFolder,
    kind: Kind = "score",
    *,
    models: Sequence[str] | None = None,
    level: str = "theme",
    progress: Progress | None = None,
) -> pl.DataFrame:
    """How each model does on each theme: gaps with intervals, and false discoveries controlled over all cells.

    Parameters
    ----------
    kind
        ``score`` (a theme against the model's other items) or ``peers`` (besides, against models of its level).
    models
        None: all that have scores; against peers those with enough peers.
    level
        ``theme`` or ``subtheme``.

    Returns
    -------
    polars.DataFrame
        One row per model and theme: ``model``, ``theme`` (its number), ``name``, ``n_eff``, ``mean`` (outcome weighted
        by the theme's activation), ``gap``, ``gap_low``, ``gap_high``, ``p_value``, ``q_value`` (Benjamini-Hochberg
        over all tested cells; those whose interval reaches within the run's ``min_gap`` of 0 count as p = 1),
        ``status`` (weak, strong, typical, insufficient).

    Raises
    ------
    UserError
        If the run has no themes, no scores of a model, or no model with enough peers.
    """
    base, progress = open_folder(run.base), progress or Progress(quiet=True)
    names = base.theme_results
    if base.themes is None or names is None:
        raise UserError(
            f"the run {base.path} has no themes. Group the concepts of its dictionary with 'cgaps concepts themes', "
            "then put it on the run with 'cgaps concepts name'."
        )
    themes = names.filter(pl.col("level") == level).sort("id").select(theme="id", name="name")
    rows = theme_rows(base, base.themes[level], base.concepts["ranked"].to_numpy())
    config = evidence_config(base)
    sample = _sample(base, rows, config.strata)
    outcomes = dict(_outcomes(base, model_scores(base), kind, models))
    parts = []
    with progress.stage("models", total=len(outcomes), unit="models") as bar:
        samples = (with_outcomes(sample, own) for own in outcomes.values())
        for model, own in zip(outcomes, evidence_of_each(samples, config, groups=False), strict=True):
            parts.append(_cells(model, themes, own))
            bar.advance()
    return _judged(pl.concat(parts), config.q, config.min_gap)


def model_groups(
    run: RunFolder,
    kind: Kind = "score",
    *,
    models: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """How each model does on each group of concepts that share their items.

    The groups are led as those of findings are, by all models at once (:mod:`competency_gaps.stages.matrix`).

    Parameters
    ----------
    kind, models
        As of :func:`model_themes`.

    Returns
    -------
    polars.DataFrame
        One row per model and group, with the columns of :func:`model_themes`, but ``group`` (the leading concept) in
        place of ``theme``, ``name`` being its label, and ``concepts`` (the leader first). ``q_value`` counts all cells
        of models against concepts, of which the groups were chosen. Empty where no concept stands out for any model.

    Raises
    ------
    UserError
        If the run has no scores of a model, or no model with enough peers.
    """
    base, progress = open_folder(run.base), progress or Progress(quiet=True)
    config = evidence_config(base)
    sample = item_sample(base.by_concept, base.items, config.strata)
    outcomes = dict(_outcomes(base, model_scores(base), kind, models))
    ranked = base.concepts["ranked"].to_numpy()
    with progress.stage("models", total=2 * len(outcomes), unit="passes") as bar:
        led = led_over_models(sample, list(outcomes.values()), config, ranked, advance=bar.advance)
        groups = pl.DataFrame(
            {
                "group": [group[0] for group in led.groups],
                "name": [base.concepts["label"][group[0]] for group in led.groups],
                "concepts": [list(group) for group in led.groups],
            },
            schema={"group": pl.Int32, "name": pl.String, "concepts": pl.List(pl.Int32)},
        )
        weighed = as_sample(sample, group_weights(sample, led.groups))
        parts = []
        samples = (with_outcomes(weighed, own) for own in outcomes.values())
        for model, own in zip(outcomes, evidence_of_each(samples, config), strict=True):
            parts.append(_cells(model, groups, own))
            bar.advance()
    return _judged(pl.concat(parts), config.q, config.min_gap, led.tested)


def _outcomes(
    run: RunFolder, scores: ModelScores, kind: Kind, models: Sequence[str] | None
) -> Iterator[tuple[str, Outcomes]]:
    """Give each model's outcomes; of all models those that have them, of given ones every one or an error."""
    any_model = False
    for model in models if models is not None else scores.models:
        try:
            outcome = outcome_of(run, scores, model, kind)[0]
        except UserError:
            if models is not None:
                raise
            continue
        any_model = True
        yield model, Outcomes(outcome.values, outcome.limits)
    if not any_model:
        raise UserError(f"the run {run.path} has no model with enough peers: scores on the same items are needed.")


def _sample(run: RunFolder, rows: sp.csr_array, strata: Sequence[str]) -> ItemSample:
    items = run.items
    names = items["benchmark"].unique(maintain_order=True).to_list()
    return ItemSample(
        np.full(items.height, np.nan),
        items["benchmark"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy(),
        lambda asked: sp.csr_array(rows[asked]),
        np.diff(rows.indptr).astype(np.int64),
        items["cluster"].cast(pl.Int64).to_numpy(),
        item_covariates(items, strata),
        repeats(items),
    )


def _cells(model: str, columns: pl.DataFrame, own: Evidence) -> pl.DataFrame:
    """One model's cells, a row per column of the matrix."""
    return pl.concat(
        [pl.DataFrame({"model": [model] * columns.height}, schema={"model": pl.String}), columns], how="horizontal"
    ).with_columns(
        n_eff=own.n_eff,
        mean=own.chi_model,
        gap=own.gap,
        gap_low=own.gap_low,
        gap_high=own.gap_high,
        p_value=own.p_value,
    )


def _judged(table: pl.DataFrame, q: float, min_gap: float, tested: int = 0) -> pl.DataFrame:
    """Add ``q_value`` over all cells, and ``status``; ``tested``: cells that these were chosen from."""
    p_value, low, high = (table[name].to_numpy() for name in ("p_value", "gap_low", "gap_high"))
    q_value = cell_q_values(p_value, low, high, min_gap, tested)
    verdict = (
        pl.when(pl.col("q_value").is_null())
        .then(pl.lit("insufficient"))
        .when(pl.col("q_value") > q)
        .then(pl.lit("typical"))
        .when(pl.col("gap") < 0)
        .then(pl.lit("weak"))
        .otherwise(pl.lit("strong"))
    )
    numbers = ("n_eff", "mean", "gap", "gap_low", "gap_high", "p_value", "q_value")
    return (
        table.with_columns(pl.Series("q_value", q_value))
        .with_columns(pl.col(numbers).fill_nan(None))
        .with_columns(status=verdict)
    )


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
    from scipy.stats import false_discovery_control

    known = ~np.isnan(p_value)
    sizeable = (high < -min_gap) | (low > min_gap)
    counted = np.where(sizeable, p_value, 1.0)[known]
    q_value = np.full(p_value.shape, np.nan)
    if len(counted):
        others = np.ones(max(0, tested - len(counted)))
        q_value[known] = false_discovery_control(np.concatenate([counted, others]))[: len(counted)]
    return q_value
