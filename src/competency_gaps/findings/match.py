"""A list beside a run: which entries go with failure, which slices go with them, and how much of that is chance.

An entry is a slice (:mod:`competency_gaps.slices.lists`). If its examples are items of the run, these go with failure
or not. If not, the run's model and SAE read them. Slices *go with* an entry that tell its examples from those of the
other entries (:mod:`competency_gaps.evidence.ranks`). An entry is *recovered* if a slice that goes with it also goes
with failure, on the items of its domain or of the run; *untested* if all of them are missing or thin there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
import pydantic
import scipy.sparse as sp

from competency_gaps.evidence.permutation import pearson_tail, permutation_cumulants
from competency_gaps.evidence.ranks import MIN_EXAMPLES, Examples, Ties, dealt, strata, tell
from competency_gaps.evidence.sample import block_sums, effective_sample
from competency_gaps.evidence.suite import q_values
from competency_gaps.findings.answer import Against, analyse, slices_of
from competency_gaps.findings.choose import shuffled
from competency_gaps.findings.estimate import Z_95
from competency_gaps.findings.examples import read_examples
from competency_gaps.findings.kept import answer
from competency_gaps.findings.on_units import centred
from competency_gaps.findings.slice_model import Analysis
from competency_gaps.runs.manifest import LISTS, adding_to_run
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices import CONCEPTS
from competency_gaps.slices.lists import Entry, entries_in
from competency_gaps.util.checked import damaged, read_document, write_document
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import finite
from competency_gaps.util.progress import Progress

SHUFFLES = 20
"""Shuffled outcomes, and four times the deals of the examples, that say what chance does."""
MIN_N_EFF = 8.0
"""Effective units of a slice that is tested in a domain: an entry has about 15 examples."""
MIN_JACCARD = 0.8
"""Jaccard index from which a category is an entry itself: its column, or list, then says what the list says."""
Status = Literal["failure", "success", "missing", "thin"]


@dataclass(frozen=True)
class Tie:
    """A slice that goes with an entry."""

    slice: int
    """As :attr:`~competency_gaps.slices.Family.number`."""
    family: str
    name: str
    auc: float | None
    """Area under the ROC curve on the examples that did not choose it; None: matched by text."""
    q: float | None
    status: Status | None
    """What the slice goes with in the entry's domain, or in the run; None: nothing stands out."""


@dataclass(frozen=True)
class Matched:
    """An entry beside the run."""

    id: str
    name: str
    domain: str | None
    examples: int
    """Examples that count: one of each cluster of repeats."""
    score: float | None
    """The list's own mean score, on its own scale."""
    items: int
    """Its scored items in the run, 0 where its examples are none."""
    association: float | None
    """Mean outcome of its own items, less that of comparable ones of its domain; None: not measured."""
    low: float | None
    high: float | None
    failure: bool | None
    """Whether its own items go with failure, false discoveries controlled over the entries; None: not measured."""
    outcome: Literal["recovered", "untested", "matched", "none", "few"]
    """``few``: too few examples to compare."""
    ties: tuple[Tie, ...]
    """The best first."""
    rows: tuple[int, ...]
    """Its items with the lowest outcomes, at most three."""


@dataclass(frozen=True)
class Rate:
    """How many entries, and how many by chance."""

    what: Literal["failure", "matched", "recovered", "failure recovered", "untested"]
    count: int
    of: int
    chance: float | None
    """Mean number with examples dealt out anew (matched) or outcomes shuffled (recovered); None: not drawn."""
    most: float | None
    """95% of these draws stay at or below."""


@dataclass(frozen=True)
class Lacked:
    """A finding of the answer that goes with no entry."""

    slice: int
    family: str
    name: str
    gap: float


@dataclass(frozen=True)
class Matching:
    """A list beside a run."""

    list: str
    how: Literal["items", "examples"]
    """By the run's own items; by examples that were read for it."""
    model: str | None
    """Whose outcomes; None: the run has no scores."""
    against: tuple[str, ...]
    entries: tuple[Matched, ...]
    """Those that go with failure and recovered ones first, then by association."""
    rates: tuple[Rate, ...]
    lacks: tuple[Lacked, ...]


