"""What the cells of a run's tables may hold: rows that refer to others, numbers that are finite, words that are known.

A run may come from somebody else, and its checksums say only that it is as it was sent. Whatever reads its tables takes
for granted what is checked here, with ``docs/run-folder.md`` as the list of what is null when.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from competency_gaps.evidence.judge import STATUSES
from competency_gaps.items.item import DTYPE
from competency_gaps.runs.schemas import ITEMS, OUTCOME_ITEMS, SCHEMAS, Schema
from competency_gaps.table_files import collect
from competency_gaps.text import shorten, visible

PRESENT: Mapping[str, str] = {
    "items": "benchmark item_id prompt text epochs policy cluster n_span_tokens n_tokens own_start own_end",
    "concepts": "concept alive missing ranked chi_bench n_benchmarks support n_eff drawn performance_status vanishes",
    "concept_benchmarks": "concept benchmark support n_eff drawn performance_status vanishes",
    "benchmarks": "benchmark items kept excluded scored covered missing alive",
    "overlap": "benchmark_a benchmark_b n_concepts",
    "findings": "finding verdict leader concepts items clusters item_rows weights unit n_eff mean_score plain_gap gap "
    "gap_low gap_high benchmarks failing passing unseen_splits splits",
    "themes": "concept",
    "theme_names": "level id kind",
    "theme_results": "level id concepts ranked support n_eff performance_status vanishes drawn missing_concepts "
    "weak_concepts strong_concepts weak_groups",
    "theme_benchmarks": "level id benchmark support n_eff performance_status vanishes",
    "scores": "item model",
    "tokens": "token text",
}
"""Columns without nulls, by table."""
_AMONG: Mapping[str, tuple[str, ...]] = {
    "performance_status": (*STATUSES, "untested"),
    "coverage_status": ("missing", "under", "typical", "over"),
    "verdict": ("weak", "strong"),
    "level": ("theme", "subtheme"),
    "unit": ("right", "score", "peers", "difference", "parsed"),
    "counted": ("items", "texts", "clusters"),
    "cluster_kind": ("equal", "given", "near"),
}
"""Words of a column, in whichever table it is."""
_CONCEPTS = ("concept", "leader", "concepts")
_ITEMS = ("item", "item_rows", "failing", "passing")
_BENCHMARKS = ("benchmark", "benchmark_a", "benchmark_b", "feature_benchmarks")
_INFINITE = ("lift", "logprobs")
"""Columns of numbers that may be infinite."""
_MOST = 2**53
"""The most that a count may be."""
_LARGE = 1e300
"""Below it, a number times a hundred, as readers show it, is still finite."""
_OF_FEATURE = ("feature_benchmarks", "counted", "feature_items", "feature_score", "other_items", "other_score")
"""Columns of a finding that say more of its feature."""


@dataclass(frozen=True)
class Extent:
    """What cells of a run's tables refer to."""

    width: int
    """Number of concepts."""
    benchmarks: tuple[tuple[str, int], ...]
    """Name of each benchmark, and how many items it has."""

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Extent | None:
        """That of a run, by its manifest; None: the manifest does not say."""
        try:
            named = tuple((str(entry["name"]), int(entry["items"])) for entry in manifest["benchmarks"])
            extent = cls(int(manifest["sae"]["d_sae"]), named)
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return extent if max(extent.width, extent.items) <= _MOST else None

    @property
    def items(self) -> int:
        """Number of items."""
        return sum(count for _, count in self.benchmarks)

    @property
    def names(self) -> list[str]:
        """Names of the benchmarks, in order."""
        return [name for name, _ in self.benchmarks]

    def rows(self, name: str) -> int | None:
        """How many rows a table has, by its name without suffix; None: it may have any number."""
        count = len(self.benchmarks)
        known = {"items": self.items, "concepts": self.width, "themes": self.width, "benchmarks": count}
        return (known | {"overlap": count**2, "concept_benchmarks": self.width * count}).get(name)


