"""Make and write the tables of an outcome of a run, from the run's tables and rows of activations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from competency_gaps.checked import FILES
from competency_gaps.dictionary.kinds import ranked
from competency_gaps.evidence import Evidence, ItemSample, evidence_by_benchmark
from competency_gaps.files import write_atomic
from competency_gaps.findings import write_findings
from competency_gaps.items.item import DTYPE, Reason
from competency_gaps.outcomes import FEW_PEERS, NEAR_PEERS, Outcome
from competency_gaps.runs.manifest import write_manifest
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import Outcomes, item_sample, item_strata
from competency_gaps.runs.scores import ModelScores, read_scores
from competency_gaps.runs.settings import evidence_config, run_config
from competency_gaps.stages.benchmark_facts import benchmark_facts
from competency_gaps.stages.missing import Missing, missing_scores
from competency_gaps.stages.tables import evidence_columns, overlaps
from competency_gaps.stages.themes import BENCHMARKS, RESULTS, run_theme_tables
from competency_gaps.text import plural

VERSION = 3
"""Of the tables of outcomes; older ones are made again."""


class Peers(NamedTuple):
    """What scores against peers rest on."""

    rows: np.ndarray
    """int64: the peers' rows of the scores."""
    expected: np.ndarray
    """float64 of shape (items,): the score that they let expect of the model."""
    slopes: dict[str, float]
    """By benchmark: how much the model's scores change with the peers'."""
    distance: float
    """By how much the peers' means differ from the model's on average, in [0, 1]; peers that share too few items with
    it are left out, and 0 where all do."""


def write_tables(
    base: RunFolder,
    folder: Path,
    outcome: Outcome,
    record: dict[str, Any],
    scores: ModelScores,
    peers: Peers | None,
) -> RunFolder:
    """Write an outcome into its folder, which opens like a run; ``record`` is what its manifest says of it."""
    config, settings = evidence_config(base), run_config(base)
    concepts = base.concepts
    if record["all_kinds"]:
        config = config.model_copy(update={"kinds": "all"})
        concepts = concepts.with_columns(ranked(concepts, config))
    sample = item_sample(base.by_concept, base.items, config.strata, Outcomes(outcome.values, outcome.limits))
    eligible = concepts["ranked"].to_numpy()
    suite, numbered = evidence_by_benchmark(
        sample, config, eligible=eligible, pooled=settings.metrics.average == "pooled"
    )
    remarks = _remarks(base, scores, outcome, peers, sample, suite, eligible) if peers else []
    names = base.benchmarks["benchmark"].to_list()
    single = {name: numbered[number] for number, name in enumerate(names)}
    items = _items(base, outcome).with_columns(stratum=item_strata(sample))
    tables = {
        "items": items,
        "concepts": _replaced(concepts, suite, n_benchmarks=_defined(single)),
        "concept_benchmarks": pl.concat(
            _replaced(base.concept_benchmarks.filter(pl.col("benchmark") == name), single[name]) for name in names
        ),
        "benchmarks": _benchmarks(base, items),
        "overlap": _overlap(base, single),
    }
    for name, table in tables.items():
        write_atomic(folder / f"{name}.parquet", table.write_parquet)
    manifest = {key: value for key, value in base.manifest.items() if key not in ("schema_version", FILES)}
    manifest |= {
        "scored_model": outcome.model,
        "outcome": {**record, "remarks": [remark.as_dict() for remark in remarks]},
        "evidence": {
            **config.model_dump(mode="json"),
            **suite.counts(),
            "benchmarks": benchmark_facts(sample, base.items, single, config),
        },
    }
    made = RunFolder(folder, manifest)
    if base.themes is not None:
        themes = run_theme_tables(made, base.themes)
        write_atomic(folder / RESULTS, themes.results.write_parquet)
        write_atomic(folder / BENCHMARKS, themes.benchmarks.write_parquet)
    write_findings(RunFolder(folder, manifest))
    write_manifest(folder, manifest)
    return open_folder(folder)


