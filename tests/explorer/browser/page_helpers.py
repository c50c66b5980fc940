"""What tests read off the page."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import quote

from explorer_runs import NAMES

MINUS = "−"
SECOND = f"benchmark={quote(NAMES[1], safe='')}"
"""Setting of an address: the second benchmark of the drawn runs, whose name is markup."""


def open_view(page: Any, address: str, wait_for: str) -> None:
    """Go to a view and wait until what bears the test id is there."""
    page.goto(address)
    page.get_by_test_id(wait_for).first.wait_for()


def shown_rows(page: Any, grid: str) -> int:
    """How many rows a grid has, those out of sight among them."""
    return int(page.get_by_test_id(grid).get_attribute("data-rows"))


def await_rows(page: Any, grid: str, count: int) -> None:
    """Wait until a grid has so many rows."""
    page.wait_for_function(
        "([grid, count]) => document.querySelector(`[data-testid=${grid}]`)?.dataset.rows === String(count)",
        arg=[grid, count],
    )


def cells(page: Any, grid: str, column: str, rows: int) -> list[str]:
    """Texts of a column's first rows, in their order."""
    place = page.get_by_test_id(grid)
    found = []
    for row in range(rows):
        cell = place.locator(f'[row-index="{row}"] [col-id="{column}"]').first
        cell.wait_for()
        found.append(cell.inner_text().strip())
    return found


def number(text: str) -> float:
    """A number as the page writes it; NaN for N/A."""
    if text == "N/A":
        return math.nan
    found = re.search(r"[−+-]?(∞|\d[\d,]*\.?\d*(e[−+-]?\d+)?|\.\d+)", text)
    assert found, text
    plain = found[0].replace(MINUS, "-").replace(",", "").replace("∞", "inf")
    return float(plain)


def concept_of(text: str) -> int:
    """A concept's number, with which its name opens."""
    return int(re.match(r"\s*(\d+)", text)[1])


def close(shown: str, value: float | None, digits: int) -> bool:
    """Whether the page shows a table's value, rounded to so many digits after the point."""
    if value is None:
        return shown == "N/A"
    return abs(number(shown) - value) <= 0.5000001 * 10.0**-digits + 1e-5
