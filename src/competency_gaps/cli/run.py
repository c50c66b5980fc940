"""``cgaps demo``, ``run`` and ``merge``: make a run from a configuration, from options, or from parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from competency_gaps.cli import options
from competency_gaps.cli.answers import print_run
from competency_gaps.cli.output import print_json, print_line, terminal, typed_command
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress
from competency_gaps.text import plural

if TYPE_CHECKING:
    from competency_gaps.logs.find import SuiteLogs
    from competency_gaps.runs.part import PartRecord


def run(
    config: Annotated[Path | None, typer.Argument(help="YAML configuration, instead of --model, --sae, ...")] = None,
    model: Annotated[str | None, typer.Option(help=options.MODEL_HELP)] = None,
    sae: Annotated[str | None, typer.Option(help=options.SAE_HELP)] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]PATH", help="Items: a file or folder; repeatable.")
    ] = None,
    log: options.LogOption = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; an unfinished run in it is resumed.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="Read at most this many items per benchmark, evenly spaced.")
    ] = None,
    set_: options.SetOption = None,
    metric: options.MetricOption = None,
    scorer: options.ScorerOption = None,
    field: options.FieldOption = None,
    scores: options.ScoresOption = None,
    no_ask: Annotated[
        bool,
        typer.Option("--no-ask", help="Do not have the model answer; only read the items (for other models' scores)."),
    ] = False,
    llm: options.LLMOption = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Workers of Ray read: 'local' (one machine), 'auto' or ray://HOST:PORT; --set ray.workers=N.",
        ),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Read every N-th shard only, for cgaps merge or a --store.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Share shards between machines: s3://BUCKET/RUN or the like.")
    ] = None,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Audit a model: benchmarks and an SAE in, a run folder and report out."""
    import competency_gaps as cg
    from competency_gaps.config import RunConfig, parse_config, read_yaml
    from competency_gaps.runs.part import parse_part

    progress = terminal(quiet)
    logs = _logs(log, metric, scorer, field, progress)
    if config and (model or sae or benchmark or log):
        raise UserError("give a configuration file and --set, or --model and --sae with --benchmark or --log.")
    if config:
        data = read_yaml(config, set_ or [])
    else:
        data = _from_options(model, sae, benchmark, set_ or [], logs.benchmarks)
    for entry in data.get("benchmarks") or [] if limit is not None else []:
        entry["limit"] = limit
    _add_scores(data, scores or [], logs.scores, no_ask=no_ask)
    if llm:
        data["judge"] = read_yaml(llm)
    if ray:
        data["ray"] = {**(data.get("ray") or {}), "address": ray}
    checked = parse_config(RunConfig, data, str(config) if config else "options")
    if out is None and checked.out is None:
        raise UserError("no run folder is given: give --out, or 'out' in the configuration.")
    if shard is not None:
        if out is None or checked.ray is not None:
            raise UserError("--shard needs an --out of its own for each part, and reads in this process.")
        part = cg.make_part(checked, out, parse_part(shard), store=store, progress=progress)
        _print_part(part, out, store, json_=json_)
        return
    run = cg.run(checked, out, store=store, progress=progress, command=typed_command())
    print_run(run, json_=json_)


def _print_part(record: PartRecord, out: Path, store: str | None, *, json_: bool) -> None:
    """Say what a part holds and what to do next."""
    if json_:
        print_json({"part": str(record.part), "folder": str(out), "shards": record.own})
        return
    print_line(f"Part {record.part}: {len(record.own)} of {plural(len(record.shards), 'shard')} in {out}.")
    if store is None:
        print_line("When all parts are there: cgaps merge PART... --out RUN")
    else:
        print_line(f"When all parts are there, the same without --shard: cgaps run ... --store {store} --out RUN")


def _add_scores(data: dict[str, Any], tables: list[str], logs: list[dict[str, Any]], *, no_ask: bool) -> None:
    """Add tables of scores, and logs of further models, to the scores of the file."""
    if no_ask:
        data["ask"] = False
    if logs:
        data.setdefault("scores", []).extend(logs)
    for text in tables:
        name, path = options.named_path(text)
        data.setdefault("scores", []).append({"path": path, "benchmark": name})


def _from_options(
    model: str | None,
    sae: str | None,
    benchmarks: list[str] | None,
    overrides: list[str],
    logged: list[dict[str, Any]],
) -> dict[str, Any]:
    from competency_gaps.config import sae_place
    from competency_gaps.config.load import apply_overrides

    given = (("--model", model), ("--sae", sae), ("--benchmark or --log", benchmarks or logged))
    absent = [name for name, value in given if not value]
    if absent:
        raise UserError(
            f"give a configuration file, or --model, --sae and --benchmark or --log; missing: {', '.join(absent)}."
        )
    data: dict[str, Any] = {
        "model": {"name": model},
        "sae": sae_place(str(sae)),
        "benchmarks": [*(_benchmark(text) for text in benchmarks or []), *logged],
    }
    apply_overrides(data, overrides)
    return data


def _benchmark(text: str) -> dict[str, Any]:
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "", text
    return {"name": name or Path(path).stem, "source": {"kind": "file", "path": path}}


def _logs(
    logs: list[str] | None,
    metric: str | None,
    scorer: str | None,
    fields: list[str] | None,
    progress: Progress,
) -> SuiteLogs:
    """Benchmarks of the logs that ``--log`` names, and scores of further models on them."""
    from competency_gaps.logs.find import SuiteLogs, suite_logs

    if not logs:
        given = {"metric": metric, "scorer": scorer, "field": fields}
        unused = [f"--{name}" for name, value in given.items() if value]
        if unused:
            raise UserError(f"give --log PATH with {', '.join(unused)}.")
        return SuiteLogs([], [], {})
    with progress.stage("looking for benchmarks in logs"):
        suite = suite_logs(logs, metric=metric, scorer=scorer, fields=fields or [])
    for name, models in suite.models.items():
        scores = f"scores on them: {', '.join(models)}" if suite.scores else "no scores, as --metric none asks"
        progress.say(f"{name}: the items are read from the log of {models[0]}; {scores}.")
    return suite


def demo(
    out: Annotated[Path, typer.Option(help="Run folder; the demo is resumed if it was stopped.")] = Path("demo-run"),
    model: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The model's .gguf file; by default fetched once."),
    ] = None,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Audit a small model on the eleven benchmarks that come along, in minutes."""
    from competency_gaps.demo import run_demo

    print_run(run_demo(out, model=model, progress=terminal(quiet), command=typed_command()), json_=json_)


def merge(
    folders: Annotated[list[Path], typer.Argument(help="All parts of one run (cgaps run --shard).")],
    out: Annotated[Path, typer.Option(help="Folder of the joined run.")],
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Join the parts of a run."""
    import competency_gaps as cg

    print_run(cg.merge(folders, out, progress=terminal(quiet), command=typed_command()), json_=json_)
