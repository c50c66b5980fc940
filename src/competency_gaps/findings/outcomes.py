"""Outcomes of a run: another model's scores, its scores against peers, or a difference of two.

An outcome lies in a folder of its own in the cache folder, so that reading a run writes nothing into it, and is opened
like a run: everything that reads a run reads it.
It is made from the run's tables and rows of activations, without a model, and made again when the scores it rests on
have changed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.evidence import Evidence, evidence_by_benchmark
from competency_gaps.evidence.outcomes import Kind, Outcome
from competency_gaps.items.item import DTYPE, NO_SCORE
from competency_gaps.pipeline.results import evidence_columns, evidence_record, overlaps
from competency_gaps.runs.manifest import FILE, read_whole_manifest, write_manifest, write_tables
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.outcomes import outcome_of
from competency_gaps.runs.sample import Outcomes, item_sample, item_strata
from competency_gaps.runs.scores import ModelScores, model_scores, read_scores
from competency_gaps.util.checked import FILES, digest
from competency_gaps.util.errors import CompetencyGapsError, MachineError
from competency_gaps.util.files import CACHE_VARIABLE, cache_folder, can_write
from competency_gaps.util.lock import FILE as LOCK
from competency_gaps.util.lock import hold
from competency_gaps.util.progress import Progress

FOLDER = "outcomes"
"""In the cache folder; below it, a folder for each run, by its path."""
_NAMED = ("concepts.parquet", "regions.parquet")
"""Tables that hold labels and names, which ``cgaps concepts name`` replaces."""


def outcome_run(
    run: RunFolder,
    model: str,
    kind: Kind = "score",
    *,
    against: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> RunFolder:
    """Open a run as the scores of one of its models, making the tables where they are missing or out of date.

    Parameters
    ----------
    run
        The run, or any outcome of it.
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
        If the run has no scores of a model, or too few peers.
    """
    base = run.run_itself()
    base.check_reading("A model's figures of concepts")
    scores = model_scores(base)
    model, against = scores.named(model), tuple(map(scores.named, against))
    scores.row(model)
    if kind == "score" and model == base.own_model:
        return base
    outcome, _ = outcome_of(base, scores, model, kind, against)
    chosen = kind == "peers" and not against
    name = _folder_name(outcome, chosen=chosen)
    rests_on = _digest(base, scores, outcome)
    folder = cache_folder() / FOLDER / hashlib.sha256(str(base.path.resolve()).encode()).hexdigest()[:16] / name
    if existing := _existing(folder, rests_on):
        return existing
    if not can_write(folder):
        raise MachineError(
            f"the tables of {model} cannot be kept in the cache folder {folder}, which cannot be written. Set "
            f"{CACHE_VARIABLE} to a writable folder."
        )
    record = {
        "kind": kind,
        "model": model,
        "against": list(outcome.against),
        "chosen": chosen,
        "limits": list(outcome.limits),
        "digest": rests_on,
        "run": str(base.path.resolve()),
    }
    progress = progress or Progress(quiet=True)
    with hold(folder), progress.stage(f"evidence of {model}"):
        if existing := _existing(folder, rests_on):  # by another process, meanwhile
            return existing
        _clear(folder)
        return write_outcome(base, folder, outcome, record)


def _existing(folder: Path, rests_on: str) -> RunFolder | None:
    """An outcome that was made; None: there is none, it rests on something else now, another version wrote it, or it
    is damaged: it is made again."""
    if not (folder / FILE).is_file():
        return None
    try:
        run = RunFolder(folder, read_whole_manifest(folder))
    except CompetencyGapsError:
        return None
    return run if run.manifest["outcome"].get("digest") == rests_on and run.files.is_whole() else None


def _clear(folder: Path) -> None:
    """Remove an outcome that is out of date."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith(LOCK):
            path.unlink()


def _folder_name(outcome: Outcome, *, chosen: bool) -> str:
    """One for each model and kind, each set of models that were asked for by name."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", outcome.model).strip(".-")[:60]
    key = json.dumps([outcome.kind, outcome.model, *(() if chosen else sorted(outcome.against))])
    return f"{outcome.kind}-{words}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _digest(run: RunFolder, scores: ModelScores, outcome: Outcome) -> str:
    """What the tables of an outcome rest on: the run with its labels and regions, scores, answers, what was asked."""
    kept = {key: value for key, value in run.manifest.items() if key not in ("command", "read", "timings", FILES)}
    named = [digest(file) for file in map(run.path.joinpath, _NAMED) if file.is_file()]
    known = hashlib.sha256(json.dumps([VERSION, kept, named], sort_keys=True, default=str).encode())
    for model in (outcome.model, *sorted(outcome.against)):
        known.update(scores.of(model).tobytes())
    known.update(scores.asked[scores.row(outcome.model)].tobytes())
    rows = read_scores(run.path).filter(pl.col("model") == outcome.model).drop("model")
    known.update(rows.sort("item").write_json().encode())
    return known.hexdigest()


VERSION = 4
"""Of the tables of outcomes; older ones are made again."""


def write_outcome(base: RunFolder, folder: Path, outcome: Outcome, record: dict[str, Any]) -> RunFolder:
    """Write an outcome into its folder, which opens like a run; ``record`` is what its manifest says of it."""
    config = base.evidence_config
    concepts = base.concepts
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
    write_tables(folder, {f"{name}.parquet": table for name, table in tables.items()})
    manifest = {key: value for key, value in base.manifest.items() if key not in ("schema_version", FILES)}
    manifest |= {"scored_model": outcome.model, "outcome": record, "evidence": evidence_record(config, suite, single)}
    write_manifest(folder, manifest)
    return open_folder(folder)


def _items(base: RunFolder, outcome: Outcome) -> pl.DataFrame:
    """The columns of items that are the outcome's own, row by row."""
    items = base.items
    values = pl.Series("outcome", outcome.values).fill_nan(None)
    if outcome.model == base.own_model:
        return items.select("score", "response", "unscored", values)
    rows = pl.DataFrame({"item": np.arange(items.height, dtype=np.int32), "outcome": values})
    added = read_scores(base.path).filter(pl.col("model") == outcome.model).drop("model")
    scores = rows.join(added, on="item", how="left", maintain_order="left").drop("item")
    nothing = pl.lit(NO_SCORE.as_dict(), DTYPE)
    return scores.with_columns(
        pl.when(pl.col("score").is_null()).then(pl.coalesce("unscored", nothing)).alias("unscored"),
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
