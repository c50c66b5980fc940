"""One finding in a terminal: what it says, and items that fail beside items that pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from competency_gaps.findings.examples import ShownItem
from competency_gaps.text import plural, shorten, visible

PROMPT_LIMIT = 400
ANSWER_LIMIT = 120
SHORT_CONSTANT = 24
"""Longest constant part that is shown whole, in characters."""


def finding_view(
    finding: Mapping[str, Any], support: str, failing: Sequence[ShownItem], passing: Sequence[ShownItem]
) -> Group:
    """Lay out a row of ``Run.findings`` with its items.

    Parameters
    ----------
    support
        What it rests on, in words.
    """
    sides = Table(Column("fails", ratio=1, overflow="fold"), Column("passes", ratio=1, overflow="fold"), expand=True)
    for i in range(max(len(failing), len(passing))):
        sides.add_row(*(_cell(side[i]) if i < len(side) else Text("") for side in (failing, passing)), end_section=True)
    head = f"{finding['verdict'].capitalize()}. {visible(finding['sentence'])}"
    return Group(Text(head, style="bold"), Text(), Text(visible(support)), Text(), sides)


def _cell(item: ShownItem) -> Group:
    """An item; parts that all prompts of its benchmark share are dim and short."""
    prompt, left = Text(), PROMPT_LIMIT
    for piece in item.prompt:
        text = visible(piece.text)
        if piece.is_constant:
            prompt.append(text if len(text) <= SHORT_CONSTANT else " … ", style="dim")
        elif left > 0:
            prompt.append(shorten(text, left))
            left -= len(text)
    lines = [Text(visible(f"{item.benchmark} {item.item_id}"), style="dim"), prompt]
    if item.choices is not None:
        lines.append(Text("options: " + shorten(visible(" | ".join(item.choices)), ANSWER_LIMIT)))
    for name, value in (("expected", item.answer), ("response", item.response)):
        if value is not None:
            lines.append(Text(f"{name}: {shorten(visible(value), ANSWER_LIMIT)}"))
    if item.repeats > 1:
        lines.append(Text(f"one of {plural(item.repeats, 'repeat')}", style="dim"))
    return Group(*lines)
