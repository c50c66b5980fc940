"""What ``cgaps improve`` wrote into a run's folder: in the terminal's words, and with the items that they are about."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.util.errors import UserError
from competency_gaps.util.text import plural
from competency_gaps.view.page.parts.context import Context
from competency_gaps.view.page.parts.records.answers import (
    Block,
    ImprovedItem,
    ImproveFile,
    Improvement,
    ListedDraft,
    What,
)
from competency_gaps.view.terminal import improve as report

FOLDER = "improve"
_PLACES: dict[What, tuple[str, str]] = {
    "keep": ("keep-*", "--keep 100"),
    "items": ("items.parquet", "--items"),
    "new": ("new-*", "--new SLICE --llm FILE"),
}
"""Where the results of each kind are, and how they are asked for."""
MAX_ITEMS, MIN_CHANCE = 200, 0.1
"""Items that look broken, at most, and the least chance of one that is listed [ours]."""


def improve_file(context: Context) -> ImproveFile:
    """Return ``improve.json``: all results of ``cgaps improve`` in the run's folder."""
    folder = context.run.path
    command = f"cgaps improve {shlex.quote(context.shown(context.run.shown_path))}"
    results = [
        _result(context, what, path)
        for what, (pattern, _) in _PLACES.items()
        for path in sorted((folder / FOLDER).glob(pattern), key=lambda path: (len(path.name), path.name))
    ]
    return ImproveFile(results, {what: f"{command} {option}" for what, (_, option) in _PLACES.items()})


def _result(context: Context, what: What, path: Path) -> Improvement:
    """Return one result; if it cannot be read, the reason. Items that the page lists are left out of its tables."""
    items: list[ImprovedItem] = []
    listed = 0
    drafts: tuple[list[ListedDraft], list[ListedDraft]] = ([], [])
    try:
        if what == "keep":
            from competency_gaps.improve.keep import read_kept

            kept = read_kept(path)
            view, listed = report.kept_view(kept, None), kept.items.height
            items = _items(context, kept.items.with_columns(chance=pl.lit(None, pl.Float64)))
        elif what == "items":
            from competency_gaps.improve.broken_items import read_broken_items

            ranked = read_broken_items(path)
            listed_items = ranked.filter(pl.col("chance") >= MIN_CHANCE).head(MAX_ITEMS)
            view, listed = report.broken_view(ranked, None, 0), listed_items.height
            items = _items(context, listed_items)
        else:
            from competency_gaps.improve.drafts import read_drafts

            drafts_ = read_drafts(path)
            view, drafts = (
                report.drafts_view(drafts_, 0),
                (_drafts(context, drafts_.kept), _drafts(context, drafts_.refused)),
            )
        blocks = [block for block in _blocks(context, view) if block.text or what == "keep"]
        if gone := listed - len(items):
            blocks.append(Block(f"{plural(gone, 'item')} of these are no longer in the run.", True, [], []))
    except UserError as error:
        blocks = [*_blocks(context, str(error))]
    return Improvement(what, path.stem, blocks, items, *drafts)


def _items(context: Context, table: pl.DataFrame) -> list[ImprovedItem]:
    """Return the items of a table with ``benchmark`` and ``item_id``, in its order, if the run still has them."""
    places = context.items.select("benchmark", "item_id").with_row_index("row")
    joined = table.join(places, on=["benchmark", "item_id"], how="inner", maintain_order="left")
    return [ImprovedItem(row["row"], row["chance"], row.get("reason", "")) for row in joined.iter_rows(named=True)]


def _drafts(context: Context, table: pl.DataFrame) -> list[ListedDraft]:
    """Return new items; none without texts, as they may resemble items of the run."""
    return [
        ListedDraft(row["prompt"], row.get("choices") or [], row.get("answer"), row.get("reason") or row["source"])
        for row in table.iter_rows(named=True)
        if context.texts
    ]


def _blocks(context: Context, view: RenderableType) -> Iterator[Block]:
    """The paragraphs and tables of what is printed; without texts, no word of an item names a slice."""
    if isinstance(view, Group):
        for part in view.renderables:
            yield from _blocks(context, part)
    elif isinstance(view, Table):
        titles = [_plain(context, column.header) for column in view.columns]
        cells = [[_plain(context, cell) for cell in column.cells] for column in view.columns]
        yield Block("", False, titles, [list(row) for row in zip(*cells, strict=True)])
    elif text := _plain(context, view):
        yield Block(text, isinstance(view, Text) and view.style == "dim", [], [])


def _plain(context: Context, view: RenderableType) -> str:
    """A cell or paragraph as plain text, without the folder and without names that quote items."""
    text = view.plain if isinstance(view, Text) else str(view)
    text = text.replace(str(context.run.shown_path), context.shown(context.run.shown_path))
    regions = [] if context.run.regions is None else context.run.regions["name"].to_list()
    names = {*context.quoting_names, *(set(regions) - set(context.region_names))}
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "…")
    return text.strip()
