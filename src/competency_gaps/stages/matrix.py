"""Models against themes, and against groups of concepts that share their items: gaps, tested over all cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.errors import UserError
from competency_gaps.evidence import Evidence, ItemSample, evidence_of_each
from competency_gaps.findings.groups import as_sample, group_weights
from competency_gaps.outcomes import Kind
from competency_gaps.progress import Progress
from competency_gaps.runs.covariates import item_covariates, repeats
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import Outcomes, item_sample, with_outcomes
from competency_gaps.runs.scores import ModelScores, model_scores
from competency_gaps.runs.settings import evidence_config
from competency_gaps.stages.led import cell_q_values, led_over_models
from competency_gaps.stages.outcomes import outcome_of
from competency_gaps.stages.theme_rows import theme_rows


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
            f"the run {base.path} has no themes. Group the concepts of its dictionary with 'cgaps themes', then put it "
            "on the run with 'cgaps name'."
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

    The groups are led as those of findings are, by all models at once (:mod:`competency_gaps.stages.led`).

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
            outcome = outcome_of(run, scores, model, kind)
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
