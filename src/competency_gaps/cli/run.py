"""``cgaps demo`` and ``run``: make a run from a configuration or from options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from competency_gaps.cli import shared
from competency_gaps.cli.shared import terminal, typed_command
from competency_gaps.cli.show import print_demo, print_run
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    from competency_gaps.logs.find import SuiteLogs

BUNDLED = "embedded"
"""Default model and SAE to read items."""


def run(
    config: Annotated[
        Path | None, typer.Argument(help="YAML configuration, instead of --model, --sae and so on.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help=shared.MODEL_HELP)] = None,
    sae: Annotated[str | None, typer.Option("--sae", "-s", help=shared.SAE_HELP)] = None,
    read: Annotated[
        bool, typer.Option("--read", help="Read the items of logs with the bundled model and SAE: adds concepts.")
    ] = False,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            "-b",
            metavar="[NAME=]PATH",
            help="Items: a file, a folder, or a hub dataset (hub:openai/gsm8k/main:test); repeatable.",
        ),
    ] = None,
    log: shared.LogOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; resumes an unfinished run in it.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", min=1, help="Read only the first N items of each benchmark."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Read only N items of each benchmark, evenly spaced.")
    ] = None,
    set_: shared.SetOption = None,
    metric: shared.MetricOption = None,
    scorer: shared.ScorerOption = None,
    field: shared.FieldOption = None,
    scores: shared.ScoresOption = None,
    llm: shared.LLMOption = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Read with Ray workers: 'local' (this machine), 'auto' or ray://HOST:PORT; --set ray.workers=N.",
        ),
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Share shards between machines, e.g. s3://BUCKET/RUN.")
    ] = None,
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Make a run: a model with its SAE reads benchmarks, or logs of evaluations are kept."""
    import competency_gaps as cg
    from competency_gaps.items.config import ItemsConfig, RunConfig, parse_config, read_yaml
    from competency_gaps.items.config.load import apply_overrides

    progress = terminal(quiet)
    if config and (read or model or sae or benchmark or log):
        raise UserError("give a configuration file and --set, or --log or --benchmark with --read, --model and --sae.")
    logs = _logs(log, metric, scorer, None if benchmark and not log else field, progress)
    if read and (model or sae):
        raise UserError("--read reads the items with the bundled model: leave it out, or --model and --sae.")
    # Of items without any score a reading is all that there is.
    is_bundled = read or bool(benchmark and not (log or scores or model or sae))
    if is_bundled:
        model, sae = BUNDLED, BUNDLED
        progress.say("Reading the items with SmolLM2-135M, the bundled model; choose another with --model and --sae.")
    if config:
        data = read_yaml(config)
    else:
        items = [_benchmark(text, field or []) for text in benchmark or []]
        data = _from_options(model, sae, [*items, *logs.benchmarks])
        if is_bundled:
            data["ask"] = False
    kind = RunConfig if {"model", "sae"} & data.keys() else ItemsConfig
    of_reading = {"--ray": ray, "--store": store}
    if kind is ItemsConfig and (unused := [name for name, value in of_reading.items() if value is not None]):
        raise UserError(f"{', '.join(unused)}: no model reads the items. Give --read, or --model and --sae, as well.")
    entries = data.get("benchmarks")
    for key, value in {"limit": limit, "sample": sample}.items():
        for entry in entries if value is not None and isinstance(entries, list) else []:
            if isinstance(entry, dict):
                entry[key] = value
    apply_overrides(data, set_ or [])
    _add_scores(data, scores or [], logs.scores)
    if llm:
        data["judge"] = read_yaml(llm)
    if ray:
        data["ray"] = {**(data.get("ray") or {}), "address": ray}
    checked = parse_config(kind, data, str(config) if config else "options")
    if out is None and checked.out is None:
        raise UserError("no run folder given: give --out, or 'out' in the configuration.")
    run = cg.run(checked, out, store=store, progress=progress, command=typed_command())
    print_run(run, as_json=as_json)


def _add_scores(data: dict[str, Any], tables: list[str], logs: list[dict[str, Any]]) -> None:
    """Add tables of scores, and logs of further models, to the scores in the configuration ``data``."""
    from competency_gaps.items.records import named_path

    if logs:
        data.setdefault("scores", []).extend(logs)
    for text in tables:
        name, path = named_path(text)
        data.setdefault("scores", []).append({"path": path, "benchmark": name})


def _from_options(model: str | None, sae: str | None, benchmarks: list[dict[str, Any]]) -> dict[str, Any]:
    from competency_gaps.items.config import sae_place

    if not benchmarks:
        raise UserError("give a configuration file, --log or --benchmark.")
    if not (model or sae):
        return {"benchmarks": benchmarks}
    if not (model and sae):
        raise UserError(f"a reading needs a model and its SAE: give {'--sae' if model else '--model'} as well.")
    return {"model": {"name": model}, "sae": sae_place(sae), "benchmarks": benchmarks}


def _benchmark(text: str, fields: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of a benchmark given with ``--benchmark``."""
    from competency_gaps.items.records import field_mapping, named_path

    (name, path), mapping = named_path(text), field_mapping(fields)
    if not str(path).startswith("hub:"):
        return {"name": name or path.stem, "source": {"kind": "file", "path": str(path), "fields": mapping}}
    dataset_path, _, split = str(path).removeprefix("hub:").partition(":")
    if not dataset_path:
        raise UserError(f"--benchmark {text}: expected hub:DATASET[:SPLIT], such as hub:openai/gsm8k/main:test.")
    dataset, configuration = dataset_path, None
    if dataset_path.count("/") == 2 and not Path(dataset_path).exists():
        dataset, _, configuration = dataset_path.rpartition("/")
    source = {"kind": "hub", "path": dataset, "name": configuration, "split": split or "test", "fields": mapping}
    return {"name": name or dataset.rpartition("/")[2], "source": source}


def _logs(
    logs: list[str] | None,
    metric: str | None,
    scorer: str | None,
    fields: list[str] | None,
    progress: Progress,
) -> SuiteLogs:
    """Return the benchmarks of the logs given with ``--log``, and further models' scores on them."""
    from competency_gaps.logs.find import SuiteLogs, suite_logs

    if not logs:
        options = {"metric": metric, "scorer": scorer, "field": fields}
        unused = [f"--{name}" for name, value in options.items() if value]
        if unused:
            raise UserError(f"give --log PATH with {', '.join(unused)}.")
        return SuiteLogs([], [], {})
    with progress.stage("looking for benchmarks in logs"):
        suite = suite_logs(logs, metric=metric, scorer=scorer, fields=fields or [])
    for name, models in suite.models.items():
        scores = f"scores on them: {', '.join(models)}" if suite.scores else "no scores (--metric none)"
        progress.say(f"{name}: items from the log of {models[0]}; {scores}.")
    return suite


def demo(
    out: Annotated[Path, typer.Option(help="Run folder; resumes an interrupted demo in it.")] = Path("demo-run"),
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Audit the bundled model on the eleven bundled benchmarks, in minutes."""
    from competency_gaps.api.make import run_demo

    run = run_demo(out, progress=terminal(quiet), command=typed_command())
    if as_json:
        print_run(run, as_json=True)
    else:
        print_demo(run)
