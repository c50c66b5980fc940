"""Themes that are worth testing next: the weak ones of the overview, then what may be weak beside them."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.probing import PROBED, probe
from competency_gaps.explorer.parts.suggestions import SHOWN, Suggestion, command
from competency_gaps.report.columns import THEME_GAP
from competency_gaps.report.themes import Themes, theme_name
from competency_gaps.text import integer, plural, shorten, tenths

NEARLY = 0.2
"""A theme of negative gap whose q-value is at most this is nearly weak [ours]."""
MOST = 4
"""Weak themes that are suggested."""
BESIDE = 3
"""Subthemes, and themes that are nearly weak, that are suggested beside them."""


def weak_themes(context: Context) -> list[Suggestion]:
    """Suggest the weak themes in the order in which the overview names them, then what may be weak elsewhere.

    Elsewhere are weak subthemes of other themes, and themes and subthemes that are nearly weak, by how weak they may
    be: the lower end of the gap's interval, the lowest first. Of a theme and its subthemes one is suggested.
    """
    themes = context.themes
    if themes is None:
        return []
    found = [_suggestion(context, themes, row) for row in themes.weak.head(MOST).iter_rows(named=True)]
    table = pl.concat([themes.themes, themes.subthemes])
    weak = pl.col("performance_status") == "weak"
    nearly = (pl.col("gap") < 0) & (pl.col("q_value") <= NEARLY)
    seen = set(themes.weak["id"].to_list())
    beside: list[Suggestion] = []
    for row in table.filter(weak | nearly).sort("gap_low", "level", "id", nulls_last=True).iter_rows(named=True):
        theme = _theme(row)
        if theme not in seen and len(beside) < BESIDE:
            seen.add(theme)
            beside.append(_suggestion(context, themes, row))
    return [*found, *beside]


def _theme(row: dict[str, Any]) -> int:
    """Number of a row's theme."""
    return int(row["id"] if row["level"] == "theme" else row["parent"])


def _suggestion(context: Context, themes: Themes, row: dict[str, Any]) -> Suggestion:
    name, theme = shorten(theme_name(row), 80), _theme(row)
    own = themes.members.filter(pl.col(row["level"]) == row["id"])["concept"].to_list()
    weak = _weak(context, own)
    if weak:
        title = f"Test “{name}” on fresh items"
        probed = weak[:PROBED]
        line, how = probe(context, probed, "--concept", ",".join(str(concept) for concept in probed))
        said = "is weak by itself" if len(weak) == 1 else "are weak by themselves"
        reason = (
            f"{integer(len(weak))} of its {plural(row['ranked'], 'ranked concept')} {said}; the command probes "
            f"{_probed(len(weak))}. {how}"
        )
    else:
        title = f"Look into “{name}”"
        line = command(context, "show", options=["--theme", str(theme)])
        why = (
            "the gap shows only where their items are taken together"
            if row["performance_status"] == "weak"
            else "what there is shows neither in one of them nor, surely, in all together"
        )
        reason = (
            f"None of its {plural(row['ranked'], 'ranked concept')} is weak by itself: {why}. So there is no single "
            "concept to probe. Read the items of those with the lowest gaps, and ask more items of this kind; the "
            "command lists the theme's concepts."
        )
    concepts = weak or _lowest(context, own)
    reason = f"{_stands(themes, row, name)} {reason}"
    return Suggestion("weak", title, reason, line, theme=theme, concepts=tuple(concepts[:SHOWN]))


def _probed(count: int) -> str:
    if count == 1:
        return "it"
    return "them" if count <= PROBED else f"{PROBED} of them, those that lead a group first"


def _stands(themes: Themes, row: dict[str, Any], name: str) -> str:
    """Say how a theme or subtheme stands, on how much evidence, and where in it it is weakest."""
    within, weakest = "", ""
    if row["level"] == "subtheme":
        parent = themes.themes.row(by_predicate=pl.col("id") == row["parent"], named=True)
        within = f", a subtheme of “{shorten(theme_name(parent), 80)}”,"
    else:
        below = themes.children(int(row["id"])).filter(pl.col("performance_status") == "weak")
        if below.height:
            first = below.row(0, named=True)
            weakest = f" Its weakest subtheme is “{shorten(theme_name(first), 80)}” (gap {THEME_GAP.cell(first)})."
    state = "is weak" if row["performance_status"] == "weak" else "may be weak, but the evidence falls short"
    return (
        f"“{name}”{within} {state}: its gap is {THEME_GAP.cell(row)}, on {plural(row['support'], 'item')} with an "
        f"effective sample size (n_eff) of {tenths(row['n_eff'])} equally weighted items.{weakest}"
    )


def _weak(context: Context, own: list[int]) -> list[int]:
    """The weak concepts among some: those that lead a group first, then by gap."""
    weak = context.ranked.weak.filter(pl.col("concept").is_in(own))
    leads = (pl.col("leader") == pl.col("concept")).fill_null(value=False)
    return [int(concept) for concept in weak.sort(~leads, "gap", "concept")["concept"]]


def _lowest(context: Context, own: list[int]) -> list[int]:
    """The tested concepts of negative gap among some, the lowest first."""
    low = context.ranked.tested.filter(pl.col("concept").is_in(own) & (pl.col("gap") < 0))
    return [int(concept) for concept in low.sort("gap", "concept")["concept"]]
