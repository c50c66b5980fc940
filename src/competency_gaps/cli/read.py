"""``cgaps show``, ``concept`` and ``robustness``: read and test a finished run; none needs torch."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console

from competency_gaps.api.run import Run
from competency_gaps.cli.options import (
    AgainstOption,
    AgainstPeersOption,
    AllKindsOption,
    AsOption,
    JsonOption,
    ParsedOption,
    QuietOption,
    RunArgument,
)
from competency_gaps.cli.output import print_json, print_line, run_document, terminal
from competency_gaps.errors import UserError
from competency_gaps.presentation.rankings import Listing, list_concepts
from competency_gaps.report import models, screen
from competency_gaps.runs.open import RunFolder, open_folder


def screen_lines() -> int:
    """Lines of the terminal but one, which the prompt takes; a terminal of unknown size counts as 24 lines."""
    return shutil.get_terminal_size((80, 24)).lines - 1


def show(
    run: RunArgument,
    benchmark: Annotated[str | None, typer.Option(help="One benchmark's concepts.")] = None,
    find: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Concepts whose labels have these words, whatever their verdict."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="Column by name or header, '-' before it for highest first; by default weak concepts by gap."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows; by default one screen, with --json all.")] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Also concepts that are not ranked, and those with too little data to test.")
    ] = False,
    themes: Annotated[
        bool,
        typer.Option("--themes", help="All themes of the run's dictionary."),
    ] = False,
    theme: Annotated[int | None, typer.Option(help="One theme: its subthemes and its concepts.")] = None,
    as_: AsOption = None,
    against_peers: AgainstPeersOption = False,
    against: AgainstOption = None,
    parsed: ParsedOption = False,
    all_kinds: AllKindsOption = False,
    models_: Annotated[
        bool,
        typer.Option(
            "--models", help="All models of the run; with --themes or --groups, on which of them each stands out."
        ),
    ] = False,
    groups: Annotated[
        bool, typer.Option("--groups", help="With --models: groups of concepts that share their items.")
    ] = False,
    items: Annotated[
        bool, typer.Option("--items", help="With --models: items that look broken, by all models' scores and answers.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Show what a run found, worst first; or list its models, concepts or themes, undefined values last."""
    if models_ or items or groups:
        chosen = [name for name, given in (("themes", themes), ("groups", groups), ("items", items)) if given]
        if len(chosen) > 1:
            raise UserError(f"give one of --{' and --'.join(chosen)}.")
        _of_models(run, chosen[0] if chosen else None, peers=against_peers, json_=json_)
        return
    opened = open_as(run, as_, against, peers=against_peers, parsed=parsed, all_kinds=all_kinds)
    listed = benchmark is not None or find is not None or sort is not None or all_
    if listed and (themes or theme is not None):
        raise UserError("--themes and --theme are about the whole suite: leave out --benchmark, --find, --sort, --all.")
    if themes or theme is not None:
        _themes(opened, theme, limit, json_=json_)
    elif as_ is None and not listed and models.only_models(opened):
        _of_models(run, json_=json_)
    elif json_:
        listing = list_concepts(opened, benchmark=benchmark, sort=sort, words=find, every=all_)
        shown = listing.concepts if limit is None else listing.concepts.head(limit)
        answer = {} if listed else _answer(opened)
        print_json({**run_document(opened), **answer, "benchmark": benchmark, "find": find, "rows": shown.to_dicts()})
    elif listed:
        listing = list_concepts(opened, benchmark=benchmark, sort=sort, words=find, every=all_)
        _print_listing(listing, limit)
    else:
        screen.print_overview(opened, Console(), lines=screen_lines(), limit=limit)


def open_as(
    run: Path,
    model: str | None,
    against: list[str] | None,
    *,
    peers: bool,
    parsed: bool = False,
    all_kinds: bool = False,
) -> Run:
    """Open a run, or one of its models' scores, with concepts of all kinds ranked or as the run ranks them."""
    folder = open_folder(run)
    opened = Run(folder.path, folder.manifest)
    if model is None:
        if against or peers or parsed:
            raise UserError("--against, --against-peers and --parsed are about the scores of a model: give --as.")
        return opened.with_all_kinds(progress=terminal(quiet=False)) if all_kinds else opened
    if against and peers:
        raise UserError("give either --against-peers or --against.")
    other = "peers" if peers else None if not against else against[0] if len(against) == 1 else against
    return opened.as_model(model, other, parsed=parsed, all_kinds=all_kinds, progress=terminal(quiet=False))


def _of_models(path: Path, what: str | None = None, *, peers: bool = False, json_: bool = False) -> None:
    """Print the models of a run, on which themes or groups each stands out, or the items that look broken."""
    from competency_gaps import open_run

    opened = open_run(path)
    document: dict[str, Any]
    if what == "items":
        facts = opened.item_models()
        document, view = {"items": facts.to_dicts()}, models.items_of_models(facts)
    elif what is not None:
        find = opened.model_themes if what == "themes" else opened.model_groups
        cells = find(against_peers=peers, progress=terminal(quiet=json_))
        document = {"against_peers": peers, "cells": cells.to_dicts()}
        absent = opened.models.filter(~pl.col("model").is_in(cells["model"].implode()))["model"].to_list()
        view = models.cells_of_models(cells, against_peers=peers, absent=absent if peers else ())
    else:
        document, view = {"models": opened.models.to_dicts()}, models.models_view(opened)
    if json_:
        print_json({**run_document(opened), **document})
    else:
        Console().print(view)


