"""Which concepts go into which table, and the examples of a concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.findings.answer_parts import alike
from competency_gaps.report.protocol import Order, RunView
from competency_gaps.text import Excerpt, excerpt, integer, percent, plural, share_of, shorten

FLAGS = {"dense": "dense", "template": "template", "exact_token": "exact token"}
"""Flag columns that keep a concept out of the rankings, and how they are shown."""

LABEL_LIMIT = 140
TEXT_LIMIT = 420
ANSWER_LIMIT = 240


@dataclass(frozen=True)
class Ranking:
    """Concepts in the order of their net gap. Those with too little data stand in no frame."""

    tested: pl.DataFrame
    """Concepts with a p-value, the lowest gap first."""
    weak: pl.DataFrame
    """Of these, the weak ones."""
    strong: pl.DataFrame
    """Of these, the strong ones, the highest gap first."""
    weak_leaders: pl.DataFrame
    """Weak concepts that lead a group, with ``followers``: how many others of the list share their items."""
    strong_leaders: pl.DataFrame
    """The same of the strong ones."""
    pool: int
    """Alive, unflagged concepts, tested or not."""
    insufficient: int
    """Of these, concepts whose n_eff is below the floor."""
    floor: float
    """Least n_eff of a tested concept."""
    q: float
    """False-discovery rate that a weak or strong concept stands up to."""
    min_gap: float
    """Least size of a net gap that is called weak or strong."""
    negligible: int
    """Tested concepts whose net gap is real, but smaller."""
    vanishing: int
    """Tested concepts whose plain gap is real, and whose net gap is not."""
    among: str
    """Among which items net gaps are taken: ``at equal length``; empty: among all of a benchmark."""

    def caption(self, which: str) -> str:
        """Say how many are weak (strong), of how many tested, and who was not."""
        found = (self.weak if which == "weak" else self.strong).height
        leaders = (self.weak_leaders if which == "weak" else self.strong_leaders).height
        rest = (
            f"{self.insufficient:,} of {self.pool:,} ranked concepts have an n_eff below {self.floor:g}, "
            f"{self.pool - self.insufficient - self.tested.height:,} are missing or meet scores that do not vary."
        )
        if not self.tested.height:
            return f"No concept could be tested for being {which}: {rest}"
        groups = f", in {plural(leaders, 'group')} that share their items; the leaders are listed" if found else ""
        return (
            f"{share_of(found, self.tested.height)} tested concepts are {which} at a false-discovery rate of "
            f"{percent(self.q, 1)}{groups}, by net gap. Besides, {self.negligible:,} are negligible (a real gap below "
            f"{self.min_gap:g}){f' and {self.vanishing:,} vanish {self.among}' if self.among else ''}. "
            f"Not tested: {rest}"
        )


def ranking(concepts: pl.DataFrame, evidence: Mapping[str, Any]) -> Ranking:
    """Order the tested concepts by their net gap.

    Parameters
    ----------
    concepts : DataFrame
        ``run.concepts``, or the rows of one benchmark with the flags joined.
    evidence : mapping
        The manifest's ``evidence``.
    """
    pool = concepts.filter(pl.col("ranked"))
    # A tie is settled by evidence: of two equal gaps the one with more items behind it goes first.
    keys = ("gap", "n_eff", "concept")
    tested = pool.filter(pl.col("q_value").is_not_null()).sort(*keys, descending=[False, True, False])
    strong = tested.filter(pl.col("performance_status") == "strong").sort(*keys, descending=[True, True, False])
    weak = tested.filter(pl.col("performance_status") == "weak")
    return Ranking(
        tested=tested,
        weak=weak,
        strong=strong,
        weak_leaders=_leaders(weak),
        strong_leaders=_leaders(strong),
        pool=pool.height,
        insufficient=pool.filter(pl.col("performance_status") == "insufficient").height,
        floor=float(evidence["min_n_eff"]),
        q=float(evidence["q"]),
        min_gap=float(evidence["min_gap"]),
        negligible=tested.filter(pl.col("performance_status") == "negligible").height,
        vanishing=int(tested["vanishes"].sum()),
        among=alike(evidence),
    )


def _leaders(frame: pl.DataFrame) -> pl.DataFrame:
    return with_followers(frame).filter(pl.col("leader") == pl.col("concept"))


def with_followers(concepts: pl.DataFrame) -> pl.DataFrame:
    """Add ``followers``: how many others of its group each leader has; null for what leads none."""
    sizes = concepts.filter(pl.col("leader").is_not_null()).group_by("leader").agg(followers=pl.len() - 1)
    leads = pl.col("leader") == pl.col("concept")
    joined = concepts.join(sizes, on="leader", how="left", maintain_order="left")
    return joined.with_columns(followers=pl.when(leads).then(pl.col("followers").cast(pl.Int32)))


def caution(ranked: Ranking) -> str:
    """Say what the verdicts carry and what they do not."""
    found = ranked.weak.height + ranked.strong.height
    if not ranked.tested.height:
        return (
            "How far this goes: no concept could be tested, so none is called weak or strong. Coverage says which "
            "concepts the items excite, not which ones an answer needs."
        )
    if not found:
        return (
            f"How to take it: no concept is called weak or strong at a false-discovery rate of {percent(ranked.q, 1)}. "
            "That is no proof that there is none: more items show smaller gaps."
        )
    return (
        f"How to take the verdicts: of the {plural(found, 'concept')} called weak or strong, at most "
        f"{percent(ranked.q, 1)} are expected to be accidents. A net gap compares a concept's items with items of the "
        "same benchmark that are alike in length (or in what the run was told to compare by), so neither a hard "
        "benchmark nor long items make a concept weak. It is an association: concepts "
        "that occur together are weak together (the column ‘more’ counts them), and the items behind a row say more "
        "than its name."
    )


def most_covered(concepts: pl.DataFrame, top: int) -> pl.DataFrame:
    """Give the ranked concepts that the suite exercises most."""
    return _covered(concepts).sort("chi_bench", "concept", descending=[True, False]).head(top)


def least_covered(concepts: pl.DataFrame, top: int) -> pl.DataFrame:
    """Give the ranked concepts that the suite exercises least, but does exercise."""
    return _covered(concepts).sort("chi_bench", "concept").head(top)


def _covered(concepts: pl.DataFrame) -> pl.DataFrame:
    return concepts.filter(pl.col("ranked") & ~pl.col("missing") & (pl.col("chi_bench") > 0))


def missing(concepts: pl.DataFrame) -> pl.DataFrame:
    """Give the ranked concepts missing in every benchmark, those that should have been seen first."""
    absent = concepts.filter(pl.col("ranked") & pl.col("missing"))
    keys = ["chance_seen", "density"] if absent["chance_seen"].null_count() < absent.height else ["density"]
    return absent.sort(*keys, "concept", descending=[*[True] * len(keys), False], nulls_last=True)


def flag_counts(concepts: pl.DataFrame) -> dict[str, int]:
    """Count the alive concepts under each flag; one concept may bear several."""
    alive = concepts.filter(pl.col("alive"))
    return {shown: int(alive[column].sum()) for column, shown in FLAGS.items()}


def flags_of(row: dict[str, Any]) -> list[str]:
    """List a concept's badges."""
    dead = [] if row["alive"] else ["dead"]
    # The row of one benchmark says in its status what the row of a suite says in a column.
    missing = row.get("missing", row.get("coverage_status") == "missing")
    return dead + [shown for column, shown in FLAGS.items() if row[column]] + (["missing"] if missing else [])


