"""``cgaps improve``: from a finished run to a better benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import RenderableType

from competency_gaps.cli import shared
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import write_atomic

if TYPE_CHECKING:
    from competency_gaps.api.run import Run
    from competency_gaps.util.progress import Progress

T = TypeVar("T")
_NEW = ("--n", "--llm", "--corpus", "--out", "--dry-run", "--limit")
_OPTIONS = {
    "--keep": ("--out", "--limit"),
    "--items": ("--out", "--limit"),
    "--new": _NEW,
    "--missing": ("--describe", *_NEW),
    "--scores": ("--limit",),
    "": (),
}
"""Mode of the command ("": none) -> the options that it accepts."""


def improve(
    run: Annotated[
        Path, typer.Argument(metavar="RUN|LOGS", help="Run folder or logs; with --scores, a folder of kept items.")
    ],
    keep: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="Choose N items that predict the scores on all items.")
    ] = None,
    items: Annotated[bool, typer.Option("--items", help="List items that look broken, the clearest first.")] = False,
    new: Annotated[
        str | None, typer.Option(metavar="SLICE", help="Write new items for a slice (a line of the answer, or a name).")
    ] = None,
    missing: Annotated[
        str | None, typer.Option(metavar="BENCHMARK", help="Write new items for what a benchmark lacks.")
    ] = None,
    describe: shared.DescribeOption = None,
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
    as_json: shared.JsonOption = False,
    quiet: shared.QuietOption = False,
) -> None:
    """Improve a benchmark: which items to keep, fix and add; without options, where to start."""
    modes = {"--keep": keep, "--items": items or None, "--new": new, "--missing": missing, "--scores": scores}
    options = {
        **{"--describe": describe, "--n": n, "--llm": llm, "--corpus": corpus, "--out": out},
        **{"--dry-run": dry_run or None, "--limit": limit},
    }
    mode = _mode([name for name, value in modes.items() if value is not None], options)
    from competency_gaps.view.terminal import improve as report

    if scores is not None:
        from competency_gaps.improve.keep import read_kept

        predicted = read_kept(run).predict(scores)
        _print(run, {"predicted": predicted.to_dicts()}, lambda _: report.predicted_view(predicted, limit), as_json)
        return
    opened, progress = shared.open_source(run), shared.terminal(quiet)
    # Nothing is written among logs, nor into their run in the cache folder.
    folder = None if "logs" in opened.manifest else run / "improve"
    if keep is not None:
        kept, path = opened.keep(keep, progress=progress), out or (folder and folder / f"keep-{keep}")
        if path is not None:
            kept.write(path)
        tables = {name: getattr(kept, name).to_dicts() for name in ("items", "expected", "sizes")}
        document: dict[str, Any] = {"keep": {"models": kept.models, **tables}}
        _print(run, document, lambda _: report.kept_view(kept, limit), as_json, path)
    elif items:
        ranked, path = opened.broken_items(progress=progress), out or (folder and folder / "items.parquet")
        if path is not None:
            write_atomic(path, ranked.write_parquet)
        document = {"items": ranked.head(limit or ranked.height).to_dicts()}
        _print(run, document, lambda width: report.broken_view(ranked, limit, width), as_json, path)
    elif new is not None or missing is not None:
        drafts = opened.new_items(
            new,
            benchmark=missing,
            description=describe,
            n=n or 50,
            llm=shared.llm_config(llm),
            corpus=corpus,
            out=out,
            dry_run=dry_run,
            progress=progress,
        )
        texts = {"folder": str(drafts.folder), "items": drafts.items.to_dicts()}
        document = {mode.strip("-"): {**vars(drafts), **texts, "fresh": drafts.fresh and asdict(drafts.fresh)}}
        path = None if dry_run else drafts.folder
        _print(run, document, lambda _: report.drafts_view(drafts, limit or 5), as_json, path)
    else:
        _print_first_steps(opened, progress, as_json)


def _mode(modes: list[str], options: dict[str, Any]) -> str:
    """Return the mode that is asked for; raises UserError for two modes, or an option that the mode does not accept."""
    if len(modes) > 1:
        raise UserError(f"{' and '.join(modes)} cannot be combined: give one of them.")
    mode = modes[0] if modes else ""
    for name, value in options.items():
        if value is not None and name not in _OPTIONS[mode]:
            fitting = [other for other, names in _OPTIONS.items() if name in names]
            raise UserError(f"{name} goes with {' or '.join(fitting)}{f', not with {mode}' if mode else ''}.")
    return mode


def _print_first_steps(run: Run, progress: Progress, as_json: bool) -> None:
    """Print a short result of each part, with the command for more. Nothing is written."""
    from competency_gaps.view.terminal.improve import KEPT_ITEMS, first_steps

    def attempt(measure: Callable[[], T]) -> T | UserError:
        try:
            return measure()
        except UserError as error:  # such as too few models: the step then gives the reason
            return error

    count = min(KEPT_ITEMS, run.items["excluded"].null_count() // 2)
    ranked = attempt(lambda: run.broken_items(progress=progress))
    covered = {name: run.coverage(name) for name in run.benchmarks["benchmark"] if run.has_reading}
    kept = attempt(lambda: run.keep(count, progress=progress))
    steps = first_steps(run, ranked, covered, kept)
    if as_json:
        first = [{"says": says, "command": command} for says, command in steps]
        shared.print_json({"run": str(run.shown_path), "first": first})
    else:
        shared.print_line("\n\n".join(f"{says}\n  {command}" for says, command in steps))


def _print(
    run: Path,
    document: dict[str, Any],
    view: Callable[[int], RenderableType],
    as_json: bool,
    written: Path | None = None,
) -> None:
    shared.print_result(lambda: {"run": str(run), **document}, view, as_json)
    if written is not None and not as_json:
        shared.print_line(f"\nWritten: {written}")
