"""``cgaps check`` and ``probe``: does what a run found hold, on other draws of its items and on fresh ones?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from competency_gaps.api.run import open_run
from competency_gaps.cli import options
from competency_gaps.cli.output import print_json, print_line, terminal, typed_command
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.probes.concept import Probed


def check(
    run: options.RunArgument,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="Another run on the same items: another SAE or layer, or a repeat."),
    ] = None,
    model: options.OutcomeModelOption = None,
    against: options.AgainstOption = None,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Test whether a run's results hold on other draws of its items, and in another run."""
    from competency_gaps.report.concept import verdict_table

    opened = options.open_outcome(run, model, against)
    outcome = opened.check(against=other, progress=terminal(quiet))
    if json_:
        print_json({"run": str(opened.path), **outcome})
        return
    Console().print(verdict_table(outcome["verdicts"]))
    print_line(f"Report: {opened.report_file.resolve()}")


def probe(
    run: Annotated[Path, typer.Argument(help="Run folder; its model and SAE are loaded.")],
    concept: Annotated[str | None, typer.Option(help="Concepts to test, e.g. 5,17.")] = None,
    weak: Annotated[int | None, typer.Option(min=1, help="Test the N surest weak concepts, leaders first.")] = None,
    items: Annotated[int, typer.Option(min=10, help="Fresh items of each generated benchmark.")] = 300,
    questions: Annotated[
        int, typer.Option(min=1, help="With --llm: questions with, and as many without, the concept on each topic.")
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other fresh items.")] = 0,
    llm: options.LLMOption = None,
    quiet: options.QuietOption = False,
    json_: options.JsonOption = False,
) -> None:
    """Test whether a weakness holds on fresh items that excite its concept."""
    if (concept is None) == (weak is None):
        raise UserError("give --concept ID[,ID] or --weak N.")
    probed = open_run(run).probe(
        () if concept is None else options.parse_concepts(concept),
        weak=weak,
        llm=options.llm_config(llm),
        items=items,
        questions=questions,
        seed=seed,
        progress=terminal(quiet),
        command=typed_command(),
    )
    if json_:
        print_json({"waiting": True} if probed is None else probed.as_dict())
    elif probed is not None:
        _print_verdicts(probed)


def _print_verdicts(probed: Probed) -> None:
    from competency_gaps.probes.concept import named_sentence
    from competency_gaps.text import shorten, signed, visible

    table = Table("concept", "label", "claim", "verdict", "exciting", "mean", "without", "difference", "q")
    for target, result in probed.results:
        cells = [
            str(target.concept),
            shorten(visible(target.label or ""), 40),
            result.claim if target.status == result.claim else f"{result.claim} ({target.status})",
            result.verdict,
            f"{result.exciting:,}",
            *("N/A" if value is None else f"{value:.2f}" for value in (result.mean, result.expected)),
            "N/A" if result.difference is None else signed(result.difference),
            "N/A" if result.q_value is None else f"{result.q_value:.2g}",
        ]
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
    for row in probed.as_dict()["concepts"]:
        print_line(named_sentence(row))
    for number, why in probed.left_out.items():
        print_line(f"Not probed, {number}: {why}")
    print_line(f"\nVerdicts and items: {probed.folder}")
