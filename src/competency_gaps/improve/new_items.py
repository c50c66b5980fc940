"""New items for a slice, or for the topics that a benchmark lacks.

Candidates (:mod:`competency_gaps.improve.candidates`) pass if they have the benchmark's form, repeat no other item,
activate the slice as its own items do (:mod:`competency_gaps.improve.membership`) and, if a language model wrote them,
if that model gives their key in two more answers without seeing it. If the run's model can answer new items, its scores
show whether the gap that the run's answer predicts appears on them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from competency_gaps.findings.answer import slices_of
from competency_gaps.findings.coverage import coverage
from competency_gaps.findings.examples import read_records
from competency_gaps.findings.kept import answer
from competency_gaps.improve.candidates import (
    MAX_ROUNDS,
    MAX_SIMILAR,
    BenchmarkForm,
    Candidate,
    Target,
    Writer,
    corpus_candidates,
    generated_candidates,
)
from competency_gaps.improve.drafts import ROWS, Drafts, lm_eval_task, record_of, write_drafts, write_lines
from competency_gaps.improve.membership import Fresh, fresh_gap, members, membership_of, region_membership
from competency_gaps.items.config import LLMConfig
from competency_gaps.items.item import Benchmark, Item
from competency_gaps.items.options import stem
from competency_gaps.items.repeats import find_clusters
from competency_gaps.items.scorer import Output
from competency_gaps.model.embed import embed_texts, has_default_model
from competency_gaps.reading.profiles import cas_of, unit
from competency_gaps.runs.open import RunFolder
from competency_gaps.slices.make import questions
from competency_gaps.util.errors import UserError, argument, nearest
from competency_gaps.util.files import make_folder
from competency_gaps.util.progress import Progress

WRITABLE_SCORERS = ("choice", "exact", "contains", "numeric", "math", "none")
"""Scorers whose items a language model can write."""
MAX_TOPICS = 6
"""Maximum number of missing topics that get new items in one command."""
MIN_SLICE_ITEMS = 20
"""For a slice of fewer items, the benchmark's items determine how similar two items may be."""
DUPLICATE_COSINES = (0.85, 0.97)
"""Bounds of the cosine of sentence embeddings at which two items count as the same. Between the bounds, it is the
cosine that 1 in 20 of the slice's items reaches with another of them."""


