"""What ``cgaps improve`` says, in a terminal: kept items, items that look broken, drafts, weights, redundancy."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.errors import UserError, argument
from competency_gaps.findings.coverage import lacks
from competency_gaps.findings.estimate import NORMAL
from competency_gaps.findings.words import item_text, short_name
from competency_gaps.improve.keep import FEWEST_MODELS
from competency_gaps.improve.redundancy import FEWEST
from competency_gaps.improve.suspect import FEWEST as FEWEST_SCORED
from competency_gaps.report.tables import cut, plain
from competency_gaps.text import integer, listing, percent, plural, signed, visible

if TYPE_CHECKING:
    from competency_gaps.improve.fill import Drafts
    from competency_gaps.improve.keep import Kept
    from competency_gaps.improve.lens import Fresh
    from competency_gaps.improve.redundancy import Redundancy
    from competency_gaps.improve.suspect import Suspects
    from competency_gaps.improve.weigh import Weights
    from competency_gaps.runs.open import RunFolder

SURE = 0.05
"""Largest p-value of what is said to be so."""
KEPT = 100
"""Items of which the overview says how much they tell."""
SWAPS, PARTS = 6, 20
"""Rows of a list."""
SLICES = 14
"""Slices whose means are listed."""
SUSPECTS, MOST_SUSPECTS = 10, 50
"""Rows of suspicious items: so many in any case, and at most, where no limit is given."""
CLEAR = 0.95
"""Share of the items that excite a slice from which nothing is said of the others."""
_REFUSED = {
    "form": "have not the benchmark's form",
    "repeats": "repeat another item",
    "unread": "cannot be read",
    "elsewhere": "excite it too little",
    "alike": "say nearly what another says",
    "key": "have a doubtful key",
    "enough": "were not needed",
}
MODEL, PART = 28, 17
"""Characters of a name."""
TEXT = 16
"""Fewest characters with which an item's text is worth its place."""


