"""A run of items and scores alone: no model reads the items, so it takes seconds and needs no torch."""

from __future__ import annotations

import datetime
import hashlib
import json
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import scipy.sparse as sp

from competency_gaps.items.config import ItemsConfig, SlicesConfig, as_dict, parse_config
from competency_gaps.items.item import NO_SCORE, Benchmark, item_row
from competency_gaps.items.repeats import Repeats, find_clusters
from competency_gaps.items.scorer import Output, Score, Scorer
from competency_gaps.logs.find import suite_logs
from competency_gaps.logs.reader import NONE
from competency_gaps.logs.scores import configured_scores
from competency_gaps.model.embed import embed_texts
from competency_gaps.model.load import versions
from competency_gaps.pipeline.items import why_unscored
from competency_gaps.pipeline.load import load_suite, scorers_of
from competency_gaps.pipeline.logs import matched_line
from competency_gaps.pipeline.results import benchmark_table, with_clusters, write_items
from competency_gaps.runs.covariates import check_strata
from competency_gaps.runs.manifest import FILE, SCHEMA_VERSION, SLICES_FILE, set_aside, write_manifest
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.plan import FILE as PLAN
from competency_gaps.runs.plan import claim_without_reading
from competency_gaps.runs.sample import item_strata, slice_sample
from competency_gaps.runs.scores import ROWS, check_scores, match_scores, write_scores
from competency_gaps.slices.lists import read_list
from competency_gaps.slices.make import Source, make_slices, write_slices
from competency_gaps.slices.tree import MIN_TREE_ITEMS
from competency_gaps.util.errors import UserError, argument
from competency_gaps.util.files import cache_folder, finite, make_folder, sha256, write_atomic
from competency_gaps.util.progress import Progress


def run_without_reading(config: ItemsConfig, folder: Path, progress: Progress, command: str) -> RunFolder:
    """Write a run folder of items, their scores and their slices, and return the run.

    Parameters and errors are those of :func:`~competency_gaps.pipeline.run.run`, which locks the folder.
    """
    begin = time.perf_counter()
    rows = read_inputs(config)
    suite = load_suite(config.benchmarks, progress)
    scorers = {entry.name: scorers_of(suite[entry.name], entry, ask=False) for entry in config.benchmarks}
    check_strata(config.evidence.strata, [item for benchmark in suite.values() for item in benchmark.items])
    repeats = find_clusters(list(suite.values()), config.near_repeats)
    items = _items(suite, scorers, repeats)
    model = scored_model(suite.values(), items["scorer"], None)
    places = items.select("benchmark", "item_id", "prompt").iter_rows()
    matched = match_scores(places, rows, model if items["score"].count() else None, strict=False)
    for counts in matched.models:
        if counts.unmatched:
            progress.say(matched_line(counts))
    scores = matched.table
    if not items["score"].count() and not scores["score"].count():
        raise UserError(
            "no item has a score, so there is nothing to say without a reading: give logs with scores, or a table "
            f"({argument('scores')}); {argument('read')} shows what the items test."
        )
    make_folder(folder)
    claim_without_reading(folder)
    set_aside(folder)
    sample = slice_sample(items, sp.csr_array((0, items.height)), config.evidence.strata)
    items = items.with_columns(stratum=item_strata(sample))
    write_items(folder / "items.parquet", items)
    nothing = dict.fromkeys(suite, 0)
    write_atomic(folder / "benchmarks.parquet", benchmark_table(items, nothing, 0).write_parquet)
    facts = {
        "scored_model": model or " and ".join(scores["model"].unique(maintain_order=True)),
        "evidence": config.evidence.model_dump(mode="json"),
        "timings": {"reading items": round(time.perf_counter() - begin, 2)},
    }
    return finish(config, folder, manifest_of(config, suite.values(), items, command, facts), scores, progress)


def read_inputs(config: ItemsConfig) -> pl.DataFrame:
    """Return the scores that a configuration names, as ``ROWS``; raises UserError if these, or its lists, are wrong."""
    for path in config.slices.lists:
        read_list(path)
    return pl.concat([pl.DataFrame(schema=ROWS), *map(configured_scores, config.scores)])


def finish(
    config: ItemsConfig, folder: Path, manifest: dict[str, Any], scores: pl.DataFrame | None, progress: Progress
) -> RunFolder:
    """Write the slices, the manifest and other models' scores of a run whose other tables are written; return the
    run.
    """
    with progress.stage("slices"):
        source = Source(RunFolder(folder, manifest), config.slices, config.judge, progress)
        slices, manifest["slices"] = make_slices(source)
        write_atomic(folder / SLICES_FILE, slices.write_parquet)
    check_scores(folder)
    write_manifest(folder, manifest)
    if scores is not None and scores.height:
        write_scores(folder, scores)
    return open_folder(folder)


def scored_model(suite: Iterable[Benchmark], scorers: Iterable[str], reader: str | None) -> str | None:
    """Return the name of the model whose scores the items have: that of their logs, else the reader's."""
    reports = [report for benchmark in suite for report in benchmark.reports]
    if not set(scorers) <= {"imported", "none"} or not reports:
        return reader
    # Logs read without scores only provide items, for the scores of other models.
    scored = [report for report in reports if report.metric != NONE] or reports
    return " and ".join(sorted({report.model or "a model that the log does not name" for report in scored}))