def concept_name(row: dict[str, Any]) -> str:
    """Give the label, or ``concept 123`` where the dictionary abstains."""
    label = row["label"]
    return shorten(label, LABEL_LIMIT) if label else f"concept {row['concept']}"


@dataclass(frozen=True)
class LeftOut:
    """Items that did not count, for one reason."""

    kind: str
    """``unread`` (no item could be made of it), ``excluded`` (counts nowhere) or ``unscored`` (for coverage only)."""
    reason: str
    count: int
    benchmarks: list[tuple[str, int]]
    """How many of them in which benchmark."""
    named: list[str]
    """The first few by their ids."""


def left_out(items: pl.DataFrame, benchmarks: Sequence[Mapping[str, Any]] = (), named: int = 5) -> list[LeftOut]:
    """Group what did not count by reason, the most common first.

    Parameters
    ----------
    items : DataFrame
        ``run.items``.
    benchmarks : sequence of mapping
        The manifest's entries, whose ``left_out`` lists records that became no item.
    named : int
        How many to name of each group.
    """
    unread = pl.DataFrame(
        [(entry["name"], one["where"], one["reason"]) for entry in benchmarks for one in entry["left_out"]],
        schema=dict.fromkeys(("benchmark", "item_id", "reason"), pl.String),
        orient="row",
    )
    excluded = items.filter(pl.col("excluded").is_not_null()).with_columns(reason=pl.col("excluded"))
    unscored = items.filter(pl.col("excluded").is_null() & pl.col("score").is_null()).with_columns(
        reason=pl.col("unscored").fill_null("no reason recorded")
    )
    found = []
    for kind, frame in (("unread", unread), ("excluded", excluded), ("unscored", unscored)):
        groups = []
        for (reason,), part in frame.group_by("reason", maintain_order=True):
            where = part.group_by("benchmark", maintain_order=True).len()
            names = [shorten(str(item), 60) for item in part["item_id"].head(named)]
            counts = [(shorten(str(name), 60), int(count)) for name, count in where.iter_rows()]
            groups.append(LeftOut(kind, shorten(str(reason), 200), part.height, counts, names))
        found += sorted(groups, key=lambda group: -group.count)
    return found


