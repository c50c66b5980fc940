"""A finding in words: every sentence about a finding is made here, from the numbers of its row.

Labels and examples are not escaped: each page must escape a sentence in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl

from competency_gaps.findings.words import feature_words
from competency_gaps.runs.schemas import FINDINGS
from competency_gaps.text import plural, signed

SHORT = 90
"""Characters of :func:`short`, at most."""
MAIN_SHARE = 0.1
"""Smallest share of a finding's weight with which a benchmark is named as its subject."""
NAMED = 2
"""Benchmarks that a sentence names, at most."""
SHOWN_LABELS = 3
_COUNTED = {"items": "item", "texts": "different item", "clusters": "cluster"}
"""Words for what is counted once: see ``counted`` in ``docs/run-folder.md``."""


def with_words(table: pl.DataFrame) -> pl.DataFrame:
    """Fill ``feature_words`` and ``sentence`` of rows of ``findings.parquet`` from their other columns."""
    rows = table.to_dicts()
    words = [None if row["feature"] is None else feature_words(row["feature"]) for row in rows]
    return table.with_columns(
        pl.Series("feature_words", words, dtype=pl.String),
        pl.Series("sentence", [sentence(row) for row in rows], dtype=pl.String),
    )


def sentence(row: Mapping[str, Any]) -> str:
    """A finding as one full sentence, worst news first.

    With a feature that describes it: ``addition: items whose answer is negative: 17% right (35 items),
    others 57% (115)``. Without such a feature: the leading concept, the score of its items, the gap, and that no
    feature of their text distinguishes them.

    Parameters
    ----------
    row
        A row of ``Run.findings``.
    """
    if row["feature"] is None:
        return _without_feature(row)
    what = feature_words(row["feature"])
    return f"{_names(row['feature_benchmarks'])}: {what}: {_figures(row)}"