def _answer(run: RunFolder) -> dict[str, Any]:
    """The answer and every finding of a run for JSON output."""
    from competency_gaps.findings.answer import answer, answer_dict

    return {"answer": answer_dict(answer(run)), "findings": run.findings.to_dicts()}


def _print_listing(listing: Listing, limit: int | None) -> None:
    if not listing.concepts.height:
        note = "no concept qualifies: --sort gap lists all that were tested, --all every concept"
        print_line(note, error=True)
    screen.print_listing(listing, Console(), lines=screen_lines(), limit=limit)


def _themes(run: RunFolder, theme: int | None, limit: int | None, *, json_: bool) -> None:
    """Print all themes, or one with its subthemes and concepts."""
    from competency_gaps.presentation.themes import asked_theme, read_run_themes

    themes = read_run_themes(run)
    if themes is None:
        raise UserError(
            f"the run {run.path} has no themes. Group the concepts of its dictionary with 'cgaps themes', then put it "
            "on the run with 'cgaps name'."
        )
    concepts = run.concepts.drop("tau", strict=False)
    if not json_:
        if theme is None:
            screen.print_themes(themes, Console(), lines=screen_lines(), limit=limit)
        else:
            screen.print_theme(themes, theme, concepts, Console(), lines=screen_lines(), limit=limit)
    elif theme is None:
        top = themes.themes if limit is None else themes.themes.head(limit)
        print_json({**run_document(run), "themes": top.to_dicts(), "subthemes": themes.subthemes.to_dicts()})
    else:
        row, own = asked_theme(themes, theme), themes.concepts(theme, concepts)
        children, own = themes.children(theme).to_dicts(), own if limit is None else own.head(limit)
        print_json({**run_document(run), "theme": row, "subthemes": children, "rows": own.to_dicts()})


def concept(
    run: RunArgument,
    asked: Annotated[list[str], typer.Argument(metavar="ID|WORDS", help="A concept's number, or words of its label.")],
    limit: Annotated[int, typer.Option(min=1, help="Items of each kind.")] = 3,
    as_: AsOption = None,
    against_peers: AgainstPeersOption = False,
    against: AgainstOption = None,
    all_kinds: AllKindsOption = False,
    json_: JsonOption = False,
) -> None:
    """Show one concept with its scores per benchmark and its items; or list the concepts that match several words."""
    opened = open_as(run, as_, against, peers=against_peers, all_kinds=all_kinds)
    words = " ".join(asked)
    if re.fullmatch(r"[0-9]{1,18}", words):
        concept_id = int(words)
        opened.check_concept(concept_id)
    else:
        listing = list_concepts(opened, words=words)
        concept_id = int(listing.concepts["concept"][0])
        if listing.concepts.height > 1:
            if json_:
                print_json({"find": words, "rows": listing.concepts.to_dicts()})
            else:
                command = shlex.join(["cgaps", "show", str(run), "--find", words])
                more = f"Show one: {shlex.join(['cgaps', 'concept', str(run), str(concept_id)])}"
                screen.print_listing(listing, Console(), lines=screen_lines(), command=command, more=more)
            return
    if json_:
        print_json(_concept_document(opened, concept_id, limit))
        return
    from competency_gaps.report.concept import concept_panel

    console = Console()
    console.print(concept_panel(opened, concept_id, examples=limit, width=console.width))


def _concept_document(run: RunFolder, concept: int, limit: int) -> dict[str, Any]:
    """A concept's rows and items for JSON output."""
    from competency_gaps.presentation.themes import read_run_themes

    themes = read_run_themes(run)
    return {
        **run.concepts.row(concept, named=True),
        **({} if themes is None else {"themes": themes.of_concept(concept)}),
        "benchmarks": run.concept_benchmarks.filter(pl.col("concept") == concept).drop("concept").to_dicts(),
        "items": {
            order: run.concept_items(concept, order=order, limit=limit).to_dicts()
            for order in ("strongest", "best", "worst")
        },
    }


def robustness(
    run: RunArgument,
    against: Annotated[
        Path | None, typer.Option(help="Another run of the same items: another SAE or layer, or the same again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws and splits.")] = 0,
    as_: AsOption = None,
    against_peers: AgainstPeersOption = False,
    all_kinds: AllKindsOption = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Test a run as a whole: subsampling, ablation, held-out items, another run. Results go into its folder."""
    from competency_gaps.report.concept import verdict_table

    opened = open_as(run, as_, None, peers=against_peers, all_kinds=all_kinds)
    outcome = opened.check(against=against, seed=seed, progress=terminal(quiet))
    if json_:
        print_json({"run": str(opened.path), **outcome})
        return
    Console().print(verdict_table(outcome["verdicts"]))
    print_line(f"Report: {opened.report_file.resolve()}")
