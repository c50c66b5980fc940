"""The map of a dictionary: every alive concept at its place, coloured by its gap.

Points of one colour and size are one path of zero-length strokes with round ends: some twelve bytes a point.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup
from numpy.typing import NDArray

from competency_gaps.report import colours
from competency_gaps.report.columns import GAP, THEME_GAP
from competency_gaps.report.findings import Ranking, concept_name
from competency_gaps.report.page import Drawn, floats
from competency_gaps.report.protocol import RunView
from competency_gaps.report.svg import Floats, figure, fit, tag
from competency_gaps.report.themes import Themes, theme_name
from competency_gaps.text import plural, shorten, signed

MOST = 6_000
"""Points drawn; the tested ones come first."""
TITLED = 300
"""Leaders with a title of their own; the largest gaps come first."""
NAMED = 15
"""Themes named."""
DIAMETERS = (3.0, 4.4, 6.2, 8.6)
"""Of a point, by quarters of the logarithm of support."""

WIDTH, LEFT, TOP = 1056.0, 14.0, 44.0
LEAST, HIGHEST = 380.0, 720.0
NEUTRAL = (colours.STEPS - 1) // 2


def theme_map(run: RunView, themes: Themes, ranked: Ranking, linked: Collection[int]) -> Drawn | None:
    """Draw the map of the alive concepts; None where none has a place.

    Parameters
    ----------
    run : RunView
    themes : Themes
    ranked : Ranking
        Whose leaders bear titles.
    linked : collection of int
        Concepts whose detail stands on the page: their points lead there.
    """
    placed = themes.members.select(pl.col("concept").cast(pl.Int64), "theme", "x", "y")
    own = run.concepts.filter(pl.col("alive")).with_columns(pl.col("concept").cast(pl.Int64))
    frame = own.join(placed, on="concept", how="left", maintain_order="left")
    at = pl.col("x").is_finite() & pl.col("y").is_finite()
    known = frame.filter(at.fill_null(value=False))
    if known.is_empty():
        return None
    tested, verdict = pl.col("q_value").is_not_null(), pl.col("performance_status").is_in(["weak", "strong"])
    order = known.sort(verdict, tested, "support", "concept", descending=[True, True, True, False], nulls_last=True)
    drawn = order.head(MOST)
    x, y, height = _places(known, drawn)
    drawn = drawn.with_columns(pl.Series("at_x", x), pl.Series("at_y", y))
    reach = _reach(floats(drawn.filter(tested), "gap"))
    leading = [*ranked.weak_leaders["concept"].to_list(), *ranked.strong_leaders["concept"].to_list()]
    leaders = drawn.filter(pl.col("concept").is_in(leading)).sort(pl.col("gap").abs(), descending=True, nulls_last=True)
    parts = [*_points(drawn, reach), *_leaders(leaders.head(TITLED), reach, linked)]
    parts += _theme_names(drawn, themes, height)
    parts += _legend(reach, int(drawn["q_value"].null_count()))
    svg = figure(parts, WIDTH, height, f"Map of {plural(drawn.height, 'concept')} of the dictionary", "wide")
    return Drawn("Concept map", _caption(frame.height, known.height, drawn.height, leaders.height), svg)


def _caption(alive: int, known: int, drawn: int, leaders: int) -> str:
    text = (
        f"{drawn:,} of {alive:,} alive concepts, alike ones near each other (only nearness means anything, the "
        "axes have no unit). Colour: the net gap, where it was tested; larger ones take the colours of the ends. "
        "Size: the items in which the concept is active. Ringed points are weak or strong concepts that lead a group: "
        "rest the pointer on one to read it. Named are the largest themes, in colour where the theme itself is weak or "
        "strong."
    )
    if leaders > TITLED:
        text += f" Of {leaders:,} such points, the {TITLED:,} with the largest gaps are ringed."
    if known > drawn:
        text += f" {plural(known - drawn, 'concept')} more are left out, untested ones first."
    if alive > known:
        text += f" {plural(alive - known, 'alive concept')} without a place: in no theme."
    return text


def _places(known: pl.DataFrame, drawn: pl.DataFrame) -> tuple[Floats, Floats, float]:
    """Put the map into the figure, one scale for both axes; the height follows."""
    lows = [float(floats(known, axis).min()) for axis in "xy"]
    spans = [max(float(floats(known, axis).max()) - low, 1e-9) for axis, low in zip("xy", lows, strict=True)]
    room = (WIDTH - 2 * LEFT, HIGHEST - TOP - LEFT)
    scale = min(room[0] / spans[0], room[1] / spans[1])
    height = max(LEAST, TOP + LEFT + scale * spans[1])
    x = LEFT + (room[0] - scale * spans[0]) / 2 + scale * (floats(drawn, "x") - lows[0])
    return x, height - LEFT - scale * (floats(drawn, "y") - lows[1]), height


def _reach(gaps: Floats) -> float:
    """Choose the gap at the ends of the colours, so that a few extremes leave the others their colour. [ours]"""
    size = float(np.nanquantile(np.abs(gaps), 0.98)) if np.isfinite(gaps).any() else 0.0
    return min(1.0, max(0.1, float(np.ceil(20 * size)) / 20))


def _sizes(support: pl.Series) -> NDArray[np.int64]:
    logs = np.log1p(support.fill_null(0).to_numpy().astype(float))
    steps = np.floor(len(DIAMETERS) * logs / max(float(logs.max(initial=0.0)), 1e-9)).astype(np.int64)
    return np.minimum(steps, len(DIAMETERS) - 1)


def _points(drawn: pl.DataFrame, reach: float) -> list[Markup]:
    """Draw one path per colour and size: untested ones below, then towards the ends of the scale."""
    gap = floats(drawn, "gap")
    untested = drawn["q_value"].is_null().to_numpy() | ~np.isfinite(gap)
    steps = np.array([-1 if off else colours.step(g, -reach, reach) for g, off in zip(gap, untested, strict=True)])
    sizes = _sizes(drawn["support"])
    x, y = drawn["at_x"].to_numpy(), drawn["at_y"].to_numpy()
    parts: list[Markup] = []
    for step in sorted(set(steps.tolist()), key=lambda one: -1 if one < 0 else abs(one - NEUTRAL)):
        for size, diameter in enumerate(DIAMETERS):
            chosen = np.flatnonzero((steps == step) & (sizes == size))
            if not chosen.size:
                continue
            path = "".join(f"M{x[i]:.1f} {y[i]:.1f}h0" for i in chosen)
            if step < 0:
                parts.append(tag("path", d=path, class_="point untested", stroke_width=diameter))
                continue
            # The middle of the scale is hardly darker than the page: a rim keeps such points in sight.
            name = f"points-{step}-{size}"
            parts.append(tag("defs", tag("path", d=path, id=name)))
            parts.append(tag("use", href=f"#{name}", class_="point rim", stroke_width=diameter + 1.0))
            parts.append(tag("use", href=f"#{name}", class_=f"point k-d{step}", stroke_width=diameter))
    return parts


def _leaders(leaders: pl.DataFrame, reach: float, linked: Collection[int]) -> list[Markup]:
    """Ring the weak and strong concepts that lead a group, with a title each."""
    parts = []
    for row in leaders.iter_rows(named=True):
        name = f"{row['concept']} {shorten(concept_name(row), 80)}: gap {GAP.cell(row)}, {row['performance_status']}"
        dot = tag(
            "circle",
            tag("title", name),
            cx=row["at_x"],
            cy=row["at_y"],
            r=4.4,
            class_=f"lead f-d{colours.step(row['gap'], -reach, reach)}",
        )
        parts.append(tag("a", dot, href=f"#concept-{row['concept']}") if row["concept"] in linked else dot)
    return parts


def _theme_names(drawn: pl.DataFrame, themes: Themes, height: float) -> list[Markup]:
    """Name the largest themes at the median of their members; a name that would cover another is left out."""
    middles = drawn.group_by("theme").agg(pl.col("at_x", "at_y").median())
    rows = themes.themes.join(middles, left_on="id", right_on="theme", how="inner", maintain_order="left")
    parts: list[Markup] = []
    boxes: list[tuple[float, float, float]] = []
    for row in rows.sort("concepts", "id", descending=[True, False]).head(NAMED).iter_rows(named=True):
        name = theme_name(row)
        words = fit(name, 190, 13)
        half = 3.9 * len(words) + 4
        at = min(max(row["at_x"], LEFT + half), WIDTH - LEFT - half)
        level = min(max(row["at_y"], TOP + 10), height - 6)
        if any(abs(level - b) < 18 and abs(at - a) < half + other for a, b, other in boxes):
            continue
        boxes.append((at, level, half))
        tone = row["performance_status"] if row["performance_status"] in ("weak", "strong") else ""
        parts.append(tag("text", tag("title", _title(row)), words, x=at, y=level, class_=f"theme mid {tone}".strip()))
    return parts


def _title(row: dict[str, Any]) -> str:
    return f"{theme_name(row)}: {plural(row['concepts'], 'concept')}, gap {THEME_GAP.cell(row)}"


def _legend(reach: float, untested: int) -> list[Markup]:
    each = 9.0
    parts = [
        tag("rect", x=LEFT + 70 + i * each, y=6, width=each + 0.4, height=10, class_=f"f-d{i}")
        for i in range(colours.STEPS)
    ]
    end = LEFT + 70 + colours.STEPS * each
    ends = [(LEFT + 64, signed(-reach), "end"), (end + 6, signed(reach), "start")]
    parts += [tag("text", f"gap {text}", x=at, y=15, class_=f"tick {side}") for at, text, side in ends]
    parts.append(tag("circle", cx=end + 110, cy=11, r=4, class_="untested"))
    parts.append(tag("text", f"not tested ({untested:,})", x=end + 120, y=15, class_="tick start"))
    return parts
