"""Tables in a terminal, lists of slices and concepts, and one concept with its items."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import polars as pl
from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from competency_gaps.runs.open import RunFolder
from competency_gaps.util.errors import argument
from competency_gaps.util.text import NOT_DEFINED, decimal, excerpt, integer, shorten, show_token, visible
from competency_gaps.view import columns, facts, words

VERDICT_STYLES = {"weak": "dark_orange", "strong": "dodger_blue2"}


def cut(name: str, most: int) -> str:
    """Return a name on one line, of at most ``most`` characters, with an ellipsis if it is cut."""
    shown = visible(" ".join(name.split()))
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"


def cut_names(models: Iterable[str], most: int) -> dict[str, str]:
    """Names of models of at most so many characters, which differ where that is possible.

    Of a longer name, the parts before one that no other name ends with are dropped; then its end is cut.
    """
    named = {model: cut(words.short_name(model), 200) for model in models}
    short: dict[str, str] = {}
    for boundary in (r"[/_\s]+", r"[/_\s-]+"):
        alike = Counter(short.values())
        tails = {name: [name[part.end() :] for part in re.finditer(boundary, name)] for name in named.values()}
        uses = Counter(chain(tails, *tails.values()))
        for name in tails:
            if alike[short.get(name, "")] != 1:
                short[name] = _tail(name, [tail for tail in tails[name] if uses[tail] == 1], most)
    return {model: short[name] for model, name in named.items()}


def _tail(name: str, tails: Sequence[str], most: int) -> str:
    """A name, or the longest of its tails that fits, or what fits of the shortest."""
    if len(name) <= most or not tails:
        return cut(name, most)
    return "…" + next((tail for tail in tails if len(tail) < most), cut(tails[-1], most - 1))


def plain(text: str, style: str = "") -> Text:
    """Return foreign text as rich text, without reading markup and with control characters made visible."""
    return Text(visible(text), style=style)


def aligned(heads: Sequence[str], left: Sequence[int], gap: int = 2) -> Table:
    """A table without lines, whose columns stand to the right but for those at ``left``."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, gap, 0, 0))
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number in left else "right", no_wrap=True)
    return table


def table_of(
    title: str, names: Sequence[Text], cells: Mapping[str, Sequence[Text]], numbers: Sequence[int] | None = None
) -> Table:
    """Lay out named rows.

    Parameters
    ----------
    title, names
        What the rows are, and what each is called. A long name goes on in the next line.
    cells
        By the title of a column, a cell per row.
    numbers
        The rows' numbers.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    numbered = {} if numbers is None else {"#": [Text(str(number), style="dim") for number in numbers]}
    for name, texts in {**numbered, title: names, **cells}.items():
        if name == title:
            table.add_column(name, min_width=12, ratio=1, overflow="fold")
        else:
            is_words = any(text.plain[:1].isalpha() and text.plain != NOT_DEFINED for text in texts)
            table.add_column(name, justify="left" if is_words else "right", no_wrap=True)
    for row in zip(*numbered.values(), names, *cells.values(), strict=True):
        table.add_row(*row)
    return table


def quantities(frame: pl.DataFrame, shown: Iterable[columns.Quantity]) -> dict[str, list[Text]]:
    """Cells of a frame by the columns' titles."""
    return {column.title: [Text(column.cell(row)) for row in frame.to_dicts()] for column in shown}


def _name(row: dict[str, Any]) -> Text:
    """A concept's name with its marks and badges, or its peak token."""
    marks = facts.marks_of(row)
    if row["label"] or row["peak_token"] is None:
        name = plain(columns.concept_name(row), "dim" if marks or not row["label"] else "")
    else:
        name = Text.assemble(("peak ", "dim"), plain(show_token(row["peak_token"]), "cyan"))
    marks = [*marks, *columns.badges_of(row)]
    return Text.assemble(name, (f" [{', '.join(marks)}]", "dim italic")) if marks else name


MAX_NAME_LENGTH = 100
"""Characters of a slice's name."""


def slices_view(table: pl.DataFrame, count: int) -> Group:
    """Lay out the first slices of a table, and say how many there are.

    Parameters
    ----------
    table : DataFrame
        As of :func:`competency_gaps.findings.answer.slice_table`, in the order in which they are shown.
    """
    frame = table.head(count)
    names = [plain(words.cut_at_word(name, MAX_NAME_LENGTH)) for name in frame["name"]]
    what, low, high = ("change", "change_low", "change_high") if table["change"].count() else ("gap", "low", "high")
    shown = {
        what: [Text(NOT_DEFINED if gap is None else words.signed_points(gap)) for gap in frame[what]],
        "interval": [
            Text(reason or "" if low is None else f"({words.signed_points(low)} to {words.signed_points(high)})")
            for low, high, reason in frame.select(low, high, "reason").iter_rows()
        ],
        "items": [Text(integer(items)) for items in frame["items"]],
        "kind": [Text(words.FAMILIES.get(family, family)) for family in frame["family"]],
    }
    more = f" To see {words.see_all(table.height, 'slices')}." if table.height > frame.height else ""
    against = ", against comparable ones" if what == "gap" else ""
    note = f"Points expected on new items{against}, with 95% intervals.{more}"
    return Group(table_of("slice", names, shown), plain(note, "dim"))


