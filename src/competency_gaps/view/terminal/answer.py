"""The answer in a terminal: a list of slices that fits its width, one finding with its items, and caveats."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from competency_gaps.findings.finding import Answer, Finding
from competency_gaps.findings.items import SHOWN, Detail, Part, ShownItem
from competency_gaps.items.options import not_in
from competency_gaps.util.text import integer, plural, shorten, visible
from competency_gaps.view import words
from competency_gaps.view.terminal.tables import VERDICT_STYLES, plain

NAME = 34
"""Characters reserved for a name before examples get room."""
MIN_NAME_WIDTH = 14
"""Characters of a name where the terminal is narrow."""
EXAMPLE = 16
"""Minimum number of characters of an example to be shown."""
PROMPT_LIMIT = 400
ANSWER_LIMIT = 120
SHORT_CONSTANT = 24
"""Longest constant part of a prompt that is shown whole, in characters."""
MAX_PARTS = 6
"""Maximum number of parts of a slice listed at either end."""
_GAP = 2
BAR = 8
"""Characters of the longest bar of a picture."""


def answer_view(
    answer: Answer, examples: Sequence[str | None], width: int, most: int = words.SIDE, *, closing: bool = True
) -> Group:
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
    closing : bool
        Whether a last line says how many items are scored and which options show more.
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
        parts.append(findings_table(answer, chosen, [texts[finding.number] for finding in chosen], width))
    if closing and (answer.mean is not None or answer.kind == "parsed"):
        parts.append(plain(words.closing(answer, most), "dim"))
    elif chosen:
        parts.append(plain(words.beliefs(chosen), "dim"))
    return Group(*parts)


def answer_picture(answer: Answer, example: ShownItem | None, width: int) -> Group:
    """Lay out an answer for those who see one for the first time: sentences with bars.

    Parameters
    ----------
    answer : Answer
    example : ShownItem or None
        An item of the first of :func:`~competency_gaps.view.words.pictured`.
    width : int
        Characters of a line.
    """
    chosen = words.pictured(answer)
    most = max((abs(one.gap) for one in chosen), default=1.0)
    room = max(width - 2 * BAR - 10, EXAMPLE)
    columns = Column(justify="right", no_wrap=True), Column(no_wrap=True), Column(width=room)
    table = Table.grid(*columns, padding=(0, _GAP, 0, 0))
    for one in chosen:
        bar = "▇" * max(1, round(BAR * abs(one.gap) / most))
        left, right = (f"{bar:>{BAR}}", " " * BAR) if one.gap < 0 else (" " * BAR, f"{bar:<{BAR}}")
        picture = Text.assemble((left, _style(one)), "│", (right, _style(one)))
        points = Text(words.points_of(one), style=f"bold {_style(one)}")
        table.add_row(points, picture, plain(words.plain_sentence(answer, one)))
    parts: list[RenderableType] = [plain(words.plain_level(answer), "bold"), Text(), table]
    if example is not None and example.answer and example.response:
        asked = words.item_text(visible("".join(piece.text for piece in example.prompt)), PROMPT_LIMIT)
        said, right = (f"“{shorten(visible(text), ANSWER_LIMIT)}”" for text in (example.response, example.answer))
        parts += [Text(), plain(f"For example, after “{asked}” it says {said}, where {right} is right.")]
    return Group(*parts)


def findings_table(answer: Answer, findings: Sequence[Finding], examples: Sequence[str | None], width: int) -> Table:
    """Lay out findings, a line each: what it is, its figures, and an example where there is room."""
    rows = [
        (
            str(finding.number),
            words.side(answer, finding),
            words.points_of(finding),
            f"({words.spread_of(finding)})",
            finding.belief,
            words.count(finding),
            words.share_right(answer, finding),
        )
        for finding in findings
    ]
    heads = ("", "", "change" if answer.kind == "difference" else "gap", "interval", "", "items", "right")
    fixed = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    end = len(heads) if any(row[-1] for row in rows) else len(heads) - 1
    # A narrow terminal has no room to count items.
    while (room := width - sum(fixed[:end]) - end * _GAP) < EXAMPLE and end > 4:
        end -= 1
    names = [words.line_name(answer, finding, max(room, NAME)) for finding in findings]
    cut = [words.cut_at_word(name, max(min(room, NAME), room - 2 * NAME)) for name in names]
    wide = max(map(len, cut))
    has_examples = any(examples) and room - wide >= EXAMPLE + _GAP
    if not has_examples:
        cut = [words.cut_at_word(name, max(room, MIN_NAME_WIDTH)) for name in names]
        wide = max(map(len, cut))
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for column, characters in enumerate((*fixed[:2], wide, *fixed[2:end])):
        table.add_column(justify="left" if column in (1, 2, 5) else "right", no_wrap=True, width=characters)
    if has_examples:
        table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_row("", "", "", *(Text(head, style="dim") for head in heads[2:end]))
    last = ""
    for finding, (number, side, gap, *figures), name, example in zip(findings, rows, cut, examples, strict=True):
        text = words.item_text(visible(example or ""), room - wide - _GAP - 2) if has_examples and example else ""
        table.add_row(
            Text(number, style="dim"),
            Text("" if side == last else side, style=_style(finding)),
            Text(name),
            Text(gap, style=f"bold {_style(finding)}"),
            *map(Text, figures[: end - 3]),
            *([Text(f"“{text}”" if text else "", style="dim")] if has_examples else []),
        )
        last = side
    return table


def _style(finding: Finding) -> str:
    """The colour of a weaker or a stronger finding."""
    return VERDICT_STYLES["weak" if finding.gap < 0 else "strong"]


def caveats_view(answer: Answer) -> Group:
    """Lay out all caveats of an answer, and the models that it is taken against."""
    lines = words.caveats(answer) or ["There are no caveats."]
    return Group(plain(words.caveats_headline(answer), "bold"), *(plain(f"- {line}") for line in lines))


def finding_view(answer: Answer, finding: Finding, detail: Detail) -> Group:
    """Lay out one finding: what it says and rests on, typical items, failing beside passing ones, and its parts."""
    parts: list[RenderableType] = [plain(words.finding_headline(answer, finding), f"bold {_style(finding)}")]
    parts += [plain(line) for line in words.background(answer, finding, detail.lies_in)]
    for item in detail.typical:
        text = words.item_text("".join(piece.text for piece in item.prompt), 2 * PROMPT_LIMIT // 5)
        parts.append(Text.assemble(("Typical: ", "dim"), f"“{visible(text)}”"))
    table = Table(Column("fails", ratio=1, overflow="fold"), Column("passes", ratio=1, overflow="fold"), expand=True)
    for i in range(min(SHOWN, max(len(detail.failing), len(detail.passing)))):
        sides = (_cell(answer, items[i]) if i < len(items) else Text("") for items in (detail.failing, detail.passing))
        table.add_row(*sides, end_section=True)
    parts += [Text(), table]
    if detail.parts:
        parts += [Text(), _parts_table(detail.parts)]
    return Group(*parts)


def _parts_table(every: Sequence[Part]) -> Table:
    """The parts of a slice: those with the lowest and the highest gaps."""
    chosen = every if len(every) <= 2 * MAX_PARTS else (*every[:MAX_PARTS], *every[-MAX_PARTS:])
    columns = Column(max_width=60, no_wrap=True, overflow="ellipsis"), Column(justify="right"), Column(justify="right")
    table = Table.grid(*columns, padding=(0, _GAP, 0, 0))
    table.add_row(Text("its parts", style="dim"), Text("gap", style="dim"), Text("items", style="dim"))
    for part in chosen:
        gap = "N/A" if part.gap is None else words.signed_points(part.gap)
        table.add_row(plain(words.cut_at_word(part.name, 60)), gap, integer(part.items))
    return table


def _cell(answer: Answer, item: ShownItem) -> Group:
    """An item; parts that all prompts of its benchmark share are dim and short."""
    prompt, left = Text(), PROMPT_LIMIT
    for piece in item.prompt:
        text = visible(piece.text)
        if piece.is_constant:
            prompt.append(text if len(text) <= SHORT_CONSTANT else " … ", style="dim")
        elif left > 0:
            prompt.append(shorten(text, left))
            left -= len(text)
    did = words.outcome_words(answer, item.score, item.outcome)
    where = "" if item.item_id.startswith(item.benchmark) else f"{item.benchmark} "
    lines = [plain(f"{where}{item.item_id}: {did}", "dim"), prompt]
    if choices := not_in(prompt.plain, item.choices):
        lines.append(plain("options: " + shorten(" | ".join(choices), ANSWER_LIMIT)))
    for name, value in (("expected", item.answer), ("response", item.response)):
        if value is not None:
            lines.append(plain(f"{name}: {shorten(value, ANSWER_LIMIT)}"))
    if item.repeats > 1:
        lines.append(Text(f"one of {plural(item.repeats, 'repeat')}", style="dim"))
    return Group(*lines)
