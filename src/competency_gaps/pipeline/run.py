"""The main job, top to bottom: benchmarks -> model -> SAE -> activations -> metrics -> run folder."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.concepts.kinds import LatentFacts
from competency_gaps.items.config import ItemsConfig, RunConfig
from competency_gaps.pipeline.engines import Engine, read_here, read_suite, share
from competency_gaps.pipeline.extraction import ShardFiles
from competency_gaps.pipeline.gate import pass_gate
from competency_gaps.pipeline.judging import check_judge, judge_responses
from competency_gaps.pipeline.logs import matched_line
from competency_gaps.pipeline.naming import name_run
from competency_gaps.pipeline.results import has_lift, items_table, write_results
from competency_gaps.pipeline.setting import Setting, set_up
from competency_gaps.pipeline.without_reading import finish, manifest_of, read_inputs, run_without_reading, scored_model
from competency_gaps.runs.manifest import FILE as MANIFEST_FILE
from competency_gaps.runs.manifest import set_aside, write_tables
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.plan import begun, claim, plan_identity, planned
from competency_gaps.runs.scores import check_scores, match_scores
from competency_gaps.runs.store import RunStore
from competency_gaps.sae.find import trained_on
from competency_gaps.sae.gate import GateFigures
from competency_gaps.sae.load import LoadedPair
from competency_gaps.util.checked import settle
from competency_gaps.util.files import sha256
from competency_gaps.util.lock import hold
from competency_gaps.util.progress import Progress


def run(
    config: ItemsConfig,
    folder: Path,
    progress: Progress | None = None,
    command: str = "",
    pair: LoadedPair | None = None,
    engine: Engine = read_here,
    store: RunStore | None = None,
) -> RunFolder:
    """Audit a model: score benchmarks, read its concepts, write a run folder, and return the run.

    A stopped run continues where it stopped, with the same result as an uninterrupted run.

    Parameters
    ----------
    config
        What to run. Without a model (no :class:`RunConfig`) nothing is read: the run has items, scores and slices. With
        one, a run without a reading in the folder gets it; until its tables are rebuilt it can be opened as before.
    folder
        The run folder.
    command
        The command line, for the manifest.
    pair
        The configuration's model and SAE if they are loaded already; None: they are loaded here.
    engine
        Reads the missing shards.
    store
        Shares the run's shards with other machines; None: they are in the run folder only.

    Raises
    ------
    UserError
        If the input is wrong, the SAE does not fit the model, or another process writes to the folder.
    MachineError
        If the folder cannot be written, or the disk is full; finished work remains.
    """
    progress = progress or Progress(quiet=True)
    with hold(folder):
        # Else a change of the run that stood here, which a kill interrupted, would be put upon the tables of this one.
        settle(folder, MANIFEST_FILE)
        check_scores(folder)
        if not isinstance(config, RunConfig):
            return run_without_reading(config, folder, progress, command)
        config = planned(config, begun(folder) or (store.plan() if store is not None else None))
        return _run(config, folder, progress, command, pair, share(store, engine))


def _run(
    config: RunConfig, folder: Path, progress: Progress, command: str, pair: LoadedPair | None, engine: Engine
) -> RunFolder:
    """Make a run with a reading, step by step."""
    ends = [("start", time.perf_counter())]
    judge = check_judge(config.judge, folder)
    # Read and matched before hours of work: a wrong cell shows now, wrong ids once the items are there.
    rows = read_inputs(config)
    setting = set_up(config, progress, pair)
    scores = _match_scores(setting, rows, progress) if rows.height else None
    ends.append(("load", time.perf_counter()))
    gate, sampled, items_read = begin(setting, folder, progress)
    ends.append(("gate", time.perf_counter()))
    read, store, record = read_suite(setting, folder, engine, progress)
    record["items"] += items_read
    ends.append(("reading", time.perf_counter()))
    responses, judging, figures = judge_responses(folder, judge, read, progress)
    ends.append(("judging", time.perf_counter()))
    with progress.stage("metrics"):
        set_aside(folder)
        items = items_table(read, responses, setting.repeats)
        shards = {name: extraction.shards for name, extraction in read.items()}
        evidence = write_results(folder, store, shards, items, setting, sampled)
    ends.append(("metrics", time.perf_counter()))
    timings = {name: round(now - before, 2) for (_, before), (name, now) in pairwise(ends)}
    facts = {"evidence": evidence, "read": record, "timings": timings, "judging": judging}
    manifest = manifest_of(config, setting.suite, items, command, {**facts, **_facts(setting, gate)}, shards)
    for benchmark in manifest["benchmarks"]:
        benchmark["figures"] = figures.get(benchmark["name"])
    # A slower reader may have left a draft when it was ended.
    ShardFiles(folder, setting.sae.d_sae).sweep()
    with progress.stage("naming concepts") if setting.dictionary is not None else nullcontext():
        tables, named = name_run(RunFolder(folder, manifest), setting.dictionary)
        write_tables(folder, tables)
    return finish(config, folder, manifest | named, scores, progress)


def _match_scores(setting: Setting, rows: pl.DataFrame, progress: Progress) -> pl.DataFrame:
    """Return scores of other models matched to the items, and print what matches."""
    items = [(name, item) for name, prepared_items in setting.prepared.items() for item in prepared_items]
    has_scores = any(
        item.item.score is not None if item.scorer.name == "imported" else item.scorer.name != "none"
        for _, item in items
    )
    places = ((name, item.item.id, item.text.text[slice(*item.text.body)]) for name, item in items)
    matched = match_scores(places, rows, _scored_model(setting) if has_scores else None)
    for counts in matched.models:
        progress.say(matched_line(counts))
    return matched.table


def begin(setting: Setting, folder: Path, progress: Progress) -> tuple[GateFigures, LatentFacts, int]:
    """Claim the run folder or resume the run in it, and measure the SAE; returns as :func:`pass_gate`."""
    config = setting.config
    resumed = claim(folder, plan_identity(config, setting.extractor, setting.bos_id, setting.suite))
    progress.say(f"{'Resuming' if resumed else 'Run folder'} {folder}")
    gate, sampled, items = pass_gate(setting, folder, progress)
    other = trained_on(str(setting.sae.identity["model_name"]), setting.config.model.name)
    origin = f"; {other}" if other else ""
    progress.say(gate.sentence() + origin + (" - does not fit, but the run goes on" if gate.forced else ""))
    return gate, sampled, items


def _facts(setting: Setting, gate: GateFigures) -> dict[str, Any]:
    """Return the manifest's record of the reading."""
    config, hook, file = setting.config, setting.extractor.hook, setting.reference_file
    reference = file and {"name": file.name, "sha256": sha256(file), "lift": has_lift(config)}
    return {
        "model": setting.lm.identity,
        "scored_model": _scored_model(setting),
        "sae": setting.sae.identity,
        "hook": {"name": hook.name, "path": hook.path, "side": hook.side, "layer": hook.layer},
        "span": config.span,
        "pooling": config.pooling,
        "paper": config.paper,
        "bos_id": setting.bos_id,
        "gate": asdict(gate),
        "reference": reference,
    }


def _scored_model(setting: Setting) -> str:
    """Return the name of the model whose scores the items have."""
    scorers = (item.scorer.name for items in setting.prepared.values() for item in items)
    return str(scored_model(setting.suite, scorers, str(setting.lm.identity["name"])))
