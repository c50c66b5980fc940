"""``cgaps probe``: ask for trouble on purpose."""

from __future__ import annotations

import enum
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from competency_gaps.cli.asking import AskOptions, asks
from competency_gaps.cli.output import help_alone
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.probes.concept import Probed


class ItemSource(enum.StrEnum):
    """Where fresh items come from."""

    generated = "reasoning-gym"
    written = "endpoint"


app = typer.Typer(
    help="Ask for trouble on purpose: attacks by garak, fresh items on a concept.",
    callback=help_alone,
    invoke_without_command=True,
)


@app.command("concept")
@asks()
def concept(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder; its model and SAE must be within reach.")],
    concept: Annotated[str | None, typer.Option(help="Concepts, as 5,17.")] = None,
    weak: Annotated[int | None, typer.Option(min=1, help="The run's N surest weak concepts, leaders first.")] = None,
    source: Annotated[
        ItemSource, typer.Option(help="reasoning-gym: new seeds of the run's families. endpoint: a model writes items.")
    ] = ItemSource.generated,
    items: Annotated[int, typer.Option(min=10, help="Fresh items of each benchmark (reasoning-gym).")] = 300,
    topics: Annotated[int, typer.Option(min=1, help="Topics of each concept (endpoint).")] = 3,
    questions: Annotated[
        int, typer.Option(min=1, help="Questions with, and as many without, the concept on each topic (endpoint).")
    ] = 10,
    judge: Annotated[
        bool, typer.Option("--judge", help="The endpoint's model grades answers in words; else they must be equal.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other fresh items.")] = 0,
    min_saliency: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="nCAS from which an item excites a concept; 0.46 is typical.")
    ] = 0.2,
    q: Annotated[float, typer.Option(min=0.0, max=1.0, help="False-discovery rate over the probed concepts.")] = 0.05,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    *,
    ask: AskOptions,
) -> None:
    """Does a concept's weakness hold on fresh items that are measured to excite it?"""
    from competency_gaps.cli.output import print_json
    from competency_gaps.dictionary.labelling.choose import parse_concepts
    from competency_gaps.probes.concept import Criterion, probe_generated
    from competency_gaps.probes.targets import targets, weakest
    from competency_gaps.probes.written import probe_written
    from competency_gaps.progress import Progress
    from competency_gaps.runs.open import open_folder

    if (concept is None) == (weak is None):
        raise UserError("give --concept ID[,ID] or --weak N.")
    if not 0 < min_saliency < 1:
        raise UserError(f"--min-saliency {min_saliency:g}: expected a number above 0 and below 1, as 0.2.")
    opened, progress = open_folder(run), Progress(quiet=quiet)
    chosen = parse_concepts(concept, opened.width) if concept is not None else weakest(opened, weak or 1)
    criterion = Criterion(min_saliency, q, seed=seed)
    wanted = targets(opened, chosen)
    command = shlex.join(["cgaps", *sys.argv[1:]])
    probed: Probed | str
    if source is ItemSource.generated:
        if stray := [*([ask.written()] if ask.values else []), *_of_the_other(context, "topics", "questions", "judge")]:
            raise UserError(
                f"--source {source} asks no model: leave out {', '.join(stray)}, or give --source endpoint."
            )
        probed = probe_generated(opened, wanted, criterion, progress, items=items, seed=seed, command=command)
    else:
        if stray := _of_the_other(context, "items", "seed"):
            raise UserError(f"{', '.join(stray)}: means something only with --source {ItemSource.generated}.")
        way = ask.needed(f"--source {source}")
        if judge and way.endpoint is None:
            raise UserError("--judge needs --base-url with --model: a judge is asked while the items are answered.")
        probed = probe_written(
            opened,
            wanted,
            way,
            criterion,
            progress,
            topics=topics,
            count=questions,
            judge=way.config if judge else None,
            command=command,
        )
    if isinstance(probed, str):
        if json_:
            print_json({"next": probed})
        else:
            Console().print(probed, highlight=False, markup=False, soft_wrap=True)
        return
    if json_:
        print_json(probed.as_dict())
        return
    _say(probed)