def first_steps(run: RunFolder, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to do first about a run's benchmarks: for each step what there is to say, and the command.

    Parameters
    ----------
    found
        ``items`` (:class:`Suspects`), ``missing`` (a :class:`Coverage` by benchmark), ``keep`` (:class:`Kept`),
        ``weights`` and ``redundancy``; instead of each the error that says why there is none.
    """
    command = shlex.join(["cgaps", "improve", str(run.path)])
    items, repeats, weights = (found[name] for name in ("items", "redundancy", "weights"))
    broken = str(items)
    if not isinstance(items, UserError):
        judged = items.items["chance"].drop_nulls()
        broken = f"{int((judged >= 0.5).sum())} of {plural(len(judged), 'item')} look broken."
    steps = [(f"Broken: {broken}", f"{command} --items")]
    name, regions = max(((name, lacks(own)) for name, own in found["missing"].items()), key=lambda own: len(own[1]))
    if regions:
        scope = found["missing"][name].whole.scope
        names = "; ".join(f"“{own.name}”" for own in regions[:3]) + f"; {len(regions) - 3} more" * (len(regions) > 3)
        less = "its scope lets expect" if scope else "similar benchmarks do"
        says = f"Missing: {name} asks about {plural(len(regions), 'topic')} less than {less}: {names}."
        steps.append((says, f"{command} --missing {shlex.quote(name)} --llm FILE"))
    kept, count = found["keep"], KEPT
    fewer = str(kept)
    if not isinstance(kept, UserError):
        row = kept.expected.row(0, named=True)
        count = row["kept"]
        fewer = f"{count} of {integer(row['items'])} items"
        if row["error"] is not None:
            error, random = (f"±{100 * NORMAL * row[name]:.1f}" for name in ("error", "random"))
            fewer += f" predict a new model's score to {error} points (as many random ones: {random})"
        fewer += "." if kept.prior else f"; to choose them takes scores of {FEWEST_MODELS} models."
    steps.append((f"Fewer: {fewer}", f"{command} --keep {count}"))
    says = f"Overlap: {repeats if isinstance(repeats, UserError) else _repeats(repeats)}"
    even = "" if isinstance(weights, UserError) else f" {_swaps(weights)}"
    return [*steps, (says + even, f"{command} --weights")]


def _repeats(found: Redundancy) -> str:
    if found.axes is None:
        return _dimensions(found)
    own = found.parts.filter("adds")["part"].to_list()
    over = _plural_of(found.what, found.parts.height)
    adds = f"adding something that the others miss: {listing(own, len(own), 6)}" if own else "none is shown to add more"
    return (
        f"the {over} measure {plural(found.count or 1, 'distinct ability').replace('abilitys', 'abilities')}; {adds}."
    )


def kept_view(kept: Kept, limit: int | None) -> RenderableType:
    """Say how surely the kept items tell what all items say, beside random ones, and how they are used."""
    whole = kept.expected.row(0, named=True)
    head = f"{integer(whole['kept'])} of {integer(whole['items'])} items"
    known = whole["error"] is not None
    within = {name: f"±{100 * NORMAL * whole[name]:.1f}" for name in ("error", "random") if known}
    if not kept.prior:
        head += ", drawn at random, as many of each benchmark and group as its share"
        head += f"; their plain mean is that of all {within['random']} points (95% interval)." if known else "."
        head += f" To choose better takes scores of {FEWEST_MODELS} models; the run has those of {len(kept.models)}."
    else:
        apart = 100 * NORMAL * 2**0.5 * whole["error"]
        head += f" predict a new model's score to {within['error']} points (95% interval); {integer(whole['kept'])} "
        head += f"random ones to {within['random']}.\nThey tell two models apart that differ by {apart:.0f} points or "
        head += (
            f"more. Fitted on {plural(len(kept.models), 'model')}: less reliable for a model stronger than all of them."
        )
        others = kept.sizes.filter(pl.col("count") != whole["kept"])
        sizes = ", ".join(f"{n:,} items ±{100 * NORMAL * e:.1f}" for n, e, _ in others.iter_rows())
        head += f"\nOther sizes: {sizes}."
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("mean of")
    for name in ("items", "kept", "± points", "± if random"):
        table.add_column(name, justify="right")
    for row in kept.expected.head(limit or SLICES + 1).iter_rows(named=True):
        errors = [f"{100 * NORMAL * row[name]:.1f}" if known else "" for name in ("error", "random")]
        table.add_row(plain(cut(row["slice"], 40)), integer(row["items"]), integer(row["kept"]), *errors)
    numbered = "doc" in kept.source.columns and kept.source["doc"].is_not_null().any()
    use = "A slice's score also rests on items of the others.\n" if table.row_count > 1 and kept.prior else ""
    use += "In the folder that is written, ask a new model one of these ways:\n"
    use += '  lm_eval --samples "$(cat lm_eval.json)"\n' if numbered else ""
    use += '  inspect eval --sample-id "$(cat BENCHMARK/inspect.txt)"\n  cgaps run --benchmark BENCHMARK/items.jsonl\n'
    use += "What it would score on all items: cgaps improve FOLDER --scores SCORES.csv"
    parts = (plain(head), Text(), *((table, Text()) if table.row_count > 1 and kept.prior else ()))
    return Group(*parts, plain(use, "dim"))


def predicted_view(predicted: pl.DataFrame, limit: int | None = None) -> RenderableType:
    """Say what new models would score on all items, and on the slices."""
    parts: list[RenderableType] = []
    for (model,), own in predicted.group_by("model", maintain_order=True):
        whole = own.row(0, named=True)
        head = f"{short_name(str(model))} would score {100 * whole['mean']:.1f} on all items (95% interval "
        head += (
            f"{100 * whole['low']:.1f} to {100 * whole['high']:.1f}), by its scores on {integer(whole['scored'])} of "
        )
        head += f"the {integer(whole['kept'])} kept ones."
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("mean of")
        for name in ("score", "low", "high", "items scored"):
            table.add_column(name, justify="right")
        for row in own[1:].filter(pl.col("mean").is_not_null()).head(limit or SLICES).iter_rows(named=True):
            points = (f"{100 * row[name]:.0f}" for name in ("mean", "low", "high"))
            table.add_row(plain(cut(row["slice"], 40)), *points, integer(row["scored"]))
        parts += [plain(head), Text(), *((table, Text()) if table.row_count else ())]
    return Group(*parts[:-1])


def suspects_view(suspects: Suspects, limit: int | None, width: int) -> RenderableType:
    """List the items that look broken, a line each: how probably and why, and of its text what has room."""
    items = suspects.items.filter(pl.col("chance").is_not_null())
    probable = items.filter(pl.col("chance") >= 0.5).height
    most = items.head(limit or MOST_SUSPECTS)
    if limit is None:
        most = most.head(max(probable, SUSPECTS)).filter(pl.col("chance") >= 0.1)
    look = "looks" if probable == 1 else "look"
    head = f"{integer(probable) if probable else 'None'} of {integer(items.height)} items {look} broken"
    models = plural(int(suspects.items["models"].to_numpy().max(initial=0)), "model")
    parts: list[RenderableType] = [plain(f"{head}, by the scores of {models}.", "bold")]
    every = float(items["chance"].sum())
    if every > 1.5 * probable + 1:
        more = f"All chances add up to {every:.0f} broken items: which of the others these are, scores do not tell."
        parts.append(plain(more))
    if most.height:
        told = (
            "Broken: so many of 10 such items were, where we had exchanged 2% of the answer keys. Read an item before "
            "you change or drop it."
        )
        parts += [Text(), _suspects_table(most, width), Text(), plain(told, "dim")]
    few = suspects.items.filter(pl.col("chance").is_null())
    if few.height:
        names = ", ".join(few["benchmark"].unique(maintain_order=True))
        lacking = f"fewer than {FEWEST_SCORED} models are scored on them ({names})."
        parts.append(plain(f"{plural(few.height, 'item')} cannot be judged: {lacking}", "dim"))
    return Group(*parts)


def _suspects_table(items: pl.DataFrame, width: int) -> Table:
    several = items["benchmark"].n_unique() > 1
    rows = [
        [cut(row["benchmark"], PART)] * several
        + [cut(row["item_id"], PART), f"{min(9, round(10 * row['chance']))} of 10", visible(row["reason"])]
        for row in items.iter_rows(named=True)
    ]
    room = width - sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True)) - 2
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ["benchmark"] * several + ["item", "broken", "why", *["text"] * (room >= TEXT)]:
        table.add_column(name)
    for row, text in zip(rows, items["text"], strict=True):
        table.add_row(*map(Text, row), *[Text(f"“{item_text(visible(text), room)}”", "dim")] * (room >= TEXT))
    return table


def drafts_view(drafts: Drafts, limit: int) -> RenderableType:
    """Say which new items were kept and refused, what they change, whether the gap comes back; ``limit`` of them."""
    if drafts.plan:
        return plain(drafts.plan, "bold")
    kept, whole = drafts.kept.height, drafts.kept.height + drafts.refused.height
    head = f"{plural(kept, 'new item')} for {drafts.name}, of {plural(whole, 'candidate')}."
    parts: list[RenderableType] = [plain(head, "bold")]
    for share in drafts.shares:
        now, then = percent(share.before, 1), percent(share.after, 1)
        parts.append(plain(f"{share.name}: from {now} to {then} of {drafts.benchmark}, with {share.added} new ones."))
    if drafts.precision is not None and drafts.precision < CLEAR:
        own = percent(drafts.precision, 1)
        parts.append(plain(f"Of the run's items that excite it so much, {own} are its own: so may the new ones be."))
    if drafts.fresh is not None:
        parts.append(plain(_fresh(drafts.fresh)))
    counts = drafts.refused["code"].value_counts().sort("count", "code", descending=[True, False])
    if drafts.refused.height:
        why = "; ".join(f"{integer(count)} {_REFUSED[code]}" for code, count in counts.iter_rows())
        parts.append(plain(f"Refused: {why}."))
    parts += [Text(f"  {item_text(visible(text), 100)}", "dim") for text in drafts.kept["prompt"].head(limit)]
    use = "Read them before use. items.jsonl is a benchmark for cgaps run; the .yaml beside it a task of lm-eval."
    return Group(*parts, *([plain(use, "dim")] if kept else []))


def _fresh(fresh: Fresh) -> str:
    """What the run's model makes of new items with and without the slice."""
    asked = (
        f"The run's model gets {percent(fresh.mean, 1)} of {plural(fresh.items, 'new item')} with it right and "
        f"{percent(fresh.others_mean, 1)} of {plural(fresh.others, 'comparable new one')} without: "
        f"{_points(fresh.gap, fresh.low, fresh.high)} points"
    )
    if fresh.expected is None:
        return f"{asked}."
    told = {
        "holds": "The finding holds",
        "leans": "The same side, but these items are too few to be sure",
        "not": "The finding does not come back",
    }[fresh.verdict or "leans"]
    return f"{asked}, where the answer lets expect {signed(100 * fresh.expected, 0)}. {told}."


def weights_view(found: Weights, regions: Weights | None, limit: int | None) -> RenderableType:
    """Say whether even slices change the order of the models; in one line also if regions of the atlas were even."""
    least, most = (f"{own:.2g}" for own in (found.low, found.high))
    parts: list[RenderableType] = [plain(_swaps(found), "bold")]
    if found.high - found.low > 0.01:
        effective = (
            f"Weights from {least} to {most} (capped at {found.cap:g}). They are as precise as "
            f"{integer(found.effective)} items of equal weight; without weights, with repeats counted once, it is "
            f"{integer(found.before)}."
        )
        parts.append(plain(effective))
    if found.swaps.height:
        table = _table(("ahead now", "behind", "lead", "if equal", ""), (0, 1, 4))
        for row in found.swaps.head(limit or SWAPS).to_dicts():
            names = (cut(short_name(row[end]), PART) for end in ("ahead", "behind"))
            now, then = (
                f"{signed(100 * row[name], 1)} ± {100 * (row[name] - row[low]):.1f}"
                for name, low in (("difference", "low"), ("weighted", "weighted_low"))
            )
            table.add_row(*names, now, then, _sure(row))
        parts += [Text(), table]
    moved = found.models.filter((pl.col("low") > 0) | (pl.col("high") < 0)).sort(pl.col("shift").abs(), descending=True)
    if moved.height:
        moves = (
            f"{cut(short_name(row['model']), MODEL)} {_points(row['shift'], row['low'], row['high'])}"
            for row in moved.head(3).to_dicts()
        )
        parts += [Text(), plain(f"Beside the other models these move most (points): {'; '.join(moves)}.")]
    if regions is not None:
        surely = regions.swaps.filter("sure").select("behind", "ahead").iter_rows()
        pairs = "; ".join(" would pass ".join(cut(short_name(own), MODEL) for own in pair) for pair in surely)
        parts += [Text(), plain(_swaps(regions) + f" {pairs}." * bool(pairs))]
    return Group(*parts)


def _sure(swap: Mapping[str, Any]) -> str:
    now, then = swap["low"] > 0, swap["weighted_high"] < 0
    if swap["sure"]:
        return "beyond noise"
    return "perhaps" if now and then else "clear now" if now else "clear if equal" if then else "noise"


def _swaps(found: Weights) -> str:
    """What becomes of the order of the models."""
    over = " and ".join(_plural_of(what, found.slices.filter(over=what).height) for what in found.over)
    if found.high - found.low < 0.01:
        return f"The {over} count alike already."
    if found.swaps.height == 0:
        order = f"the order of the {found.models.height} models would stay" if found.pairs else "no order would change"
        return f"If the {over} counted alike, {order}."
    how = f"{int(found.swaps['sure'].sum()) or 'none'} of them beyond noise"
    pairs = plural(found.pairs, "pair")
    return f"If the {over} counted alike, {found.swaps.height} of {pairs} of models would swap places, {how}."


def redundancy_view(found: Redundancy, limit: int | None) -> RenderableType:
    """Say what repeats what, by concepts and by the models' scores."""
    parts: list[RenderableType] = [plain(_dimensions(found), "bold")]
    if found.foretold is not None:
        value, low, high, _ = (f"{own:.2f}".replace("-", "−") for own in found.foretold)
        surely = "get" if found.foretold.p_value <= SURE else "need not get"
        chance = f"rank correlation {value} over {found.pairs.height} pairs ({low} to {high} by chance)"
        parts.append(plain(f"Parts that are alike in concepts {surely} alike scores: {chance}."))
    count = limit or PARTS
    if found.axes is None:
        table = _table(("most alike in concepts", "", "of 100"), (0, 1))
        for a, b, like in found.pairs.sort("likeness", descending=True)["a", "b", "likeness"].head(count).iter_rows():
            table.add_row(cut(a, PART), cut(b, PART), f"{100 * like:.0f}")
        return Group(*parts, Text(), table)
    table = _table(("", "closest concepts", "closest scores", "missed", "noise", ""), (0, 1, 2, 5))
    for row in found.parts.sort("left", descending=True).head(count).to_dicts():
        near = (_near(row[name], row[figure]) for name, figure in (("like", "likeness"), ("with", "surely")))
        points = (f"{100 * row[name]:.1f}" for name in ("left", "most"))
        table.add_row(cut(row["part"], PART), *near, *points, "adds" if row["adds"] else "")
    note = (
        "Missed: points by which the other parts miss a model's score there; noise: up to so many if items were dealt "
        "out at random. What is missed beyond noise is what a part adds. Beside names: likeness, of 100; of scores its "
        "lower bound."
    )
    more = f" {found.parts.height - count} more: {argument('limit')} {found.parts.height}."
    return Group(*parts, Text(), table, plain(note + more * (found.parts.height > count), "dim"))


def _dimensions(found: Redundancy) -> str:
    over, models = _plural_of(found.what, found.parts.height), plural(len(found.models), "model")
    if found.axes is None or found.effective is None:
        return f"{models} scored on all {over}: too few to tell what repeats what by scores ({FEWEST} at least)."
    level, *others = found.axes.head(found.count or 1).to_dicts()
    axes = [f"how good they are on the whole ({percent(level['share'], 1)} of their differences)"]
    for own in others:
        ends = " against ".join(" and ".join(own[side]) or "the others" for side in ("up", "down"))
        axes.append(f"{ends} ({percent(own['share'], 1)}; by chance up to {percent(own['most'], 1)})")
    number, low, high = (f"{own:.1f}" for own in found.effective)
    return (
        f"The {over} tell {models} apart by {'; and by '.join(axes)}. That is as much as {number} separate tests "
        f"({low} to {high}); it would be {found.apart:.1f} if the {found.parts.height} had nothing in common."
    )


def _near(name: str | None, figure: float | None) -> str:
    return "" if name is None or figure is None else f"{cut(name, PART)} {100 * figure:.0f}"


def _points(value: float, low: float, high: float) -> str:
    points, *ends = (signed(100 * own, 1) for own in (value, low, high))
    return f"{points} ({' to '.join(ends)})"


def _plural_of(what: str, count: int) -> str:
    known = {"benchmark": "benchmarks", "group": "groups", "regions": "regions of the atlas"}
    return f"{count} {known.get(what, f'categories of {what}')}"


def _table(heads: Sequence[str], left: Sequence[int]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place in left else "right", no_wrap=True)
    return table
