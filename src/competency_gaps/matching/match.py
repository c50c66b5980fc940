"""A list beside a run: which entries are weak, which slices go with them, and how much of that is chance.

An entry is a slice: its examples. If they are items of the run, it is weak or not by its own items, like any slice. If
not, the run's model and SAE read them. Either way slices *go with* an entry that tell its examples from those of the
other entries (:mod:`competency_gaps.matching.ranks`). An entry is *recovered* if a slice that goes with it is weak, by
the items of its domain or by the run; *untested* if all of them are missing or thin there. Entries without examples are
matched by their text, which is a guess.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pydantic
import scipy.sparse as sp

from competency_gaps.checked import write_document
from competency_gaps.config import LLMConfig
from competency_gaps.errors import UserError, argument
from competency_gaps.evidence import block_sums, effective_sample, pearson_tail, permutation_cumulants, q_values
from competency_gaps.files import finite
from competency_gaps.findings.answer import Against, Asked, answer, ask, slices_of
from competency_gaps.findings.choose import centred, shuffled
from competency_gaps.findings.texts import Embed, embedding, judge, near
from competency_gaps.matching.examples import ReadRun, members_of, read_examples
from competency_gaps.matching.lists import Entry, read_list, tagged
from competency_gaps.matching.ranks import FEWEST, Examples, Ties, dealt, strata, tell
from competency_gaps.progress import Progress
from competency_gaps.runs.manifest import adding_to_run
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices import CONCEPTS

FOLDER = "lists"
DRAWS = 20
"""Shuffled outcomes, and deals of the examples, that say what chance does."""
SMALLEST = 8.0
"""Effective units of a slice that is tested in a domain: an entry has about 15 examples."""
GUESS = 0.001
"""Share of shuffled names that are as near to an entry's text."""
SAME = 0.8
"""Jaccard index from which a column's category is an entry itself: the column then says what the list says."""
Status = Literal["weak", "strong", "missing", "thin"]


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
    gap: float | None
    """Of the slice, in units of the outcome, against comparable items; None: no scores, or too few."""
    status: Status | None
    """Of the slice in the entry's domain, or in the run; None: nothing stands out."""


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
    gap: float | None
    """Of its own items, against comparable ones of its domain; None: not measured."""
    low: float | None
    high: float | None
    weak: bool | None
    """By its own items, false discoveries controlled over the entries; None: not measured."""
    outcome: Literal["recovered", "untested", "matched", "none", "few"]
    """``few``: too few examples to compare."""
    ties: tuple[Tie, ...]
    """The best first."""
    rows: tuple[int, ...]
    """Its items with the lowest outcomes, at most three."""


@dataclass(frozen=True)
class Rate:
    """How many entries, and how many by chance."""

    what: Literal["weak", "matched", "recovered", "weak recovered", "untested"]
    count: int
    of: int
    chance: float | None
    """Mean number with examples dealt out anew (matched) or outcomes shuffled (weak, recovered); None: not drawn."""
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
    how: Literal["items", "examples", "text"]
    """By the run's own items; by examples that were read for it; by names alone, a guess."""
    model: str | None
    """Whose outcomes; None: the run has no scores."""
    against: tuple[str, ...]
    entries: tuple[Matched, ...]
    """Weak and recovered ones first, then by gap."""
    rates: tuple[Rate, ...]
    lacks: tuple[Lacked, ...]


class _Slices(NamedTuple):
    """Slices with their weights on the run's items, and on the items that are examples. K slices."""

    number: np.ndarray
    family: np.ndarray
    name: list[str]
    question: list[str | None]
    """The column of a category; None: another family."""
    here: sp.csr_array
    """float of shape (K, items of the run)."""
    there: sp.csr_array
    """float of shape (K, items of the run that read the examples)."""


class _Evidence(NamedTuple):
    """What outcomes do on K slices, with and without R shuffles of them."""

    gap: np.ndarray
    """float64 of shape (K,)."""
    error: np.ndarray
    q: np.ndarray
    """float64 of shape (K, 1 + R), by family; 1 where too few units count. The first column is the outcome itself."""
    z: np.ndarray