class _Rule(NamedTuple):
    column: str
    broken: pl.Expr
    """bool of each row; null counts as kept."""
    expected: str


def value_fault(name: str, table: pl.LazyFrame, extent: Extent) -> str | None:
    """What is wrong with the cells of a table, as the end of a sentence that begins with its path; None: nothing.

    Parameters
    ----------
    name
        The table's, without suffix.
    table
        With columns of the declared types, if it is declared in ``schemas.SCHEMAS``; else there are no rules for it.
    """
    expected = extent.rows(name)
    rows = collect(table.select(pl.len()), "streaming").item()
    if expected is not None and rows != expected:
        return f"has {rows:,} rows, expected {expected:,}"
    schema = {**ITEMS, **OUTCOME_ITEMS} if name == "items" else SCHEMAS.get(name, {})
    held = {column: kind for column, kind in schema.items() if column in table.collect_schema()}
    rules = [rule for rule in _rules(name, held, extent) if set(rule.broken.meta.root_names()) <= held.keys()]
    kept = collect(table.select((~rule.broken.any()).alias(str(n)) for n, rule in enumerate(rules)), "streaming")
    for rule, is_kept in zip(rules, kept.row(0) if rules else (), strict=True):
        if not is_kept:
            return _in_words(rule, table)
    if name == "items" and "benchmark" in held and not _in_blocks(table, extent):
        return "holds other items than the manifest lists"
    return None


def _in_blocks(table: pl.LazyFrame, extent: Extent) -> bool:
    """Whether items stand benchmark after benchmark, each with as many as it has."""
    blocks = collect(table.select(pl.col("benchmark").rle().alias("block"))).unnest("block")
    return list(blocks.select("value", "len").iter_rows()) == [entry for entry in extent.benchmarks if entry[1]]


def _in_words(rule: _Rule, table: pl.LazyFrame) -> str:
    cells = table.select(pl.int_range(pl.len()).alias("row"), pl.col(rule.column), rule.broken.alias("broken"))
    row, value = collect(cells.filter("broken").head(1).drop("broken")).row(0)
    shown = "null" if value is None else shorten(visible(repr(value)), 80)
    return f"has {shown} in row {row:,} of the column {rule.column!r}, expected {rule.expected}"


def theme_fault(table: pl.DataFrame, themes: pl.DataFrame, names: Sequence[str] | None = None) -> str | None:
    """What is wrong with a table that has a row of each theme and subtheme, as of :func:`value_fault`; None: nothing.

    Parameters
    ----------
    table
        With ``level`` and ``id``.
    themes
        ``themes.parquet``, which says which there are.
    names
        Of benchmarks: the table has a row of each theme in each of them, with ``benchmark``. None: it has not.
    """
    there = {(level, number) for level in ("theme", "subtheme") for number in themes[level].drop_nulls().unique()}
    if table.height == len(there) * (1 if names is None else len(names)):
        rows = set(table.select("level", "id", *(() if names is None else ("benchmark",))).iter_rows())
        if rows == (there if names is None else {(*theme, name) for theme in there for name in names}):
            return None
    return f"does not hold each theme of themes.parquet once{'' if names is None else ' in each benchmark'}"


def _rules(name: str, schema: Schema, extent: Extent) -> Iterator[_Rule]:
    """What is taken for granted of a table's columns, what others rest on first."""
    for column in PRESENT.get(name, "").split():
        yield _Rule(column, pl.col(column).is_null(), "a value")
    yield from _order(name, extent)
    for column, kind in schema.items():
        for broken, expected in _broken(name, column, kind, pl.col(column), extent):
            yield _Rule(column, broken, expected)
    yield from _together(name)


