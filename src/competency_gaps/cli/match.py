"""``cgaps match``: a run's concepts against other people's lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from competency_gaps.cli.options import JsonOption, LLMOption, QuietOption, RunArgument, llm_config
from competency_gaps.cli.output import print_json, terminal
from competency_gaps.errors import UserError
from competency_gaps.text import visible

if TYPE_CHECKING:
    from competency_gaps.matching import Matching
    from competency_gaps.matching.by_examples import ExampleMatching
    from competency_gaps.matching.match_run import RunMatching


def match(
    run: RunArgument,
    taxonomy: Annotated[
        Path | None,
        typer.Option(help="A list as JSON, JSONL, CSV or YAML, an AutoDetect log or a garak report."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead, tags of the run's items: a table ('id' and a column per tag), a column of the items, or "
            'NAME=SQL as "failed=score < 0.5", repeatable.'
        ),
    ] = None,
    by: Annotated[
        Literal["both", "examples", "labels"],
        typer.Option(help="Compare entries with labels, or what their example prompts excite."),
    ] = "both",
    where: Annotated[
        str | None, typer.Option(help='Only entries that meet an SQL condition such as "score < 5".')
    ] = None,
    alpha: Annotated[float, typer.Option(help="False-discovery rate of the matches.")] = 0.05,
    llm: LLMOption = None,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Match others' lists of weaknesses to a run: what does it recover, what does it add?"""
    from competency_gaps import open_run
    from competency_gaps.matching.by_examples import example_document

    if (taxonomy is None) == (not tags):
        raise UserError("give either --taxonomy or --tags.")
    asked = llm_config(llm)
    if tags and (where or asked or by != "both"):
        raise UserError("--tags takes --alpha alone: the other options are for --taxonomy.")
    opened, progress = open_run(run), terminal(quiet)
    if taxonomy is None:
        matching = opened.match_tags(_tags(tags or []), alpha=alpha, progress=progress)
        if json_:
            print_json({"run": str(run), "tags": tags, "by_examples": example_document(matching)})
        else:
            _print_matched(None, matching)
        return
    matched = opened.match(taxonomy, by=by, llm=asked, progress=progress, where=where, alpha=alpha)
    if json_:
        _print_document(run, taxonomy, matched)
    else:
        _print_matched(matched.matching, matched.by_examples)


def _tags(given: list[str]) -> str | dict[str, str]:
    """A file or a column, or conditions by their names."""
    if len(given) == 1 and ("=" not in given[0] or Path(given[0]).is_file()):
        return given[0]
    conditions = {}
    for text in given:
        parts = re.fullmatch(r"\s*([\w .:/-]+?)\s*=(.+)", text, re.DOTALL)
        if parts is None or parts[1] in conditions:
            raise UserError(
                f'--tags {visible(text)!r}: expected NAME=SQL with another name each, e.g. "failed=score < 0.5"; '
                "or, once, a table or a column of the run's items."
            )
        conditions[parts[1]] = parts[2].strip()
    return conditions


def _print_document(run: Path, taxonomy: Path, matched: RunMatching) -> None:
    from competency_gaps.matching.by_examples import example_document
    from competency_gaps.matching.summary import matching_document

    listed = matched.taxonomy
    source = {"taxonomy": str(taxonomy), "left_out": len(listed.left_out), "notes": listed.notes}
    by_labels = {} if matched.matching is None else matching_document(matched.matching)
    by_examples = {} if matched.by_examples is None else {"by_examples": example_document(matched.by_examples)}
    failed = {"failed": list(matched.failed)} if matched.failed else {}
    print_json({"run": str(run), **source, **by_labels, **by_examples, **failed, "judges": matched.judges})


def _print_matched(by_labels: Matching | None, by_examples: ExampleMatching | None) -> None:
    from competency_gaps.matching.example_lines import example_lines
    from competency_gaps.matching.lines import matching_lines

    lines: list[str] = []
    if by_examples is not None:
        lines += [*(["By examples"] if by_labels is not None else []), *example_lines(by_examples)]
    if by_labels is not None:
        lines += [*(["", "By labels"] if by_examples is not None else []), *matching_lines(by_labels)]
    for line in lines:
        Console().print(line, markup=False, highlight=False, soft_wrap=True)
