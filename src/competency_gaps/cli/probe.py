"""``cgaps probe``: attacks by garak, and fresh items on a concept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from competency_gaps.cli import options
from competency_gaps.cli.output import help_alone, print_json, print_line, terminal, typed_command
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.config import AskConfig
    from competency_gaps.probes.concept import Probed
    from competency_gaps.probes.written import Pending


ItemSource = Literal["reasoning-gym", "endpoint"]
"""Where fresh items come from."""

app = typer.Typer(
    help="Probe a model with garak's attacks, or with fresh items on a concept.",
    callback=help_alone,
    invoke_without_command=True,
)


@app.command("concept")
@options.asks()
def concept(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder; its model and SAE must be within reach.")],
    concept: Annotated[str | None, typer.Option(help="Concepts, as 5,17.")] = None,
    weak: Annotated[int | None, typer.Option(min=1, help="The run's N surest weak concepts, leaders first.")] = None,
    source: Annotated[
        ItemSource, typer.Option(help="reasoning-gym: new seeds of the run's families. endpoint: a model writes items.")
    ] = "reasoning-gym",
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
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
    *,
    ask: options.AskOptions,
) -> None:
    """Test whether a concept's weakness holds on fresh items that excite it."""
    from competency_gaps import open_run
    from competency_gaps.probes.written import Pending

    if (concept is None) == (weak is None):
        raise UserError("give --concept ID[,ID] or --weak N.")
    outcome = open_run(run).probe(
        () if concept is None else options.parse_concepts(concept),
        weak=weak,
        ask=_writer(context, source, ask),
        items=items,
        topics=topics,
        questions=questions,
        judge=judge,
        min_saliency=min_saliency,
        q=q,
        seed=seed,
        progress=terminal(quiet),
        command=typed_command(),
    )
    if isinstance(outcome, Pending):
        print_json({"next": _next(outcome)}) if json_ else print_line(_next(outcome))
    elif json_:
        print_json(outcome.as_dict())
    else:
        _print_verdicts(outcome)


def _writer(context: typer.Context, source: ItemSource, ask: options.AskOptions) -> AskConfig | None:
    """The model that writes items; None: they are generated. Options of the other source are refused."""
    if source == "endpoint":
        if stray := _typed(context, "items", "seed"):
            raise UserError(f"{', '.join(stray)}: means something only with --source reasoning-gym.")
        return ask.needed("--source endpoint")
    stray = [*([ask.written()] if ask.values else []), *_typed(context, "topics", "questions", "judge")]
    if stray:
        raise UserError(f"--source {source} asks no model: leave out {', '.join(stray)}, or give --source endpoint.")
    return None


def _next(pending: Pending) -> str:
    """The next step of a probe through batch files."""
    if pending.exported is None:
        return f"The answers are kept. Next: the same command with --export, for the {pending.role}'s requests."
    return (
        f"The {pending.role}'s requests are in {pending.exported}. Next: the same command with --import and their "
        "answers."
    )


