"""``cgaps import-labels``, ``cgaps themes`` and ``cgaps name``: fill a dictionary, group it, put it on a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from competency_gaps.cli.options import DictionaryArgument, JsonOption, QuietOption, RunArgument, parse_concepts
from competency_gaps.cli.output import print_facts, print_json, print_line, terminal


def import_labels(
    dictionary: DictionaryArgument,
    source: Annotated[
        str,
        typer.Argument(
            help="Neuronpedia export, delphi folder, JSON, CSV, TSV, JSONL or Parquet; or neuronpedia:MODEL/SOURCE, "
            "neuronpedia-api:MODEL/SOURCE to fetch."
        ),
    ],
    sae: Annotated[
        str | None, typer.Option(help="For a new dictionary: SAE folder, RELEASE/ID of SAELens, or embedded:NAME.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="For a new dictionary: a run, whose SAE it is about.")] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help="neuronpedia, delphi, json, table, or a plug-in's (see cgaps doctor); by default detected."
        ),
    ] = None,
    module: Annotated[str | None, typer.Option(help="Of a delphi folder with several modules: which one.")] = None,
    concepts: Annotated[str | None, typer.Option(help="With neuronpedia-api: which, as 5,17,100-200.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Import even if the source names another SAE.")] = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Import labels that others made; those in the dictionary stay."""
    import competency_gaps as cg

    imported = cg.import_labels(
        dictionary,
        source,
        sae=sae,
        run=run,
        format=format_,
        module=module,
        concepts=parse_concepts(concepts) if concepts else None,
        force=force,
        progress=terminal(quiet),
    )
    facts: dict[str, Any] = {
        "source": imported.source_kind,
        "identity": imported.identity_check,
        "labelled": imported.labelled,
        "none": imported.none,
        "never": imported.never,
        "placeholders": imported.placeholders,
        "left_out": [asdict(left) for left in imported.left_out],
    }
    if json_:
        print_json({"dictionary": str(dictionary), **facts})
    else:
        print_facts(facts)


def themes(
    dictionary: DictionaryArgument,
    sae: Annotated[
        str | None, typer.Option(help="SAE folder, RELEASE/ID or embedded:NAME; by default the dictionary's own.")
    ] = None,
    fewest: Annotated[int, typer.Option(min=1, help="Fewest themes.")] = 20,
    most: Annotated[int, typer.Option(min=1, help="Most themes.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the layout.")] = 0,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Group concepts into themes and subthemes, and lay out their map."""
    from competency_gaps import make_themes

    facts = make_themes(dictionary, sae=sae, fewest=fewest, most=most, seed=seed, progress=terminal(quiet))
    if json_:
        print_json({"dictionary": str(dictionary), **facts})
    else:
        print_facts(facts)


def name(
    run: RunArgument,
    dictionary: DictionaryArgument,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Put a dictionary on a finished run: labels, themes and their statistics. Needs no torch."""
    from competency_gaps import open_run

    named = open_run(run).name(dictionary, progress=terminal(quiet))
    report = named.report_file
    if json_:
        print_json({"run": str(run), "dictionary": named.manifest["dictionary"], "report": str(report)})
        return
    print_facts(named.manifest["dictionary"])
    print_line(f"Report: {report.resolve()}")
