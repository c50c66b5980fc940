"""Which concepts go into which table, and the sentences about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.dictionary.kinds import CONTEXTUAL
from competency_gaps.errors import UserError, nearest
from competency_gaps.findings.words import alike, kinds_sentence
from competency_gaps.items.item import Reason
from competency_gaps.presentation import columns
from competency_gaps.presentation.columns import Column
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.search import find_concepts, near_labels
from competency_gaps.text import percent, plural, share_of, shorten

LABEL_LIMIT = 140


@dataclass(frozen=True)
class Ranking:
    """Concepts ordered by net gap. Those with too little data are in no frame."""

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
    """Ranked concepts, tested or not."""
    insufficient: int
    """Of these, concepts whose n_eff is below the floor."""
    floor: float
    """Least n_eff of a tested concept."""
    q: float
    """False-discovery rate at which concepts are called weak or strong."""
    min_gap: float
    """Least size of a net gap that is called weak or strong."""
    negligible: int
    """Tested concepts with a net gap smaller than that."""
    vanishing: int
    """Tested concepts whose plain gap is real and whose net gap is not."""
    among: str
    """Among which items net gaps are taken: ``at equal length``; empty: among all of a benchmark."""

    def caption(self, which: str) -> str:
        """Say how many are weak (strong), of how many tested, and who was not."""
        count = (self.weak if which == "weak" else self.strong).height
        leaders = (self.weak_leaders if which == "weak" else self.strong_leaders).height
        rest = (
            f"{self.insufficient:,} of {self.pool:,} ranked concepts have an n_eff below {self.floor:g}, "
            f"{self.pool - self.insufficient - self.tested.height:,} are missing or meet scores that do not vary."
        )
        if not self.tested.height:
            return f"No concept could be tested for being {which}: {rest}"
        groups = f", in {plural(leaders, 'group')} that share their items; the leaders are listed" if count else ""
        return (
            f"{share_of(count, self.tested.height)} tested concepts are {which} at a false-discovery rate of "
            f"{percent(self.q, 1)}{groups}, by net gap. {self._besides()} Not tested: {rest}"
        )

    def _besides(self) -> str:
        have = "has" if self.negligible == 1 else "have"
        vanishing = f", and of {self.vanishing:,} the plain gap is real but vanishes {self.among}" if self.among else ""
        return (
            f"Besides, {plural(self.negligible, 'concept')} {have} a negligible gap (smaller than {self.min_gap:g})"
            f"{vanishing}."
        )


def ranking(concepts: pl.DataFrame, evidence: Mapping[str, Any]) -> Ranking:
    """Order the tested concepts by their net gap.

    Parameters
    ----------
    concepts : DataFrame
        ``run.concepts``, or the rows of one benchmark with ``ranked`` joined.
    evidence : mapping
        The manifest's ``evidence``.
    """
    pool = concepts.filter(pl.col("ranked"))
    # Of two equal gaps, the one with more items behind it goes first.
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
    """Add ``followers``: how many others of its group each leader has; None for those that lead none."""
    sizes = concepts.filter(pl.col("leader").is_not_null()).group_by("leader").agg(followers=pl.len() - 1)
    leads = pl.col("leader") == pl.col("concept")
    joined = concepts.join(sizes, on="leader", how="left", maintain_order="left")
    return joined.with_columns(followers=pl.when(leads).then(pl.col("followers").cast(pl.Int32)))


def caution(ranked: Ranking) -> str:
    """Say what the verdicts mean and what they do not."""
    judged = ranked.weak.height + ranked.strong.height
    if not ranked.tested.height:
        return (
            "How to read this: no concept could be tested, so none is called weak or strong. Coverage says which "
            "concepts the items activate, not which ones an answer needs."
        )
    if not judged:
        return (
            "How to read this: no concept is called weak or strong at a false-discovery rate of "
            f"{percent(ranked.q, 1)}. That does not prove that none is: more items show smaller gaps."
        )
    return (
        f"How to read the verdicts: of the {plural(judged, 'concept')} called weak or strong, at most "
        f"{percent(ranked.q, 1)} are expected to be accidents. A net gap compares a concept's items with items of the "
        f"same benchmark{f' {ranked.among}' if ranked.among else ''}, so a hard benchmark"
        f"{' or what is held equal' if ranked.among else ''} makes no concept weak. A gap is an association: concepts "
        "that occur together are weak together (the column ‘more’ counts them), and a row's items say more than its "
        "name."
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


def badges_of(row: dict[str, Any]) -> list[str]:
    """List a concept's badges: its kind if it is no topic or skill, and whether it is never active or missing."""
    dead = [] if row["alive"] else ["dead"]
    # A row of one benchmark has no column ``missing``: its status says so.
    missing = row.get("missing", row.get("coverage_status") == "missing")
    kind = [] if row["kind"] in (None, CONTEXTUAL) else [row["kind"]]
    return dead + kind + (["missing"] if missing else [])


