"""What journeys read off the page."""

from __future__ import annotations

import html
import math
import re
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

from explorer_runs import NAMES

MINUS = "−"
SECOND = f"benchmark={quote(NAMES[1], safe='')}"
"""Setting of an address: the second benchmark of the drawn runs, whose name is markup."""
AXE = Path(__file__).parents[3] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = ((1440, 900), (1440, 500), (390, 760))
SETTLED = """scheme => document.documentElement.dataset.mantineColorScheme === scheme
  && document.getAnimations().every((animation) => animation.playState !== 'running')"""
"""The page has taken on a colour scheme, and no colour is on its way to another."""
TOO_WIDE = """() => [...document.querySelectorAll('main, .panel, .top')]
  .filter((part) => part.offsetParent !== null && part.scrollWidth > part.clientWidth + 1)
  .map((part) => `${part.className || part.tagName} ${part.scrollWidth}`)"""


ARRIVED = """hash => new Promise((arrived) => {
  if (location.hash === hash) return arrived();
  addEventListener('hashchange', () => setTimeout(arrived), { once: true });
  location.hash = hash;
})"""
"""The page has taken on an address: what it shows, it shows because of this one."""
COLUMN = """([grid, column, rows]) => {
  const place = document.querySelector(`[data-testid="${grid}"][aria-busy=false]`);
  if (!place) return false;
  const cell = (row) => place.querySelector(`[row-index="${row}"] [col-id="${CSS.escape(column)}"]`);
  const texts = Array.from({ length: rows }, (_, row) => cell(row)?.innerText.trim());
  const settled = window.lastTexts === JSON.stringify(texts) && !texts.includes(undefined);
  window.lastTexts = JSON.stringify(texts);
  return settled && texts;
}"""
"""Texts of a column's first rows, once the grid has what the address asks for, and has drawn it: two frames agree."""


def open_view(page: Any, address: str, wait_for: str) -> None:
    """Go to a view, as a link does once the page is there, and wait until what bears the test id is there."""
    base, _, hash_ = address.partition("#")
    if page.url.split("#")[0] == base:
        page.evaluate(ARRIVED, f"#{hash_}")
    else:
        page.goto(address)
    page.get_by_test_id(wait_for).first.wait_for()


def await_rows(page: Any, grid: str, count: int) -> None:
    """Wait until a grid has so many rows, those out of sight among them."""
    page.locator(f'[data-testid={grid}][data-rows="{count}"][aria-busy=false]').wait_for()


def cells(page: Any, grid: str, column: str, rows: int) -> list[str]:
    """Texts of a column's first rows, in their order. AG Grid escapes what is not plain in a column's name."""
    page.evaluate("window.lastTexts = null")
    return page.wait_for_function(COLUMN, arg=[grid, html.escape(column), rows]).json_value()


def number(text: str) -> float:
    """A number as the page writes it; NaN for N/A."""
    if text == "N/A":
        return math.nan
    match = re.search(r"[−+-]?(∞|\d[\d,]*\.?\d*(e[−+-]?\d+)?|\.\d+)", text)
    assert match, text
    return float(match[0].replace(MINUS, "-").replace(",", "").replace("∞", "inf"))


def concept_of(text: str) -> int:
    """A concept's number, with which its name opens."""
    return int(re.match(r"\s*(\d+)", text)[1])


def close(shown: str, value: float | None, digits: int) -> bool:
    """Whether the page shows a table's value, rounded to so many digits after the point."""
    if value is None:
        return shown == "N/A"
    return abs(number(shown) - value) <= 0.5000001 * 10.0**-digits + 1e-5


def serious(page: Any) -> list[str]:
    """What axe-core finds serious in the page, in both colour schemes, in a wide and in a narrow window."""
    if not AXE.is_file():
        return []
    found = []
    page.evaluate(AXE.read_text(encoding="utf-8"))
    contrast = "{runOnly: ['color-contrast', 'link-in-text-block']}"
    for width, (scheme, rules) in product((1440, 390), (("light", "{}"), ("dark", contrast))):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(SETTLED, arg=scheme)
        result = page.evaluate(f"axe.run(document, {{...{rules}, resultTypes: ['violations'], preload: false}})")
        for violation in result["violations"]:
            if violation["impact"] in ("serious", "critical"):
                where = [node["html"][:160] for node in violation["nodes"][:3]]
                found.append(f"{page.url}, {scheme}, {width}: {violation['id']} ({violation['help']}): {where}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1440, "height": 900})
    return found


def cut_off(page: Any) -> list[str]:
    """What is cut off, or scrolls as a whole, in windows of several sizes."""
    wrong = []
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(60)
        over = page.evaluate(TOO_WIDE)
        if over or page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            wrong.append(f"{page.url} at {width}: {over}")
        if page.evaluate("document.documentElement.scrollHeight > innerHeight + 1"):
            wrong.append(f"{page.url} at {width} x {height}: the page scrolls")
    page.set_viewport_size({"width": 1440, "height": 900})
    return wrong