def print_listing(
    listing: tuple[pl.DataFrame, tuple[columns.Quantity, ...], str | None],
    console: Console,
    *,
    lines: int,
    limit: int | None = None,
) -> None:
    """Print a list of concepts.

    Parameters
    ----------
    listing
        As :func:`~competency_gaps.view.columns.list_concepts` gives it.
    console : rich.console.Console
    lines : int
        Lines of a screen, which the output fills at most; a single row is shown in any case.
    limit : int, optional
        Rows, however many lines they take; None: as many as the screen has room for.
    """
    frame, figures, sentence = listing
    count = min(lines if limit is None else limit, frame.height)
    while True:
        parts: list[RenderableType] = [] if sentence is None else [plain(sentence), Text()]
        shown = frame.head(count)
        names = [_name(row) for row in shown.to_dicts()]
        parts.append(table_of("concept", names, quantities(shown, figures), shown["concept"].to_list()))
        notes = [f"To see {words.see_all(frame.height, 'concepts')}."] * (frame.height > count)
        notes.append(f"To see one: {argument('concept')} N.")
        screen = Group(*parts, *(plain(line, "dim") for line in notes))
        if limit is not None or count < 2 or len(console.render_lines(screen)) <= lines:
            console.print(screen)
            return
        count -= 1


SHOWN = (
    *(columns.ASSOCIATION, columns.PERFORMANCE_STATUS, columns.PERFORMANCE, columns.SUPPORT, columns.N_EFF),
    *(columns.COVERAGE, columns.LIFT, columns.KIND),
)
"""Figures of a concept; the page and ``--json`` have all."""
TEXT_LIMIT = 420
"""Characters of an item."""


def verdict_table(verdicts: Sequence[Mapping[str, str]]) -> Table:
    """Lay out the outcomes of the tests of robustness.

    Parameters
    ----------
    verdicts : sequence of mapping
        ``test``, ``sentence`` and ``tone`` (good, bad, open) of each.
    """
    table = Table("", "test", "outcome", box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    marks = {"good": ("✓", "green"), "bad": ("✗", "dark_orange"), "open": ("?", "dim")}
    for verdict in verdicts:
        mark, style = marks[verdict["tone"]]
        table.add_row(Text(mark, style=style), plain(verdict["test"]), plain(verdict["sentence"]))
    return table


def concept_view(run: RunFolder, concept: int, gap: str | None = None, examples: int = 3) -> Group:
    """Lay out a concept: its name, its figures, and the items in which it is strongest.

    Parameters
    ----------
    run : RunFolder
    concept : int
        Its number in the SAE.
    gap : str, optional
        That of its slice, in words.
    examples : int
        Items.

    Raises
    ------
    UserError
        The SAE has no such concept.
    """
    run.check_concept(concept)
    row = run.concepts.row(concept, named=True)
    marks = facts.marks_of(row)
    number = f"{concept} " if row["label"] else ""
    heading = Text.assemble((number, "dim"), plain(columns.concept_name(row), "dim" if marks else "bold"))
    heading.append(f" [{', '.join(marks)}]" if marks else "", "dim italic")
    grid = Table.grid(padding=(0, 2))
    for column in columns.present(SHOWN, run.concepts[concept : concept + 1]):
        side = {"failure": "weak", "success": "strong"}.get(row[column.key], "")
        grid.add_row(Text(column.title, style="dim"), Text(column.cell(row), VERDICT_STYLES.get(side, "")))
    path = " › ".join(region_path(run, concept))
    for name, value in (
        ("slice's gap", gap),
        ("peak token", show_token(row["peak_token"])),
        ("label", facts.provenance(row)),
        ("region", path),
    ):
        if value:
            grid.add_row(Text(name, style="dim"), plain(value))
    items = run.concept_items(concept, limit=examples).to_dicts()
    parts = [Text(), Text("Where it is strongest" if items else "No item activates this concept.", style="dim")]
    return Group(heading, Text(), grid, *parts, *map(_example, items))


def region_path(run: RunFolder, concept: int) -> list[str]:
    """Return the names of the regions that a concept belongs to, the coarsest first; empty if there are none."""
    if run.regions is None:
        return []
    known = {number: above for number, *above in run.regions.select("region", "parent", "name").iter_rows()}
    region, path = run.concepts["region"][concept], list[str]()
    while region in known:
        region, name = known.pop(region)
        path.insert(0, name)
    return path


def _example(example: dict[str, Any]) -> Group:
    """An item of a concept, with the strongest token marked."""
    score = Text("unscored", style="dim")
    if example["score"] is not None:
        side = "strong" if example["score"] >= 0.5 else "weak"
        score = Text(f"score {decimal(example['score'])}", style=VERDICT_STYLES[side])
    times = f" · {integer(example['repeats'])} items like it" if example["repeats"] > 1 else ""
    where_ = f"{shorten(example['benchmark'], 40)} · {shorten(example['item_id'], 60)}"
    where = plain(f"  {where_} · saliency {decimal(example['ncas'])}{times}", "dim")
    body, peak = (example["body_start"], example["body_end"]), (example["peak_start"], example["peak_end"])
    cut = excerpt(example["text"] or "", body=body, peak=peak, limit=TEXT_LIMIT)
    text = Text.assemble(
        (f"[{integer(cut.cut_before)} characters cut] … " if cut.cut_before else "", "dim"),
        plain(cut.before),
        plain(cut.peak, "black on yellow"),
        plain(cut.after),
        (f" … [{integer(cut.cut_after)} characters cut]" if cut.cut_after else "", "dim"),
    )
    lines: list[RenderableType] = [Text.assemble(score, where), Padding(text, (0, 0, 0, 2))]
    for name, value in (("response", example["response"]), ("expected", example["answer"])):
        if value is not None:
            lines.append(Padding(Text.assemble((f"{name}: ", "dim"), plain(shorten(value, 240))), (0, 0, 0, 2)))
    return Group(*lines)