def concept_name(row: dict[str, Any]) -> str:
    """Give the label, or ``concept 123`` where the dictionary abstains."""
    label = row["label"]
    return shorten(label, LABEL_LIMIT) if label else f"concept {row['concept']}"


@dataclass(frozen=True)
class UncountedItems:
    """Items that did not count for one reason."""

    kind: str
    """``unread`` (no item could be made of it), ``excluded`` (counts nowhere) or ``unscored`` (for coverage only)."""
    reason: str
    count: int
    benchmarks: list[tuple[str, int]]
    """How many of them in which benchmark."""
    named: list[str]
    """The first few by their ids."""


def left_out(items: pl.DataFrame, benchmarks: Sequence[Mapping[str, Any]] = (), named: int = 5) -> list[UncountedItems]:
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
        [
            (entry["name"], record["where"], str(Reason.of(record["reason"])))
            for entry in benchmarks
            for record in entry["left_out"]
        ],
        schema=dict.fromkeys(("benchmark", "item_id", "reason"), pl.String),
        orient="row",
    )
    excluded = items.filter(pl.col("excluded").is_not_null())
    excluded = excluded.with_columns(reason=pl.col("excluded").struct.field("text"))
    unscored = items.filter(pl.col("excluded").is_null() & pl.col("score").is_null())
    unscored = unscored.with_columns(reason=pl.col("unscored").struct.field("text").fill_null("no reason recorded"))
    reasons = []
    for kind, frame in (("unread", unread), ("excluded", excluded), ("unscored", unscored)):
        groups = []
        for (reason,), part in frame.group_by("reason", maintain_order=True):
            where = part.group_by("benchmark", maintain_order=True).len()
            names = [shorten(str(item), 60) for item in part["item_id"].head(named)]
            counts = [(shorten(str(name), 60), int(count)) for name, count in where.iter_rows()]
            groups.append(UncountedItems(kind, shorten(str(reason), 200), part.height, counts, names))
        reasons += sorted(groups, key=lambda group: -group.count)
    return reasons


def left_out_note(concepts: pl.DataFrame) -> str:
    """Count the concepts that no table ranks, by their kind."""
    alive = int(concepts["alive"].sum())
    ranked = int(concepts["ranked"].sum())
    return f"Ranked are {share_of(ranked, alive)} alive concepts. {kinds_sentence(concepts)}".rstrip()


_NEAR = 5
"""Near labels that a search without a match names."""


@dataclass(frozen=True)
class Listing:
    """Selected concepts and how to show them."""

    concepts: pl.DataFrame
    """All of them, in order: rows of ``run.concepts`` without ``tau``, or of one benchmark with labels and kinds."""
    columns: tuple[Column, ...]
    """Columns to show, the most important first."""
    keep: int
    """Number of leading columns that are shown even where the terminal is too narrow."""
    sentence: str | None = None
    """Search words and number of matching labels, in a sentence; None: no search."""