def _remarks(
    base: RunFolder,
    scores: ModelScores,
    outcome: Outcome,
    peers: Peers,
    sample: ItemSample,
    suite: Evidence,
    eligible: np.ndarray,
) -> list[Reason]:
    """What makes scores against peers less sure: few or distant peers, and scores that are not missing by chance."""
    remarks = []
    if len(peers.rows) < FEW_PEERS:
        remarks.append(
            Reason(
                "peers_few",
                f"scores are set against {plural(len(peers.rows), 'peer')} only: with more, fewer "
                "weaknesses would be missed",
                (len(peers.rows),),
            )
        )
    if peers.distance > NEAR_PEERS:
        remarks.append(
            Reason(
                "peers_far",
                "the peers are not of the model's level: their mean scores differ from its own by "
                f"{100 * peers.distance:.0f} points of 100 on average, so part of a gap can be the "
                "items' difficulty",
                (100 * peers.distance,),
            )
        )
    config = evidence_config(base)
    row = scores.row(outcome.model)
    lacking = np.where(scores.asked[row], np.isnan(scores.values[row]), np.nan)
    own = missing_scores(sample, lacking, peers.expected, config, eligible=eligible)
    if own is not None and own.with_difficulty:
        remarks.append(_with_difficulty("missing_difficulty", own))
    if own is not None and len(own.concepts):
        listed = int(np.isin(suite.status[own.concepts], ("weak", "strong")).sum())
        remarks.append(
            Reason(
                "missing_concepts",
                "its scores are missing more, or less, often than elsewhere on the items of "
                f"{len(own.concepts):,} of {plural(own.tested, 'tested concept')}, of which "
                f"{listed:,} are listed as weak or strong: if its unscored answers are mostly "
                "wrong ones, these may be listed by mistake",
                (len(own.concepts), own.tested, listed),
            )
        )
    of_peers = np.where(np.isnan(outcome.values), np.nan, np.isnan(scores.values[peers.rows]).mean(axis=0))
    theirs = missing_scores(sample, of_peers, peers.expected, config, eligible=np.zeros_like(eligible))
    if theirs is not None and theirs.with_difficulty:
        remarks.append(_with_difficulty("peers_missing_difficulty", theirs))
    return remarks


def _with_difficulty(code: str, missing: Missing) -> Reason:
    gap, low, high = (100 * value for value in (missing.gap, missing.low, missing.high))
    there = (
        f"score {gap:+.1f} points of 100 ({low:+.1f} to {high:+.1f}) there against other items of the same benchmarks"
    )
    text = (
        f"{missing.share:.1%} of the items that the model was asked have no score of it, and its peers {there}: gaps "
        "are those on the items that are scored"
        if code == "missing_difficulty"
        else f"{missing.share:.1%} of the peers' scores are missing, and the other peers {there}"
    )
    return Reason(code, text, (missing.share, gap, low, high))


def _items(base: RunFolder, outcome: Outcome) -> pl.DataFrame:
    """The columns of items that are the outcome's own, row by row."""
    items = base.items
    rows = pl.DataFrame({"item": np.arange(items.height, dtype=np.int32)})
    if outcome.model == base.own_model:
        own = items.select("score", "response", "unscored")
    else:
        added = read_scores(base.path).filter(pl.col("model") == outcome.model).drop("model")
        own = rows.join(added, on="item", how="left", maintain_order="left").drop("item")
    own = own.with_columns(pl.Series("outcome", outcome.values).fill_nan(None))
    if outcome.model == base.own_model:
        return own
    nothing = pl.lit(Reason("source_no_score", "the source gives no score").as_dict(), DTYPE)
    return own.with_columns(
        pl.when(pl.col("score").is_null()).then(pl.coalesce("unscored", nothing)).alias("unscored"),
        pl.lit(None, pl.String).alias("details"),
        pl.lit(None, pl.List(pl.Float64)).alias("logprobs"),
        pl.lit(None, pl.List(pl.Boolean)).alias("greedy"),
    )


def _replaced(table: pl.DataFrame, evidence: Evidence, **further: np.ndarray) -> pl.DataFrame:
    columns = {"chi_model": pl.Series(evidence.chi_model).fill_nan(None), **evidence_columns(evidence), **further}
    made = [pl.Series(name, values).cast(table.schema[name]) for name, values in columns.items()]
    return table.with_columns(made)


def _defined(single: dict[str, Evidence]) -> np.ndarray:
    return np.sum([~np.isnan(evidence.chi_model) for evidence in single.values()], axis=0)


def _benchmarks(base: RunFolder, items: pl.DataFrame) -> pl.DataFrame:
    kept = base.items.select("benchmark", pl.col("excluded").is_null().alias("kept"))
    own = pl.concat([kept, items.select("score", "outcome")], how="horizontal").filter("kept")
    # The mean stays that of the model's scores: against peers it would be 0 in every benchmark.
    means = own.group_by("benchmark").agg(
        pl.col("outcome").count().alias("scored"), pl.col("score").mean().alias("mean_score")
    )
    order, kinds = base.benchmarks.columns, base.benchmarks.schema
    joined = base.benchmarks.drop("scored", "mean_score").join(means, on="benchmark", how="left", maintain_order="left")
    return (
        joined.with_columns(pl.col("scored").fill_null(0))
        .select(order)
        .cast({"scored": kinds["scored"], "mean_score": kinds["mean_score"]})
    )


def _overlap(base: RunFolder, single: dict[str, Evidence]) -> pl.DataFrame:
    names = list(single)
    parts = [base.concept_benchmarks.filter(pl.col("benchmark") == name)["chi_bench"] for name in names]
    chi_bench = np.stack([part.fill_null(0.0).to_numpy() for part in parts])
    read = np.array([not part.is_null().all() for part in parts])
    return overlaps(names, chi_bench, np.stack([evidence.chi_model for evidence in single.values()]), read)
