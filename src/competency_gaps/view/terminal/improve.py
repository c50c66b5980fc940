"""What ``cgaps improve`` says, in a terminal: kept items, items that look broken, drafts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.findings.estimate import Z_95
from competency_gaps.improve.broken_items import MIN_MODELS as MIN_SCORED_MODELS
from competency_gaps.util.errors import UserError
from competency_gaps.util.text import integer, percent, plural, signed, visible
from competency_gaps.view.terminal.tables import aligned, cut, plain
from competency_gaps.view.words import item_text, short_name

if TYPE_CHECKING:
    from competency_gaps.findings.coverage import Coverage
    from competency_gaps.improve.drafts import Drafts
    from competency_gaps.improve.keep import Kept
    from competency_gaps.improve.membership import Fresh
    from competency_gaps.runs.open import RunFolder

KEPT_ITEMS = 100
"""Kept items for which the overview gives the error."""
SLICES = 14
"""Slices whose means are listed."""
MIN_BROKEN, MAX_BROKEN = 10, 50
"""Rows of items that look broken: so many in any case, and at most, where no limit is given."""
CLEAR_CHANCE = 0.95
"""Precision of membership above which items that do not belong to the slice are not mentioned."""
_REFUSED = {
    "form": "do not have the benchmark's form",
    "repeats": "repeat another item",
    "unread": "cannot be read",
    "outside": "activate the slice too little",
    "similar": "are too similar to another",
    "key": "have a doubtful key",
    "enough": "were not needed",
}
PART = 17
"""Characters of a name."""
TEXT = 16
"""Minimum number of characters of an item's text to be shown."""


def first_steps(
    run: RunFolder, ranked: pl.DataFrame | UserError, covered: Mapping[str, Coverage], kept: Kept | UserError
) -> list[tuple[str, str]]:
    """Return what to do first about a run's benchmarks: for each step, a sentence and the command.

    Parameters
    ----------
    ranked
        The items from :meth:`competency_gaps.Run.broken_items`; or the error that says why they cannot be ranked.
    covered
        Coverage by name of the benchmark; empty: the run has no reading.
    kept
        A choice of items; or the error that says why there is none.
    """
    command = shlex.join(["cgaps", "improve", str(run.shown_path)])
    steps = [(f"Broken: {ranked if isinstance(ranked, UserError) else _broken(ranked)}", f"{command} --items")]
    lacking = {name: report.whole for name, report in covered.items() if report.whole and report.whole.missing}
    if lacking:
        name, whole = max(lacking.items(), key=lambda entry: len(entry[1].missing))
        names = "; ".join(f"“{topic.name}”" for topic in whole.missing[:3])
        names += f"; {len(whole.missing) - 3} more" * (len(whole.missing) > 3)
        says = f"Missing: {name} hardly asks about {plural(len(whole.missing), 'topic')} "
        if whole.within:
            says += f"of its scope: {names}."
        else:
            says += f"that similar benchmarks ask: {names}. Are they part of what it is meant to test? See ‘cgaps "
            says += "coverage --describe’."
        steps.append((says, f"{command} --missing {shlex.quote(name)} --llm FILE"))
    if isinstance(kept, UserError):
        return [*steps, (f"Fewer: {kept}", f"{command} --keep {KEPT_ITEMS}")]
    row = kept.expected.row(0, named=True)
    error, random = (f"±{100 * Z_95 * row[name]:.1f}" for name in ("error", "random"))
    says = f"Fewer: {row['kept']} of {integer(row['items'])} items predict a new model's score within {error} points "
    return [*steps, (f"{says}(random items: {random}).", f"{command} --keep {row['kept']}")]