def new_items(
    run: RunFolder,
    slice: int | str | None = None,
    *,
    benchmark: str | None = None,
    description: str | None = None,
    n: int = 50,
    llm: LLMConfig | None = None,
    corpus: Path | str | None = None,
    out: Path | str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Drafts:
    """Return new items for a slice or a benchmark; see :meth:`competency_gaps.Run.new_items`."""
    run.check_reading("Choosing new items")
    if llm is not None and corpus is not None:
        raise UserError(f"give either questions ({argument('corpus')}) or a language model ({argument('llm')}).")
    if (slice is None) == (benchmark is None):
        raise UserError("give either a slice or a benchmark that lacks something, not both.")
    base, progress = run.run_itself(), progress or Progress(quiet=True)
    with progress.stage("measuring the slice"):
        target = _missing_topics(base, str(benchmark), description) if slice is None else _slice(base, slice)
    form = BenchmarkForm(base, target.benchmark)
    if corpus is None and llm is None and not form.generates:
        raise UserError(
            f"{target.benchmark} has no generator for new items: give a corpus of questions "
            f"({argument('corpus')}), or a language model that writes them ({argument('llm')})."
        )
    if llm is not None and form.scorer not in WRITABLE_SCORERS:
        raise UserError(f"a language model cannot write items scored by {form.scorer!r}.")
    name = re.sub(r"[^\w.-]+", "-", target.title).strip("-.")[:40]
    folder = Path(out) if out is not None else base.path / "improve" / f"new-{name or 'slice'}"
    writer = None if llm is None else Writer(base, target, form, n, llm, folder, progress)
    search = _Search(base, target, form, n, writer, progress)
    if dry_run:
        return search.drafts(folder, "No language model would be asked." if writer is None else writer.plan())
    make_folder(folder)
    if writer is not None:
        search.write_in_rounds(writer)
    elif corpus is not None:
        search.choose_from(corpus_candidates(base, target, Path(corpus)))
    else:
        search.choose_from(generated_candidates(base, target, form, n))
    return search.write(folder)


def _slice(run: RunFolder, name: int | str) -> Target:
    """Return the target for a slice, given by its line in the answer or by its name."""
    findings = answer(run).findings if run.own_model is not None else ()
    line = next((finding.slice for finding in findings if str(name) == str(finding.number)), None)
    slices = [(family, index) for family in slices_of(run) for index in range(len(family.names))]
    named = [(family, index) for family, index in slices if family.names[index].casefold() == str(name).casefold()]
    matches = [(family, index) for family, index in slices if family.number[index] == line] or named
    if not matches:
        raise UserError(
            f"{run.path} has no slice {name!r}, and its answer has no such line."
            f"{nearest(str(name), [family.names[index] for family, index in slices])}"
        )
    family, index = matches[0]
    title, included = family.names[index], run.items["excluded"].is_null().to_numpy()
    member = (family.member[[index]].toarray().ravel() > 0) & included
    benchmark = Counter(run.items["benchmark"].filter(pl.Series(member)).to_list()).most_common(1)[0][0]
    gap = next((finding.gap for finding in findings if finding.slice == family.number[index]), None)
    # A finding's gap is measured against all comparable items, including the slice's own.
    expected = None if gap is None else gap / max(0.05, 1 - member.sum() / included.sum())
    return Target(title, benchmark, [title], [membership_of(run, family, index)], [member], expected)


def _missing_topics(run: RunFolder, benchmark: str, description: str | None) -> Target:
    """Return the target for the topics that a benchmark lacks."""
    whole = coverage(run, benchmark, description).whole
    topics = whole.missing[:MAX_TOPICS] if whole is not None else ()
    if not topics:
        raise UserError(
            f"{benchmark} clearly lacks no topic, or the run has no atlas. To add to what it has, name a slice."
        )
    inside = (run.items["excluded"].is_null() & (run.items["benchmark"] == benchmark)).to_numpy()
    rows = [members(run, topic.region) for topic in topics]
    memberships = [region_membership(run, topic.region, member) for topic, member in zip(topics, rows, strict=True)]
    names = [topic.name for topic in topics]
    return Target(f"missing-{benchmark}", benchmark, names, memberships, [member & inside for member in rows])


@dataclass
class _Search:
    """The candidates so far, the tests that they must pass, and the choice among those that do."""

    run: RunFolder
    target: Target
    form: BenchmarkForm
    count: int
    writer: Writer | None
    progress: Progress
    candidates: list[Candidate] = field(default_factory=list)

    def choose_from(self, candidates: list[Candidate]) -> None:
        """Test all candidates at once, and choose among those that pass."""
        self._test(candidates)
        if len(self._passed()) > self.count:
            self._choose(self._passed())

    def write_in_rounds(self, writer: Writer) -> None:
        """Let a language model write candidates until enough have passed; surplus ones are rejected."""
        for turn in range(MAX_ROUNDS):
            missing = self.count - len(self._passed())
            if missing > 0:
                self._test(writer.write(turn, missing))
        for candidate in self._passed()[self.count :]:
            candidate.reject("enough", "enough others passed before it")

    def _passed(self) -> list[Candidate]:
        """Return the candidates that passed all tests."""
        return [candidate for candidate in self.candidates if candidate.code is None and not candidate.control]

    def _test(self, new: list[Candidate]) -> None:
        """Test candidates, cheap tests first."""
        earlier = self._passed()
        self.candidates += new
        for candidate in new:
            if candidate.code is None and (fault := self.form.fault(candidate.item)):
                candidate.reject("form", fault)
        for test in (self._reject_repeats, self._read, self._reject_similar, self._reject_doubtful_keys):
            if passed := [candidate for candidate in new if candidate.code is None]:
                test(earlier, passed)

    def _reject_repeats(self, earlier: Sequence[Candidate], new: Sequence[Candidate]) -> None:
        """Reject candidates that ask the same as an item of the run or an earlier candidate."""
        candidates = [*earlier, *new]
        items = [Item("", each.item.prompt, choices=each.item.choices, answer=each.item.answer) for each in candidates]
        columns = self.run.items.select("prompt", "choices", "answer", "answer_index").iter_rows()
        run_items = [
            Item("", stem(prompt), choices=tuple(choices) if choices else None, answer=text if key is None else key)
            for prompt, choices, text, key in columns
        ]
        with self.progress.stage("comparing texts"):
            clusters = find_clusters([Benchmark("run", tuple(run_items)), Benchmark("new", tuple(items))]).cluster
        first = {cluster: f"item {row} of the run" for row, cluster in enumerate(clusters[: len(run_items)].tolist())}
        for candidate, cluster in zip(candidates, clusters[len(run_items) :].tolist(), strict=True):
            if cluster in first and candidate in new:
                candidate.reject("repeats", f"it repeats {first[cluster]}")
            first.setdefault(cluster, candidate.item.id)

    def _read(self, earlier: Sequence[Candidate], new: Sequence[Candidate]) -> None:
        """Read candidates with the run's model and SAE, score them if possible, and reject those outside the slice."""
        records = [record_of(candidate.item) for candidate in new]
        self._reading = read_records(self.run, records, self.progress, benchmark=self.form.entry, ask=self.form.asks)
        self._row = {candidate.item.id: row for row, candidate in enumerate(new)}
        weights, inactive = [], np.ones(len(new), bool)
        for membership in self.target.memberships:
            values, threshold = membership.measure(self._reading), membership.threshold
            multiple = values / threshold if threshold > 0 else 1 + np.maximum(values, 0)
            weights.append(np.where(values >= threshold, multiple, 0.0))
            inactive &= values < membership.floor
        target, weight = np.argmax(weights, axis=0), np.max(weights, axis=0)
        columns = self._reading.items.select("score", "n_span_tokens", "excluded").iter_rows()
        for row, (candidate, (score, length, excluded)) in enumerate(zip(new, columns, strict=True)):
            candidate.target, candidate.weight = int(target[row]), float(weight[row])
            candidate.inactive, candidate.length = bool(inactive[row]), float(length)
            candidate.score = np.nan if score is None else score
            if excluded is not None:
                candidate.reject("unread", f"the run's model cannot read it: {excluded['text']}")
            elif candidate.control and candidate.weight > 0:
                candidate.reject("outside", "it activates the slice")
            elif not candidate.control and candidate.weight == 0:
                candidate.reject("outside", "it activates the slice less than the slice's own items")

    def _reject_similar(self, earlier: Sequence[Candidate], new: Sequence[Candidate]) -> None:
        """Reject candidates whose sentence embedding is nearly that of another item; skipped without an embedding
        model.
        """
        if not has_default_model():
            return
        rows = np.flatnonzero(self.target.any_member)
        if len(rows) < MIN_SLICE_ITEMS:
            rows = np.flatnonzero(self.form.members)
        rows = np.random.default_rng(0).permutation(rows)[:MAX_SIMILAR]
        with self.progress.stage("comparing meanings"):
            texts = ["\n".join((each.item.prompt, *(each.item.choices or ()))) for each in (*earlier, *new)]
            vectors = embed_texts([*questions(self.run.items[rows]), *texts])
        cosine = vectors @ vectors.T
        np.fill_diagonal(cosine, -1)
        bound = np.clip(np.quantile(cosine[: len(rows), : len(rows)].max(axis=1), 0.95), *DUPLICATE_COSINES)
        distinct = np.arange(len(cosine)) < len(rows) + len(earlier)
        for row, candidate in enumerate(new, len(rows) + len(earlier)):
            distinct[row] = cosine[row, distinct].max() < bound
            if not distinct[row]:
                candidate.reject("similar", "it is too similar to another item")

    def _reject_doubtful_keys(self, earlier: Sequence[Candidate], new: Sequence[Candidate]) -> None:
        """Reject written candidates whose key the language model does not give twice."""
        if self.writer is None:
            return
        for candidate, answers in zip(new, self.writer.answers(new), strict=True):
            if None in answers:
                candidate.reject("key", "its key could not be checked: the language model gave no usable answer")
            elif not all(self._is_key(candidate.item, text) for text in answers):
                candidate.reject("key", "the language model, asked again, did not answer with its key")

    def _is_key(self, item: Item, answer: str | int | None) -> bool:
        """Whether an answer is right by the item's key."""
        if item.choices:
            return answer == item.answer
        if self.form.scorer == "none":
            return str(answer).casefold() == str(item.answer).casefold()
        return self.form.scorer_of(item).score(item, Output(text=str(answer))).value == 1

    def _choose(self, passed: list[Candidate]) -> None:
        """Select the wanted number: of three times as many that belong to the slice most, those that differ most."""
        best = sorted(passed, key=lambda candidate: -candidate.weight)[: 3 * self.count]
        rows = np.array([self._row[candidate.item.id] for candidate in best])
        profiles = unit(cas_of(self._reading.by_concept, rows, np.arange(self.run.width)).T.sqrt().toarray())
        chosen, nearest_cosine = [0], profiles @ profiles[0]
        while len(chosen) < self.count:
            nearest_cosine[chosen] = np.inf
            chosen.append(int(nearest_cosine.argmin()))
            nearest_cosine = np.maximum(nearest_cosine, profiles @ profiles[chosen[-1]])
        ids = {best[index].item.id for index in chosen}
        for candidate in passed:
            if candidate.item.id not in ids:
                candidate.reject("enough", "others activate the slice as much and are more varied")

    def write(self, folder: Path) -> Drafts:
        """Write the new items, the rejected ones and a task of lm-evaluation-harness; return them."""
        drafts, task = self.drafts(folder), lm_eval_task(folder, self.form.scorer, self.form.config.options)
        records = [{**record_of(candidate.item), "source": candidate.source} for candidate in self._passed()]
        write_lines(folder / "items.jsonl", records)
        write_lines(folder / "refused.jsonl", drafts.refused.to_dicts())
        write_lines(folder / f"{task['task']}.yaml", [task])
        write_drafts(drafts)
        return drafts

    def drafts(self, folder: Path, plan: str | None = None) -> Drafts:
        """Return the result; ``plan`` marks a dry run."""
        rows = []
        for candidate in self.candidates:
            if candidate.control and candidate.code is None:
                continue
            item, key = candidate.item, candidate.item.answer
            rows.append(
                {
                    "id": item.id,
                    "prompt": item.prompt,
                    "answer": None if key is None else str(item.choices[int(key)] if item.choices else key),
                    "choices": item.choices and list(item.choices),
                    "slice": self.target.names[candidate.target],
                    "weight": candidate.weight,
                    "source": candidate.source,
                    "code": candidate.code,
                    "reason": candidate.reason,
                }
            )
        fresh, precision = None if plan else self._gap_on_new_items(), self.target.memberships[0].precision
        items = pl.DataFrame(rows, schema=ROWS)
        return Drafts(self.target.title, self.target.benchmark, folder, items, precision, fresh, plan)

    def _gap_on_new_items(self) -> Fresh | None:
        """Return the gap between all candidates that passed, needed or not, and those outside the target."""
        names = ("score", "length", "control", "inactive", "random", "code")
        table = pl.DataFrame({name: [getattr(each, name) for each in self.candidates] for name in names})
        scores, lengths, control, inactive, random = (table[name].to_numpy() for name in names[:-1])
        passed, enough = table["code"].is_null().to_numpy(), (table["code"] == "enough").fill_null(False).to_numpy()
        others = inactive & (control & passed if control.any() else random)
        return fresh_gap(scores, (passed | enough) & ~control, others, lengths, self.target.expected)
