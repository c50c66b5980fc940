"""``cgaps improve``: from a finished run to a better benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console, RenderableType

from competency_gaps.cli import shared
from competency_gaps.cli.shared import llm_config, open_source, print_json, print_line, terminal
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import write_atomic

if TYPE_CHECKING:
    from competency_gaps.api.run import Run
    from competency_gaps.util.progress import Progress

T = TypeVar("T")
_OF_MODE = {
    "--keep": ("--out", "--limit"),
    "--items": ("--out", "--limit"),
    "--new": ("--n", "--llm", "--corpus", "--out", "--dry-run", "--limit"),
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
    new: Annotated[
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
    asked = {"--keep": keep, "--items": items or None, "--new": new, "--missing": missing, "--scores": scores}
    others = {
        **{"--describe": describe, "--n": n, "--llm": llm, "--corpus": corpus, "--out": out},
        **{"--dry-run": dry_run or None, "--limit": limit},
    }
    mode = _mode([name for name, value in asked.items() if value is not None], others)
    from competency_gaps.view.terminal import improve as report

    if scores is not None:
        from competency_gaps.improve.keep import read_kept

        predicted = read_kept(run).predict(scores)
        _print(run, {"predicted": predicted.to_dicts()}, report.predicted_view(predicted, limit), json_=json_)
        return
    opened, progress = open_source(run), terminal(quiet)
    # Nothing is written among logs, nor into their run in the cache folder.
    beside = None if "logs" in opened.manifest else run / "improve"
    if keep is not None:
        kept, folder = opened.keep(keep, progress=progress), out or (beside and beside / f"keep-{keep}")
        if folder is not None:
            kept.write(folder)
        tables = {name: getattr(kept, name).to_dicts() for name in ("items", "expected", "sizes")}
        _print(run, {"keep": {"models": kept.models, **tables}}, report.kept_view(kept, limit), folder, json_=json_)
    elif items:
        ranked, file = opened.broken_items(progress=progress), out or (beside and beside / "items.parquet")
        if file is not None:
            write_atomic(file, ranked.write_parquet)
        shown = ranked.head(limit or ranked.height).to_dicts()
        _print(run, {"items": shown}, report.broken_view(ranked, limit, Console().width), file, json_=json_)
    elif new is not None or missing is not None:
        drafts = opened.new_items(
            new,
            benchmark=missing,
            description=describe,
            n=n or 50,
            llm=llm_config(llm),
            corpus=corpus,
            out=out,
            dry_run=dry_run,
            progress=progress,
        )
        texts = {"folder": str(drafts.folder), "items": drafts.items.to_dicts()}
        document = {mode.strip("-"): {**vars(drafts), **texts, "fresh": drafts.fresh and asdict(drafts.fresh)}}
        _print(run, document, report.drafts_view(drafts, limit or 5), None if dry_run else drafts.folder, json_=json_)
    else:
        _print_first(opened, progress, json_=json_)


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

    def attempt(ask: Callable[[], T]) -> T | UserError:
        try:
            return ask()
        except UserError as error:  # as of too few models: that is what there is to say
            return error

    count = min(KEPT_ITEMS, run.items["excluded"].null_count() // 2)
    ranked = attempt(lambda: run.broken_items(progress=progress))
    covered = {name: run.coverage(name) for name in run.benchmarks["benchmark"] if run.has_reading}
    kept = attempt(lambda: run.keep(count, progress=progress))
    steps = first_steps(run, ranked, covered, kept)
    if json_:
        first = [{"says": says, "command": command} for says, command in steps]
        print_json({"run": str(run.shown_path), "first": first})
    else:
        print_line("\n\n".join(f"{says}\n  {command}" for says, command in steps))


def _print(
    run: Path, document: dict[str, Any], view: RenderableType, written: Path | None = None, *, json_: bool
) -> None:
    if json_:
        print_json({"run": str(run), **document})
        return
    Console().print(view)
    if written is not None:
        print_line(f"\nWritten: {written}")
