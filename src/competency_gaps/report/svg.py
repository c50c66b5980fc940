"""The few SVG parts that the figures are drawn from: escaped elements, scales with round ticks, axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from competency_gaps.text import visible

Floats = NDArray[np.float64]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Write one element; text and attribute values are escaped, ``Markup`` children are kept.

    ``class_`` stands for ``class``, and ``_`` inside a name for ``-``.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    body = "".join(str(child if isinstance(child, Markup) else escape(_value(child))) for child in children)
    return Markup(f"<{name}{written}>{body}</{name}>") if body else Markup(f"<{name}{written}/>")


def _value(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{round(float(value), 1):g}"
    return visible(str(value))


def group(parts: list[Markup], **attributes: object) -> Markup:
    """Put elements into one ``g``."""
    return tag("g", Markup("").join(parts), **attributes)


def figure(parts: list[Markup], width: float, height: float, description: str, class_: str = "") -> Markup:
    """Close a figure: scales with its container, and says in words what it shows."""
    return tag(
        "svg",
        tag("title", description),
        Markup("").join(parts),
        viewBox=f"0 0 {width:g} {height:g}",
        width=round(width),
        class_=f"figure {class_}".strip(),
        role="img",
        aria_label=description,
    )


def fit(text: str, width: float, size: float = 12.0) -> str:
    """Cut ``text`` to about ``width`` user units at font size ``size``; the element's title keeps the rest."""
    room = max(3, int(width / (0.54 * size)))
    return text if len(text) <= room else text[: room - 1] + "…"


@dataclass(frozen=True)
class Scale:
    """Maps values to user units, linearly or by their logarithm."""

    low: float
    high: float
    start: float
    """Where ``low`` is drawn."""
    stop: float
    """Where ``high`` is drawn; may lie below ``start`` (a vertical axis)."""
    log: bool = False

    def __call__(self, values: Floats | float) -> Floats:
        """Give the positions of ``values``."""
        array = np.asarray(values, dtype=float)
        low, high = self.low, self.high
        if self.log:
            array, low, high = np.log10(array), math.log10(low), math.log10(high)
        spread = (high - low) or 1.0
        return self.start + (array - low) / spread * (self.stop - self.start)

    def at(self, value: float) -> float:
        """Give the position of one value."""
        return float(self(value))

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Choose round values and write them."""
        return _log_ticks(self.low, self.high, count) if self.log else _linear_ticks(self.low, self.high, count)


def _linear_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    rough = (high - low) / max(1, count)
    if rough <= 0:
        return [(low, f"{low:g}")]
    base = 10.0 ** math.floor(math.log10(rough))
    size = next(base * factor for factor in (1, 2, 5, 10) if base * factor >= rough * 0.999)
    values = [i * size for i in range(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1)]
    places = max(0, -math.floor(math.log10(size) + 1e-9))
    return [(value, f"{value:,.{places}f}" if value else "0") for value in values]


def _log_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = list(range(first, last + 1))
    if len(powers) < 2:
        return [(low, f"{low:.2g}"), (high, f"{high:.2g}")]
    every = max(1, math.ceil(len(powers) / (count + 1)))
    return [(10.0**p, _power(p)) for p in powers if p % every == 0]


def _power(exponent: int) -> str:
    if -3 <= exponent <= 4:
        return f"{10.0**exponent:,.{max(0, -exponent)}f}"
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def x_axis(scale: Scale, y: float, title: str, *, count: int = 5, top: float | None = None) -> list[Markup]:
    """Draw a horizontal axis at ``y``; with ``top``, faint lines up to there."""
    parts = [tag("line", x1=scale.start, x2=scale.stop, y1=y, y2=y, class_="axis")]
    for value, label in scale.ticks(count):
        x = scale.at(value)
        if top is not None:
            parts.append(tag("line", x1=x, x2=x, y1=top, y2=y, class_="grid"))
        parts.append(tag("line", x1=x, x2=x, y1=y, y2=y + 4, class_="axis"))
        parts.append(tag("text", label, x=x, y=y + 17, class_="tick mid"))
    if title:
        parts.append(tag("text", title, x=(scale.start + scale.stop) / 2, y=y + 38, class_="title mid"))
    return parts


def y_axis(scale: Scale, left: float, right: float, title: str, *, count: int = 4) -> list[Markup]:
    """Draw horizontal grid lines with values at the left, and the title above them, level for easy reading."""
    parts = []
    for value, label in scale.ticks(count):
        y = scale.at(value)
        parts.append(tag("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", label, x=left - 8, y=y + 4, class_="tick end"))
    if title:
        parts.append(tag("text", title, x=0, y=min(scale.start, scale.stop) - 14, class_="title"))
    return parts
