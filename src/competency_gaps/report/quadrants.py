"""The map of concepts: coverage against performance, its quadrants named. Pure functions over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from competency_gaps.report import colours
from competency_gaps.report.figures import Integers, bin_edges
from competency_gaps.report.svg import Floats, Scale, figure, fit, tag, x_axis, y_axis
from competency_gaps.text import plural


@dataclass(frozen=True)
class Named:
    """A concept that the map points out by name."""

    concept: int
    name: str
    coverage: float
    performance: float


@dataclass(frozen=True)
class Verdict:
    """Concepts of one verdict."""

    word: str
    """``weak`` or ``strong``: names their colour too."""
    coverage: Floats
    performance: Floats


QUADRANTS = (
    "less tested, gap above 0",
    "more tested, gap above 0",
    "less tested, gap below 0",
    "more tested, gap below 0",
)
"""Upper left, upper right, lower left, lower right: where a concept lies, which is no verdict on it."""


def quadrant_counts(coverage: Floats, performance: Floats, split: tuple[float, float]) -> list[int]:
    """Count the concepts of each of ``QUADRANTS``; one on a dividing line counts as more tested, as above."""
    right, up = coverage >= split[0], performance >= split[1]
    return [int((side & half).sum()) for half in (up, ~up) for side in (~right, right)]


def quadrant_map(
    coverage: Floats,
    performance: Floats,
    *,
    split: tuple[float, float],
    x_title: str,
    y_title: str,
    named: Sequence[Named] = (),
    span: tuple[float, float] = (0.0, 1.0),
    verdicts: Sequence[Verdict] = (),
) -> Markup:
    """Draw coverage against performance, with the four quadrants named and counted.

    Parameters
    ----------
    coverage : ndarray of shape (n_concepts,)
        chi_bench, positive.
    performance : ndarray of shape (n_concepts,)
        Between the ends of ``span``.
    split : tuple of float
        Where the quadrants meet.
    x_title, y_title : str
        What the axes show, with unit.
    named : sequence of Named
        Concepts to name in the figure; a name that would cover another is left out.
    span : tuple of float
        Ends of the vertical axis.
    verdicts : sequence of Verdict
        Concepts to draw over the others, with a legend.
    """
    width, height, left, right, top, bottom = 1056.0, 580.0, 52.0, 14.0, 66.0, 80.0
    edges = bin_edges(coverage, log=True, bins=1)
    x = Scale(float(edges[0]), float(edges[-1]), left, width - right, True)
    y = Scale(*span, height - bottom, top)
    # The quadrants' names have strips of their own above and below the data, where no concept can lie under them.
    floor = height - bottom + 26
    parts = [
        *y_axis(y, left, width - right, "", count=5),
        tag("text", y_title, x=0, y=14, class_="title"),
        *x_axis(x, floor, x_title),
    ]
    if coverage.size == 0:
        return figure(parts, width, height, "Map of concepts: none to draw", "wide")
    parts += _marks(x(coverage), y(performance), width - right)
    for place, verdict in enumerate(verdicts):
        dots = zip(x(verdict.coverage).tolist(), y(verdict.performance).tolist(), strict=True)
        parts += [tag("circle", cx=a, cy=b, r=3, class_=f"verdict {verdict.word}") for a, b in dots]
        legend = left + 330 + 130 * place
        parts.append(tag("circle", cx=legend, cy=10, r=4, class_=f"verdict {verdict.word}"))
        parts.append(
            tag("text", f"{verdict.word} ({verdict.coverage.size:,})", x=legend + 10, y=14, class_="tick start")
        )
    middle = (x.at(split[0]), y.at(split[1]))
    parts.append(tag("line", x1=middle[0], x2=middle[0], y1=top - 24, y2=floor, class_="split"))
    parts.append(tag("line", x1=left, x2=width - right, y1=middle[1], y2=middle[1], class_="split"))
    for i, count in enumerate(quadrant_counts(coverage, performance, split)):
        at = (left if i % 2 == 0 else width - right, top - 14 if i < 2 else floor - 7)
        words = [tag("tspan", QUADRANTS[i], class_="strong"), f"  {count:,}{_verdicts(verdicts, i, split)}"]
        parts.append(tag("text", *words, x=at[0], y=at[1], class_=f"quadrant {'start' if i % 2 == 0 else 'end'}"))
    parts += _names(named, x, y, width)
    return figure(parts, width, height, f"Map of {coverage.size:,} concepts: coverage against performance", "wide")


def _verdicts(verdicts: Sequence[Verdict], quadrant: int, split: tuple[float, float]) -> str:
    """Write how many concepts of a quadrant have a verdict: ``, of which 12 weak``."""
    counts = [(one.word, quadrant_counts(one.coverage, one.performance, split)[quadrant]) for one in verdicts]
    said = [f"{count:,} {word}" for word, count in counts if count]
    return f", of which {' and '.join(said)}" if said else ""


def _marks(x: Floats, y: Floats, right: float) -> list[Markup]:
    """Draw up to 700 concepts as dots; more as hexagons shaded by how many they hold, with a legend up to ``right``."""
    if x.size <= 700:
        return [tag("circle", cx=a, cy=b, r=3.5, class_="dot") for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    radius = 9.5
    centres, counts = hexagons(x, y, radius)
    shape = "M" + "L".join(f"{radius * np.sin(a):.1f} {radius * np.cos(a):.1f}" for a in np.arange(6) * np.pi / 3) + "Z"
    parts = [tag("defs", tag("path", id="hexagon", d=shape))]
    for (a, b), count in zip(centres.tolist(), counts.tolist(), strict=True):
        title = tag("title", plural(int(count), "concept"))
        parts.append(tag("use", title, href="#hexagon", x=a, y=b, class_=_shade(count, int(counts.max()))))
    samples = np.unique(np.geomspace(1, int(counts.max()), 5).round().astype(int)).tolist()
    for place, count in enumerate(reversed(samples)):
        at = right - 12 - 46 * place
        parts.append(tag("use", href="#hexagon", x=at - 22, y=10, class_=_shade(count, samples[-1])))
        parts.append(tag("text", f"{count}", x=at - 8, y=14, class_="tick start"))
    parts.append(tag("text", "Concepts per hexagon", x=right - 12 - 46 * len(samples), y=14, class_="title end"))
    return parts


def _shade(count: int, most: int) -> str:
    """Shade by the logarithm of the count, starting where the scale can be told from the page."""
    low = 4
    return f"f-s{low + round(float(np.log(count) / max(np.log(most), 1e-9)) * (colours.STEPS - 1 - low))}"


def hexagons(x: Floats, y: Floats, radius: float) -> tuple[Floats, Integers]:
    """Count points in pointy-topped hexagons.

    Returns
    -------
    centres : ndarray of shape (n_hexagons, 2)
    counts : ndarray of shape (n_hexagons,)
        At least 1 each; they add up to the number of points.
    """
    across, down = radius * np.sqrt(3), radius * 3
    # Two rectangular lattices, shifted by half a cell, hold the centres of all hexagons: the nearer of two is the one.
    first = np.stack([np.round(x / across) * across, np.round(y / down) * down], axis=1)
    shift = np.array([across / 2, down / 2])
    second = (
        np.stack([np.round((x - shift[0]) / across) * across, np.round((y - shift[1]) / down) * down], axis=1) + shift
    )
    points = np.stack([x, y], axis=1)
    nearer = ((points - first) ** 2).sum(axis=1) <= ((points - second) ** 2).sum(axis=1)
    centres, counts = np.unique(np.where(nearer[:, None], first, second).round(3), axis=0, return_counts=True)
    return centres, counts.astype(np.int64)


def _names(named: Sequence[Named], x: Scale, y: Scale, width: float) -> list[Markup]:
    """Name concepts beside their dots, on the side with room; a name that would cover anything named is left out."""
    dots = [(x.at(one.coverage), y.at(one.performance)) for one in named]
    taken = [(a - 8, a + 8, b) for a, b in dots]
    parts = []
    for place, (one, (at, level)) in enumerate(zip(named, dots, strict=True)):
        words = fit(one.name, 250)
        long = 7.2 * len(words) + 14
        sides = {"start": (at + 8, at + long), "end": (at - long, at - 8)}
        others = taken[:place] + taken[place + 1 :]
        free = [
            side
            for side, (begin, end) in sides.items()
            if begin > 50
            and end < width
            and not any(abs(level - b) < 18 and begin < right and left < end for left, right, b in others)
        ]
        if not free:
            continue
        taken.append((*sides[free[0]], level))
        dot = tag("circle", cx=at, cy=level, r=5, class_="named")
        label = tag("text", words, x=at + (-10 if free[0] == "end" else 10), y=level + 4, class_=f"call {free[0]}")
        parts.append(tag("a", tag("title", one.name), dot, label, href=f"#concept-{one.concept}"))
    return parts
