"""``cgaps improve``: from a finished run to a better benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from competency_gaps.cli import shared
from competency_gaps.cli.shared import llm_config, open_source, print_json, print_line, terminal
from competency_gaps.util.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.api.run import Run
    from competency_gaps.util.progress import Progress

_OF_MODE = {
    "--keep": ("--out", "--limit"),
    "--items": ("--out", "--limit"),
    "--fill": ("--n", "--llm", "--corpus", "--out", "--dry-run", "--limit"),
    "--missing": ("--describe", "--n", "--llm", "--corpus", "--out", "--dry-run", "--limit"),
    "--scores": ("--limit",),
    "": (),
}
"""What is asked for, "" for nothing, and the options that go with it."""


def improve(
    run: Annotated[
        Path, typer.Argument(metavar="RUN|LOGS", help="Run folder or logs; with --scores, a folder of kept items.")
    ],
    keep: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Choose N items that predict the scores on all items.")
    ] = None,
    items: Annotated[bool, typer.Option("--items", help="List items that look broken, the clearest first.")] = False,
    fill: Annotated[
        str | None, typer.Option(metavar="SLICE", help="Write new items for a slice (a line of the answer, or a name).")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(metavar="BENCHMARK", help="Write new items for what a benchmark lacks.")
    ] = None,
    describe: Annotated[
        str | None,
        typer.Option(help="What it is meant to test; default: its 'scope' in the configuration."),
    ] = None,
    n: Annotated[int | None, typer.Option(min=1, help="Number of new items; default: 50.")] = None,
    llm: shared.LLMOption = None,
    corpus: Annotated[Path | None, typer.Option(help="Questions to take new items from.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="A new model's scores on kept items (table or log); predicts its score on all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write; default: RUN/improve, and nowhere for logs.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Estimate the cost without asking a model.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows per list.")] = None,
    json_: shared.JsonOption = False,
    quiet: shared.QuietOption = False,
) -> None:
    """Improve a benchmark: which items to keep, fix and add; without options, where to start."""
    asked = {
        **{"--keep": keep, "--items": items or None, "--fill": fill, "--missing": missing},
        "--scores": scores,
    }
    others = {
        **{"--describe": describe, "--n": n, "--llm": llm, "--corpus": corpus, "--out": out},
        **{"--dry-run": dry_run or None, "--limit": limit},
    }
    mode = _mode([name for name, value in asked.items() if value is not None], others)
    from competency_gaps.view.terminal import improve as report

    results: dict[str, Any] = {}
    result: Any
    view: RenderableType
    folder: Path | None
    if scores is not None:
        from competency_gaps.improve.keep import read_kept

        result, folder = read_kept(run).predict(scores), None
        _print(run, {"predicted": result}, report.predicted_view(result, limit), folder, json_=json_)
        return
    opened, progress = open_source(run), terminal(quiet)
    # Nothing is written among logs, nor into their run in the cache folder.
    beside = None if "logs" in opened.manifest else run / "improve"
    if keep is not None:
        folder = out or (beside and beside / f"keep-{keep}")
        result = opened.keep(keep, progress=progress)
        view = report.kept_view(result, limit)
    elif items:
        folder = out or (beside and beside / "items.parquet")
        result = opened.suspicious(progress=progress)
        view = report.suspects_view(result, limit, Console().width)
    elif fill is not None or missing is not None:
        writer = llm_config(llm)
        result = opened.fill(
            fill,
            benchmark=missing,
            description=describe,
            n=n or 50,
            llm=writer,
            corpus=corpus,
            out=out,
            dry_run=dry_run,
            progress=progress,
        )
        folder = None if dry_run else result.folder
        view = report.drafts_view(result, limit or 5)
    else:
        _print_first(opened, progress, json_=json_)
        return
    if folder is not None and fill is None and missing is None:
        result.write(folder)
    if items:
        result = replace(result, items=result.items.head(limit or result.items.height))
    results[mode.strip("-")] = result
    _print(run, results, view, folder, json_=json_)


def _mode(modes: list[str], others: dict[str, Any]) -> str:
    """What is asked for; raises UserError for two things at once, and for an option that does not go with it."""
    if len(modes) > 1:
        raise UserError(f"{' and '.join(modes)} cannot be combined: give one of them.")
    mode = modes[0] if modes else ""
    for name, value in others.items():
        if value is not None and name not in _OF_MODE[mode]:
            fitting = [other for other, options in _OF_MODE.items() if name in options]
            raise UserError(f"{name} goes with {' or '.join(fitting)}{f', not with {mode}' if mode else ''}.")
    return mode


def _print_first(run: Run, progress: Progress, *, json_: bool) -> None:
    """Print what to do first: what each part says at a glance, and its command. Nothing is written."""
    from competency_gaps.view.terminal.improve import KEPT_ITEMS, first_steps

    def attempt(ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except UserError as error:  # as of too few models: that is what there is to say
            return error

    count = min(KEPT_ITEMS, run.items["excluded"].null_count() // 2)
    report = {
        "items": attempt(lambda: run.suspicious(progress=progress)),
        "missing": {name: run.coverage(name) for name in run.benchmarks["benchmark"] if run.has_reading},
        "keep": attempt(lambda: run.keep(count, progress=progress)),
    }
    steps = [{"says": says, "command": command} for says, command in first_steps(run, report)]
    if json_:
        print_json({"run": str(run.shown_path), "first": steps})
    else:
        print_line("\n\n".join(f"{step['says']}\n  {step['command']}" for step in steps))


def _print(run: Path, results: dict[str, Any], view: RenderableType, written: Path | None, *, json_: bool) -> None:
    if json_:
        print_json({"run": str(run), **_document(results)})
        return
    Console().print(view)
    if written is not None:
        print_line(f"\nWritten: {written}")


def _document(value: Any) -> Any:
    """A result as JSON has it: records are objects, tables lists of rows; what is long (no ``repr``) is in its file."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _document(getattr(value, field.name)) for field in fields(value) if field.repr}
    if hasattr(value, "to_dicts"):  # a table
        return value.to_dicts()
    if hasattr(value, "tolist"):  # numbers of NumPy
        return value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): _document(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_document(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
