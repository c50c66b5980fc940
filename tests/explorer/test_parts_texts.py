"""Texts of items: single ones are read from disk, and a search says the same whether texts are kept or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from explorer_runs import HUGE, Made

from competency_gaps import open_run
from competency_gaps.explorer.parts.records.server import SearchResult
from competency_gaps.explorer.parts.texts import BUDGET, SEARCHED, TEXTS, Texts
from competency_gaps.stages.results import write_items
from core_helpers import seal

QUERIES = (
    "Roman",
    "roMAN",
    "zebrafish",
    "<script>",
    "\\d",
    ".*",
    "\u202e",
    "İSTANBUL",
    "ΟΔΟΣ",
    "straße",
    "nowhere",
    "?",
)
ODD = ("İstanbul", "οδος", "ΟΔΟΣ", "STRASSE Straße", "K elvin")


@pytest.fixture(scope="module")
def run(hostile: Made, tmp_path_factory):
    """A run with texts whose lower case is odd, in small row groups."""
    folder = Path(shutil.copytree(hostile.run, tmp_path_factory.mktemp("texts") / "run"))
    items = pl.read_parquet(folder / "items.parquet")
    odd = pl.Series([ODD[i % 5] if i % 7 == 0 else "" for i in range(items.height)])
    items.with_columns(text=pl.col("text") + odd).write_parquet(folder / "items.parquet", row_group_size=13)
    seal(folder)
    return open_run(folder)


def brute(run, query: str) -> list[int]:
    """Rows of a search by a loop over all texts."""
    rows = run.items.select(SEARCHED).rows()
    return [i for i, row in enumerate(rows) if any(query.lower() in (text or "").lower() for text in row)]


@pytest.mark.parametrize("budget", [0, 50_000, BUDGET])
def test_a_search_says_the_same_whatever_is_kept(run, budget: int):
    texts = Texts(run, run.items.height, budget=budget, batch=20_000, first=3)
    for query in QUERIES * 2:
        rows = brute(run, query)
        assert texts.search(query, 10_000) == SearchResult(rows, len(rows)), query
    assert sum(bool(brute(run, query)) for query in QUERIES) >= 9
    assert (texts._kept is not None) == (budget > HUGE)


def test_a_search_that_nobody_waits_for_ends(run):
    """A batch of 3 rows, then batches of one."""
    texts, asked = Texts(run, run.items.height, batch=1, first=3), []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 4

    result = texts.search("?", 10_000, stop)
    assert len(asked) == 5
    assert result.rows == [row for row in brute(run, "?") if row < 6]
    assert texts.search("?", 10_000).rows == brute(run, "?")


@pytest.mark.parametrize("budget", [0, BUDGET])
def test_texts_can_be_kept_before_anybody_searches(run, budget: int):
    texts = Texts(run, run.items.height, budget=budget)
    texts.keep()
    assert (texts._kept is None) == (budget == 0)
    assert texts.search("Roman", 10_000).rows == brute(run, "Roman")


def test_rows_are_read_as_they_are(run):
    texts = Texts(run, run.items.height)
    for first, count in ((0, 1), (12, 3), (run.items.height - 1, 1), (0, run.items.height)):
        assert texts.rows(first, count).equals(run.items.slice(first, count).select(TEXTS))


def test_a_search_holds_little_of_many_texts(run, tmp_path: Path):
    """64 prompts of a megabyte, of which batches of 4 MB are read."""
    items = run.items
    long = items.with_columns(text=pl.when(pl.int_range(pl.len()) < 64).then(pl.lit("x" * HUGE)).otherwise("text"))
    shutil.copytree(run.path, tmp_path / "run", ignore=shutil.ignore_patterns("items.parquet"))
    write_items(tmp_path / "run" / "items.parquet", long)
    seal(tmp_path / "run")
    sizes: list[int] = []

    class Measured(Texts):
        def _batches(self):
            for first, batch in super()._batches():
                sizes.append(batch.estimated_size())
                yield first, batch

    texts = Measured(open_run(tmp_path / "run"), items.height, budget=8 * 2**20, batch=4 * 2**20, first=4)
    assert texts.search("xxxx", 10_000).rows == list(range(64))
    assert max(sizes) <= 5 * 2**20
    assert texts._kept is None


def test_items_are_written_in_row_groups_of_bounded_size(run, tmp_path: Path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("competency_gaps.stages.results.GROUP", 2**18)
    write_items(tmp_path / "items.parquet", run.items)
    file = parquet.ParquetFile(tmp_path / "items.parquet")
    assert file.num_row_groups > 3
    assert pl.read_parquet(tmp_path / "items.parquet").equals(run.items)
    write_items(tmp_path / "none.parquet", run.items.clear())
    assert pl.read_parquet(tmp_path / "none.parquet").height == 0