class _Slices(NamedTuple):
    """Slices with their weights on the run's items, and on the items that are examples. K slices."""

    number: np.ndarray
    family: np.ndarray
    name: np.ndarray
    column: np.ndarray
    """The column, or list, of a category; None: it is none."""
    here: sp.csr_array
    """float of shape (K, items of the run)."""
    there: sp.csr_array
    """float of shape (K, items of the run that read the examples)."""


class _ExampleTies(NamedTuple):
    """Slices that go with E entries."""

    slices: _Slices
    member: sp.csr_array
    """Shape (E, items): which items are examples of which entry."""
    ties: Ties
    chance: list[int]
    """Entries with such slices when the examples are dealt out anew."""
    examples: np.ndarray
    """int of shape (E,): how many count."""
    home: np.ndarray
    """int64 of shape (E,): place in ``homes``."""
    homes: list[np.ndarray]
    """Rows of the run on which an entry and its slices are tested."""


class _Evidence(NamedTuple):
    """What outcomes do on K slices, with and without R shuffles of them."""

    association: np.ndarray
    """float64 of shape (K,)."""
    error: np.ndarray
    q: np.ndarray
    """float64 of shape (K, 1 + R), by family; 1 where too few units count. The first column is the outcome itself."""
    z: np.ndarray

    def failure(self, level: float) -> np.ndarray:
        """Which slices go with failure, by each outcome: bool of shape (K, 1 + R)."""
        return np.asarray((self.q <= level) & (self.z < 0))


def match(
    run: RunFolder,
    path: Path | str,
    *,
    model: str | None = None,
    against: Against = None,
    level: float = 0.05,
    progress: Progress | None = None,
) -> Matching:
    """Match a list to a run, as :meth:`competency_gaps.Run.match` describes."""
    base, progress = run.run_itself(), progress or Progress(quiet=True)
    entries, member, part = entries_in(base.items, path)
    analysis = analyse(base, model, against) if model_scores(base).models else None
    source, how = base, "items"
    wanted = np.array([len(entry.examples) for entry in entries])
    if not member.nnz and not wanted.any():
        raise UserError(
            f"{str(path)!r}: its entries have no examples, and none of their names occurs in the run's items."
        )
    few = (np.diff(member.indptr) >= np.maximum(1, wanted / 2)).mean() < 0.5
    if part is None and few and wanted.any():
        how = "examples"
        source, member = read_examples(base, entries, progress)
    slices = slices_beside(base, source)
    slices, same = _without(slices, member, source.items)
    with progress.stage("comparing examples"):
        ties_of = _by_examples(base, source, entries, slices, member, part, level)
    with progress.stage("testing slices"):
        matched, rates = _tested(base, analysis, entries, ties_of, level, how)
    lacks: list[Lacked] = []
    if analysis is not None:
        tied = same | {tie.slice for entry in matched for tie in entry.ties}
        findings = answer(base, model, against).findings
        lacks = [Lacked(f.slice, f.family, f.name, f.gap) for f in findings if f.slice not in tied]
    matching = Matching(
        str(path),
        how,  # type: ignore[arg-type]
        None if analysis is None else analysis.outcome.model,
        () if analysis is None else analysis.outcome.against,
        tuple(
            sorted(
                matched, key=lambda entry: (not entry.failure, entry.outcome != "recovered", entry.association or 0.0)
            )
        ),
        tuple(rates),
        tuple(lacks),
    )
    _keep(base, matching)
    return matching


def slices_beside(base: RunFolder, source: RunFolder) -> _Slices:
    """The ranked concepts by their activation; on the run's own items the slices of all other families too."""
    shown = base.concepts.filter(base.concepts["ranked"] & base.concepts["alive"])
    numbers = shown["concept"].to_numpy().astype(np.int64)
    here = [base.by_concept.cas(numbers, base.items.height)]
    number, family = [CONCEPTS + numbers], ["concepts"] * len(numbers)
    name = [label or f"concept {n}" for n, label in zip(numbers, shown["label"], strict=True)]
    column: list[str | None] = [None] * len(name)
    if source is base:
        for family_ in slices_of(base):
            if family_.name != "concepts":
                number.append(family_.number)
                family += [family_.name] * len(family_.names)
                name += family_.names
                column += family_.column
                here.append(family_.weights)
    weights = sp.csr_array(sp.vstack(here, format="csr"))
    there = weights if source is base else source.by_concept.cas(numbers, source.items.height)
    families, names, columns = (np.array(family_, object) for family_ in (family, name, column))
    return _Slices(np.concatenate(number), families, names, columns, weights, there)