def list_concepts(
    run: RunFolder,
    *,
    benchmark: str | None = None,
    sort: str | None = None,
    words: str | None = None,
    every: bool = False,
) -> Listing:
    """List concepts.

    Parameters
    ----------
    run : RunFolder
    benchmark : str, optional
        One benchmark's figures instead of the whole suite's.
    sort : str, optional
        Column, by its name or the header that tables print; a leading ``-`` for the highest first; undefined values
        come last. None: the best match of ``words`` first; else every concept by its number, or the weak ones by their
        gap.
    words : str, optional
        Only concepts whose labels have these words, those that are not ranked or tested too.
    every : bool
        Also concepts of kinds that are not ranked, and those with too little data to test.

    Raises
    ------
    UserError
        If there is no such benchmark or column, or no label has the words; near labels are named.
    """
    table = _table(run, benchmark)
    column = _sort_key((sort or "gap").removeprefix("-"), table.columns)
    sentence = None
    if words is not None:
        matches = _matches(run.concepts, words)
        table = matches.select("concept").join(table, on="concept", how="left", maintain_order="left")
        have = "has" if matches.height == 1 else "have"
        sentence = f"{plural(matches.height, 'label')} {have} the words {shorten(words, 80)!r}."
    elif not every:
        table = _chosen(table, column, only_weak=sort is None)
    if sort is not None or (words is None and not every):
        # Of two equal values the lower number goes first, whatever the direction.
        descending = [(sort or "").startswith("-"), False]
        table = table.sort(column, "concept", descending=descending, nulls_last=True)
    elif words is None:
        table = table.sort("concept")
    shown = _columns(table, column if sort is not None else None)
    return Listing(table, shown, keep=3 if shown == columns.LISTED else 2, sentence=sentence)


def _sort_key(name: str, keys: Sequence[str]) -> str:
    key = columns.key_named(name, keys)
    if key is None:
        raise UserError(f"sort {name!r}: there is no such column.{nearest(name, keys)} Known: {', '.join(keys)}")
    return key


def _matches(concepts: pl.DataFrame, words: str) -> pl.DataFrame:
    matches = find_concepts(concepts, words)
    if matches.height:
        return matches
    near = near_labels(concepts, words, _NEAR)
    named = "; ".join(f"{row['concept']} {shorten(row['label'], 80)!r}" for row in near.iter_rows(named=True))
    raise UserError(f"no concept's label has the words {shorten(words, 80)!r}." + (f" Near: {named}." if named else ""))


def _columns(table: pl.DataFrame, column: str | None) -> tuple[Column, ...]:
    """Columns to show: the column that the list is sorted by goes first, else gap, verdict and effective sample."""
    if column in (None, "concept", "label", columns.GAP.key):
        return columns.LISTED
    first = columns.column_of(str(column), table.schema[str(column)])
    rest = (columns.PERFORMANCE_STATUS, *columns.LISTED)
    return tuple({shown.key: shown for shown in (first, *rest)}.values())


def _chosen(table: pl.DataFrame, column: str, *, only_weak: bool) -> pl.DataFrame:
    """Drop concepts that are not ranked, then those that are not weak or, for a column of performance, not tested."""
    table = table.filter(pl.col("ranked"))
    if only_weak:
        return table.filter(pl.col("performance_status") == "weak")
    if column.startswith(("chi_model", "gap", "p_value", "q_value", "performance")):
        return table.filter(pl.col("q_value").is_not_null())
    return table


def _table(run: RunFolder, benchmark: str | None) -> pl.DataFrame:
    if benchmark is None:
        return run.concepts.drop("tau", strict=False)
    known: list[Any] = run.benchmarks["benchmark"].to_list()
    if benchmark not in known:
        raise UserError(
            f"the run has no benchmark {benchmark!r}; it has {', '.join(known)}.{nearest(benchmark, known)}"
        )
    own = run.concept_benchmarks.filter(pl.col("benchmark") == benchmark).drop("benchmark")
    marks = [name for name in ("label_kind", "label_score", "label_scored_by") if name in run.concepts.columns]
    facts = run.concepts.select("concept", "label", *marks, "alive", "kind", "ranked", "peak_token")
    return facts.join(own, on="concept", how="left", maintain_order="left")
