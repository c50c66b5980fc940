"""Colour scales, interpolated in OKLab so that equal steps look equal.

Sequential: one hue, lightness falls (light page) or rises (dark page) throughout. Diverging: orange
to blue through a neutral, which readers with any common colour blindness can tell apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 21
"""Steps of each scale; classes are ``s0`` to ``s20`` and ``d0`` to ``d20``."""

_SEQUENTIAL = {
    "light": ("#eef3fa", "#b9d0ee", "#6c9bdc", "#2b62b8", "#0f2f6b"),
    "dark": ("#1d2733", "#234a7d", "#3f78c2", "#86b3ee", "#e2eeff"),
}
_DIVERGING = {
    "light": ("#b34a00", "#f0a468", "#f1efec", "#7fb0e6", "#17539f"),
    "dark": ("#ff9d52", "#a35a22", "#2b3038", "#33659f", "#7fb8ff"),
}

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def _linear(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _hex(rgb: NDArray[np.float64]) -> str:
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in np.clip(rgb, 0, 1))


def interpolate(anchors: tuple[str, ...], steps: int = STEPS) -> list[str]:
    """Place ``steps`` colours evenly along the anchors (hexadecimal colours), in OKLab."""
    lab = np.array([_TO_LAB @ np.cbrt(_TO_LMS @ _linear(_rgb(anchor))) for anchor in anchors])
    at = np.linspace(0, len(anchors) - 1, steps)
    mixed = np.stack([np.interp(at, np.arange(len(anchors)), lab[:, axis]) for axis in range(3)], axis=1)
    linear = np.clip((np.linalg.inv(_TO_LMS) @ (np.linalg.inv(_TO_LAB) @ mixed.T) ** 3).T, 0, 1)
    return [_hex(np.where(row <= 0.0031308, 12.92 * row, 1.055 * row ** (1 / 2.4) - 0.055)) for row in linear]


def luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2), between 0 and 1."""
    return float(np.array([0.2126, 0.7152, 0.0722]) @ _linear(_rgb(colour)))


def ink_on(colour: str) -> str:
    """Choose black or white, whichever contrasts more with ``colour``."""
    lum = luminance(colour)
    return "#ffffff" if 1.05 / (lum + 0.05) > (lum + 0.05) / 0.05 else "#000000"


def step(value: float, low: float = 0.0, high: float = 1.0) -> int:
    """Find the step of a scale on which ``value`` falls; values outside the range take its ends."""
    if high <= low:
        return 0
    return round(min(1.0, max(0.0, (value - low) / (high - low))) * (STEPS - 1))


def scale_css(theme: str) -> str:
    """Write the scales of ``theme`` ("light" or "dark") as CSS variables: colour and the ink that reads on it."""
    lines = []
    for letter, anchors in (("s", _SEQUENTIAL[theme]), ("d", _DIVERGING[theme])):
        for index, colour in enumerate(interpolate(anchors)):
            lines.append(f"--{letter}{index}:{colour};--{letter}{index}i:{ink_on(colour)};")
    return "".join(lines)


def class_css() -> str:
    """Write one class per step, for SVG shapes (fill), points (stroke) and HTML cells (background)."""
    names = [f"{letter}{index}" for letter in "sd" for index in range(STEPS)]
    shapes = "".join(f".f-{n}{{fill:var(--{n})}}.figure .i-{n}{{fill:var(--{n}i)}}" for n in names)
    cells = "".join(f".b-{n}{{background:var(--{n});color:var(--{n}i)}}" for n in names)
    points = "".join(f".k-d{index}{{stroke:var(--d{index})}}" for index in range(STEPS))
    return shapes + cells + points