@dataclass(frozen=True)
class Example:
    """One item in which a concept is active."""

    benchmark: str
    item_id: str
    excerpt: Excerpt
    response: str | None
    answer: str | None
    score: float | None
    """Null: unscored."""
    saliency: float
    """nCAS, 0 (absent) to 1."""
    repeats: int
    """Items like it (it among them) in which the concept is active; only this one is shown."""


@dataclass(frozen=True)
class ConceptDetail:
    """All that is shown of one concept."""

    row: dict[str, Any]
    name: str
    flags: list[str]
    benchmarks: list[dict[str, Any]]
    """The concept's rows of the run's concept_benchmarks."""
    groups: list[tuple[str, list[Example]]]
    """Titled lists of examples, none of them empty."""


def examples_of(run: RunView, concept: int, order: Order, limit: int) -> list[Example]:
    """Fetch examples of a concept, cut to what can be read."""
    rows = run.concept_items(concept, order=order, limit=limit)
    return [
        Example(
            benchmark=row["benchmark"],
            item_id=shorten(row["item_id"], 60),
            excerpt=excerpt(
                row["text"] or "",
                own=(row["own_start"], row["own_end"]),
                peak=(row["peak_start"], row["peak_end"]),
                limit=TEXT_LIMIT,
            ),
            response=None if row["response"] is None else shorten(row["response"], ANSWER_LIMIT),
            answer=None if row["answer"] is None else shorten(row["answer"], ANSWER_LIMIT),
            score=row["score"],
            saliency=row["ncas"],
            repeats=row["repeats"],
        )
        for row in rows.iter_rows(named=True)
    ]


def detail(run: RunView, row: dict[str, Any], per_benchmark: pl.DataFrame, examples: int) -> ConceptDetail:
    """Gather one concept's detail.

    Parameters
    ----------
    run : RunView
    row : dict
        The concept's row of ``run.concepts``.
    per_benchmark : DataFrame
        The concept's rows of ``run.concept_benchmarks``.
    examples : int
        Items per list.
    """
    concept = int(row["concept"])
    groups = [] if row["missing"] else _groups(run, concept, examples, scored=row["chi_model"] is not None)
    return ConceptDetail(row, concept_name(row), flags_of(row), per_benchmark.to_dicts(), groups)


def _groups(run: RunView, concept: int, limit: int, *, scored: bool) -> list[tuple[str, list[Example]]]:
    """Choose the lists of examples; no item stands in two, and equal scores are not called best and worst."""
    best = examples_of(run, concept, "best", limit) if scored else []
    worst = examples_of(run, concept, "worst", limit) if scored else []
    if not best or not worst:
        groups = [("Where it is strongest", examples_of(run, concept, "strongest", limit))]
    elif best[0].score == worst[0].score:
        groups = [("Every scored item has the same score", best)]
    else:
        seen = {(one.benchmark, one.item_id) for one in best}
        rest = [one for one in worst if (one.benchmark, one.item_id) not in seen]
        groups = [("Best items", best), ("Worst items", rest)]
    return [group for group in groups if group[1]]


def details(run: RunView, frames: list[pl.DataFrame], examples: int) -> list[ConceptDetail]:
    """Gather the details of every concept in ``frames``, each once, in order of their number."""
    wanted = sorted({int(concept) for frame in frames for concept in frame["concept"]})
    rows = run.concepts.filter(pl.col("concept").is_in(wanted)).sort("concept")
    parts = {
        int(str(key[0])): part
        for key, part in run.concept_benchmarks.filter(pl.col("concept").is_in(wanted)).group_by(
            "concept", maintain_order=True
        )
    }
    empty = run.concept_benchmarks.clear()
    return [detail(run, row, parts.get(int(row["concept"]), empty), examples) for row in rows.iter_rows(named=True)]


def left_out_note(concepts: pl.DataFrame) -> str:
    """Count the concepts that no table ranks, with the reason."""
    alive = int(concepts["alive"].sum())
    ranked = int(concepts["ranked"].sum())
    flags = ", ".join(f"{integer(count)} {name}" for name, count in flag_counts(concepts).items() if count)
    note = f"Ranked are {share_of(ranked, alive)} alive concepts."
    if flags:
        note += f" Left out by flag (one concept may bear several): {flags}."
    return note
