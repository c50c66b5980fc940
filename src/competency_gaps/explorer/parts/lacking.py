"""Concepts that a benchmark lacks although they belong to what it tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.suggestions import SHOWN, Suggestion, command
from competency_gaps.explorer.parts.suite import Suite
from competency_gaps.matching.clauses import described, made_of
from competency_gaps.matching.kept import KeptLack, KeptScope, read_scopes
from competency_gaps.report.headline import Finding
from competency_gaps.report.themes import theme_name
from competency_gaps.text import integer, plural, shorten

FOCUS = 2.0
"""So many times its share in the suite must a subtheme's share of a benchmark be to count as what it tests [ours]."""
SUBTHEMES = 3
"""Subthemes that count as what a benchmark tests, those with the largest share first."""
LIKELY = 0.5
"""Chance of being seen in as much reference text from which a silent concept is no accident."""


@dataclass(frozen=True)
class Lack:
    """What one benchmark lacks, of those that could be looked at."""

    benchmark: int
    """Its place."""
    basis: Literal["scope", "themes"]
    """``scope``: its scope was compared with the concepts' labels; ``themes``: by what it lays weight on."""
    concepts: tuple[int, ...] = ()
    """All that it lacks, those that matter most first; empty: nothing."""
    suggestion: Suggestion | None = None
    """Null: it lacks nothing."""


def lacks(context: Context, suite: Suite) -> list[Lack]:
    """Look at what each benchmark lacks, in the order of the benchmarks.

    Where ``cgaps scope`` was run, its findings are taken. Elsewhere the subthemes on which a benchmark lays more weight
    than the suite stand for what it tests, and the command asks for the rest.
    """
    known = {one.benchmark: one for one in read_scopes(context.run)}
    found = []
    for place, name in enumerate(context.names):
        if name in known:
            found.append(_of_scope(context, place, known[name]))
        elif _labelled(context) and suite.covered[place].any() and (focus := _focus(context, place)):
            found.append(_of_focus(context, place, suite, focus))
    return found


def lacking(found: list[Lack]) -> list[Suggestion]:
    """Suggest what to add: first where a scope was compared, then by how much is lacking."""
    ordered = sorted(found, key=lambda one: (one.basis != "scope", 0 if one.basis == "scope" else -len(one.concepts)))
    return [one.suggestion for one in ordered if one.suggestion is not None]


def finding(context: Context, found: list[Lack]) -> Finding:
    """Say which benchmark lacks most of its own subject, and how that is known."""
    basis = "scope" if any(one.basis == "scope" for one in found) else "themes"
    looked = [one for one in found if one.basis == basis]
    if not looked:
        why = (
            "‘cgaps scope’ compares what they claim to test with the concepts' labels."
            if _labelled(context)
            else "the concepts have no labels to compare it with."
        )
        return Finding(
            "N/A", f"Whether benchmarks lack concepts near their own subject was not looked up: {why}", about="lacking"
        )
    most = max(looked, key=lambda one: len(one.concepts))
    count, name = len(most.concepts), context.names[most.benchmark]
    among = "" if len(looked) == 1 else f", the most of {plural(len(looked), 'benchmark')} that were looked at"
    if basis == "scope":
        said = "looked up by labels: what the benchmark claims to test was compared with them"
    else:
        said = "by themes alone: ‘cgaps scope’ compares what a benchmark claims to test with the concepts' labels"
    if not count:
        text = f"benchmarks were found to lack concepts near their own subject, of {integer(len(looked))} ({said})."
        return Finding("0", text, about="lacking")
    one = "concept near its own subject is" if count == 1 else "concepts near its own subject are"
    text = f"{one} lacking in {shorten(name, 60)}{among} ({said})."
    return Finding(integer(count), text, about="lacking", subject=name)


def _labelled(context: Context) -> bool:
    return context.concepts["label"].null_count() < context.concepts.height


def _of_scope(context: Context, place: int, scope: KeptScope) -> Lack:
    near = [one for one in scope.lacking if one.in_scope and one.verdict not in ("outside", "borderline")]
    silent = [one.concept for one in near if one.coverage_status == "missing"]
    concepts = [*silent, *(one.concept for one in near if one.coverage_status != "missing")]
    if not concepts:
        return Lack(place, "scope")
    name, told = shorten(scope.benchmark, 60), not context.redact or _stated(context, place, scope)
    if told:
        claim = f"{name} says that it tests “{shorten(scope.clauses[0], 120)}”."
    else:
        claim = f"{name} was compared with a scope that was typed for it and is not told here."
    belong = f"By {'its label' if len(concepts) == 1 else 'their labels'} {plural(len(concepts), 'concept')} belong"
    reason = (
        f"{claim} {belong}{'s' * (len(concepts) == 1)} to that which it lacks ({integer(len(silent))} altogether) or "
        f"hardly exercises, beside {integer(scope.covered)} that it covers; {_judged(near)}. Of unrelated labels "
        f"{scope.alpha:.0%} come as near."
    )
    title = f"{name} lacks {plural(len(concepts), 'concept')} of its scope"
    texts = [word for one in described(scope.clauses) for word in ("--describe", one)]
    again = command(context, "scope", options=["--benchmark", scope.benchmark, *texts]) if told else None
    made = Suggestion("missing", title, reason, again, benchmark=place, concepts=tuple(concepts[:SHOWN]))
    return Lack(place, "scope", tuple(concepts), made)


