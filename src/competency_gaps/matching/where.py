"""A filter on the fields of entries, written in one line."""

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

    def holds(self, found: Any) -> bool:
        """Whether a field's value satisfies it; null satisfies none, a list does if one of its members does."""
        if found is None:
            return False
        if isinstance(found, (list, tuple)) and self.operator != "!=":
            return any(self.holds(one) for one in found)
        if self.operator in _ORDER:
            number = _number(found)
            return number is not None and _ORDER[self.operator](number, float(self.value))
        if isinstance(found, (list, tuple)):
            return not any(self._equal(one) for one in found)
        return self._equal(found) == (self.operator == "=")

    def _equal(self, found: Any) -> bool:
        if isinstance(found, bool):
            return str(found).lower() == self.value.lower()
        if isinstance(found, (int, float)):
            number = _number(self.value)
            return number is not None and found == number
        return str(found) == self.value


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
    for one in conditions:
        if one.field not in known:
            raise UserError(
                f"--where: no entry has a field {one.field!r}; known are {', '.join(known)}.{nearest(one.field, known)}"
            )
    return [entry for entry in entries if all(one.holds(entry.field(one.field)) for one in conditions)]


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
                f"--where: {part!r} is no condition; expected field=value or field<number, joined by commas, "
                "e.g. domain=mathematics,score<5."
            )
        field, sign, value = match.groups()
        value = value.strip("'\"")
        if sign in _ORDER and _number(value) is None:
            raise UserError(f"--where: {part.strip()!r} compares with {value!r}, which is no number.")
        conditions.append(Condition(field, "=" if sign == "==" else sign, value))
    return conditions


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