def kept_view(kept: Kept, limit: int | None) -> RenderableType:
    """Return a view of how well the kept items predict scores on all items, against random ones, and how to use
    them.
    """
    whole = kept.expected.row(0, named=True)
    error, random = (100 * Z_95 * whole[name] for name in ("error", "random"))
    head = f"{integer(whole['kept'])} of {integer(whole['items'])} items predict a new model's score within "
    head += (
        f"±{error:.1f} points (95% interval), random ones within ±{random:.1f}.\nThey separate two models that differ "
    )
    head += (
        f"by {2**0.5 * error:.0f} points or more. Fitted on {plural(len(kept.models), 'model')}, so less reliable for "
    )
    head += "a model stronger than all of them."
    others = kept.sizes.filter(pl.col("count") != whole["kept"])
    sizes = ", ".join(f"{n:,} items ±{100 * Z_95 * e:.1f}" for n, e, _ in others.iter_rows())
    head += f"\nOther sizes: {sizes}."
    table = aligned(("mean of", "items", "kept", "± points", "± if random"), (0,))
    for row in kept.expected.head(limit or SLICES + 1).iter_rows(named=True):
        errors = [f"{100 * Z_95 * row[name]:.1f}" for name in ("error", "random")]
        table.add_row(plain(cut(row["slice"], 40)), integer(row["items"]), integer(row["kept"]), *errors)
    numbered = "doc" in kept.source.columns and kept.source["doc"].is_not_null().any()
    use = "A slice's estimate also draws on the items of other slices.\n" if table.row_count > 1 else ""
    use += "To evaluate a new model on them, in the folder written:\n"
    use += '  lm_eval --samples "$(cat lm_eval.json)"\n' if numbered else ""
    use += '  inspect eval --sample-id "$(cat BENCHMARK/inspect.txt)"\n  cgaps run --benchmark BENCHMARK/items.jsonl\n'
    use += "Then predict its score on all items: cgaps improve FOLDER --scores SCORES.csv"
    parts = (plain(head), Text(), *((table, Text()) if table.row_count > 1 else ()))
    return Group(*parts, plain(use, "dim"))


def predicted_view(predicted: pl.DataFrame, limit: int | None = None) -> RenderableType:
    """Return a view of models' predicted scores on all items and on slices."""
    parts: list[RenderableType] = []
    for (model,), rows in predicted.group_by("model", maintain_order=True):
        whole = rows.row(0, named=True)
        head = f"{short_name(str(model))} would score {100 * whole['mean']:.1f} on all items (95% interval "
        head += f"{100 * whole['low']:.1f} to {100 * whole['high']:.1f}), judging by its scores on "
        head += f"{integer(whole['scored'])} of the {integer(whole['kept'])} kept items."
        table = aligned(("mean of", "score", "low", "high", "items scored"), (0,))
        for row in rows[1:].filter(pl.col("mean").is_not_null()).head(limit or SLICES).iter_rows(named=True):
            points = (f"{100 * row[name]:.0f}" for name in ("mean", "low", "high"))
            table.add_row(plain(cut(row["slice"], 40)), *points, integer(row["scored"]))
        parts += [plain(head), Text(), *((table, Text()) if table.row_count else ())]
    return Group(*parts[:-1])


def broken_view(ranked: pl.DataFrame, limit: int | None, width: int) -> RenderableType:
    """List the items that look broken, a line each: how likely, why, and as much of the text as fits."""
    items = ranked.filter(pl.col("chance").is_not_null())
    probable = items.filter(pl.col("chance") >= 0.5).height
    most = items.head(limit or MAX_BROKEN)
    if limit is None:
        most = most.head(max(probable, MIN_BROKEN)).filter(pl.col("chance") >= 0.1)
    parts: list[RenderableType] = [plain(_broken(ranked), "bold")]
    if most.height:
        note = "broken: in tests (swapped keys, blind readers), about this many of 10 such items were, or more. "
        note += "Read an item before you change or drop it."
        parts += [Text(), _broken_table(most, width), Text(), plain(note, "dim")]
    few = ranked.filter(pl.col("chance").is_null())
    if few.height:
        names = ", ".join(few["benchmark"].unique(maintain_order=True))
        lacking = f"fewer than {MIN_SCORED_MODELS} models have scores on them ({names})."
        parts.append(plain(f"{plural(few.height, 'item')} cannot be judged: {lacking}", "dim"))
    return Group(*parts)


