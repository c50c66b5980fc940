"""``cgaps coverage``: what a run's items do not test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from competency_gaps.cli.options import JsonOption, LLMOption, RunArgument, llm_config
from competency_gaps.cli.output import print_json, print_line, terminal
from competency_gaps.text import integer, plural, shorten, visible

if TYPE_CHECKING:
    from competency_gaps.findings.coverage import Coverage, Covered

_NAME, _LABEL = 60, 70
"""Characters of a name, and of a label."""
_WIDE = 110
"""Width from which two labels are shown."""
_THIN = "Thin: at most a quarter as common as in ordinary text."
_NO_REFERENCE = (
    "The SAE has no reference statistics, so concepts that no item has at all are not counted: ‘cgaps concepts "
    "reference’ makes them."
)
_COUNTED = {
    "labelled": "concepts of topics and skills that a label describes",
    "automatic": "concepts of topics and skills that have words of exemplars for a label",
    "unlabelled": "concepts of topics and skills; none has a label: ‘cgaps concepts label’ makes them",
}
_JUDGED = {
    "embedding": "by the likeness of its label to the scope, which is a guess: with --llm a language model judges",
    "model": "as a language model judges of those whose label is like the scope",
}


def coverage(
    run: RunArgument,
    benchmark: Annotated[str | None, typer.Option(help="What this benchmark lacks.")] = None,
    describe: Annotated[
        str | None, typer.Option(help="What it claims to test; by default its 'scope' in the configuration.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows of each table.")] = 6,
    llm: LLMOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what the items do not test, by region of the atlas and by what each benchmark claims to test."""
    from competency_gaps import open_run

    progress = terminal(quiet=json_)
    found = open_run(run).coverage(benchmark, describe, llm=llm_config(llm), progress=progress)
    if json_:
        print_json({"run": str(run), **asdict(found)})
    else:
        print_coverage(found, limit)


def print_coverage(found: Coverage, limit: int) -> None:
    """Print what is missing and thin: as a whole, of the benchmarks' scopes, by region; then what was counted."""
    whole = found.all
    chance = "" if whole.by_chance is None else f" (in as much ordinary text: {_chance(whole.by_chance)})"
    thin = f"; thin: {integer(whole.thin)} more" if found.reference else ""
    print_line(
        f"In none of {plural(found.items, 'item')}: {integer(whole.missing)} of {plural(whole.concepts, 'concept')}"
        f"{chance}{thin}."
    )
    scopes = [part for part in found.benchmarks if part.scope is not None and part.scope.concepts]
    if len(found.benchmarks) == 1 and scopes and scopes[0].scope is not None:
        _print_scope(str(scopes[0].description), scopes[0].scope, limit)
    elif scopes:
        own = [part.scope for part in scopes if part.scope is not None]
        own.sort(key=lambda part: (part.by_chance or 0) - part.missing)
        _print_parts("What each benchmark says it tests", own, limit, found.reference)
    if found.regions and not (scopes and len(found.benchmarks) == 1):
        _print_parts("Regions that are covered least", found.regions, limit, found.reference)
    elif not scopes:
        _print_lacking(whole, limit)
    if len(found.benchmarks) > 1 and not scopes:
        _print_parts("Benchmarks", [part.all for part in found.benchmarks], limit, found.reference)
    for line in _notes(found, bool(scopes)):
        print_line(line)


def _print_scope(description: str, scope: Covered, limit: int) -> None:
    print_line(f"\nIt says that it tests: {shorten(description, 300)}.")
    print_line(
        f"Of {plural(scope.concepts, 'concept')} of this, {integer(scope.missing)} are in no item"
        + (f" ({_chance(scope.by_chance)} by chance)" if scope.by_chance is not None else "")
        + (f", {integer(scope.thin)} are thin." if scope.by_chance is not None else ".")
    )
    _print_lacking(scope, limit)


def _print_lacking(part: Covered, limit: int) -> None:
    for lack in [lack for lack in part.lacking if lack.label][:limit]:
        print_line(f"  {lack.status:7}  {shorten(str(lack.label), 120)}")


def _print_parts(title: str, parts: Sequence[Covered], limit: int, reference: bool) -> None:
    console = Console()
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(title, overflow="fold", ratio=2)
    for head in ("concepts", "in no item", *(["thin"] if reference else [])):
        table.add_column(head, justify="right", no_wrap=True)
    most = 2 if console.width >= _WIDE else 1
    examples = ["; ".join(_cut(lack.label) for lack in part.lacking[:most] if lack.label) for part in parts[:limit]]
    if any(examples):
        table.add_column("such as", overflow="fold", ratio=3)
    for part, named in zip(parts[:limit], examples, strict=True):
        counts = (integer(part.concepts), integer(part.missing), *([integer(part.thin)] if reference else []))
        table.add_row(visible(shorten(part.name, _NAME)), *counts, *([visible(named)] if any(examples) else []))
    print_line("")
    console.print(table, markup=False)
    if len(parts) > limit:
        print_line(f"{integer(len(parts) - limit)} more: --limit {len(parts)}")


def _notes(found: Coverage, scopes: bool) -> list[str]:
    left = ", ".join(f"{integer(count)} {kind}" for kind, count in found.left_out)
    lines = [f"\nCounted: {_COUNTED[found.counted]}. Left out of {integer(found.width)}: {left or 'none'}."]
    lines.append(_THIN if found.reference else _NO_REFERENCE)
    if scopes and found.judged is not None:
        lines.append(f"What belongs to a scope: {_JUDGED[found.judged]}.")
    elif found.reference and not any(part.description for part in found.benchmarks):
        lines.append(
            "No benchmark states its scope, so this is what ordinary text has and these items have not; whether they "
            "should, you know: --benchmark NAME --describe TEXT."
        )
    return lines


def _cut(label: str) -> str:
    return label if len(label) <= _LABEL else f"{label[:_LABEL].rsplit(' ', 1)[0]} …"


def _chance(count: float) -> str:
    return "fewer than 1" if count < 1 else f"about {count:,.0f}"