def _stated(context: Context, place: int, scope: KeptScope) -> bool:
    """Whether a scope is the one that the configuration states, and not one that was typed."""
    stated = context.run.manifest["benchmarks"][place].get("scope")
    return bool(stated) and made_of([str(stated)]) == scope.clauses


def _judged(near: list[KeptLack]) -> str:
    """What a model said of the concepts that are lacking."""
    agreed, unread = (sum(one.verdict == verdict for one in near) for verdict in ("belongs", "unconfirmed"))
    if agreed:
        return "a model agreed" + (f" on {integer(agreed)} of them" if agreed < len(near) else "")
    if unread:
        some = f" about {integer(unread)} of them" if unread < len(near) else ""
        return f"a model was asked{some}, but no answer of it could be read"
    return "no model was asked"


def _of_focus(context: Context, place: int, suite: Suite, focus: list[dict[str, Any]]) -> Lack:
    entry = context.manifest["benchmarks"][place]
    concepts = _silent(context, place, suite, [int(row["id"]) for row in focus])
    if not concepts:
        return Lack(place, "themes")
    name = shorten(str(entry["name"]), 60)
    names = [shorten(theme_name(row), 60) for row in focus]
    stated = entry.get("scope")
    options = ["--benchmark", str(entry["name"])]
    if not stated:
        # Without a stated scope the names of what it covers most are the best guess at what it is about.
        options += [word for one in names for word in ("--describe", one)]
    reason = (
        f"{name} lays at least {FOCUS:g} times the suite's weight on {_listed(names)}, and yet no item of it exercises "
        f"{plural(len(concepts), 'concept')} of these subthemes that other benchmarks exercise or that the reference "
        "text makes likely. This goes by themes alone. The command compares the concepts' labels with "
        + ("the scope that the configuration states." if stated else "these subthemes' names.")
    )
    made = Suggestion(
        "missing",
        f"{name} lacks {plural(len(concepts), 'concept')} near what it tests",
        reason,
        command(context, "scope", options=options),
        benchmark=place,
        theme=int(focus[0]["parent"]),
        concepts=tuple(concepts[:SHOWN]),
    )
    return Lack(place, "themes", tuple(concepts), made)


def _focus(context: Context, place: int) -> list[dict[str, Any]]:
    """Subthemes on which a benchmark lays more weight than the suite does, the heaviest in it first."""
    themes, within = context.themes, context.run.theme_benchmarks
    if themes is None or within is None:
        return []
    level = pl.col("level") == "subtheme"
    own = within.filter(level & (pl.col("benchmark") == context.names[place])).select("id", here="chi_bench")
    table = themes.subthemes.filter(pl.col("ranked") > 0).join(own, on="id", how="left")
    table = table.with_columns(
        here=pl.col("here") / pl.col("here").sum(), there=pl.col("chi_bench") / pl.col("chi_bench").sum()
    )
    # Where all weights are 0 their share is no number, which polars would take for more than any.
    shares = pl.col("here").is_finite() & pl.col("there").is_finite()
    heavy = table.filter(shares & (pl.col("here") > 0) & (pl.col("here") >= FOCUS * pl.col("there")))
    return heavy.sort("here", "id", descending=[True, False]).head(SUBTHEMES).to_dicts()


def _silent(context: Context, place: int, suite: Suite, subthemes: list[int]) -> list[int]:
    """Ranked concepts of subthemes that a benchmark never exercises, though others do or the reference makes likely.

    Those that as many tokens of reference text would most likely have shown come first.
    """
    if context.themes is None or not subthemes:
        return []
    chance = context.benchmark_concepts(place, ["chance_seen"])["chance_seen"]
    elsewhere = pl.Series("elsewhere", suite.covered.any(axis=0))
    table = context.concepts.select("concept", "ranked", "chi_bench").with_columns(
        chance.alias("here"), elsewhere, pl.Series("covered", suite.covered[place])
    )
    table = table.join(context.themes.members.select("concept", "subtheme"), on="concept", how="left")
    wanted = table.filter(
        pl.col("ranked")
        & ~pl.col("covered")
        & pl.col("subtheme").is_in(subthemes)
        & (pl.col("elsewhere") | (pl.col("here") >= LIKELY).fill_null(value=False))
    )
    ordered = wanted.sort("here", "chi_bench", "concept", descending=[True, True, False], nulls_last=True)
    return [int(concept) for concept in ordered["concept"]]


def _listed(names: list[str]) -> str:
    quoted = [f"“{name}”" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
