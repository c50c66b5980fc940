"""``cgaps probe``: fresh items on a concept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from competency_gaps.cli import options
from competency_gaps.cli.output import print_json, print_line, terminal, typed_command
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.config import AskConfig
    from competency_gaps.probes.concept import Probed
    from competency_gaps.probes.written import Pending


ItemSource = Literal["reasoning-gym", "endpoint"]
"""Where fresh items come from."""


@options.asks()
def probe(
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
