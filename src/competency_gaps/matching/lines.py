"""A matching as lines of text, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from competency_gaps.matching.shares import Share
from competency_gaps.matching.summary import Matching
from competency_gaps.text import decimal, magnitude, percent, plural, shorten, signed, visible

SHOWN = 10
"""Concepts shown of one entry, and weak concepts that no entry names; the others are counted."""
LABEL_LIMIT = 42
"""Characters shown of a label, so that a line has room for the count of those left out."""


def matching_lines(found: Matching) -> Iterator[str]:
    """Entries with what they matched, then the counts, then the weak concepts that no entry names."""
    pairs = {str(key): part for (key,), part in found.pairs.group_by("entry", maintain_order=True)}
    themes = {str(key): part for (key,), part in found.themes.group_by("entry", maintain_order=True)}
    for row in found.entries.iter_rows(named=True):
        yield from _entry(row, pairs.get(row["entry"]), themes.get(row["entry"]))
    yield ""
    yield from _counts(found)
    yield from _unnamed(found.unnamed)


def said(one: Share) -> str:
    """Write a share as a count, in percent, and with its interval."""
    if one.value is None or one.low is None or one.high is None:
        return "N/A"
    return f"{one.count} of {one.of} ({percent(one.count, one.of)}; 95%: {one.low:.0%} to {one.high:.0%})"


def _entry(row: dict[str, Any], concepts: pl.DataFrame | None, themes: pl.DataFrame | None) -> Iterator[str]:
    yield _line(row["description"], 60)
    if not row["recovered"]:
        yield f"    not recovered; p = {row['p_value']:.3f}; the nearest label:"
        yield f"{'':>13}{decimal(row['similarity'])}  {_line(row['best_label'], LABEL_LIMIT)}"
    elif concepts is not None:
        matched, weak = plural(row["n_concepts"], "concept"), row["n_weak"]
        yield f"    recovered by {matched}, {weak} of them weak; p = {row['p_value']:.3f}"
        for one in concepts.head(SHOWN).iter_rows(named=True):
            yield f"    {one['concept']:>7}  {decimal(one['similarity'])}  {_line(one['label_text'], LABEL_LIMIT)}"
            verdict = f", judged {one['verdict']}" if one["verdict"] else ""
            yield f"{'':>19}{_numbers(one)}{verdict}"
        if concepts.height > SHOWN:
            yield f"{'':>13}and {concepts.height - SHOWN:,} more (--json lists all)"
    for one in themes.iter_rows(named=True) if themes is not None else ():
        where = f"{one['level']} {one['id']}"
        yield f"    {where:>7}  {decimal(one['similarity'])}  {_line(one['name'], LABEL_LIMIT - len(where))}"
        yield f"{'':>19}{_numbers(one)}"


def _numbers(row: dict[str, Any]) -> str:
    gap = signed(row["gap"])
    status = f", {row['performance_status']}" if row.get("performance_status") else ""
    return f"χ bench {magnitude(row['chi_bench'])}, χ model {decimal(row['chi_model'])}, gap {gap}{status}"


def _counts(found: Matching) -> Iterator[str]:
    chance = found.weak_by_chance
    yield f"recovered (at least one concept): {said(found.recovery)}"
    yield f"recovered as weak: {said(found.recovery_weak)}"
    yield f"    if labels were dealt out anew among concepts: {chance.expected:.1f} (p = {chance.p_value:.3f})"
    yield f"covered by the suite: {said(found.coverage)}"
    yield "null: labels of the same words dealt out anew match"
    yield f"    {said(found.calibration.realised)} of the time"
    if found.verdicts:
        yield "verdicts: " + ", ".join(f"{count:,} {visible(name)}" for name, count in found.verdicts.items())


def _unnamed(unnamed: pl.DataFrame) -> Iterator[str]:
    if unnamed.is_empty():
        yield "weak concepts that no entry names: none"
        return
    yield f"weak concepts that no entry names: {unnamed.height:,} (leaders of groups first)"
    for row in unnamed.head(SHOWN).iter_rows(named=True):
        leads = "leads a group" if row["leads"] else ""
        yield f"    {row['concept']:>7}  {_line(row['label'], LABEL_LIMIT)}"
        yield f"{'':>13}{_numbers(row)}" + (f", {leads}" if leads else "")
    if unnamed.height > SHOWN:
        yield f"    and {unnamed.height - SHOWN:,} more (--json lists all)"


def _line(text: str | None, limit: int) -> str:
    return shorten(visible(" ".join((text or "").split())), limit)