def match(
    run: RunFolder,
    given: Path | str | None = None,
    *,
    tags: str | None = None,
    model: str | None = None,
    against: Against = None,
    level: float = 0.05,
    llm: LLMConfig | None = None,
    read: ReadRun | None = None,
    embed: Embed | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Matching:
    """Match a list to a run; the outcome goes into its folder.

    Parameters
    ----------
    given
        A list, as :func:`competency_gaps.matching.lists.read_list` reads it; None: ``tags``.
    tags
        Instead, tags of the run's items, as :func:`competency_gaps.matching.lists.tagged` reads them.
    model, against
        Whose outcomes, as of :func:`competency_gaps.findings.answer.answer`.
    level
        False-discovery rate, in (0, 1).
    llm
        Confirms matches by text; None: none is asked.
    read
        Makes the run that reads examples which are no items of the run.
    embed
        Embeds texts; None: the packaged all-MiniLM-L6-v2.

    Raises
    ------
    UserError
        If the list or the tags cannot be read.
    """
    base, progress = run.run_itself(), progress or Progress(quiet=True)
    if (given is None) == (tags is None):
        raise UserError(f"give either a list or {argument('tags')}.")
    asked = ask(base, model, against) if model_scores(base).models else None
    part = None
    if tags is not None:
        entries, member, part = tagged(base, tags)
    else:
        entries = read_list(Path(str(given)))
        member = members_of(base.items, entries)
    wanted = sum(len(entry.examples) for entry in entries)
    source, how = base, "items"
    same: set[int] = set()
    if (tags is None and member.nnz < wanted / 2) or (not member.nnz and not wanted):
        how = "examples" if wanted and read is not None else "text"
    if how == "text":
        matched, rates = _by_text(base, asked, entries, embed or embedding(), level, llm, progress)
    else:
        if how == "examples" and read is not None:
            source, member = read_examples(base, entries, read)
        matched, rates, same = _by_examples(base, source, asked, entries, member, part, level, seed, progress)
    lacks: list[Lacked] = []
    if asked is not None:
        tied = same | {tie.slice for entry in matched for tie in entry.ties}
        findings = answer(base, model, against).findings
        lacks = [Lacked(f.slice, f.family, f.name, f.gap) for f in findings if f.slice not in tied]
    order = sorted(matched, key=lambda own: (not own.weak, own.outcome != "recovered", own.gap or 0.0))
    matching = Matching(
        str(given if given is not None else tags),
        how,  # type: ignore[arg-type]
        None if asked is None else asked.outcome.model,
        () if asked is None else asked.outcome.against,
        tuple(order),
        tuple(rates),
        tuple(lacks),
    )
    _keep(base, matching)
    return matching


def _by_examples(
    base: RunFolder,
    source: RunFolder,
    asked: Asked | None,
    entries: Sequence[Entry],
    member: sp.csr_array,
    part: np.ndarray | None,
    level: float,
    seed: int,
    progress: Progress,
) -> tuple[list[Matched], list[Rate], set[int]]:
    slices, same = _without(slices_beside(base, source), member)
    names = list(dict.fromkeys(entry.domain for entry in entries))
    domain = np.array([names.index(entry.domain) for entry in entries])
    rows, of_row = _taking_part(source, member, domain, part)
    length = source.items["n_span_tokens"].fill_null(0).to_numpy().astype(float)[rows]
    examples = Examples(slices.there[:, rows], member[:, rows], strata(of_row, length), slices.family)
    with progress.stage("comparing examples"):
        ties = tell(examples, level=level, seed=seed)
        compared = np.diff(examples.member.indptr) >= FEWEST
        chance = [
            len(np.unique(tell(dealt(examples, np.random.default_rng([seed, draw])), level=level, seed=seed).entry))
            for draw in range(DRAWS // 4)
        ]
    told = np.bincount(ties.entry, minlength=len(entries)) > 0
    rates = [_rate("matched", told, compared, chance)]
    inside = source is base
    by_domain: dict[int, _Evidence] = {}
    own: list[_Evidence] | None = None
    if asked is not None:
        with progress.stage("testing slices"):
            every = np.arange(base.items.height)
            homes = [_home(base, rows[of_row == number]) for number in range(len(names))] if inside else [every]
            for number, home in enumerate(homes):
                tied = np.isin(np.arange(len(slices.name)), ties.slice[(domain[ties.entry] == number) | (not inside)])
                by_domain[number] = evidence_in(asked, slices.here, slices.family, home, tested=tied)
            if inside:
                lists = np.full(len(entries), "lists")
                own = [
                    evidence_in(asked, member, lists, home, tested=domain == number)
                    for number, home in enumerate(homes)
                ]
    evidence = [by_domain.get(int(number) if inside else 0) for number in domain]
    status = {number: _weak(found, level) for number, found in by_domain.items()}
    recovered = _recovered(ties, [status.get(int(number) if inside else 0) for number in domain], len(entries))
    weak = np.zeros(len(entries), bool)
    if own is not None:
        weak = np.array([_weak(own[number], level)[row, 0] for row, number in enumerate(domain)])
        rates.insert(0, _rate("weak", weak, compared, None))
    if asked is not None:
        rates.append(_rate("recovered", recovered[:, 0], compared, (recovered[:, 1:] & compared[:, None]).sum(axis=0)))
    if own is not None:
        rates.append(_rate("weak recovered", recovered[:, 0], weak, (recovered[:, 1:] & weak[:, None]).sum(axis=0)))
    coverage = dict(base.concepts.select("concept", "coverage_status").iter_rows())
    matched = []
    for row, entry in enumerate(entries):
        found = evidence[row]
        mine = tuple(
            _tie(slices, int(k), float(auc), float(q), found, level, coverage)
            for k, auc, q in zip(
                ties.slice[ties.entry == row], ties.auc[ties.entry == row], ties.q[ties.entry == row], strict=True
            )
        )
        measured = own[domain[row]] if own is not None else None
        matched.append(
            _matched(asked, entry, row, examples, member if inside else None, mine, measured, bool(weak[row]))
        )
    untested = np.array([entry.outcome == "untested" for entry in matched])
    if not inside:
        rates.append(_rate("untested", untested, compared, None))
    return matched, rates, same


def slices_beside(base: RunFolder, source: RunFolder) -> _Slices:
    """The ranked concepts by their activation; on the run's own items the slices of all other families too."""
    shown = base.concepts.filter(base.concepts["ranked"] & base.concepts["alive"])
    numbers = shown["concept"].to_numpy().astype(np.int64)
    number, family, here = (
        [CONCEPTS + numbers],
        ["concepts"] * len(numbers),
        [base.by_concept.cas(numbers, base.items.height)],
    )
    name = [label or f"concept {n}" for n, label in zip(numbers, shown["label"], strict=True)]
    question: list[str | None] = [None] * len(name)
    if source is not base:
        there = source.by_concept.cas(numbers, source.items.height)
        return _Slices(number[0], np.array(family), name, question, here[0], there)
    for own in slices_of(base):
        if own.name != "concepts":
            number.append(own.number)
            family += [own.name] * len(own.names)
            name += own.names
            question += own.question
            here.append(own.weights)
    weights = sp.csr_array(sp.vstack(here, format="csr"))
    return _Slices(np.concatenate(number), np.array(family), name, question, weights, weights)


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
        own = member.indices[member.indptr[row] : member.indptr[row + 1]]
        if (domain == domain[row]).sum() == 1 and part is None:
            of_item[np.isin(benchmark, np.unique(benchmark[own])) & (of_item < 0)] = domain[row]
        of_item[own] = domain[row]
    if part is not None and len(np.unique(domain)) == 1:
        of_item[part] = 0
    kept = np.flatnonzero((of_item >= 0) & items["excluded"].is_null().to_numpy())
    drawn = np.random.default_rng(0).permutation(kept)
    _, first = np.unique(items["cluster"].to_numpy()[drawn], return_index=True)
    rows = np.sort(drawn[first])
    return rows, of_item[rows]


def _home(run: RunFolder, rows: np.ndarray) -> np.ndarray:
    """All items of the benchmarks in which some items lie: what an entry and its slices are compared with."""
    benchmark = run.items["benchmark"].to_numpy()
    return np.flatnonzero(np.isin(benchmark, np.unique(benchmark[rows])))


def _without(slices: _Slices, member: sp.csr_array) -> tuple[_Slices, set[int]]:
    """Leave out columns that have an entry as a category; the categories that are entries are given too, by number."""
    columns = np.flatnonzero(slices.family == "columns")
    if not len(columns):
        return slices, set()
    inside = slices.there[columns].astype(bool).astype(float)
    both = (inside @ member.T).toarray()
    either = np.asarray(inside.sum(axis=1)).reshape(-1, 1) + np.asarray(member.sum(axis=1)).reshape(1, -1) - both
    same = columns[(both >= SAME * np.maximum(either, 1)).any(axis=1)]
    asked = {slices.question[k] for k in same}
    kept = np.array(
        [
            family != "columns" or question not in asked
            for family, question in zip(slices.family, slices.question, strict=True)
        ]
    )
    rows = np.flatnonzero(kept)
    left = _Slices(
        slices.number[rows],
        slices.family[rows],
        [slices.name[k] for k in rows],
        [slices.question[k] for k in rows],
        slices.here[rows],
        slices.there[rows],
    )
    return left, set(slices.number[same].tolist())


def evidence_in(
    asked: Asked,
    weights: sp.csr_array,
    family: np.ndarray,
    items: np.ndarray,
    *,
    tested: np.ndarray,
    draws: int = DRAWS,
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
    gap, error, q, z = (
        np.full(count, np.nan),
        np.full(count, np.nan),
        np.ones((count, 1 + draws)),
        np.zeros((count, 1 + draws)),
    )
    chosen = np.unique(asked.units.unit[items])
    chosen = chosen[chosen >= 0]
    places = np.flatnonzero(tested)
    if not len(chosen) or not len(places):
        return _Evidence(gap, error, q, z)
    block = np.unique(asked.units.block[chosen], return_inverse=True)[1]
    rows = sp.csr_array(asked.units.rows(weights[places]))[:, chosen]
    outcome = asked.values[chosen]
    every = np.column_stack([outcome, shuffled(outcome, block, draws)])
    total = rows @ centred(every, np.ones(every.shape, bool), block).astype(np.float64)
    sums = block_sums(rows, outcome, block, int(block.max()) + 1)
    sums = sums.of_pairs(sums.units[sums.block] > 1)
    size = sums.total(sums.weight)
    n_eff = effective_sample(size, sums.total(sums.weight2))
    cumulants = permutation_cumulants(sums)
    usable = np.flatnonzero((n_eff >= SMALLEST) & (cumulants[0] > 1e-12))
    own, total, n_eff = places[usable], total[usable], n_eff[usable]
    second, third, fourth = cumulants[:, usable]
    spread = np.sqrt(second)
    gap[own], error[own], z[own] = total[:, 0] / size[usable], spread / size[usable], total / spread[:, None]
    for column in range(1 + draws):
        low = pearson_tail(-z[own, column], -third / spread**3, fourth / second**2)
        high = pearson_tail(z[own, column], third / spread**3, fourth / second**2)
        for name in np.unique(family[own]):
            part = family[own] == name
            q[own[part], column] = q_values(low[part], high[part], total[part, column], n_eff[part])
    return _Evidence(gap, error, q, z)


def _weak(found: _Evidence, level: float) -> np.ndarray:
    """Which slices are weak, by each outcome: bool of shape (K, 1 + R)."""
    return np.asarray((found.q <= level) & (found.z < 0))


def _recovered(ties: Ties, weak: Sequence[np.ndarray | None], entries: int) -> np.ndarray:
    """Which entries go with a weak slice, by each outcome: bool of shape (entries, 1 + R)."""
    found = np.zeros((entries, 1 + DRAWS), bool)
    for entry, number in zip(ties.entry, ties.slice, strict=True):
        own = weak[entry]
        if own is not None:
            found[entry] |= own[number]
    return found


def _rate(what: Any, which: np.ndarray, of: np.ndarray, chance: Any) -> Rate:
    draws = None if chance is None else np.asarray(chance, float)
    return Rate(
        what,
        int((which & of).sum()),
        int(of.sum()),
        None if draws is None else float(draws.mean()),
        None if draws is None else float(np.quantile(draws, 0.95)),
    )


def _tie(
    slices: _Slices,
    k: int,
    auc: float,
    q: float,
    found: _Evidence | None,
    level: float,
    coverage: dict[int, str | None],
) -> Tie:
    status: Status | None = None
    gap = None
    if found is not None:
        gap = None if np.isnan(found.gap[k]) else float(found.gap[k])
        if found.q[k, 0] <= level:
            status = "weak" if found.z[k, 0] < 0 else "strong"
    number = int(slices.number[k])
    if status is None and number >= CONCEPTS:
        held = coverage.get(number - CONCEPTS)
        status = "missing" if held == "missing" else "thin" if held == "under" else None
    return Tie(number, str(slices.family[k]), slices.name[k], auc, q, gap, status)


def _matched(
    asked: Asked | None,
    entry: Entry,
    row: int,
    examples: Examples,
    member: sp.csr_array | None,
    ties: tuple[Tie, ...],
    own: _Evidence | None,
    weak: bool,
) -> Matched:
    count = int(examples.member.indptr[row + 1] - examples.member.indptr[row])
    scored = np.zeros(0, np.int64)
    if asked is not None and member is not None:
        rows = member.indices[member.indptr[row] : member.indptr[row + 1]]
        scored = rows[~np.isnan(asked.outcome.values[rows])]
        scored = scored[np.argsort(asked.outcome.values[scored], kind="stable")]
    gap = error = None
    if own is not None and not np.isnan(own.gap[row]):
        gap, error = float(own.gap[row]), float(own.error[row])
    outcome: Any = "none"
    if count < FEWEST:
        outcome = "few"
    elif any(tie.status == "weak" for tie in ties):
        outcome = "recovered"
    elif ties and all(tie.status in ("missing", "thin") for tie in ties):
        outcome = "untested"
    elif ties:
        outcome = "matched"
    return Matched(
        entry.id,
        entry.name,
        entry.domain or None,
        count,
        entry.score,
        len(scored),
        gap,
        None if gap is None or error is None else gap - 1.96 * error,
        None if gap is None or error is None else gap + 1.96 * error,
        weak if gap is not None else None,
        outcome,
        ties,
        tuple(int(item) for item in scored[:3]),
    )


def _by_text(
    base: RunFolder,
    asked: Asked | None,
    entries: Sequence[Entry],
    embed: Embed,
    level: float,
    llm: LLMConfig | None,
    progress: Progress,
) -> tuple[list[Matched], list[Rate]]:
    """Match by names: those of slices that are nearer to an entry than nearly all shuffled names."""
    slices = slices_beside(base, base)
    every = np.arange(base.items.height)
    queries = {entry.id: [entry.name] for entry in entries}
    # A concept without a label has no name to compare.
    places = zip(slices.number.tolist(), slices.name, strict=True)
    named = ["" if name == f"concept {number - CONCEPTS}" else name for number, name in places]
    inside = near(queries, named, embed, GUESS)
    pairs = [(entry.name, slices.name[k]) for entry in entries for k in inside[entry.id][:5]]
    verdicts = dict(zip(pairs, judge(pairs, "match", llm, base.path, progress), strict=True))
    near_any = np.isin(np.arange(len(slices.name)), [k for own in inside.values() for k in own[:5]])
    found = None if asked is None else evidence_in(asked, slices.here, slices.family, every, tested=near_any, draws=0)
    coverage = dict(base.concepts.select("concept", "coverage_status").iter_rows())
    matched = []
    none = Examples(slices.here[:, :0], sp.csr_array((len(entries), 0)), np.zeros(0, np.int64), slices.family)
    for row, entry in enumerate(entries):
        ties = []
        for k in inside[entry.id][:5]:
            if llm is None or verdicts[entry.name, slices.name[k]] == "same":
                tie = _tie(slices, k, 0.0, 0.0, found, level, coverage)
                ties.append(Tie(tie.slice, tie.family, tie.name, None, None, tie.gap, tie.status))
        own = _matched(asked, entry, row, none, None, tuple(ties), None, False)
        weak = any(tie.status == "weak" for tie in ties)
        gone = bool(ties) and all(tie.status in ("missing", "thin") for tie in ties)
        outcome: Any = "recovered" if weak else "untested" if gone else "matched" if ties else "none"
        matched.append(Matched(**{**asdict(own), "ties": tuple(ties), "outcome": outcome, "rows": ()}))
    of = np.ones(len(entries), bool)
    rates = [_rate("matched", np.array([bool(entry.ties) for entry in matched]), of, None)]
    for what in ("recovered", "untested"):
        rates.append(_rate(what, np.array([entry.outcome == what for entry in matched]), of, None))
    return matched, rates


def _keep(run: RunFolder, matching: Matching) -> None:
    name = re.sub(r"[^\w.-]+", "-", Path(matching.list).name, flags=re.ASCII)[:60].strip("-.")
    digest = hashlib.sha256(matching.list.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    with adding_to_run(run.path, run.manifest):
        write_document(run.path / FOLDER / f"{name or 'list'}-{digest}.json", finite(asdict(matching)))


def read_matchings(run: RunFolder) -> list[Matching]:
    """The lists that were matched to a run, by file name.

    Raises
    ------
    UserError
        If a file is damaged.
    """
    found = []
    for file in sorted((run.base / FOLDER).glob("*.json")):
        try:
            found.append(pydantic.TypeAdapter(Matching).validate_json(run.document(file)))
        except pydantic.ValidationError as error:
            raise UserError(f"{file} is no outcome of 'cgaps match': run it again, or remove the file.") from error
    return found
