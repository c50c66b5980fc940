"""Logs that the command line names, as benchmarks of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from competency_gaps.benchmarks.rows import is_further
from competency_gaps.errors import UserError, argument
from competency_gaps.harnesses.detect import find_parts
from competency_gaps.registry import LOGS

_ONLY = {"filter": ("lm_eval",), "scorer": ("inspect",)}
"""Options that one format alone has."""
_TABLES = (".csv", ".tsv")
"""Files of these are tables, whatever is mapped."""


def log_entries(
    logs: Sequence[str],
    *,
    metric: str | None = None,
    filter_: str | None = None,
    scorer: str | None = None,
    format_: str | None = None,
    fields: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Configurations of the benchmarks that lie at the paths.

    Parameters
    ----------
    logs
        ``PATH`` or ``NAME=PATH``; a folder stands for every benchmark in it.
    fields
        ``OURS=COLUMN``. For logs of lm-eval, Inspect and HELM: cluster, group and covariates; any other field makes
        the log a table.

    Raises
    ------
    UserError
        If nothing can be read at a path, or an option fits none of the logs.
    """
    mapping = _mapping(fields)
    others = [ours for ours in mapping if not is_further(ours)]
    if others and format_ not in (None, "table"):
        raise UserError(f"the field {others[0]!r} is for tables, but the format is {format_!r}. Leave one of them out.")
    if others:
        format_ = "table"
    if format_ not in (None, "table", *LOGS):
        raise UserError(f"the format {format_!r} is not known; there are {', '.join([*LOGS, 'table'])}.")
    options = {"metric": metric, "filter": filter_, "scorer": scorer}
    entries = [entry for text in logs for entry in _entries(text, format_, mapping, options)]
    for name, formats in _ONLY.items():
        if options[name] is not None and not any(name in entry["source"] for entry in entries):
            raise UserError(f"{argument(name)} is for logs of {' and '.join(formats)}; none of the logs is.")
    return entries


def _entries(
    text: str, format_: str | None, mapping: Mapping[str, str], options: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    name, path = named_path(text)
    if format_ == "table" or (mapping and format_ is None and path.suffix in _TABLES):
        source: dict[str, Any] = {"kind": "log", "path": str(path), "format": "table", "fields": dict(mapping)}
        return [{"name": name or path.stem, "source": {**source, **_given(options, "table")}}]
    parts = find_parts(path, format_)
    entries = []
    for part in parts:
        source = {"kind": "log", "path": str(path), "format": part.format, **_given(options, part.format)}
        if mapping:
            source["fields"] = dict(mapping)
        if len(parts) > 1:
            source["benchmark"] = part.benchmark
        called = part.benchmark if name is None else name if len(parts) == 1 else f"{name}:{part.benchmark}"
        entries.append({"name": called, "source": source})
    return entries


def named_path(text: str) -> tuple[str | None, Path]:
    """``NAME=PATH`` or ``PATH``; what exists as it stands is a path."""
    name, equals, path = text.partition("=")
    if not equals or Path(text).expanduser().exists():
        return None, Path(text).expanduser()
    return name or None, Path(path).expanduser()


def _given(options: Mapping[str, str | None], format_: str) -> dict[str, str]:
    return {
        name: value for name, value in options.items() if value is not None and format_ in _ONLY.get(name, (format_,))
    }


def _mapping(fields: Sequence[str]) -> dict[str, str]:
    mapping = {}
    for text in fields:
        ours, equals, column = text.partition("=")
        if not equals or not ours or not column:
            raise UserError(f"field {text!r}: expected OURS=COLUMN, e.g. prompt=question.")
        mapping[ours] = column
    return mapping
