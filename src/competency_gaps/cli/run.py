"""``cgaps run``: make a run from a configuration file or from options."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from competency_gaps.config import RunConfig, parse_config, read_yaml
from competency_gaps.errors import UserError


def run(
    config: Annotated[Path | None, typer.Argument(help="YAML configuration.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; one that holds the same run, stopped, is resumed.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: a.b=value (YAML); may be repeated.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hub id, folder, .gguf file, or embedded:NAME.")] = None,
    sae: Annotated[str | None, typer.Option(help="SAE folder, RELEASE/ID of SAELens, or embedded:NAME.")] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(help="File or folder, NAME=PATH to name it; may be repeated.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="lm_eval:NAME (a task, group or tag) or inspect:FILE@TASK; may be repeated."),
    ] = None,
    include_path: Annotated[Path | None, typer.Option(help="Folder with lm-eval task files of your own.")] = None,
    num_fewshot: Annotated[int | None, typer.Option(help="lm-eval: examples before each item.")] = None,
    span: Annotated[str | None, typer.Option(help="question, prompt, prompt+bos, response or all.")] = None,
    limit: Annotated[int | None, typer.Option(help="Items per benchmark, at an even stride.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Go on although the SAE does not fit.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of the summary.")] = False,
) -> None:
    """Audit a model: benchmarks and an SAE in, a run folder and a report out."""
    data = (
        read_yaml(config, set_ or [])
        if config
        else _from_options(model, sae, benchmark, set_ or [], _tasks(task, include_path, num_fewshot))
    )
    if config and (model or sae or benchmark or task):
        raise UserError(
            "give either a configuration file, or --model, --sae and --benchmark; change a file with --set."
        )
    if span:
        data["span"] = span
    # What is no mapping is left as it is: the check below says what is wrong with it.
    if force and isinstance(data.setdefault("sae", {}), dict):
        data["sae"]["force"] = True
    if limit is not None and isinstance(data.get("benchmarks"), list):
        for entry in data["benchmarks"]:
            if isinstance(entry, dict):
                entry["limit"] = limit
    checked = parse_config(RunConfig, data, str(config) if config else "options")
    execute(checked, out, quiet=quiet, json_=json_)


def execute(config: RunConfig, out: Path | None, *, quiet: bool, json_: bool) -> None:
    """Run, write the report, and say where it is."""
    from competency_gaps import pipeline
    from competency_gaps.cli.output import print_json, run_document
    from competency_gaps.progress import Progress
    from competency_gaps.report import print_summary, write_report

    made = pipeline.run(config, out, Progress(quiet=quiet), shlex.join(["cgaps", *sys.argv[1:]]))
    report = write_report(made, made.path / "report.html")
    if json_:
        print_json({**run_document(made), "report": str(report)})
        return
    console = Console()
    print_summary(made, console)
    console.print(f"\nReport: {report.resolve()}", highlight=False, markup=False, soft_wrap=True)


def _from_options(
    model: str | None,
    sae: str | None,
    benchmarks: list[str] | None,
    overrides: list[str],
    tasks: list[dict[str, Any]],
) -> dict[str, Any]:
    given = (("--model", model), ("--sae", sae), ("--benchmark or --task", benchmarks or tasks))
    absent = [name for name, value in given if not value]
    if absent:
        raise UserError(
            f"give a configuration file, or all of --model, --sae and --benchmark; missing: {', '.join(absent)}."
        )
    data: dict[str, Any] = {
        "model": {"name": model},
        "sae": sae_place(str(sae)),
        "benchmarks": [*(_benchmark(text) for text in benchmarks or []), *tasks],
    }
    from competency_gaps.config.load import apply_overrides

    apply_overrides(data, overrides)
    return data


def sae_place(text: str) -> dict[str, str]:
    """What ``--sae`` names, as keys of the configuration."""
    if text.startswith("embedded:") or Path(text).expanduser().is_dir():
        return {"folder": text}
    release, slash, sae_id = text.partition("/")
    if not slash:
        raise UserError(f"--sae {text!r}: expected a folder, RELEASE/ID of SAELens' directory, or embedded:NAME.")
    return {"release": release, "id": sae_id}


def _benchmark(text: str) -> dict[str, Any]:
    name, equals, path = text.partition("=")
    if not equals:
        name, path = "", text
    place = Path(path)
    return {"name": name or place.stem, "source": {"kind": "file", "path": path}}


def _tasks(tasks: list[str] | None, include_path: Path | None, num_fewshot: int | None) -> list[dict[str, Any]]:
    """What ``--task`` names, each single task a benchmark of its own."""
    if not tasks:
        unused = [n for n, v in (("--include-path", include_path), ("--num-fewshot", num_fewshot)) if v is not None]
        if unused:
            raise UserError(f"{' and '.join(unused)} go with --task lm_eval:NAME; there is none.")
        return []
    from competency_gaps.tasks import task_entries

    return task_entries(tasks, include_path=include_path, num_fewshot=num_fewshot)
