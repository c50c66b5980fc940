"""Fields of a record that group items (group, cluster, covariates) and do not change the question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from competency_gaps.benchmarks.rows import Row, parsed


def is_further(ours: str) -> bool:
    """Whether a field groups items and does not change the question."""
    return ours in ("group", "cluster", "covariates") or ours.startswith("covariates.")


def further_fields(row: Row, *, only_mapped: bool = False) -> dict[str, Any]:
    """``group``, ``cluster`` and ``covariates`` of a record, as arguments of ``Item``.

    Parameters
    ----------
    only_mapped
        Leave out what the field mapping does not name.

    Raises
    ------
    UserError
        If a column is not there, or a covariate is neither a number nor a text.
    """
    arguments: dict[str, Any] = {}
    for ours in ("group", "cluster"):
        if not only_mapped or ours in row.fields:
            arguments[ours] = row.text(ours)
    if not only_mapped or any(ours.startswith("covariates") for ours in row.fields):
        arguments["covariates"] = _covariates(row, only_mapped)
    return arguments


def _covariates(row: Row, only_mapped: bool) -> dict[str, float | str]:
    whole = row.get("covariates") if not only_mapped or "covariates" in row.fields else None
    if row.record.untyped and isinstance(whole, str):
        whole = parsed(whole)
    if whole is not None and whole != "" and not isinstance(whole, Mapping):
        raise row.error(f"'covariates' is {whole!r}, expected a mapping from names to numbers or texts.")
    values = {str(name): value for name, value in (whole or {}).items()}
    values |= {ours.partition(".")[2]: row.get(ours) for ours in row.fields if ours.startswith("covariates.")}
    return {name: _covariate(row, name, value) for name, value in values.items() if value is not None and value != ""}


def _covariate(row: Row, name: str, value: Any) -> float | str:
    """A number as a float, a truth value as 0 or 1, anything in words as it is."""
    if isinstance(value, str) and not row.record.untyped:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        if isinstance(value, str):
            return value
        raise row.error(f"the covariate {name!r} is {value!r}, expected a number or a text.") from error
    if not math.isfinite(number):
        raise row.error(f"the covariate {name!r} is {value!r}, expected a finite number. Leave unknown ones empty.")
    return number