def _order(name: str, extent: Extent) -> Iterator[_Rule]:
    """What rows are of, where readers know it by their place."""
    row, names = pl.int_range(pl.len()), pl.lit(pl.Series(extent.names, dtype=pl.String))
    if name in ("concepts", "themes", "concept_benchmarks"):
        yield _Rule("concept", pl.col("concept") != row % extent.width, "its concept in order")
    if name == "findings":
        yield _Rule("finding", pl.col("finding") != row, "its row's number")
    count = len(extent.benchmarks)
    places = {
        "concept_benchmarks": {"benchmark": row // extent.width},
        "benchmarks": {"benchmark": row},
        "overlap": {"benchmark_a": row // count, "benchmark_b": row % count},
    }
    for column, place in places.get(name, {}).items():
        yield _Rule(column, pl.col(column) != names.gather(place), "benchmarks in the run's order")


def _together(name: str) -> Iterator[_Rule]:
    """What cells of a table say of each other."""
    if name == "items":
        options = pl.col("choices").list.len().fill_null(0)
        yield _Rule("answer_index", pl.col("answer_index") >= options, "the index of an option")
    if name == "findings":
        for column in _OF_FEATURE:
            broken = pl.col("feature").is_not_null() & pl.col(column).is_null()
            yield _Rule(column, broken, "a value where the finding has a feature")
        broken = pl.col("item_rows").list.len() != pl.col("weights").list.len()
        yield _Rule("weights", broken, "a weight for each of its rows")
    if name == "themes":
        for column in ("subtheme", "x", "y"):
            broken = pl.col(column).is_null() != pl.col("theme").is_null()
            yield _Rule(column, broken, "a value where the concept is in a theme, and else none")
        for column in ("theme", "subtheme"):
            broken = pl.col(column).max() + 1 != pl.col(column).drop_nulls().n_unique()
            yield _Rule(column, broken, "in the whole column numbers from 0 without a gap")
        yield _Rule("subtheme", pl.col("theme").n_unique().over("subtheme") > 1, "a subtheme of a single theme")


def _broken(name: str, column: str, kind: Any, cell: pl.Expr, extent: Extent) -> Iterator[tuple[pl.Expr, str]]:
    """Expressions that are true where a cell is not what it should be, each with what was expected."""
    if isinstance(kind, pl.List):
        yield cell.list.eval(pl.element().is_null()).list.any(), "no null in its list"
        for broken, expected in _broken(name, column, kind.inner, pl.element(), extent):
            yield cell.list.eval(broken).list.any(), f"in its list {expected}"
    elif isinstance(kind, pl.Struct) and kind != DTYPE:
        for field in kind.fields:
            part = cell.struct.field(field.name)
            yield part.is_null(), f"a value for {field.name!r}"
            yield from _broken(name, field.name, field.dtype, part, extent)
    elif column in _BENCHMARKS:
        yield ~cell.is_in(extent.names), "the name of a benchmark of the run"
    elif column in _AMONG and kind == pl.String:
        yield ~cell.is_in(_AMONG[column]), f"one of {', '.join(_AMONG[column])}"
    elif kind.is_integer():
        least, most, what = _range(name, column, extent)
        yield ~cell.is_between(least, most), what
    elif column == "score":
        yield ~cell.is_between(0, 1), "a number in [0, 1]"
    elif kind.is_float():
        if column in _INFINITE:
            yield cell.is_nan(), "a number"
        else:
            yield ~(cell.abs() < _LARGE), f"a number that is finite and below {_LARGE:.0e}"


def _range(name: str, column: str, extent: Extent) -> tuple[int, int, str]:
    """Least and greatest value of a column of whole numbers, and what it is."""
    if column in _CONCEPTS and name != "theme_results":  # there "concepts" is a count, and the leader a theme
        return 0, extent.width - 1, f"a concept of the run, 0 to {extent.width - 1:,}"
    if column in _ITEMS:
        return 0, extent.items - 1, f"a row of items.parquet, 0 to {extent.items - 1:,}"
    if name == "themes":
        return 0, extent.width - 1, "the number of a theme, less than the number of concepts"
    return 0, _MOST, "a number of at least 0"
