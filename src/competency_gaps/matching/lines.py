"""Format a matching by labels as lines of text for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from competency_gaps.errors import argument
from competency_gaps.matching.by_chance import ByChance
from competency_gaps.matching.outcomes import RATE_WORDS, RatedOutcome
from competency_gaps.matching.shares import Share
from competency_gaps.matching.summary import Matching
from competency_gaps.text import decimal, magnitude, percent, plural, shorten, signed, visible

SHOWN = 10
"""Most concepts shown of one entry, and most unnamed weak concepts; the others are counted."""
LABEL_LIMIT = 42
"""Most characters shown of a label."""


def matching_lines(matching: Matching) -> Iterator[str]:
    """Entries with their matches, then the counts, then the weak concepts that no entry names."""
    pairs = {str(key): part for (key,), part in matching.pairs.group_by("entry", maintain_order=True)}
    themes = {str(key): part for (key,), part in matching.themes.group_by("entry", maintain_order=True)}
    for row in matching.entries.iter_rows(named=True):
        yield from _entry(row, pairs.get(row["entry"]), themes.get(row["entry"]))
    yield ""
    yield from _counts(matching)
    yield from _unnamed(matching.unnamed)


def share_text(share: Share) -> str:
    """A share as a count, in percent, and with its interval."""
    if share.value is None or share.low is None or share.high is None:
        return "N/A"
    return f"{share.count} of {share.of} ({percent(share.count, share.of)}; 95%: {share.low:.0%} to {share.high:.0%})"


def _entry(entry: dict[str, Any], concepts: pl.DataFrame | None, themes: pl.DataFrame | None) -> Iterator[str]:
    yield short_line(entry["description"], 60)
    if not entry["recovered"]:
        yield f"    not recovered; p = {entry['p_value']:.3f}; the nearest label:"
        yield f"{'':>13}{decimal(entry['similarity'])}  {short_line(entry['best_label'], LABEL_LIMIT)}"
    elif concepts is not None:
        matched, weak = plural(entry["n_concepts"], "concept"), entry["n_weak"]
        yield f"    recovered by {matched}, {weak} of them weak; p = {entry['p_value']:.3f}"
        for row in concepts.head(SHOWN).iter_rows(named=True):
            yield f"    {row['concept']:>7}  {decimal(row['similarity'])}  {short_line(row['label_text'], LABEL_LIMIT)}"
            verdict = f", judged {row['verdict']}" if row["verdict"] else ""
            yield f"{'':>19}{_numbers(row)}{verdict}"
        if concepts.height > SHOWN:
            yield f"{'':>13}and {concepts.height - SHOWN:,} more ({argument('json')} lists all)"
    for row in themes.iter_rows(named=True) if themes is not None else ():
        where = f"{row['level']} {row['id']}"
        yield f"    {where:>7}  {decimal(row['similarity'])}  {short_line(row['name'], LABEL_LIMIT - len(where))}"
        yield f"{'':>19}{_numbers(row)}"


def _numbers(row: dict[str, Any]) -> str:
    status = f", {row['performance_status']}" if row.get("performance_status") else ""
    return (
        f"χ bench {magnitude(row['chi_bench'])}, χ model {decimal(row['chi_model'])}, gap {signed(row['gap'])}{status}"
    )


def _counts(matching: Matching) -> Iterator[str]:
    yield f"recovered (at least one concept): {share_text(matching.recovery)}"
    rates: Mapping[RatedOutcome, ByChance] = {"weak": matching.weak, "untested": matching.untested}
    for name, chance in rates.items():
        yield f"{RATE_WORDS[name]}: {share_text(chance.observed)}"
        yield f"    expected with labels permuted among concepts: {chance.expected:.1f} (p = {chance.p_value:.3f})"
    yield f"covered by the suite: {share_text(matching.coverage)}"
    yield "null: labels with their words shuffled match"
    yield f"    {share_text(matching.calibration.realised)} of the time"
    if matching.verdicts:
        yield "verdicts: " + ", ".join(f"{count:,} {visible(name)}" for name, count in matching.verdicts.items())


def _unnamed(unnamed: pl.DataFrame) -> Iterator[str]:
    if unnamed.is_empty():
        yield "weak concepts that no entry names: none"
        return
    yield f"weak concepts that no entry names: {unnamed.height:,} (leaders of groups first)"
    for row in unnamed.head(SHOWN).iter_rows(named=True):
        yield f"    {row['concept']:>7}  {short_line(row['label'], LABEL_LIMIT)}"
        yield f"{'':>13}{_numbers(row)}{', leads a group' if row['leads'] else ''}"
    if unnamed.height > SHOWN:
        yield f"    and {unnamed.height - SHOWN:,} more ({argument('json')} lists all)"


def short_line(text: str | None, limit: int) -> str:
    """A text as one line of visible characters, cut to a length."""
    return shorten(visible(" ".join((text or "").split())), limit)
