"""Format a matching by examples as lines of text for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from competency_gaps.errors import argument
from competency_gaps.matching.by_chance import ByChance
from competency_gaps.matching.by_examples import ExampleMatching
from competency_gaps.matching.lines import LABEL_LIMIT, SHOWN, share_text, short_line
from competency_gaps.matching.markers import CHOSEN
from competency_gaps.matching.outcomes import LACKING, NOT_COMPARED_WORDS, OUTCOME_WORDS, RATE_WORDS, RatedOutcome
from competency_gaps.text import decimal, magnitude, plural, signed

_BY_CHANCE: Mapping[RatedOutcome, str] = {
    "matched": "with examples dealt out anew",
    "weak": "with groups of weak concepts moved",
    "untested": "with coverage exchanged among concepts as often active",
}
"""How chance is drawn."""


def example_lines(matching: ExampleMatching) -> Iterator[str]:
    """Sums first, then the entries that match, weak ones first, then weak concepts that no entry names."""
    for rated, how in _BY_CHANCE.items():
        rate: ByChance = getattr(matching, rated)
        yield f"{RATE_WORDS[rated]}: {share_text(rate.observed)}"
        yield _chance(rate, how)
    counts = dict(matching.entries["outcome"].value_counts().iter_rows())
    yield "entries: " + ", ".join(f"{counts[name]:,} {word}" for name, word in OUTCOME_WORDS.items() if name in counts)
    reasons = dict(matching.entries["not_compared"].value_counts().iter_rows())
    yield from (
        f"    not compared, {reasons[code]:,}: {words}" for code, words in NOT_COMPARED_WORDS.items() if code in reasons
    )
    if matching.left_out.height:
        yield f"{plural(matching.left_out.height, 'example')} could not be read"
    if matching.labels_not_compared is not None:
        yield f"labels were not compared with descriptions: {short_line(matching.labels_not_compared, 300)}"
    if matching.pairs.height:
        yield "of a concept: number, AUROC, label, and in brackets how near the label is to the description"
    pairs = {str(key): part for (key,), part in matching.pairs.group_by("entry", maintain_order=True)}
    themes = {str(key): part for (key,), part in matching.themes.group_by("entry", maintain_order=True)}
    for outcome in (name for name in OUTCOME_WORDS if name in RATE_WORDS):
        for row in matching.entries.filter(outcome=outcome).iter_rows(named=True):
            yield ""
            examples = plural(row["examples"], "example")
            yield f"{short_line(row['description'], 60)}: {OUTCOME_WORDS[outcome]} ({examples})"
            yield from _concepts(pairs.get(row["entry"]))
            for theme in themes[row["entry"]].iter_rows(named=True) if row["entry"] in themes else ():
                name = short_line(theme["name"], LABEL_LIMIT)
                yield f"      theme  {decimal(theme['auroc'])}  {name}{_verdict(theme)}"
    yield ""
    yield from _unexplained(matching)


def _chance(chance: ByChance, how: str) -> str:
    usual = f"{chance.expected:.1f} ({chance.low:.0f} to {chance.high:.0f} in 95% of {chance.draws:,} draws)"
    return f"    by chance, {how}: {usual}; p = {magnitude(chance.p_value)}"


def _concepts(pairs: pl.DataFrame | None) -> Iterator[str]:
    if pairs is None:
        return
    for row in pairs.iter_rows(named=True):
        led = "" if row["leader"] == row["concept"] else f", goes with {row['leader']}"
        label = short_line(row["label"] or "no label", LABEL_LIMIT)
        near = "" if row["label_similarity"] is None else f" [{decimal(row['label_similarity'])}]"
        yield f"    {row['concept']:>7}  {decimal(row['auroc'])}  {label}{near}{_verdict(row)}{led}"


def _verdict(row: dict[str, Any]) -> str:
    status = f", {row['performance_status']}" if row.get("performance_status") else ""
    coverage = f", {row['coverage_status']}" if row.get("coverage_status") in LACKING else ""
    return f" (gap {signed(row['gap'])}{status}{coverage})"


def _unexplained(matching: ExampleMatching) -> Iterator[str]:
    table = matching.unexplained
    yield f"weak concepts that no entry names: {table.height:,} of {matching.weak_concepts:,}"
    least = f"at most {CHOSEN} each"
    yield f"    neither they nor the concepts that lead them are among the confirmed ones of an entry, {least}"
    for row in table.head(SHOWN).iter_rows(named=True):
        yield f"    {row['concept']:>7}  {short_line(row['label'] or 'no label', LABEL_LIMIT)}{_verdict(row)}"
        yield f"             strongest in {short_line(', '.join(row['items']), 60)}"
    if table.height > SHOWN:
        yield f"    and {table.height - SHOWN:,} more ({argument('json')} lists all)"
