"""``cgaps import-labels``, ``cgaps themes`` and ``cgaps name``: fill a dictionary, group it, put it on a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.progress import Progress

DictionaryArgument = Annotated[Path, typer.Argument(help="The dictionary's folder.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


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
        str | None, typer.Option("--format", help="neuronpedia, delphi, json or table; by default found out.")
    ] = None,
    module: Annotated[str | None, typer.Option(help="Of a delphi folder with several modules: which one.")] = None,
    concepts: Annotated[str | None, typer.Option(help="With neuronpedia-api: which, as 5,17,100-200.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Take labels of a source that names another SAE.")] = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Take over labels that others made. They stand beside those that are there."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.dictionary.folder import open_dictionary
    from competency_gaps.dictionary.imports import import_labels as read
    from competency_gaps.dictionary.labelling.choose import parse_concepts
    from competency_gaps.progress import Progress

    progress = Progress(quiet=quiet)
    _begin(dictionary, sae, run, progress)
    opened = open_dictionary(dictionary)
    chosen = parse_concepts(concepts, opened.width) if concepts else None
    found = read(
        source,
        sae_identity=opened.identity.sae,
        format=format_,
        width=opened.width,
        progress=progress,
        module=module,
        concepts=chosen,
        force=force,
    )
    opened.add_labels(found.table)
    facts: dict[str, Any] = {
        "source": found.source_kind,
        "identity": found.identity_check,
        "labelled": found.labelled,
        "none": found.none,
        "never": found.never,
        "placeholders": found.placeholders,
        "left_out": [one._asdict() if hasattr(one, "_asdict") else one.__dict__ for one in found.left_out],
    }
    if json_:
        print_json({"dictionary": str(dictionary), **facts})
        return
    _print(facts)


def _begin(dictionary: Path, sae: str | None, run: Path | None, progress: Progress) -> None:
    """Make a new dictionary's folder, if it is none yet."""
    from competency_gaps.cli.run import sae_place
    from competency_gaps.config import SAEConfig
    from competency_gaps.dictionary.folder import FILE, write_dictionary
    from competency_gaps.runs.open import open_folder

    if sae and run:
        raise UserError("give --sae or --run, not both.")
    if run is not None:
        write_dictionary(dictionary, open_folder(run).manifest["sae"])
    elif sae is not None:
        from competency_gaps.sae.load import load_sae

        with progress.stage("loading the SAE"):
            loaded = load_sae(SAEConfig(**sae_place(sae)), "cpu")
        write_dictionary(dictionary, loaded.identity)
    elif not (dictionary / FILE).is_file():
        raise UserError(f"{str(dictionary)!r} is no dictionary yet: give --sae or --run, so that it can be begun.")


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
    from competency_gaps.cli.output import print_json
    from competency_gaps.cli.run import sae_place
    from competency_gaps.config import SAEConfig
    from competency_gaps.dictionary.folder import check_same_sae, open_dictionary
    from competency_gaps.dictionary.themes.make import make_themes
    from competency_gaps.progress import Progress
    from competency_gaps.sae.load import load_sae

    opened, progress = open_dictionary(dictionary), Progress(quiet=quiet)
    with progress.stage("loading the SAE"):
        loaded = load_sae(SAEConfig(**sae_place(sae or str(opened.identity.sae["name"]))), "cpu")
    check_same_sae(opened.identity, loaded.identity)
    decoder = loaded.sae.W_dec.detach().float().cpu().numpy()
    facts = make_themes(opened, decoder, progress, fewest=fewest, most=most, seed=seed)
    if json_:
        print_json({"dictionary": str(dictionary), **facts})
        return
    _print(facts)


def name(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    dictionary: DictionaryArgument,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Put a dictionary on a finished run: labels, themes and their statistics. Needs no torch."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.progress import Progress
    from competency_gaps.report import write_report
    from competency_gaps.stages.naming import name_finished_run

    progress = Progress(quiet=quiet)
    with progress.stage("naming concepts"):
        named = name_finished_run(run, dictionary)
    with progress.stage("writing the report"):
        report = write_report(named, named.path / "report.html")
    if json_:
        print_json({"run": str(run), "dictionary": named.manifest["dictionary"], "report": str(report)})
        return
    _print(named.manifest["dictionary"])
    Console().print(f"Report: {report.resolve()}", highlight=False, markup=False, soft_wrap=True)


def _print(facts: dict[str, Any]) -> None:
    for key, value in facts.items():
        Console().print(f"{key:<20} {value}", highlight=False, markup=False, soft_wrap=True)
