"""Another list of weaknesses beside a run's slices, in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from competency_gaps.findings.match import Matched, Matching, Rate
from competency_gaps.util.text import integer, plural, signed
from competency_gaps.view.terminal.tables import cut, plain
from competency_gaps.view.words import see_all

_NAME, _TIE = 50, 60
"""Characters of a name, and of a slice's."""
_WORDS = {
    "failure": "go with failure",
    "matched": "matched by a slice",
    "recovered": "recovered by a slice that goes with failure",
    "failure recovered": "recovered, of those that go with failure",
    "untested": "untested: every slice that matches them is missing or thin here",
}
_HOW = {
    "items": "matched through the run's items",
    "examples": "matched through examples that the run's model read",
}


def matching_view(matching: Matching, limit: int) -> RenderableType:
    """Lay out the rates beside chance, the entries, and what the list lacks."""
    entries = plural(len(matching.entries), "entry").replace("entrys", "entries")
    parts: list[RenderableType] = [plain(f"{entries}, {_HOW[matching.how]}:")]
    parts += [plain(f"  {_rate(rate)}") for rate in matching.rates]
    measured = any(entry.association is not None for entry in matching.entries)
    columns = [Column("entry", overflow="fold", ratio=2), Column("matching slices", overflow="fold", ratio=3)]
    columns[1:1] = [Column(name, justify="right", no_wrap=True) for name in ("association", "items") if measured]
    table = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    shown = [entry for entry in matching.entries if entry.outcome != "few" or entry.association is not None]
    for entry in shown[:limit]:
        table.add_row(*map(plain, _cells(entry, measured)))
    if shown:
        parts += [Text(), table]
    if len(shown) > limit:
        parts.append(plain(f"To see {see_all(len(shown), 'entries')}."))
    if few := len(matching.entries) - len(shown):
        parts.append(plain(f"Not compared, with fewer than 6 examples: {integer(few)}."))
    if matching.lacks:
        names = "; ".join(f"{cut(lacked.name, _NAME)} ({signed(100 * lacked.gap, 0)})" for lacked in matching.lacks)
        parts += [Text(), plain(f"In the model's answer, but not on the list: {names}.")]
    return Group(*parts)


def _rate(rate: Rate) -> str:
    """A rate beside what chance gives."""
    chance = ""
    if rate.chance is not None and rate.most is not None:
        chance = f"; by chance {rate.chance:.1f}, up to {rate.most:.0f}"
    return f"{_WORDS[rate.what]}: {integer(rate.count)} of {integer(rate.of)}{chance}"


def _cells(entry: Matched, measured: bool) -> Sequence[str]:
    """The cells of an entry."""
    name = cut(entry.name, _NAME)
    if entry.outcome == "few":
        ties = "too few examples to compare"
    else:
        ties = "; ".join(_tie(tie.name, tie.auc, tie.status) for tie in entry.ties[:2]) or "none"
    if not measured:
        return (name, ties)
    association = "" if entry.association is None else signed(100 * entry.association, 0)
    return (name, f"{association}{', failure' if entry.failure else ''}", integer(entry.items), ties)


def _tie(name: str, auc: float | None, status: str | None) -> str:
    """A matching slice with its status and AUC."""
    facts = ", ".join(part for part in (status, None if auc is None else f"{auc:.2f}") if part)
    return f"{cut(name, _TIE)} ({facts})" if facts else cut(name, _TIE)
