"""Filter entries by conditions on their fields."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from competency_gaps.errors import UserError, nearest

if TYPE_CHECKING:
    from competency_gaps.matching.entry import Entry

OWN = ("id", "description", "domain", "category", "score")
_CONDITION = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|!=|==?|<|>)\s*(.*?)\s*")
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Condition(NamedTuple):
    """``field operator value``."""

    field: str
    operator: str
    value: str

    def holds(self, value: Any) -> bool:
        """Whether a field's value satisfies it; None never does, a list does if one of its members does."""
        if value is None:
            return False
        if isinstance(value, (list, tuple)) and self.operator != "!=":
            return any(self.holds(member) for member in value)
        if self.operator in _ORDER:
            number = _number(value)
            return number is not None and _ORDER[self.operator](number, float(self.value))
        if isinstance(value, (list, tuple)):
            return not any(self._equal(member) for member in value)
        return self._equal(value) == (self.operator == "=")

    def _equal(self, value: Any) -> bool:
        if isinstance(value, bool):
            return str(value).lower() == self.value.lower()
        if isinstance(value, (int, float)):
            number = _number(self.value)
            return number is not None and value == number
        return str(value) == self.value


def select(entries: Sequence[Entry], where: str | None) -> list[Entry]:
    """Give the entries that satisfy all conditions.

    Raises
    ------
    UserError
        If a condition is malformed or names a field that no entry has.
    """
    if where is None or not where.strip():
        return list(entries)
    conditions = parse(where)
    known = sorted({*OWN, *(name for entry in entries for name in entry.extra)})
    for field in (condition.field for condition in conditions):
        if field not in known:
            raise UserError(
                f"filter: no entry has a field {field!r}; known are {', '.join(known)}.{nearest(field, known)}"
            )
    return [
        entry for entry in entries if all(condition.holds(entry.field(condition.field)) for condition in conditions)
    ]


def parse(where: str) -> list[Condition]:
    """Read ``field=value,field<number``.

    Raises
    ------
    UserError
        If a part is no condition, or an order is asked of something that is no number.
    """
    conditions = []
    for part in where.split(","):
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise UserError(
                f"filter: {part!r} is no condition; expected field=value or field<number, joined by commas, "
                "e.g. domain=mathematics,score<5."
            )
        field, sign, value = match.groups()
        value = value.strip("'\"")
        if sign in _ORDER and _number(value) is None:
            raise UserError(f"filter: {part.strip()!r} compares with {value!r}, which is no number.")
        conditions.append(Condition(field, "=" if sign == "==" else sign, value))
    return conditions


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
