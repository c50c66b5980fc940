"""The answer in a terminal: a list of slices that fits its width, and one finding with its items."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.findings import words
from competency_gaps.findings.finding import Answer, Finding
from competency_gaps.report.tables import VERDICT_STYLES, plain
from competency_gaps.text import visible

NAME = 44
"""Characters of a name that no example may take."""
EXAMPLE = 16
"""Fewest characters with which an example is worth its place."""
_GAP = 2
_STYLES = {"weaker": VERDICT_STYLES["weak"], "stronger": VERDICT_STYLES["strong"]}


def answer_view(answer: Answer, examples: Sequence[str | None], width: int, most: int = words.SIDE) -> Group:
    """Lay out an answer: its headline, a line per finding, and one line on what is not shown.

    Parameters
    ----------
    answer : Answer
    examples : sequence of (str or None)
        The text of the example of each of ``answer.findings``.
    width : int
        Characters of a line. What has no room is cut at a word, the examples first.
    most : int
        Findings of each side.
    """
    bad = [
        plain(words.caveat_words(caveat), f"bold {VERDICT_STYLES['weak']}")
        for caveat in answer.caveats
        if caveat.code in words.BAD
    ]
    parts: list[RenderableType] = [*bad, plain(words.headline(answer), "bold")]
    chosen = words.shown(answer, most)
    if chosen:
        texts = {finding.number: text for finding, text in zip(answer.findings, examples, strict=True)}
        parts.append(findings_table(chosen, [texts[finding.number] for finding in chosen], width))
    if answer.mean is not None:
        parts.append(plain(words.closing(answer, most), "dim"))
    return Group(*parts)


def findings_table(findings: Sequence[Finding], examples: Sequence[str | None], width: int) -> Table:
    """Lay out findings, a line each: number, side, name, gap, interval, items, and the example where there is room."""
    rows = [
        (
            str(finding.number),
            "weaker" if finding.gap < 0 else "stronger",
            words.signed_points(finding.gap),
            f"({words.interval(finding.low, finding.high)})",
            words.size(finding),
        )
        for finding in findings
    ]
    names = [visible(" ".join(finding.name.split())) for finding in findings]
    fixed = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    room, longest = width - sum(fixed) - len(fixed) * _GAP, max(map(len, names))
    has_examples = any(examples) and room - min(longest, NAME) >= EXAMPLE + _GAP
    wide = min(longest, max(NAME, room - 2 * NAME)) if has_examples else min(longest, max(room, 12))
    table = Table.grid(padding=(0, _GAP, 0, 0))
    widths = (*fixed[:2], wide, *fixed[2:])
    for justify, characters in zip(("right", "left", "left", "right", "right", "right"), widths, strict=True):
        table.add_column(justify=justify, no_wrap=True, overflow="ellipsis", width=characters)  # type: ignore[arg-type]
    if has_examples:
        table.add_column(no_wrap=True, overflow="ellipsis")
    last = ""
    for (number, side, gap, spread, items), name, example in zip(rows, names, examples, strict=True):
        text = words.item_text(visible(example or ""), room - wide - _GAP - 2) if has_examples and example else ""
        cells = (
            Text(number, style="dim"),
            Text("" if side == last else side, style=_STYLES[side]),
            Text(words.cut_at_word(name, wide)),
            Text(gap, style=f"bold {_STYLES[side]}"),
            Text(spread),
            Text(items),
            *([Text(f"“{text}”" if text else "", style="dim")] if has_examples else []),
        )
        table.add_row(*cells)
        last = side
    return table
