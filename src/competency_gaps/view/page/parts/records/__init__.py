"""What the page reads, as records, and records as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


T = TypeVar("T", bound="DataclassInstance")


def as_json(value: Any, digits: int | None = 7) -> bytes:
    """Write records as compact JSON: floats with so many significant digits, null for what is not finite.

    With None floats keep all digits and must be finite: that is many times as fast.
    """
    kept = value if digits is None else plain(value, digits)
    text = json.dumps(kept, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=vars)
    # UTF-8 cannot hold a lone surrogate; JSON can, as an escape.
    return text.encode("utf-8", "backslashreplace")


def from_row(record: type[T], row: Mapping[str, Any], **more: Any) -> T:
    """Make a record of ``more`` and, for its other fields, of the row's columns of their names."""
    return record(**{name: row[name] for name in names(record) if name in row and name not in more}, **more)


def names(record: type[DataclassInstance]) -> list[str]:
    """Names of a record's fields."""
    return [field.name for field in dataclasses.fields(record)]


def plain(value: Any, digits: int | None = 7) -> Any:
    """Turn records into what JSON has.

    Parameters
    ----------
    digits : int, optional
        Significant digits of floats; None: all. Floats in a mapping keep all: somebody else wrote them.
    """
    # Most values are numbers, which are looked for first.
    if isinstance(value, float):
        return None if not math.isfinite(value) else value if digits is None else float(f"{value:.{digits}g}")
    if value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item, digits) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item, None) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), digits) for field in dataclasses.fields(value)}
    return value
