"""Numbers and foreign text as people read them.

Text that a model, a data set or a label supplies is never trusted: what could change how the rest of
a page or a terminal reads is made visible here, and text is always cut with a count of what was cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

NOT_DEFINED = "N/A"
"""Shown for a quantity that is undefined or unknown, which is never shown as 0."""

HIDDEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
"""Ranges of a regular expression: controls, separators of lines, directional overrides, what has no width, and tags.

What scripts and emoji need stays: joiners (U+200C, U+200D), plain marks of direction (U+061C, U+200E, U+200F) and
variation selectors. ``recipes/page_types.py`` writes the list for the page.
"""
# A lone surrogate is no character: texts of tables and files hold none.
_HIDDEN = re.compile(f"[{HIDDEN}\ud800-\udfff]")


def visible(text: str) -> str:
    """Return the text with characters that would act instead of being read as code points, e.g. ``<U+202E>``."""
    return _HIDDEN.sub(lambda match: f"<U+{ord(match.group()):04X}>", text.replace("\r\n", "\n"))


def replace_surrogates(text: str) -> str:
    """Return the text with U+FFFD for lone surrogates, which JSON may contain but UTF-8 cannot."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def show_token(token: str | None) -> str:
    """Return a token with its white space made visible; empty for None."""
    if token is None:
        return ""
    return shorten(token, 40).replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣")


def integer(value: float | None) -> str:
    """Return a count with thousands separated; ``N/A`` for None."""
    return NOT_DEFINED if value is None else f"{int(value):,}"


def decimal(value: float | None) -> str:
    """Return a quantity between 0 and 1 with two decimals; ``N/A`` for None."""
    return NOT_DEFINED if value is None else f"{value:.2f}"


def tenths(value: float | None) -> str:
    """Return an effective sample size with one decimal, 0 without; ``N/A`` for None."""
    return NOT_DEFINED if value is None else f"{value:,.1f}" if value else "0"


def signed(value: float | None, digits: int = 2) -> str:
    """Return a difference with its sign (a true minus) and ``digits`` decimals; what rounds to zero has no sign."""
    if value is None:
        return NOT_DEFINED
    text, nothing = f"{value:+.{digits}f}", f"{0:.{digits}f}"
    return nothing if text[1:] == nothing else text.replace("-", "−").replace("inf", "∞")


def magnitude(value: float | None) -> str:
    """Return a heavy-tailed positive quantity with about three significant digits; ``N/A`` for None."""
    if value is None:
        return NOT_DEFINED
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-").replace("-", "−")
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) >= 1 else 3}f}"


def percent(part: float, whole: float) -> str:
    """Return a share, with more digits if rounding would claim none or all: ``0.04%``, ``<0.001%``, ``>99.9%``."""
    if whole == 0:
        return NOT_DEFINED
    share = 100 * part / whole
    if 0 < share < 0.001:
        return "<0.001%"
    if 0 < share < 0.1:
        return f"{share:.1g}%"
    near_an_end = 0 < share < 1 or 99 < share < 100
    text = f"{share:.1f}" if near_an_end else f"{share:.0f}"
    return ">99.9%" if share < 100 and float(text) >= 100 else f"{text}%"


def share_of(part: int, whole: int) -> str:
    """Return a count, its total, and the share: ``3,412 of 4,096 (83%)``."""
    return f"{part:,} of {whole:,}" + (f" ({percent(part, whole)})" if whole else "")


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 item``, ``2,000 items``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def listing(names: Iterable[str], count: int, most: int = 6) -> str:
    """Return the first ``most`` of ``count`` names, and how many more there are."""
    shown = ", ".join(islice(names, most))
    return shown + (f" and {count - most:,} more" if count > most else "")


def shorten(text: str, limit: int) -> str:
    """Return ``text`` cut after ``limit`` characters, with how many were cut."""
    return text if len(text) <= limit else f"{text[:limit]}… (+{len(text) - limit:,} characters)"


def one_line(text: object, limit: int = 300) -> str:
    """Return foreign text as one line, short and harmless."""
    return shorten(visible(" ".join(str(text)[:10_000].split())), limit)


def error_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message, as one short line."""
    lines = str(error).strip().splitlines()
    return shorten(visible(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__), 200)


@dataclass(frozen=True)
class Excerpt:
    """A part of a text around the token on which a concept is strongest."""

    cut_before: int
    """Characters left out before the window."""
    before: str
    peak: str
    """The token with the highest activation; empty if it is unknown."""
    after: str
    cut_after: int
    """Characters left out after the window (and inside an overlong peak)."""


def excerpt(
    text: str, *, body: tuple[int | None, int | None], peak: tuple[int | None, int | None], limit: int
) -> Excerpt:
    """Return ``limit`` characters of an item around its strongest token.

    Parameters
    ----------
    text : str
        All that the model read.
    body : tuple of int or None
        Character range of the item's own text; the window stays in it unless the peak lies outside.
    peak : tuple of int or None
        Character range of the strongest token; None shows the beginning.
    limit : int
        Longest window.
    """
    start, end = _inside(body, len(text)) or (0, len(text))
    peak_range = _inside(peak, len(text))
    if peak_range is None:
        stop = min(end, start + limit)
        return Excerpt(0, text[start:stop], "", "", end - stop)
    first, last = peak_range
    if first < start or last > end:
        start, end = 0, len(text)
    shown = min(last, first + limit)
    room = limit - (shown - first)
    left = max(start, first - room // 2)
    right = min(end, last + room - (first - left))
    left = max(start, min(left, first - room + (right - last)))
    return Excerpt(left - start, text[left:first], text[first:shown], text[last:right], end - right + last - shown)


def _inside(span: tuple[int | None, int | None], length: int) -> tuple[int, int] | None:
    """Return the range if it is known and lies within the text, else None."""
    first, last = span
    if first is None or last is None or not 0 <= first < last <= length:
        return None
    return first, last
