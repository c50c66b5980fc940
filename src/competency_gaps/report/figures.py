"""Data to SVG: pure functions over arrays, which know nothing of runs.

Colours are CSS classes, so that one drawing serves the light and the dark page.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from competency_gaps.report import colours
from competency_gaps.report.svg import Floats, Scale, figure, fit, group, tag, x_axis, y_axis
from competency_gaps.text import decimal, percent, plural

Integers = NDArray[np.int64]


def bin_edges(values: Floats, *, log: bool, bins: int) -> Floats:
    """Give equal bins over ``values`` (log: over the positive ones); over [0, 1] where there is nothing to bin."""
    usable = values[np.isfinite(values) & ((values > 0) | (not log))]
    if usable.size == 0:
        return np.logspace(-1, 1, bins + 1) if log else np.linspace(0, 1, bins + 1)
    low, high = float(usable.min()), float(usable.max())
    if log:
        return np.logspace(np.log10(low) - 0.05, np.log10(high) + 0.05, bins + 1)
    return np.linspace(low, high if high > low else low + 1, bins + 1)


def _bars(counts: Floats, edges: Floats, x: Scale, y: Scale) -> Markup:
    """Draw a histogram as one path: a bar is four moves, far smaller than as many rectangles."""
    at = x(edges)
    floor = y.at(0)
    path = []
    for i in np.flatnonzero(counts):
        left, right, top = at[i] + 0.5, max(at[i + 1] - 0.5, at[i] + 1.0), y.at(float(counts[i]))
        path.append(f"M{left:.1f} {floor:.1f}V{top:.1f}H{right:.1f}V{floor:.1f}Z")
    return tag("path", d="".join(path) or "M0 0", class_="bars")


def histogram(
    values: Floats,
    *,
    log: bool,
    x_title: str,
    y_title: str,
    edges: Floats | None = None,
    mark: tuple[float, str] | None = None,
) -> Markup:
    """Draw the distribution of one quantity over concepts.

    Parameters
    ----------
    values : ndarray of shape (n_concepts,)
        NaN is left out; with ``log`` so are zeros, which the caption must count.
    log : bool
        Logarithmic horizontal axis.
    x_title, y_title : str
        What is counted, with unit and denominator.
    edges : ndarray, optional
        Bin edges; by default 44 over the data.
    mark : tuple of float and str, optional
        A value to point out, and its name.
    """
    width, height, left, right, top, bottom = 520.0, 300.0, 46.0, 12.0, 44.0, 52.0
    edges = bin_edges(values, log=log, bins=44) if edges is None else edges
    counts = np.histogram(values[np.isfinite(values)], bins=edges)[0].astype(float)
    x = Scale(float(edges[0]), float(edges[-1]), left, width - right, log)
    # Room above the bars, in which the mark is named.
    y = Scale(0, 1.1 * max(1.0, float(counts.max(initial=0))), height - bottom, top)
    parts = [*y_axis(y, left, width - right, y_title), _bars(counts, edges, x, y), *x_axis(x, height - bottom, x_title)]
    if mark is not None and edges[0] <= mark[0] <= edges[-1]:
        parts.append(_marker(x.at(mark[0]), top, height - bottom, mark[1], width))
    return figure(parts, width, height, f"Histogram: {x_title}; {plural(int(counts.sum()), 'concept')} drawn")


def _marker(x: float, top: float, bottom: float, name: str, width: float) -> Markup:
    side = "end" if x > 0.6 * width else "start"
    return group(
        [
            tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="marker"),
            tag("text", name, x=x + (-6 if side == "end" else 6), y=top + 8, class_=f"note {side}"),
        ]
    )


def small_histogram(
    values: Floats, edges: Floats, *, log: bool, highest: float, x_title: str, mark: float | None = None
) -> Markup:
    """Draw one of many: same bins and same height for all, as a share of the benchmark's concepts.

    Parameters
    ----------
    values : ndarray of shape (n_concepts,)
        NaN is left out.
    edges : ndarray of shape (n_bins + 1,)
        Shared bin edges.
    log : bool
        Logarithmic horizontal axis.
    highest : float
        Largest share in any bin of any of the benchmarks.
    x_title : str
        Name of the quantity.
    mark : float, optional
        A value to point out with a line, e.g. the benchmark's mean score.
    """
    width, height, top, bottom = 196.0, 104.0, 6.0, 34.0
    shares = bin_shares(values, edges)
    x = Scale(float(edges[0]), float(edges[-1]), 10, width - 10, log)
    y = Scale(0, highest or 1.0, height - bottom, top)
    parts = [_bars(shares, edges, x, y), *x_axis(x, height - bottom, "", count=3)]
    if mark is not None and edges[0] <= mark <= edges[-1]:
        parts.append(tag("line", x1=x.at(mark), x2=x.at(mark), y1=top, y2=height - bottom, class_="marker"))
    return figure(parts, width, height - 8, x_title, "small")


def bin_shares(values: Floats, edges: Floats) -> Floats:
    """Give the share of the finite ``values`` in each bin."""
    counts = np.histogram(values[np.isfinite(values)], bins=edges)[0].astype(float)
    return counts / max(1.0, float(counts.sum()))


def share_bars(names: Sequence[str], parts: Integers, wholes: Integers, *, x_title: str) -> Markup:
    """Draw horizontal bars of shares, each with its count and denominator.

    Parameters
    ----------
    names : sequence of str
        One per bar, drawn from top to bottom.
    parts, wholes : ndarray of shape (n_bars,)
        Counts and what they are out of.
    x_title : str
        What the share is of.
    """
    row, left, right, top, width = 30.0, 170.0, 150.0, 8.0, 900.0
    height = top + row * len(names) + 52
    shares = parts / np.maximum(wholes, 1)
    x = Scale(0, 100.0 * max(0.01, float(shares.max(initial=0.0))), left, width - right)
    drawn = x_axis(x, height - 48, x_title, top=top)
    for i, name in enumerate(names):
        y = top + row * i
        end = x.at(100 * float(shares[i]))
        drawn += [
            tag("text", tag("title", name), fit(name, left - 14, 13), x=left - 12, y=y + 20, class_="name end"),
            tag("rect", x=left, y=y + 6, width=max(0.0, end - left), height=row - 10, rx=2, class_="bars"),
            tag(
                "text",
                tag("tspan", percent(int(parts[i]), int(wholes[i])), class_="strong"),
                f"  {int(parts[i]):,} of {int(wholes[i]):,}",
                x=end + 8,
                y=y + 20,
                class_="note start",
            ),
        ]
    return figure(drawn, width, height, f"Bars: {x_title}", "wide")


def heat_map(names: Sequence[str], upper: Floats, lower: Floats, *, upper_name: str, lower_name: str) -> Markup:
    """Draw two symmetric matrices in one square: ``upper`` above the diagonal, ``lower`` below it.

    Parameters
    ----------
    names : sequence of str
        The n rows and columns.
    upper, lower : ndarray of shape (n, n)
        Values between 0 and 1; NaN where there is none.
    upper_name, lower_name : str
        What each half shows.
    """
    n = len(names)
    cell, left, top = max(14.0, min(54.0, 600.0 / max(1, n))), 170.0, 122.0
    size = cell * n
    parts: list[Markup] = []
    for i, name in enumerate(names):
        middle = (i + 0.5) * cell
        x, y = left + middle, top + middle
        parts.append(tag("text", tag("title", name), fit(name, left - 14), x=left - 12, y=y + 4, class_="name end"))
        turn = f"rotate(-45 {x:.1f} {top - 10:.1f})"
        parts.append(tag("text", tag("title", name), fit(name, 140), x=x, y=top - 10, transform=turn, class_="name"))
        for j in range(n):
            value = float((upper if j > i else lower)[i, j])
            what = upper_name if j > i else lower_name
            if i != j:
                parts.append(_cell(left + j * cell, y - cell / 2, cell, value, f"{name} and {names[j]}: {what}"))
    parts += _heat_legend(left, top + size + 24, size, upper_name, lower_name)
    width = max(left + size + 100, left + 220 + 24 + 210)
    return figure(parts, width, top + size + 84, f"Heat map of {n} benchmarks: {upper_name}; {lower_name}", "wide")


def _cell(x: float, y: float, size: float, value: float, what: str) -> Markup:
    if not np.isfinite(value):
        return tag(
            "rect",
            tag("title", f"{what} not defined"),
            x=x + 1,
            y=y + 1,
            width=size - 2,
            height=size - 2,
            class_="none",
        )
    name = f"s{colours.step(value)}"
    title = tag("title", f"{what} {decimal(value)}")
    parts = [tag("rect", title, x=x + 1, y=y + 1, width=size - 2, height=size - 2, rx=3, class_=f"f-{name}")]
    if size >= 30:
        label = f"{value:.2f}"
        parts.append(tag("text", label, x=x + size / 2, y=y + size / 2 + 4, class_=f"value mid i-{name}"))
    return Markup("").join(parts)


def _heat_legend(x: float, y: float, width: float, upper_name: str, lower_name: str) -> list[Markup]:
    bar = min(220.0, max(120.0, width))
    each = bar / colours.STEPS
    parts = [
        tag("rect", x=x + i * each, y=y, width=each + 0.4, height=10, class_=f"f-s{i}") for i in range(colours.STEPS)
    ]
    parts += [
        tag("text", text, x=x + at * bar, y=y + 26, class_="tick mid")
        for at, text in ((0, "0"), (0.5, "0.5"), (1, "1"))
    ]
    parts.append(tag("text", f"◥ {upper_name}", x=x + bar + 24, y=y + 9, class_="note start"))
    parts.append(tag("text", f"◣ {lower_name}", x=x + bar + 24, y=y + 28, class_="note start"))
    return parts
