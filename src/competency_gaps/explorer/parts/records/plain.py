"""Records as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def as_json(value: Any) -> bytes:
    """Write records as compact JSON, with null for what is not finite."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate is no character that UTF-8 has; in JSON it stands as its escape.
    return text.encode("utf-8", "backslashreplace")


def from_row(record: type[T], row: Mapping[str, Any], **more: Any) -> T:
    """Make a record of ``more`` and, for its other fields, of the row's columns of their names."""
    names = [field.name for field in dataclasses.fields(record) if field.name in row and field.name not in more]
    return record(**{name: row[name] for name in names}, **more)


def plain(value: Any, *, exact: bool = False) -> Any:
    """Turn records into what JSON has.

    Parameters
    ----------
    exact : bool
        Keep all digits of floats, as of numbers that somebody else wrote.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), exact=exact) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item, exact=True) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, exact=exact) for item in value]
    if isinstance(value, float):
        return None if not math.isfinite(value) else value if exact else float(f"{value:.7g}")
    return value