def _items(suite: Mapping[str, Benchmark], scorers: Mapping[str, Sequence[Scorer]], repeats: Repeats) -> pl.DataFrame:
    """Return ``items.parquet`` without the strata."""
    rows = []
    for name, benchmark in suite.items():
        for item, scorer in zip(benchmark.items, scorers[name], strict=True):
            imported = Score(item.score, item.response, NO_SCORE)
            score = imported if scorer.name == "imported" else scorer.score(item, Output())
            row = item_row(name, item) | {"scorer": scorer.name, "score": score.value, "response": score.response}
            row |= {"unscored": why_unscored(score), "text": item.prompt, "body_start": 0, "body_end": len(item.prompt)}
            rows.append(row)
    return with_clusters(rows, repeats)


_OF_READING = ("model", "sae", "hook", "span", "pooling", "bos_id", "gate", "reference")
"""Keys of the manifest that are null without a reading."""


def manifest_of(
    config: ItemsConfig,
    suite: Iterable[Benchmark],
    items: pl.DataFrame,
    command: str,
    facts: Mapping[str, Any],
    shards: Mapping[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Return a run's manifest without checksums; ``facts``: scored model, evidence, timings and the reading, if any."""
    scorers = dict(items.group_by("benchmark").agg(pl.col("scorer").unique()).iter_rows())
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "versions": versions(),
        **dict.fromkeys(_OF_READING),
        "paper": False,
        **facts,
        "benchmarks": [
            {
                "name": benchmark.name,
                "items": len(benchmark.items),
                "content_sha256": benchmark.content_hash(),
                "scorer": ", ".join(sorted(scorers[benchmark.name])),
                "scope": choice.scope,
                "left_out": [{"where": left.where, "reason": left.reason.as_dict()} for left in benchmark.left_out],
                "source": [finite(asdict(report)) for report in benchmark.reports],
                "shards": (shards or {}).get(benchmark.name, []),
            }
            for benchmark, choice in zip(suite, config.benchmarks, strict=True)
        ],
        "settings": as_dict(config),
    }


QUICK_FAMILIES = ["columns", "features"]
"""Families of slices that take only seconds."""
CACHE_FORMAT = 1
"""Version of cached runs; those of another version are made again."""


def open_source(path: Path, progress: Progress | None = None) -> RunFolder:
    """Return the run in a folder, or a run made from the logs there.

    Raises
    ------
    UserError
        If the path holds neither, or an unfinished run.
    MachineError
        If there are logs, and the cache folder cannot be written.
    """
    path = path.expanduser()
    if (path / FILE).is_file() or (path / PLAN).is_file():
        return open_folder(path)
    return cached_run(path, {}, progress or Progress(quiet=True))


def cached_run(path: Path, options: Mapping[str, Any], progress: Progress) -> RunFolder:
    """Return the run of some logs; it is made in the cache folder if it is not there yet.

    Parameters
    ----------
    options
        Options of :func:`~competency_gaps.logs.find.suite_logs`.
    """
    if not path.exists():
        raise UserError(f"{str(path)!r} does not exist. Expected a run folder, or logs of an evaluation.")
    options = {name: value for name, value in options.items() if value}
    folder = cache_folder() / "logs" / _digest(path, options)
    if not (folder / FILE).is_file():
        suite = suite_logs([str(path)], **options)
        data = {"benchmarks": suite.benchmarks, "scores": suite.scores, "slices": {"families": QUICK_FAMILIES}}
        config = parse_config(ItemsConfig, data, str(path))
        make_folder(folder.parent)
        # In a draft folder, as an unfinished run must not be visible, and two processes may make the same one.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as draft:
            run_without_reading(config, Path(draft) / "run", progress, "")
            with suppress(OSError):  # another process was faster
                (Path(draft) / "run").rename(folder)
    run = open_folder(folder)
    return RunFolder(folder, {**run.manifest, "logs": str(path)})


def add_text_slices(run: RunFolder, progress: Progress) -> RunFolder | None:
    """Add clusters of similar texts to a run of logs and return it; None if it has them, or too few items.

    Raises
    ------
    MissingExtraError, NoModelError
        As :func:`~competency_gaps.model.embed.embed_texts`; the run stays as it is.
    """
    if "clusters" in run.manifest["slices"] or run.items.height < MIN_TREE_ITEMS:
        return None
    embed_texts([])  # first of all: the model may not be here
    progress.say("\nClusters of like texts come next, and the answer with them. To leave it at this: Ctrl-C.")
    write_slices(run, Source(run, SlicesConfig(families=[*QUICK_FAMILIES, "clusters"]), progress=progress))
    return RunFolder(run.path, {**open_folder(run.path).manifest, "logs": run.manifest["logs"]})


def _digest(path: Path, options: Mapping[str, Any]) -> str:
    """Return a hash of the logs' names and contents, and of the options for reading them."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    hashed = [[str(file.relative_to(path.parent)), sha256(file)] for file in files]
    return hashlib.sha256(json.dumps([CACHE_FORMAT, SCHEMA_VERSION, options, hashed]).encode()).hexdigest()[:32]
