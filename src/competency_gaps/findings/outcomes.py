"""Views of a run: another model's scores, its scores against peers, a difference of two, or what was parsed.

A view is computed in memory, from the run's tables and activations, without a model. It can be used wherever a run can.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from competency_gaps.evidence import Evidence, evidence_by_benchmark
from competency_gaps.evidence.outcomes import Kind, Outcome
from competency_gaps.items.item import DTYPE, NO_SCORE
from competency_gaps.pipeline.results import evidence_columns, evidence_record, overlaps
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.outcomes import outcome_of
from competency_gaps.runs.sample import Outcomes, item_sample, item_strata
from competency_gaps.runs.scores import model_scores, read_scores
from competency_gaps.util.progress import Progress


def outcome_run(
    run: RunFolder,
    model: str,
    kind: Kind = "score",
    *,
    against: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> RunFolder:
    """Return a view of a run through an outcome of one of its models.

    Parameters
    ----------
    run
        The run, or any view of it.
    model
        Name of the model.
    kind
        ``score``, ``peers`` (the score less what models at its level make of the item), ``difference``, or ``parsed``
        (1 where an answer got a score, 0 where none could be read from it).
    against
        For ``peers`` their names, at least two (empty: the eight nearest within 12 points); for ``difference`` the
        other model.

    Returns
    -------
    RunFolder
        The run itself for the scores of its own model.

    Raises
    ------
    UserError
        If the run has no reading, no scores of a model, or too few peers.
    """
    base = run.run_itself()
    base.check_reading("A model's figures of concepts")
    scores = model_scores(base)
    model, against = scores.named(model), tuple(map(scores.named, against))
    scores.row(model)
    if kind == "score" and model == base.own_model:
        return base
    outcome, _ = outcome_of(base, scores, model, kind, against)
    with (progress or Progress(quiet=True)).stage(f"evidence of {model}"):
        return view_of(base, outcome)


def view_of(base: RunFolder, outcome: Outcome) -> RunFolder:
    """Return a view of a run through an outcome of its items."""
    config, concepts = base.evidence_config, base.concepts
    sample = item_sample(base.by_concept, base.items, config.strata, Outcomes(outcome.values, outcome.limits))
    eligible = concepts["ranked"].to_numpy()
    suite, numbered = evidence_by_benchmark(sample, config.thresholds, eligible=eligible)
    names = base.benchmarks["benchmark"].to_list()
    single = {name: numbered[number] for number, name in enumerate(names)}
    items = _items(base, outcome).with_columns(stratum=item_strata(sample))
    defined = np.sum([~np.isnan(evidence.chi_model) for evidence in single.values()], axis=0)
    tables = {
        "items": items,
        "concepts": _replaced(concepts, suite, n_benchmarks=defined),
        "concept_benchmarks": pl.concat(
            _replaced(base.concept_benchmarks.filter(pl.col("benchmark") == name), single[name]) for name in names
        ),
        "benchmarks": _benchmarks(base, items),
        "overlap": _overlap(base, single),
    }
    manifest = {
        **base.manifest,
        "scored_model": outcome.model,
        "outcome": {"kind": outcome.kind, "against": list(outcome.against), "limits": list(outcome.limits)},
        "evidence": evidence_record(config, suite, single),
    }
    return RunFolder(base.path, manifest, tables)


def _items(base: RunFolder, outcome: Outcome) -> pl.DataFrame:
    """Return the run's items with the outcome, and with the answers of its model."""
    items = base.items.with_columns(pl.Series("outcome", outcome.values).fill_nan(None))
    if outcome.model == base.own_model:
        return items
    rows = pl.DataFrame({"item": np.arange(items.height, dtype=np.int32)})
    added = read_scores(base.path).filter(pl.col("model") == outcome.model).drop("model")
    answers = rows.join(added, on="item", how="left", maintain_order="left").drop("item")
    return items.with_columns(
        *answers.drop("unscored"),
        pl.when(answers["score"].is_null())
        .then(pl.coalesce(answers["unscored"], pl.lit(NO_SCORE.as_dict(), DTYPE)))
        .alias("unscored"),
        pl.lit(None, pl.String).alias("details"),
        pl.lit(None, pl.List(pl.Float64)).alias("logprobs"),
        pl.lit(None, pl.List(pl.Boolean)).alias("greedy"),
    )


def _replaced(table: pl.DataFrame, evidence: Evidence, **further: np.ndarray) -> pl.DataFrame:
    columns = {"chi_model": pl.Series(evidence.chi_model).fill_nan(None), **evidence_columns(evidence), **further}
    series = [pl.Series(name, values).cast(table.schema[name]) for name, values in columns.items()]
    return table.with_columns(series)


def _benchmarks(base: RunFolder, items: pl.DataFrame) -> pl.DataFrame:
    kept = base.items.select("benchmark", pl.col("excluded").is_null().alias("kept"))
    scored = pl.concat([kept, items.select("score", "outcome")], how="horizontal").filter("kept")
    # The mean stays that of the model's scores: against peers it would be 0 in every benchmark.
    means = scored.group_by("benchmark").agg(
        pl.col("outcome").count().alias("scored"), pl.col("score").mean().alias("mean_score")
    )
    order, kinds = base.benchmarks.columns, base.benchmarks.schema
    joined = base.benchmarks.drop("scored", "mean_score").join(means, on="benchmark", how="left", maintain_order="left")
    return joined.with_columns(pl.col("scored").fill_null(0)).select(order).cast(kinds)


def _overlap(base: RunFolder, single: dict[str, Evidence]) -> pl.DataFrame:
    parts = [base.concept_benchmarks.filter(pl.col("benchmark") == name)["chi_bench"] for name in single]
    chi_bench = np.stack([part.to_numpy() for part in parts])
    return overlaps(list(single), chi_bench, np.stack([evidence.chi_model for evidence in single.values()]))