def _broken(ranked: pl.DataFrame) -> str:
    """Return a sentence on how many items look broken, and how many probably are if these are far more."""
    chances = ranked["chance"].drop_nulls()
    every, probable = float(chances.sum()), int((chances >= 0.5).sum())
    models = plural(int(ranked["models"].to_numpy().max(initial=0)), "model")
    head = f"{integer(probable) if probable else 'None'} of {integer(len(chances))} items look{'s' * (probable == 1)}"
    more = f" In all, about {every:.0f} probably are; scores cannot tell which the others are."
    return f"{head} broken, judging by the scores of {models}." + more * (every > 1.5 * probable + 1)


def _broken_table(items: pl.DataFrame, width: int) -> Table:
    """The table of items that look broken; texts only where there is room."""
    several = items["benchmark"].n_unique() > 1
    rows = [
        [cut(row["benchmark"], PART)] * several
        + [cut(row["item_id"], PART), f"{min(9, round(10 * row['chance']))} of 10", visible(row["reason"])]
        for row in items.iter_rows(named=True)
    ]
    room = width - sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2
    names = [*["benchmark"] * several, "item", "broken", "why", *["text"] * (room >= TEXT)]
    table = Table(*names, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for row, text in zip(rows, items["text"], strict=True):
        table.add_row(*map(Text, row), *[Text(f"“{item_text(visible(text), room)}”", "dim")] * (room >= TEXT))
    return table


def drafts_view(drafts: Drafts, limit: int) -> RenderableType:
    """Return a view of the new items and refused candidates, and of the gap on new items; ``limit`` items are shown."""
    if drafts.plan:
        return plain(drafts.plan, "bold")
    kept, whole = drafts.kept.height, drafts.kept.height + drafts.refused.height
    head = f"{plural(kept, 'new item')} for {drafts.name}, from {plural(whole, 'candidate')}."
    parts: list[RenderableType] = [plain(head, "bold")]
    slices = drafts.kept["slice"].value_counts(sort=True)
    if slices.height > 1:
        parts.append(plain(f"{'; '.join(f'{integer(count)} for {name}' for name, count in slices.iter_rows())}."))
    if drafts.precision is not None and drafts.precision < CLEAR_CHANCE:
        precision = percent(drafts.precision, 1)
        parts.append(plain(f"Of the run's items that activate the slice this much, {precision} belong to it."))
    if drafts.fresh is not None:
        parts.append(plain(_fresh(drafts.fresh)))
    counts = drafts.refused["code"].value_counts().sort("count", "code", descending=[True, False])
    if drafts.refused.height:
        why = "; ".join(f"{integer(count)} {_REFUSED[code]}" for code, count in counts.iter_rows())
        parts.append(plain(f"Rejected: {why}."))
    parts += [Text(f"  {item_text(visible(text), 100)}", "dim") for text in drafts.kept["prompt"].head(limit)]
    use = "Read them before use. items.jsonl is a benchmark for cgaps run; the .yaml next to it is an lm-eval task."
    return Group(*parts, *([plain(use, "dim")] if kept else []))


def _fresh(fresh: Fresh) -> str:
    """Return a sentence on the run's model on new items inside and outside the slice."""
    asked = (
        f"The run's model gets {percent(fresh.mean, 1)} of {plural(fresh.items, 'new item')} in the slice right, and "
        f"{percent(fresh.others_mean, 1)} of {plural(fresh.others, 'comparable new item')} outside it: "
        f"{_points(fresh.gap, fresh.low, fresh.high)} points"
    )
    if fresh.expected is None:
        return f"{asked}."
    verdict = {
        "holds": "The finding holds",
        "leans": "The gap has the same sign, but these items are too few to be sure",
        "not": "The finding does not hold",
    }[fresh.verdict or "leans"]
    return f"{asked}; the answer predicts {signed(100 * fresh.expected, 0)} against items outside. {verdict}."


def _points(value: float, low: float, high: float) -> str:
    """A gap with its interval, in points with a decimal."""
    points, *ends = (signed(100 * number, 1) for number in (value, low, high))
    return f"{points} ({' to '.join(ends)})"