def _of_the_other(context: typer.Context, *names: str) -> list[str]:
    """Options on the command line that belong to the other source."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return [f"--{name}" for name, where in sources.items() if where is not None and where.name == "COMMANDLINE"]


def _say(probed: Probed) -> None:
    from competency_gaps.probes.sentence import sentence
    from competency_gaps.text import shorten, signed, visible

    console = Console()
    table = Table("concept", "label", "claim", "verdict", "exciting", "mean", "without", "difference", "q")
    for target, one in probed.findings:
        cells = [
            str(target.concept),
            shorten(visible(target.label or ""), 40),
            one.claim if target.status == one.claim else f"{one.claim} ({target.status})",
            one.verdict,
            f"{one.exciting:,}",
            *(_number(value) for value in (one.mean, one.expected)),
            "N/A" if one.difference != one.difference else signed(one.difference),
            "N/A" if one.q_value != one.q_value else f"{one.q_value:.2g}",
        ]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    for target, one in probed.findings:
        console.print(sentence(target, one), highlight=False, markup=False, soft_wrap=True)
    for number, why in probed.left_out.items():
        console.print(f"Not probed, {number}: {why}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"\nVerdicts and items: {probed.folder}", highlight=False, markup=False, soft_wrap=True)


def _number(value: float) -> str:
    return "N/A" if value != value else f"{value:.2f}"


@app.command("garak")
def garak(
    model: Annotated[str, typer.Option(help="Hub id, folder, .gguf file, or embedded:NAME.")],
    sae: Annotated[str, typer.Option(help="SAE folder, RELEASE/ID of SAELens, or embedded:NAME.")],
    spec: Annotated[str, typer.Option(help="garak's probes, as dan.Dan_11_0,lmrc or all.")],
    out: Annotated[Path, typer.Option(help="Run folder; a stopped one is gone on with.")] = Path("garak-run"),
    generations: Annotated[int, typer.Option(min=1, help="Answers to each attack.")] = 1,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="By default 0 for one answer to each attack, else 1.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 150,
    eval_threshold: Annotated[float, typer.Option(min=0.0, max=1.0, help="Detector's result that is a hit.")] = 0.5,
    primary_only: Annotated[
        bool, typer.Option("--primary-only", help="Only the first detector of each probe.")
    ] = False,
    online: Annotated[bool, typer.Option("--online", help="Let probes and detectors fetch models and data.")] = False,
    seed: Annotated[int, typer.Option(help="Of drawn attacks and sampled answers.")] = 0,
    span: Annotated[str, typer.Option(help="question (the attack), prompt, prompt+bos, response or all.")] = "question",
    batch_tokens: Annotated[int, typer.Option(min=16, help="Rows x longest of a forward pass.")] = 4096,
    force: Annotated[bool, typer.Option("--force", help="Go on although the SAE does not fit.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Attack a model with garak: pass rates per probe family, probe and tag, and the concepts behind them."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.cli.run import sae_place
    from competency_gaps.config import RunConfig, parse_config
    from competency_gaps.harnesses.garak.scan import GarakSettings
    from competency_gaps.probes.garak_probe import probe_with_garak
    from competency_gaps.progress import Progress
    from competency_gaps.report import write_report

    # Checked as a run's configuration, so that faults read as they do there; the benchmarks come later.
    placeholder = {"name": "garak", "source": {"kind": "log", "path": str(out)}}
    data = {"model": {"name": model}, "sae": {**sae_place(sae), "force": force}, "benchmarks": [placeholder]}
    checked = parse_config(RunConfig, {**data, "span": span, "batch_tokens": batch_tokens}, "options")
    settings = GarakSettings(
        spec, generations, temperature, max_new_tokens, eval_threshold, not primary_only, seed, online
    )
    progress = Progress(quiet=quiet)
    run, found = probe_with_garak(
        checked.model,
        checked.sae,
        settings,
        out,
        progress,
        span=checked.span,
        batch_tokens=checked.batch_tokens,
        command=shlex.join(["cgaps", *sys.argv[1:]]),
    )
    with progress.stage("writing the report"):
        report = write_report(run, run.path / "report.html")
    if json_:
        print_json({"run": str(run.path), **found, "html": str(report)})
        return
    _say_rates(found)
    Console().print(f"\nRun: {run.path}   Report: {report}", highlight=False, markup=False, soft_wrap=True)


def _say_rates(found: dict[str, Any]) -> None:
    from competency_gaps.text import plural, shorten, visible

    console = Console()
    table = Table(
        "", Column("name", overflow="fold"), "attempts", "unscored", "pass rate", "95% interval", "weak concepts"
    )
    for row in found["rates"]:
        spread = "N/A" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}"
        weak = "" if row["weak_concepts"] is None else str(row["weak_concepts"])
        value = "N/A" if row["pass_rate"] is None else f"{row['pass_rate']:.2f}"
        cells = [row["level"], visible(row["name"]), str(row["attempts"]), str(row["unscored"]), value, spread, weak]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    weak_ones = [one for one in found["concepts"] if one["status"] == "weak" and one["leader"] == one["concept"]]
    for one in weak_ones[:20]:
        label = shorten(visible(one["label"] or "no label"), 80)
        text = f"{one['name']}: concept {one['concept']} ({label}) passes {one['chi_model']:.2f}, gap {one['gap']:+.2f}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    missing = {
        f"{name} without the detector {detector}": why
        for name, them in found["missing_detectors"].items()
        for detector, why in them.items()
    }
    for name, why in {**found["left_out"], **found["families_without_items"], **missing}.items():
        console.print(visible(f"Left out, {name}: {why}"), highlight=False, markup=False, soft_wrap=True)
    for why, count in found["unanswered"].items():
        text = f"Without an answer, {plural(count, 'attack')}: {why}"
        console.print(visible(text), highlight=False, markup=False, soft_wrap=True)
