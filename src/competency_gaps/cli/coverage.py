"""``cgaps coverage``: what the items of runs are about, and what they do not test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from competency_gaps.cli.options import JsonOption, LLMOption, RunsArgument, llm_config
from competency_gaps.cli.output import print_json, terminal
from competency_gaps.errors import UserError
from competency_gaps.text import integer, plural, visible

if TYPE_CHECKING:
    from competency_gaps.findings.coverage import Coverage, RegionCoverage

_NAME, _SHORT = 49, 34
"""Characters of a region's name on a narrow screen, and beside many benchmarks, at least."""
_BAR = 8
"""Characters of a bar, at least."""
_MARKS = {"crowded": ("▲", "green"), "thin": ("▽", "red"), "missing": ("○", "red")}
_LEGEND = (
    "Of 100 items, with intervals of 95%. near: in the mean of the 3 benchmarks most alike; mean: of all of the map's; "
    "text: in ordinary text. ▲ crowded: surely above twice the mean (│), ▽ thin: surely below half, ○ missing: and no "
    "item."
)
_BESIDE = "Of 100 items. mean: in the mean benchmark of the map; text: in ordinary text."
_NO_REFERENCE = "The SAE has no reference statistics (‘cgaps concepts reference’): dead concepts are not counted."


def coverage(
    runs: RunsArgument,
    benchmark: Annotated[str | None, typer.Option(help="What this benchmark lacks.")] = None,
    describe: Annotated[
        str | None, typer.Option(help="What it claims to test; by default its 'scope' in the configuration.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows of each list.")] = 6,
    llm: LLMOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what the items are about and do not test, by region of the atlas; several runs side by side."""
    from competency_gaps import open_run

    opened = [open_run(run) for run in runs]
    if len(opened) > 1:
        if benchmark is not None:
            raise UserError("--benchmark is of one run: leave out the others.")
        first, *others = [run.regions for run in opened]
        if first is None or any(own is None or not own.equals(first) for own in others):
            raise UserError(
                "the runs do not lie on one atlas, so their regions are not the same: put one dictionary on each "
                "(‘cgaps concepts name’)."
            )
    progress = terminal(quiet=json_)
    found = [run.coverage(benchmark, describe, llm=llm_config(llm), progress=progress) for run in opened]
    if json_:
        documents = [{"run": str(run), **asdict(own)} for run, own in zip(runs, found, strict=True)]
        print_json(documents[0] if len(documents) == 1 else {"runs": documents})
    else:
        print_coverage(found, [run.path for run in opened], limit)


def print_coverage(found: Sequence[Coverage], runs: Sequence[Path], limit: int) -> None:
    """Print what the items of runs are about and lack: of one benchmark with a picture, of several side by side."""
    console = Console()
    several = sum(len(own.benchmarks) for own in found) > 1
    lines = [*found[0].words] if len(found) == 1 else []
    if found[0].regions:
        if lines:
            console.print(Text(visible(lines.pop(0)), "bold"), highlight=False)
        (_print_beside if several else _print_regions)(found, runs, limit, console)
        lines.append(_BESIDE if several else _LEGEND)
    else:
        lines.append(
            "The run has no atlas (‘cgaps concepts name’ puts a dictionary on it): concepts alone are counted."
        )
    if found[0].regions and not several and found[0].whole.scope is None:
        lines.append("It states no scope: --benchmark NAME --describe TEXT says what of it is lacking.")
    for line in lines if found[0].reference else [*lines, _NO_REFERENCE]:
        console.print(Padding(Text(visible(line)), (1, 0, 0, 0), expand=False))


def _print_regions(runs: Sequence[Coverage], _: Sequence[Path], limit: int, console: Console) -> None:
    """Print the coarse regions with a bar each, then finer ones that are crowded, and that are lacking."""
    from competency_gaps.findings.coverage import LEVEL, lacks

    found = runs[0]
    by_share = sorted(found.regions, key=lambda part: -part.share)
    top = [part for part in by_share if part.level == 1]
    scope = found.whole.inside is not None
    crowded = [part for part in by_share if (part.level, part.status) == (LEVEL, "crowded")]
    lists = (
        ("", top),
        ("crowded, finer", crowded[: limit // 2]),
        ("lacking of its scope" if scope else "lacking beside those most alike", lacks(found)[:limit]),
    )
    most = max(_NAME, console.width // 2)
    rows = [(title, [_cells(part, most) for part in parts], parts) for title, parts in lists if parts]
    used = [max(len(cells[k].plain) for _, own, _ in rows for cells in own) for k in range(7)]
    room = console.width - sum(max(4, width) for width in used[:5]) - sum(used[5:]) - 7
    table = _table(("here", "interval", "near", "mean", "text", "", "", ""), (5, 6, 7))
    for title, own, parts in rows:
        if title:
            table.add_row(*[""] * 6, Text(title, "dim"))
        for cells, part in zip(own, parts, strict=True):
            table.add_row(*cells, _bar(part, max(part.high for part in top), room) if room > _BAR else "")
    console.print(Padding(table, (1, 0, 0, 0), expand=False))


def _cells(part: RegionCoverage, most: int) -> list[Text]:
    low, text = _share(part.low, least=""), "" if part.text is None else _share(part.text)
    numbers = (_share(part.share), f"{low}–{_share(part.high)}", _share(part.near), _share(part.public), text)
    mark, style = _MARKS.get(str(part.status), (" ", ""))
    return [*(Text(number) for number in numbers), Text(mark, style), _cut(part.name, most)]


def _bar(part: RegionCoverage, most: float, room: int) -> str:
    """A bar for the region's share, with a mark at that of the mean benchmark."""
    own, mean = (round(min(value / most, 1) * (room - 1)) for value in (part.share, part.public))
    return "".join("│" if place == mean else "█" if place < own else " " for place in range(room))


def _print_beside(found: Sequence[Coverage], runs: Sequence[Path], limit: int, console: Console) -> None:
    """Print benchmarks with their nearest ones and what they lack, then the shares of all of them by region."""
    from competency_gaps.findings.coverage import LEVEL, alike

    parts = [(part, run.name) for own, run in zip(found, runs, strict=True) for part in own.benchmarks]
    names = [part.name for part, _ in parts]
    wide = 4 if any(max(part.shares, default=0) > 0.99 for part, _ in parts) else 3
    letters = ascii_uppercase[: max(2, (console.width - _SHORT - 11) // wide)]
    shown, regions = parts[: len(letters)], found[0].regions
    listed = [f"{part.name} ({run})" if names.count(part.name) > 1 else part.name for part, run in shown]
    table = _table(("", "benchmark", "items", "most alike"), (0, 1, 3), gap=2)
    for letter, name, (part, _) in zip(letters, listed, shown, strict=False):
        near, likeness = part.nearest[0]
        cells = (name, integer(part.items), f"{near} ({100 * likeness:.0f} of 100)")
        table.add_row(letter, *(Text(visible(cell)) for cell in cells))
    console.print(Padding(table, (1, 0, 0, 0), expand=False))
    table = _table((*letters[: len(shown)], "mean", "text", ""), (len(shown) + 2,))
    apart = [max(own) - min(own) for own in zip(*(part.shares for part, _ in shown), strict=True)]
    finer = sorted((part for part in regions if part.level == LEVEL), key=lambda part: -apart[part.region])[:limit]
    room = max(_SHORT, console.width - wide * len(shown) - 11)
    for title, rows in (("", [part for part in regions if part.level == 1]), ("furthest apart, finer", finer)):
        if title:
            table.add_row(*[""] * (len(shown) + 2), Text(title, "dim"))
        for row in rows:
            shares = [_share(part.shares[row.region], 0) for part, _ in shown]
            text = "" if row.text is None else _share(row.text, 0)
            table.add_row(*shares, _share(row.public, 0), text, _cut(row.name, room))
    console.print(Padding(table, (1, 0, 0, 0), expand=False))
    console.print()
    for letter, (part, _) in zip(letters, shown, strict=False):
        if part.lacks:
            lacking = "; ".join(regions[region].name for region in part.lacks)
            console.print(Text(visible(f"{letter} lacks of its scope: {lacking}.")))
    if len(parts) == 2:
        likeness = alike(regions, parts[0][0], parts[1][0])
        console.print(f"A and B are alike by {100 * likeness:.0f} of 100.")
    if len(parts) > len(shown):
        console.print(f"{plural(len(parts) - len(shown), 'benchmark')} more: --benchmark NAME, or --json.")


def _table(heads: Sequence[str], left: Sequence[int], gap: int = 1) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, gap, 0, 0))
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place in left else "right", no_wrap=True)
    return table


def _share(share: float, digits: int = 1, least: str = "<") -> str:
    """So many of 100; below 1 with so many decimals."""
    if share == 0 or share >= 0.0095:
        return f"{100 * share:.0f}"
    text = f"{100 * share:.{digits}f}"
    return text if float(text) else f"{least}{10.0**-digits:g}" if least else "0"


def _cut(name: str, most: int) -> Text:
    from competency_gaps.findings.words import cut_at_word

    return Text(cut_at_word(visible(name), most))
