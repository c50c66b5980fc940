"""Fields of an item that people map to what else a log holds: the documents, their metadata, the records themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from competency_gaps.benchmarks.rows import Record, Row, further_fields, is_further
from competency_gaps.config import LogSource
from competency_gaps.errors import UserError
from competency_gaps.harnesses.shared.part import LogPart

READ_BY = ("lm_eval", "inspect", "helm")
"""Formats whose records hold more than the format itself reads."""
_NAMES = "cluster, group and covariates.NAME"


def refuse_fields(source: LogSource, part: LogPart) -> None:
    """Raise UserError if ``fields`` maps what a log of this format cannot map."""
    if source.fields and part.format not in READ_BY:
        raise UserError(
            f"{source.path}: 'fields' is for tables and for logs of {', '.join(READ_BY)}, but this is one of "
            f"{part.format}. Leave 'fields' out, or make a table of the log."
        )
    for ours in source.fields:
        if not is_further(ours):
            raise UserError(
                f"{source.path}: 'fields' maps {ours!r}, which the format {part.format} reads itself. A log's fields "
                f"are {_NAMES}; with format: table every field can be mapped."
            )


def mapped(
    source: LogSource, where: str, inner: Mapping[str, Any], outer: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The mapped fields of one record, as arguments of ``Item``; only those that are set.

    Parameters
    ----------
    where
        The record's place, for messages.
    inner
        What describes the item: its document, metadata or instance. Looked up first.
    outer
        The record around it.

    Raises
    ------
    UserError
        If a column is not there, or holds what the field cannot hold.
    """
    if not source.fields:
        return {}
    return further_fields(Row(Record({**(outer or {}), **inner}, where), source.fields), only_mapped=True)
