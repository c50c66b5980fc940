"""Texts of items: single ones are read from disk, and a search says the same whether texts are kept or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from explorer_runs import HUGE, Made

from competency_gaps import open_run
from competency_gaps.explorer.parts import texts as texts_module
from competency_gaps.explorer.parts.texts import SEARCHED, TEXTS, Texts
from competency_gaps.stages.results import write_items

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
    return open_run(folder)


def brute(run, query: str) -> list[int]:
    """Rows of a search by a loop over all texts."""
    rows = run.items.select(SEARCHED).rows()
    return [i for i, row in enumerate(rows) if any(query.lower() in (text or "").lower() for text in row)]


@pytest.mark.parametrize("budget", [0, 50_000, texts_module.BUDGET])
def test_a_search_says_the_same_whatever_is_kept(run, monkeypatch, budget: int):
    monkeypatch.setattr(texts_module, "BUDGET", budget)
    monkeypatch.setattr(texts_module, "BATCH", 20_000)
    monkeypatch.setattr(texts_module, "_FIRST", 3)
    texts = Texts(run, run.items.height)
    for query in QUERIES * 2:
        assert texts.search(query, lambda: False) == brute(run, query), query
    assert sum(bool(brute(run, query)) for query in QUERIES) >= 9
    assert (texts._kept is not None) == (budget > HUGE)


def test_a_search_that_nobody_waits_for_ends(run, monkeypatch):
    monkeypatch.setattr(texts_module, "_FIRST", 3)
    monkeypatch.setattr(texts_module, "_MOST", 3)
    texts, asked = Texts(run, run.items.height), []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 4

    found = texts.search("?", stop)
    assert len(asked) == 5
    assert found == [row for row in brute(run, "?") if row < 12]
    assert texts.search("?", lambda: False) == brute(run, "?")


@pytest.mark.parametrize("budget", [0, texts_module.BUDGET])
def test_texts_can_be_kept_before_anybody_searches(run, monkeypatch, budget: int):
    monkeypatch.setattr(texts_module, "BUDGET", budget)
    texts = Texts(run, run.items.height)
    texts.keep()
    assert (texts._kept is None) == (budget == 0)
    assert texts.search("Roman", lambda: False) == brute(run, "Roman")


def test_rows_are_read_as_they_are(run):
    texts = Texts(run, run.items.height)
    for first, count in ((0, 1), (12, 3), (run.items.height - 1, 1), (0, run.items.height)):
        assert texts.rows(first, count).equals(run.items.slice(first, count).select(TEXTS))


def test_a_search_holds_little_of_many_texts(run, tmp_path: Path, monkeypatch):
    """64 prompts of a megabyte, of which batches of 4 MB are read."""
    items = run.items
    long = items.with_columns(text=pl.when(pl.int_range(pl.len()) < 64).then(pl.lit("x" * HUGE)).otherwise("text"))
    shutil.copytree(run.path, tmp_path / "run", ignore=shutil.ignore_patterns("items.parquet"))
    write_items(tmp_path / "run" / "items.parquet", long)
    monkeypatch.setattr(texts_module, "BUDGET", 8 * 2**20)
    monkeypatch.setattr(texts_module, "BATCH", 4 * 2**20)
    monkeypatch.setattr(texts_module, "_FIRST", 4)
    sizes: list[int] = []
    texts = Texts(open_run(tmp_path / "run"), items.height)
    batches = texts._batches
    monkeypatch.setattr(texts, "_batches", lambda: (sizes.append(one[1].estimated_size()) or one for one in batches()))
    assert texts.search("xxxx", lambda: False) == list(range(64))
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
