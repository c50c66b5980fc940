"""Themes that are worth testing next: weak, or nearly, and not known well."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.suggestions import SHOWN, Suggestion, command
from competency_gaps.probes.fresh import generated, run_config
from competency_gaps.report.columns import GAP
from competency_gaps.report.themes import theme_name
from competency_gaps.text import integer, plural, shorten, tenths

NEARLY = 0.2
"""A theme of negative gap whose q-value is at most this is nearly weak [ours]."""
MOST = 4
"""Themes that are suggested."""
PROBED = 5
"""Concepts of a theme that its command probes."""


def weak_themes(context: Context) -> list[Suggestion]:
    """Suggest themes by how weak they may be: the lower end of the gap's interval, the lowest first.

    A wide interval and a low gap both lower it. Of a theme and its subthemes one is suggested.
    """
    themes = context.themes
    if themes is None:
        return []
    table = pl.concat([themes.themes, themes.subthemes])
    weak = pl.col("performance_status") == "weak"
    nearly = (pl.col("gap") < 0) & (pl.col("q_value") <= NEARLY)
    found: list[Suggestion] = []
    seen: set[int] = set()
    for row in table.filter(weak | nearly).sort("gap_low", "level", "id", nulls_last=True).iter_rows(named=True):
        theme = int(row["id"] if row["level"] == "theme" else row["parent"])
        concepts = _weakest(context, row)
        if theme in seen or not concepts:
            continue
        seen.add(theme)
        found.append(_suggestion(context, row, theme, concepts))
        if len(found) == MOST:
            break
    return found


def _weakest(context: Context, row: dict[str, Any]) -> list[int]:
    """The tested concepts of a theme or subtheme with a negative gap: weak leaders first, then by gap."""
    assert context.themes is not None
    own = context.themes.members.filter(pl.col(row["level"]) == row["id"])["concept"]
    tested = context.ranked.tested.filter(pl.col("concept").is_in(own.to_list()) & (pl.col("gap") < 0))
    leads = (pl.col("leader") == pl.col("concept")) & (pl.col("performance_status") == "weak")
    ordered = tested.sort(~leads.fill_null(value=False), "gap", "concept")
    return [int(concept) for concept in ordered["concept"].head(SHOWN)]


def _suggestion(context: Context, row: dict[str, Any], theme: int, concepts: list[int]) -> Suggestion:
    name, within = shorten(theme_name(row), 80), ""
    if row["level"] == "subtheme":
        assert context.themes is not None
        parent = context.themes.themes.row(by_predicate=pl.col("id") == theme, named=True)
        within = f", a subtheme of “{shorten(theme_name(parent), 80)}”,"
    state = "is weak" if row["performance_status"] == "weak" else "may be weak: the evidence falls short"
    line, how = _probe(context, concepts[:PROBED])
    reason = (
        f"“{name}”{within} {state} (gap {GAP.cell(row)}), on {plural(row['support'], 'item')} that are worth "
        f"{tenths(row['n_eff'])} of equal weight; weak are {integer(row['weak_concepts'])} of its "
        f"{integer(row['ranked'])} ranked concepts. {how}"
    )
    return Suggestion("weak", f"Test “{name}” on fresh items", reason, line, theme=theme, concepts=tuple(concepts))


def _probe(context: Context, concepts: list[int]) -> tuple[str, str]:
    """The command that probes concepts, and what it does."""
    options = ["--concept", ",".join(str(concept) for concept in concepts)]
    if _can_generate(context, concepts):
        return (
            command(context, "probe", "concept", options=options),
            "The command makes new items of the run's generated benchmarks and says whether the weakness holds.",
        )
    return (
        command(context, "probe", "concept", options=[*options, "--source", "endpoint", "--export", "questions.jsonl"]),
        "No new items can be generated for it: the command writes down questions for a language model that writes "
        "items, and then says whether the weakness holds.",
    )


def _can_generate(context: Context, concepts: list[int]) -> bool:
    """Whether most of some concept's activation lies in benchmarks of which new items can be generated."""
    families = set(generated(run_config(context.run)))
    if not families:
        return False
    kept = dict(context.run.benchmarks.select("benchmark", "kept").iter_rows())
    inside, whole = [0.0] * len(concepts), [0.0] * len(concepts)
    for place, name in enumerate(context.names):
        column = context.benchmark_concepts(place, ["chi_bench"])["chi_bench"]
        for number, concept in enumerate(concepts):
            amount = (column[concept] or 0.0) * kept[name]
            whole[number] += amount
            inside[number] += amount * (name in families)
    return any(part > 0.5 * total for part, total in zip(inside, whole, strict=True) if total)