def _without(slices: _Slices, member: sp.csr_array, items: pl.DataFrame) -> tuple[_Slices, set[int]]:
    """Leave out questions of which a category is an entry; the categories that are entries are given too, by number.

    A category counts by its items in the entry's benchmarks: it may be in others as well.
    """
    inside = slices.there.astype(bool).astype(float)
    of_benchmark = sp.csr_array(items["benchmark"].to_dummies().to_numpy().astype(float))
    home = (member @ of_benchmark).astype(bool).astype(float)
    both = (inside @ member.T).toarray()
    either = ((inside @ of_benchmark) @ home.T).toarray() + np.asarray(member.sum(axis=1)).ravel() - both
    in_column = np.array([column is not None for column in slices.column])
    same = (both >= MIN_JACCARD * np.maximum(either, 1)).any(axis=1) & in_column
    same_columns = set(slices.column[same])
    rows = np.flatnonzero([column not in same_columns for column in slices.column])
    return _Slices._make(values[rows] for values in slices), set(slices.number[same].tolist())


def _by_examples(
    base: RunFolder,
    source: RunFolder,
    entries: Sequence[Entry],
    slices: _Slices,
    member: sp.csr_array,
    part: np.ndarray | None,
    level: float,
) -> _ExampleTies:
    """Slices that tell an entry's examples from others of its domain."""
    domain = np.unique([entry.domain for entry in entries], return_inverse=True)[1]
    rows, of_row = _taking_part(source, member, domain, part)
    length = source.items["n_span_tokens"].fill_null(0).to_numpy().astype(float)[rows]
    examples = Examples(slices.there[:, rows], member[:, rows], strata(of_row, length), slices.family)
    count = np.diff(examples.member.indptr)
    chance = []
    for draw in range(SHUFFLES // 4):
        by_chance = tell(dealt(examples, np.random.default_rng([0, draw])), level=level)
        chance.append(len(np.unique(by_chance.entry)))
    homes = [np.arange(base.items.height)]
    if source is base:
        # All items of the benchmarks in which a domain's examples lie.
        benchmark = base.items["benchmark"].to_numpy()
        inside = [np.unique(benchmark[rows[of_row == number]]) for number in range(domain.max() + 1)]
        homes = [np.flatnonzero(np.isin(benchmark, of_entry)) for of_entry in inside]
    home = domain if source is base else np.zeros_like(domain)
    return _ExampleTies(slices, member, tell(examples, level=level), chance, count, home, homes)


def _taking_part(
    source: RunFolder, member: sp.csr_array, domain: np.ndarray, part: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Items that are compared, one of each cluster of repeats, and their domains.

    These are the examples of all entries; where a domain has but one entry, the other items of its benchmarks too.
    """
    items = source.items
    of_item = np.full(items.height, -1)
    benchmark = items["benchmark"].to_numpy()
    for row in range(member.shape[0] - 1, -1, -1):
        rows = member.indices[member.indptr[row] : member.indptr[row + 1]]
        if (domain == domain[row]).sum() == 1 and part is None:
            of_item[np.isin(benchmark, np.unique(benchmark[rows])) & (of_item < 0)] = domain[row]
        of_item[rows] = domain[row]
    if part is not None and len(np.unique(domain)) == 1:
        of_item[part] = 0
    kept = np.flatnonzero((of_item >= 0) & items["excluded"].is_null().to_numpy())
    drawn = np.random.default_rng(0).permutation(kept)
    _, first = np.unique(items["cluster"].to_numpy()[drawn], return_index=True)
    rows = np.sort(drawn[first])
    return rows, of_item[rows]


def _tested(
    base: RunFolder,
    analysis: Analysis | None,
    entries: Sequence[Entry],
    ties_of: _ExampleTies,
    level: float,
    how: str,
) -> tuple[list[Matched], list[Rate]]:
    """The entries with what outcomes do on their items and on the slices that go with them; beside chance."""
    slices, member, ties, count = ties_of.slices, ties_of.member, ties_of.ties, len(entries)
    compared = ties_of.examples >= MIN_EXAMPLES
    failure, recovered = np.zeros(count, bool), np.zeros((count, 1 + SHUFFLES), bool)
    slice_evidence: list[_Evidence] = []
    entry_evidence: list[_Evidence] = []
    if analysis is not None:
        for number, rows in enumerate(ties_of.homes):
            tied = np.isin(np.arange(len(slices.name)), ties.slice[ties_of.home[ties.entry] == number])
            slice_evidence.append(evidence_in(analysis, slices.here, slices.family, rows, tested=tied))
            if how == "items":
                mine, lists = ties_of.home == number, np.full(count, "lists")
                entry_evidence.append(evidence_in(analysis, member, lists, rows, tested=mine))
                failure[mine] = entry_evidence[-1].failure(level)[mine, 0]
        for entry, k in zip(ties.entry, ties.slice, strict=True):
            recovered[entry] |= slice_evidence[ties_of.home[entry]].failure(level)[k]
    named = pl.col("coverage_status").replace_strict({"missing": "missing", "under": "thin"}, default=None)
    coverage = dict(base.concepts.select("concept", named).iter_rows())
    matched = []
    for row, entry in enumerate(entries):
        evidence = slice_evidence[ties_of.home[row]] if slice_evidence else None
        goes = tuple(
            _tie(slices, ties, at, evidence, level, coverage) for at in np.flatnonzero(ties.entry == row).tolist()
        )
        outcome: Any = "none" if compared[row] else "few"
        if goes:
            gone = all(tie.status in ("missing", "thin") for tie in goes)
            outcome = "recovered" if recovered[row, 0] else "untested" if gone else "matched"
        fields: dict[str, Any] = {"outcome": outcome, "ties": goes, "rows": (), "items": 0}
        fields |= dict.fromkeys(("association", "low", "high", "failure"))
        fields |= {"domain": entry.domain or None, "examples": int(ties_of.examples[row]), "score": entry.score}
        if entry_evidence and analysis is not None:
            fields |= _entry_evidence(analysis, entry_evidence[ties_of.home[row]], member, row, bool(failure[row]))
        matched.append(Matched(id=entry.id, name=entry.name, **fields))
    rates = [_rate("matched", np.bincount(ties.entry, minlength=count) > 0, compared, ties_of.chance)]
    if entry_evidence:
        rates.insert(0, _rate("failure", failure, compared, None))
    if slice_evidence:
        rates.append(_rate("recovered", recovered[:, 0], compared, (recovered[:, 1:] & compared[:, None]).sum(axis=0)))
    if entry_evidence:
        by_chance = (recovered[:, 1:] & failure[:, None]).sum(axis=0)
        rates.append(_rate("failure recovered", recovered[:, 0], failure, by_chance))
    else:
        rates.append(_rate("untested", np.array([entry.outcome == "untested" for entry in matched]), compared, None))
    return matched, rates


def _entry_evidence(
    analysis: Analysis, evidence: _Evidence, member: sp.csr_array, row: int, failure: bool
) -> dict[str, Any]:
    """What an entry's own items say of it."""
    rows = member.indices[member.indptr[row] : member.indptr[row + 1]]
    rows = rows[~np.isnan(analysis.outcome.values[rows])]
    worst = rows[np.argsort(analysis.outcome.values[rows], kind="stable")]
    fields = {"items": len(rows), "rows": tuple(worst[:3].tolist())}
    mean, half = float(evidence.association[row]), Z_95 * float(evidence.error[row])
    if np.isnan(mean):
        return fields
    return {**fields, "association": mean, "low": mean - half, "high": mean + half, "failure": failure}


def evidence_in(
    analysis: Analysis,
    weights: sp.csr_array,
    family: np.ndarray,
    items: np.ndarray,
    *,
    tested: np.ndarray,
    draws: int = SHUFFLES,
) -> _Evidence:
    """Test slices on some items: net of strata, clusters whole, beside outcomes that are shuffled within strata.

    Parameters
    ----------
    weights
        Of shape (K, items of the run).
    family : ndarray of shape (K,)
        False discoveries are controlled in each.
    items
        Rows that count.
    tested : ndarray of bool of shape (K,)
        Slices that are tested. Which ones go with an entry is known without outcomes, so these alone need share the
        error.
    draws
        Shuffles: all have the cumulants of the outcome itself.
    """
    count = weights.shape[0]
    association, error = np.full((2, count), np.nan)
    q, z = np.ones((count, 1 + draws)), np.zeros((count, 1 + draws))
    chosen = np.unique(analysis.units.unit[items])
    chosen = chosen[chosen >= 0]
    places = np.flatnonzero(tested)
    if not len(chosen) or not len(places):
        return _Evidence(association, error, q, z)
    block = np.unique(analysis.units.block[chosen], return_inverse=True)[1]
    rows = sp.csr_array(analysis.units.rows(weights[places]))[:, chosen]
    outcome = analysis.values[chosen]
    every = np.column_stack([outcome, shuffled(outcome, block, draws)])
    total = rows @ centred(every, np.ones(every.shape, bool), block).astype(np.float64)
    sums = block_sums(rows, outcome, block, int(block.max()) + 1)
    sums = sums.of_pairs(sums.units[sums.block] > 1)
    size = sums.total(sums.weight)
    n_eff = effective_sample(size, sums.total(sums.weight2))
    cumulants = permutation_cumulants(sums)
    usable = np.flatnonzero((n_eff >= MIN_N_EFF) & (cumulants[0] > 1e-12))
    tested_slices, total, n_eff = places[usable], total[usable], n_eff[usable]
    second, third, fourth = cumulants[:, usable]
    spread = np.sqrt(second)
    association[tested_slices], error[tested_slices] = total[:, 0] / size[usable], spread / size[usable]
    z[tested_slices] = total / spread[:, None]
    for column in range(1 + draws):
        low = pearson_tail(-z[tested_slices, column], -third / spread**3, fourth / second**2)
        high = pearson_tail(z[tested_slices, column], third / spread**3, fourth / second**2)
        for name in np.unique(family[tested_slices]):
            part = family[tested_slices] == name
            q[tested_slices[part], column] = q_values(low[part], high[part], total[part, column], n_eff[part])
    return _Evidence(association, error, q, z)


def _rate(what: Any, which: np.ndarray, of: np.ndarray, chance: Any) -> Rate:
    by_chance = (None, None) if chance is None else (float(np.mean(chance)), float(np.quantile(chance, 0.95)))
    return Rate(what, int((which & of).sum()), int(of.sum()), *by_chance)


def _tie(
    slices: _Slices, ties: Ties, at: int, evidence: _Evidence | None, level: float, coverage: dict[int, Status | None]
) -> Tie:
    k = int(ties.slice[at])
    number = int(slices.number[k])
    status = coverage.get(number - CONCEPTS)
    if evidence is not None and evidence.q[k, 0] <= level:
        status = "failure" if evidence.z[k, 0] < 0 else "success"
    return Tie(number, str(slices.family[k]), str(slices.name[k]), float(ties.auc[at]), float(ties.q[at]), status)


def _keep(run: RunFolder, matching: Matching) -> None:
    name = re.sub(r"[^\w.-]+", "-", Path(matching.list).name, flags=re.ASCII)[:60].strip("-.")
    digest = hashlib.sha256(matching.list.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    with adding_to_run(run.path, run.manifest):
        write_document(run.path / LISTS / f"{name or 'list'}-{digest}.json", finite(asdict(matching)))


def read_matchings(run: RunFolder) -> list[Matching]:
    """The lists that were matched to a run, by file name.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    matchings = []
    for file in sorted((run.path / LISTS).glob("*.json")):
        try:
            matchings.append(pydantic.TypeAdapter(Matching).validate_python(read_document(file)))
        except (OSError, ValueError) as error:
            raise damaged(file, error, "Match the list again, or remove the file.") from error
    return matchings