def short(row: Mapping[str, Any]) -> str:
    """A finding in at most 90 characters."""
    unit = row["unit"]
    if row["feature"] is not None:
        where = _names(row["feature_benchmarks"], most=1)
        what = feature_words(row["feature"])
        figures = f"{_level(row['feature_score'], unit)}, others {_level(row['other_score'], unit, word=False)}"
    else:
        where = _names(_main(row), most=1)
        what = row["label"] or f"concept {row['leader']}"
        figures = f"{_level(row['mean_score'], unit)}, gap {signed(row['gap'])}"
    room = SHORT - len(figures) - 4
    where = _cut(where, room // 3)
    return f"{where}: {_cut(what, room - len(where))}: {figures}"


def support(row: Mapping[str, Any], concepts: pl.DataFrame) -> str:
    """Write the evidence for a finding: its concepts, counts, the gap with its interval, and the result on halves.

    Parameters
    ----------
    concepts
        ``Run.concepts``.
    """
    parts = [
        _concepts(row, concepts),
        f"{_counted(row)}, effective sample {row['n_eff']:,.0f}",
        _gap(row),
        _unseen(row),
    ]
    return ". ".join(part[:1].upper() + part[1:] for part in parts) + "."


def _without_feature(row: Mapping[str, Any]) -> str:
    named = f"concept {row['leader']}" + (f" (“{row['label']}”)" if row["label"] else "")
    others = len(row["concepts"]) - 1
    named += f" or {plural(others, 'other')} that goes with it" if others == 1 else ""
    named += f" or {plural(others, 'other')} that go with it" if others > 1 else ""
    figures = f"{_level(row['mean_score'], row['unit'])}, {_against(row)}"
    example = f", e.g. “{row['example']}”" if row["example"] else ""
    return (
        f"{_names(_main(row))}: items on which {named} is active: {figures}; no feature of texts or answers that was "
        f"tested describes them{example}"
    )


def _main(row: Mapping[str, Any]) -> list[str]:
    """Benchmarks that hold at least ``MAIN_SHARE`` of a finding's weight; all, where none does."""
    parts = sorted(row["benchmarks"], key=lambda part: -part["share"])
    return [part["benchmark"] for part in parts if part["share"] >= MAIN_SHARE] or [part["benchmark"] for part in parts]


def _names(names: Sequence[str], most: int = NAMED) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _figures(row: Mapping[str, Any]) -> str:
    unit = row["unit"]
    return (
        f"{_level(row['feature_score'], unit)} ({plural(row['feature_items'], _COUNTED[row['counted']])}), "
        f"others {_level(row['other_score'], unit, word=False)} ({row['other_items']:,})"
    )


def _level(mean: float, unit: str, *, word: bool = True) -> str:
    """A mean outcome: a share of right answers, a mean score where answers get parts of a point, or a difference."""
    if unit == "right":
        return f"{100 * mean:.0f}%" + (" right" if word else "")
    if unit == "parsed":
        return f"{100 * mean:.0f}%" + (" of answers parsed" if word else "")
    if unit == "score":
        return f"mean score {mean:.2f}" if word else f"{mean:.2f}"
    if not word:
        return signed(mean)
    return f"{signed(mean)} against its peers" if unit == "peers" else f"difference {signed(mean)}"


def _against(row: Mapping[str, Any]) -> str:
    size, side = abs(row["gap"]), "below" if row["gap"] < 0 else "above"
    amount = f"{size:.2f}" if row["unit"] != "right" else f"{plural(round(100 * size), 'point')}"
    return f"{amount} {side} comparable items"


def _gap(row: Mapping[str, Any]) -> str:
    spread = f"{signed(row['gap_low'])} to {signed(row['gap_high'])}"
    text = f"{_against(row)} of the same benchmarks: gap {signed(row['gap'])} (95% interval {spread}), "
    text += f"plain gap {signed(row['plain_gap'])}"
    if row["detectable"] is not None:
        text += f"; a gap of {row['detectable']:.2f} could have been seen"
    return text


def _unseen(row: Mapping[str, Any]) -> str:
    found_again = row["unseen_splits"]
    text = again(row)
    if found_again:
        text = f"{text} on the items left out"
    return f"{text}; it was chosen on all items, so this is no test on new ones"


def again(row: Mapping[str, Any]) -> str:
    """Say how often half of the items finds it again, and its gap on the others (ends of its intervals, averaged)."""
    if not row["unseen_splits"]:
        return f"found again in none of {row['splits']} half-samples"
    spread = f"{signed(row['unseen_low'])} to {signed(row['unseen_high'])}"
    times = f"{row['unseen_splits']} of {row['splits']} half-samples"
    return f"found again in {times}; there {signed(row['unseen_gap'])} ({spread})"


def _counted(row: Mapping[str, Any]) -> str:
    items = plural(row["items"], "item")
    return items if row["items"] == row["clusters"] else f"{items} in {plural(row['clusters'], 'cluster')}"


def _concepts(row: Mapping[str, Any], concepts: pl.DataFrame) -> str:
    numbers = list(row["concepts"])
    labels = concepts["label"].gather(numbers[:SHOWN_LABELS]).to_list()
    shown = [f"{n} (“{label}”)" if label else str(n) for n, label in zip(numbers, labels, strict=False)]
    rest = len(numbers) - len(shown)
    head = "concept" if len(numbers) == 1 else "concepts"
    return f"{head} {', '.join(shown)}" + (f" and {rest} more" if rest else "")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(1, limit - 1)].rstrip() + "…"


FILE = "findings.parquet"
MOST_ITEMS = 500
"""Rows of ``items.parquet`` that a finding lists, at most; its figures are over all of its items."""
EXAMPLES = 3
"""Failing items, and as many passing ones, that stand side by side."""

Verdict = Literal["weak", "strong"]


def empty_table() -> pl.DataFrame:
    """A table without a finding."""
    return pl.DataFrame(schema=FINDINGS)


def table_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The table of these rows, weak ones first, then by the size of the gap times the items that it concerns.

    Parameters
    ----------
    rows
        All columns but ``finding`` and the words, which are made here; a column that is left out is null.
    """
    ordered = sorted(rows, key=lambda row: (row["verdict"] != "weak", -abs(row["gap"]) * row["n_eff"], row["leader"]))
    complete = [{**dict.fromkeys(FINDINGS), **row, "finding": number} for number, row in enumerate(ordered)]
    return with_words(pl.DataFrame(complete, schema=FINDINGS))