def _typed(context: typer.Context, *names: str) -> list[str]:
    """Which of these options stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return [f"--{name}" for name, where in sources.items() if where is not None and where.name == "COMMANDLINE"]


def _print_verdicts(probed: Probed) -> None:
    from competency_gaps.probes.sentence import named_sentence
    from competency_gaps.text import shorten, signed, visible

    console = Console()
    table = Table("concept", "label", "claim", "verdict", "exciting", "mean", "without", "difference", "q")
    for target, result in probed.results:
        cells = [
            str(target.concept),
            shorten(visible(target.label or ""), 40),
            result.claim if target.status == result.claim else f"{result.claim} ({target.status})",
            result.verdict,
            f"{result.exciting:,}",
            *(_number(value) for value in (result.mean, result.expected)),
            "N/A" if result.difference != result.difference else signed(result.difference),
            "N/A" if result.q_value != result.q_value else f"{result.q_value:.2g}",
        ]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    for row in probed.as_dict()["concepts"]:
        print_line(named_sentence(row))
    for number, why in probed.left_out.items():
        print_line(f"Not probed, {number}: {why}")
    print_line(f"\nVerdicts and items: {probed.folder}")


def _number(value: float) -> str:
    return "N/A" if value != value else f"{value:.2f}"


@app.command("garak")
def garak(
    model: options.ModelOption,
    sae: options.SaeOption,
    spec: Annotated[str, typer.Option(help="garak's probes, as dan.Dan_11_0,lmrc or all.")],
    out: Annotated[Path, typer.Option(help="Run folder; a stopped probe is resumed.")] = Path("garak-run"),
    generations: Annotated[int, typer.Option(min=1, help="Answers to each attack.")] = 1,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="By default 0 for one answer to each attack, else 1.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 150,
    eval_threshold: Annotated[float, typer.Option(min=0.0, max=1.0, help="Detector score of a hit.")] = 0.5,
    primary_only: Annotated[
        bool, typer.Option("--primary-only", help="Only the first detector of each probe.")
    ] = False,
    online: Annotated[bool, typer.Option("--online", help="Let probes and detectors fetch models and data.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of drawn attacks and sampled answers.")] = 0,
    span: Annotated[str, typer.Option(help="question (the attack), prompt, prompt+bos, response or all.")] = "question",
    batch_tokens: Annotated[
        int | None,
        typer.Option(min=16, help="Most tokens of a forward pass; by default as in a run."),
    ] = None,
    force: options.ForceOption = False,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Attack a model with garak: pass rates per probe family, probe and tag, and the concepts behind them."""
    from competency_gaps import probe_with_garak
    from competency_gaps.config import RunConfig, parse_config, sae_place
    from competency_gaps.harnesses.garak.scan import GarakSettings

    # Checked as a run's configuration, so that faults read as they do there; the benchmarks come later.
    placeholder = {"name": "garak", "source": {"kind": "log", "path": str(out)}}
    data = {"model": {"name": model}, "sae": {**sae_place(sae), "force": force}, "benchmarks": [placeholder]}
    checked = parse_config(RunConfig, {**data, "span": span, "batch_tokens": batch_tokens}, "options")
    run, rates = probe_with_garak(
        checked.model,
        checked.sae,
        GarakSettings(spec, generations, temperature, max_new_tokens, eval_threshold, not primary_only, seed, online),
        out,
        span=checked.span,
        batch_tokens=checked.batch_tokens,
        progress=terminal(quiet),
        command=typed_command(),
    )
    if json_:
        print_json({"run": str(run.path), **rates, "html": str(run.report_file)})
        return
    _print_rates(rates)
    print_line(f"\nRun: {run.path}   Report: {run.report_file}")


def _print_rates(document: dict[str, Any]) -> None:
    from competency_gaps.text import plural, shorten, visible

    console = Console()
    table = Table(
        "", Column("name", overflow="fold"), "attempts", "unscored", "pass rate", "95% interval", "weak concepts"
    )
    for row in document["rates"]:
        spread = "N/A" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}"
        weak = "" if row["weak_concepts"] is None else str(row["weak_concepts"])
        value = "N/A" if row["pass_rate"] is None else f"{row['pass_rate']:.2f}"
        cells = [row["level"], visible(row["name"]), str(row["attempts"]), str(row["unscored"]), value, spread, weak]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    leaders = [row for row in document["concepts"] if row["status"] == "weak" and row["leader"] == row["concept"]]
    for row in leaders[:20]:
        label = shorten(visible(row["label"] or "no label"), 80)
        text = f"{row['name']}: concept {row['concept']} ({label}) passes {row['chi_model']:.2f}, gap {row['gap']:+.2f}"
        print_line(text)
    missing = {
        f"{name} without the detector {detector}": why
        for name, detectors in document["missing_detectors"].items()
        for detector, why in detectors.items()
    }
    for name, why in {**document["left_out"], **document["families_without_items"], **missing}.items():
        print_line(f"Left out, {name}: {why}")
    for why, count in document["unanswered"].items():
        text = f"Without an answer, {plural(count, 'attack')}: {why}"
        print_line(text)
