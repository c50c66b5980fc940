"""New items for a slice, or for what a benchmark lacks: from a corpus, a language model or the run's own generators.

A candidate is kept if it has the benchmark's form, repeats nothing, excites the slice as the slice's own items do
(:mod:`competency_gaps.improve.membership`) and, where a language model wrote it, if two more answers of that model,
which see no key, agree with it. Where the run's model can be asked, its answers show whether new items in the slice
have the gap that the run's answer predicts.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pydantic

from competency_gaps.concepts.windows import keep_best
from competency_gaps.findings.answer import slices_of
from competency_gaps.findings.coverage import coverage
from competency_gaps.findings.examples import read_records
from competency_gaps.findings.kept import answer
from competency_gaps.improve.drafts import ROWS, Drafts, lm_eval_task, record_of, write_drafts, write_lines
from competency_gaps.improve.membership import Fresh, Membership, fresh_gap, members, membership_of, region_membership
from competency_gaps.items.config import BenchmarkConfig, FileSource, LLMConfig, ReasoningGymSource
from competency_gaps.items.files import read_files
from competency_gaps.items.item import Benchmark, Item
from competency_gaps.items.options import LETTERS, stem
from competency_gaps.items.records import make_item
from competency_gaps.items.repeats import find_clusters
from competency_gaps.items.scorer import Output, Scorer
from competency_gaps.model.embed import embed_texts, has_default_model
from competency_gaps.pipeline.load import assign_scorers, load_benchmark
from competency_gaps.reading.profiles import cas_of, unit
from competency_gaps.runs.open import RunFolder
from competency_gaps.scoring.answer_json import Failure, parse
from competency_gaps.scoring.llm import Answer, Request, ask, estimate, object_schema
from competency_gaps.slices.make import questions
from competency_gaps.util.errors import UserError, argument, nearest
from competency_gaps.util.files import make_folder
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import plural, shorten

MAX_READ = (2000, 1000)
"""Items of a corpus that are read: those whose words are most like the slice's, and as drawn; of a smaller one, all."""
GENERATED = 6
"""Generated candidates for each item that is wanted."""
ROUNDS = 3
"""Rounds in which a language model is asked for items that are still missing."""
SHOWN = (4, 3)
"""Items in and outside the slice that it sees for each new one."""
MAX_TEXT_LENGTH = 800
"""Characters of an item that it sees."""
WRITABLE = ("choice", "exact", "contains", "numeric", "math", "none")
"""Scorers whose items it can write."""
MAX_TOPICS = 6
"""Topics that get new items at once, at most."""
DUPLICATE_COSINES = (0.85, 0.97)
"""Least and greatest cosine of sentence embeddings from which two items say the same: between them, where 1 in 20 of
the slice's own items is as near to another."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class _Target:
    """What new items are for. N items of the run."""

    title: str
    benchmark: str
    names: list[str]
    memberships: list[Membership]
    members: list[np.ndarray]
    """bool of shape (N,) each."""
    expected: float | None = None


@dataclass
class _Draft:
    """A candidate on its way through the tests."""

    item: Item
    source: str
    control: bool = False
    """Written without the slice, to compare with."""
    by_chance: bool = True
    """It was read whatever its words."""
    code: str | None = None
    reason: str | None = None
    target: int = 0
    weight: float = 0.0
    without: bool = False
    score: float = np.nan
    length: float = 0.0

    def refuse(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason

    def row(self, names: Sequence[str]) -> dict[str, Any]:
        """As ``Drafts.items`` has it."""
        item, key = self.item, self.item.answer
        text = None if key is None else str(item.choices[key]) if item.choices else str(key)
        values: dict[str, Any] = {"id": item.id, "prompt": item.prompt, "answer": text}
        values["choices"] = item.choices and list(item.choices)
        values |= {"slice": names[self.target], "weight": self.weight, "source": self.source}
        return values | {"code": self.code, "reason": self.reason}


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
    """Write new items for a slice or a benchmark, as :meth:`competency_gaps.Run.new_items` describes."""
    run.check_reading("Choosing new items")
    if llm is not None and corpus is not None:
        raise UserError(f"give either questions ({argument('corpus')}) or a language model ({argument('llm')}).")
    base, progress = run.run_itself(), progress or Progress(quiet=True)
    if (slice is None) == (benchmark is None):
        raise UserError("give either a slice or a benchmark that lacks something, not both.")
    with progress.stage("measuring the slice"):
        target = _lacking(base, str(benchmark), description) if slice is None else _slice(base, slice)
    name = re.sub(r"[^\w.-]+", "-", target.title).strip("-.")[:40]
    folder = Path(out) if out is not None else base.base / "improve" / f"new-{name or 'slice'}"
    drafting = _Drafting(base, target, n, llm, None if corpus is None else Path(corpus), folder, progress)
    if dry_run:
        return drafting.result(drafting.plan())
    make_folder(folder)
    drafting.find_items()
    return drafting.result()


def _slice(run: RunFolder, asked: int | str) -> _Target:
    """The slice of a line of the answer, or of a name."""
    findings = answer(run).findings if run.own_model is not None else ()
    line = next((finding.slice for finding in findings if str(asked) == str(finding.number)), None)
    known = [(family, index) for family in slices_of(run) for index in range(len(family.names))]
    named = [(family, index) for family, index in known if family.names[index].casefold() == str(asked).casefold()]
    hits = [(family, index) for family, index in known if family.number[index] == line] or named
    if not hits:
        raise UserError(
            f"{run.path} has no slice {asked!r}, and its answer has no such line."
            f"{nearest(str(asked), [family.names[index] for family, index in known])}"
        )
    family, index = hits[0]
    name, kept = family.names[index], run.items["excluded"].is_null().to_numpy()
    member = (family.member[[index]].toarray().ravel() > 0) & kept
    home = Counter(run.items["benchmark"].filter(pl.Series(member)).to_list()).most_common(1)[0][0]
    gap = next((finding.gap for finding in findings if finding.slice == family.number[index]), None)
    # A finding's gap is against all comparable items, its own among them.
    expected = None if gap is None else gap / max(0.05, 1 - member.sum() / kept.sum())
    return _Target(name, home, [name], [membership_of(run, family, index)], [member], expected)


def _lacking(run: RunFolder, benchmark: str, description: str | None) -> _Target:
    """The topics that a benchmark lacks."""
    whole = coverage(run, benchmark, description).whole
    topics = whole.missing[:MAX_TOPICS] if whole is not None else ()
    if not topics:
        raise UserError(
            f"{benchmark} clearly lacks no topic, or the run has no atlas. To add to what it has, name a slice."
        )
    inside = (run.items["excluded"].is_null() & (run.items["benchmark"] == benchmark)).to_numpy()
    rows_of = [members(run, topic.region) for topic in topics]
    memberships = [region_membership(run, topic.region, rows) for topic, rows in zip(topics, rows_of, strict=True)]
    names = [topic.name for topic in topics]
    return _Target(f"missing-{benchmark}", benchmark, names, memberships, [rows & inside for rows in rows_of])


@dataclass
class _Drafting:
    """Candidates, and the tests that they go through."""

    run: RunFolder
    target: _Target
    n: int
    llm: LLMConfig | None
    corpus: Path | None
    folder: Path
    progress: Progress
    drafts: list[_Draft] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings, items = self.run.manifest["settings"], self.run.items
        settings_of = next(entry for entry in settings["benchmarks"] if entry["name"] == self.target.benchmark)
        self.config = BenchmarkConfig(**settings_of)
        self.entry = {key: settings_of[key] for key in settings_of.keys() - {"source", "sources", "limit", "sample"}}
        self.home = (items["excluded"].is_null() & (items["benchmark"] == self.config.name)).to_numpy()
        self.options = Counter(items.filter(pl.Series(self.home))["choices"].drop_nulls().list.len().to_list())
        scorer = Counter(items["scorer"].filter(pl.Series(self.home)).to_list()).most_common(1)[0][0]
        self.asks = bool(settings["ask"]) and scorer not in ("none", "imported")
        self.scorer = "choice" if scorer == "none" and self.options else scorer
        generates = all(isinstance(settings_of, ReasoningGymSource) for settings_of in self.config.all_sources)
        if self.corpus is None and self.llm is None and not generates:
            raise UserError(
                f"{self.config.name} has no generator for new items: give a corpus of questions "
                f"({argument('corpus')}), or a language model that writes them ({argument('llm')})."
            )
        if self.llm is not None and self.scorer not in WRITABLE:
            raise UserError(f"a language model cannot write items scored by {self.scorer!r}.")

    def find_items(self) -> None:
        """Find, test and choose candidates: all of a corpus or generator at once, of a language model in rounds."""
        if self.llm is None:
            self._test(self._of_generators() if self.corpus is None else self._of_corpus(self.corpus))
            if len(self._fine()) > self.n:
                self._choose(self._fine())
            return
        for number in range(ROUNDS):
            missing = self.n - len(self._fine())
            if missing > 0:
                self._test(self._written(self._requests(number, missing)), written=True)
        for draft in self._fine()[self.n :]:
            draft.refuse("enough", "enough others passed before it")

    def _fine(self) -> list[_Draft]:
        return [draft for draft in self.drafts if draft.code is None and not draft.control]

    # Candidates

    def _of_generators(self) -> list[_Draft]:
        """Tasks of the benchmark's families from seeds beyond the run's, most of those that have the slice's items."""
        ids = self.run.items.filter(pl.Series(np.any(self.target.members, axis=0) & self.home))["item_id"]
        prefix, wanted = Counter(id.partition(":")[0] for id in ids), []
        for number, source in enumerate(self.config.all_sources):
            part, source_of = (
                prefix[str(number)] / max(1, len(ids)) if self.config.sources else 1.0,
                source.model_dump(),
            )
            size = max(self.n, round(GENERATED * self.n * part))
            wanted.append({**source_of, "seed": source_of["seed"] + 1_000_003, "size": size})
        benchmark = load_benchmark(BenchmarkConfig(**{**self.entry, "sources": wanted}))
        return [_Draft(replace(item, id=f"new-{item.id}"), str(item.group)) for item in benchmark.items]

    def _of_corpus(self, corpus: Path) -> list[_Draft]:
        """Questions of the corpus: those most like the slice by their words, and some at random."""
        telling, rng = self._telling(), random.Random(0)
        best, drawn = list[Any](), list[Any]()
        for number, draft in enumerate(_stream(corpus)):
            words = set(_WORD.findall(draft.item.prompt.casefold()))
            like = sum(telling.get(word, 0.0) for word in words) / max(1, len(words)) ** 0.5
            keep_best(best, (like, -number, draft), MAX_READ[0])
            keep_best(drawn, (rng.random(), -number, draft), MAX_READ[1])
        by_chance = {number: draft for _, number, draft in drawn}
        by_words = {number: draft for _, number, draft in best if number not in by_chance}
        for draft in by_words.values():
            draft.by_chance = len(best) + len(drawn) < sum(MAX_READ)
        return [draft for _, draft in sorted({**by_chance, **by_words}.items(), reverse=True)]

    def _telling(self) -> dict[str, float]:
        """Log odds of words in the slice's items beside all others; of a slice without items, its name's words."""
        member, counts = np.any(self.target.members, axis=0), (Counter[str](), Counter[str]())
        if member.sum() < 10:
            return dict.fromkeys(_WORD.findall(" ".join(self.target.names).casefold()), 1.0)
        for inside, text in zip(member, self.run.items["prompt"], strict=True):
            counts[int(inside)].update(set(_WORD.findall(text.casefold())))
        size = (~member).sum(), member.sum()
        share = {word: [(side[word] + 0.5) / (size[at] + 1) for at, side in enumerate(counts)] for word in counts[1]}
        return {word: float(np.log(inside / outside)) for word, (outside, inside) in share.items()}

    def _requests(self, number: int, missing: int) -> list[Request]:
        """A round's requests; in the first one also for items without the slice, where a model can be asked them."""
        targets = len(self.target.names)
        kinds = [("new", at % targets) for at in range(2 * missing if number else missing)]
        kinds += [("other", -1)] * (self.n if self.asks and not number else 0)
        return [self._request(f"{kind}-{number}-{at}", target, [at, number]) for at, (kind, target) in enumerate(kinds)]

    def _request(self, id: str, target: int, seed: list[int]) -> Request:
        """Ask for an item about a target, or, -1, about whatever the first near one is about."""
        rng, member = np.random.default_rng(seed), np.any(self.target.members, axis=0)
        outside = np.flatnonzero(self.home & ~member)
        near = outside if target < 0 else np.flatnonzero(self.target.members[target])
        content: dict[str, Any] = {"subject": "that of the first example"}
        if target >= 0:
            content["subject"] = self.target.names[target]
        near, far = (rng.permutation(rows)[:count] for rows, count in zip((near, outside), SHOWN, strict=True))
        content["other_subjects"] = [shorten(text, MAX_TEXT_LENGTH) for text in self.run.items["prompt"].gather(far)]
        content["examples"] = []
        for prompt, choices, right in self.run.items[near].select("prompt", "choices", "answer").iter_rows():
            wrong = [text for text in choices or () if text != right]
            example = {"question": shorten(stem(prompt), MAX_TEXT_LENGTH), "right": right, "wrong": wrong}
            content["examples"].append({key: value for key, value in example.items() if value})
        fields: dict[str, Any] = {"question": {"type": "string"}, "right": {"type": "string"}}
        if self.options:
            ends = {"minItems": min(self.options) - 1, "maxItems": max(self.options) - 1}
            fields["wrong"] = {"type": "array", "items": {"type": "string"}, **ends}
        return _request(id, "write", content, fields, 500)

    def _written(self, requests: Sequence[Request]) -> list[_Draft]:
        """What the language model wrote, the right option in a random place."""
        drafts, written, model = list[_Draft](), self._answered(requests, _Written), str(self.llm and self.llm.model)
        for id, written_item in written.items():
            if written_item is None:
                drafts.append(_Draft(Item(id, ""), model, id.startswith("other")))
                drafts[-1].refuse("unread", "what the language model wrote could not be read")
                continue
            texts = [written_item.right.strip(), *(text.strip() for text in written_item.wrong)]
            order = random.Random(id).sample(range(len(texts)), len(texts))
            item = Item(id, written_item.question.strip(), answer=texts[0], scorer=self.scorer)
            if self.options:
                item = replace(item, choices=tuple(texts[at] for at in order), answer=order.index(0))
            drafts.append(_Draft(item, model, id.startswith("other")))
        return drafts

    def _answered(self, requests: Sequence[Request], form: type[Any]) -> dict[str, Any]:
        """What the language model answers, by id; None: it cannot be read. What was paid for is on the disk."""

        def usable(answer: Answer) -> bool:
            return not isinstance(parse(answer, form), Failure)

        assert self.llm is not None
        answers = ask(requests, self.llm, self.folder, self.progress, usable)
        came = (answers[request.id] for request in requests if request.id in answers)
        return {
            answer.id: parse(answer, form) if usable(answer) else None for answer in came if answer.text is not None
        }

    # Tests

    def _test(self, new: list[_Draft], *, written: bool = False) -> None:
        """Put candidates through the tests, the cheap ones first."""
        before = self._fine()
        self.drafts += new
        for draft in new:
            if draft.code is None and (fault := draft.reason or self._fault(draft.item)):
                draft.refuse("form", fault)
        for test in (self._repeats, self._read, self._alike, *([self._agree] if written else [])):
            if left := [draft for draft in new if draft.code is None]:
                test(before, left)

    def _fault(self, item: Item) -> str | None:
        """Why an item has not the benchmark's form; None: it has."""
        choices = item.choices or ()
        allowed = range(min(self.options), max(self.options) + 1) if self.options else range(1)
        if len(choices) not in allowed:
            return f"it has {plural(len(choices), 'option')}, expected {allowed[0]} to {allowed[-1]}"
        if len(set(map(str.casefold, choices))) < len(choices) or not item.prompt:
            return "its question is empty, or two of its options are the same"
        if self.scorer not in ("none", item.scorer) and not self.config.scorer:
            return f"it is scored by {item.scorer!r}, expected {self.scorer!r}"
        try:
            self._scorer(item)
        except UserError as error:
            return str(error)
        return None

    def _scorer(self, item: Item) -> Scorer:
        """What scores an item; raises UserError if it cannot."""
        alone = Benchmark(self.config.name, (item,))
        return assign_scorers(alone, self.config.scorer, self.config.options, "none")[0]

    def _repeats(self, before: Sequence[_Draft], new: Sequence[_Draft]) -> None:
        """Refuse items that ask what an item of the run, or an earlier candidate, asks."""
        drafts = [*before, *new]
        plain = [Item("", draft.item.prompt, choices=draft.item.choices, answer=draft.item.answer) for draft in drafts]
        columns = self.run.items.select("prompt", "choices", "answer", "answer_index").iter_rows()
        known = [
            Item("", stem(prompt), choices=tuple(choices) if choices else None, answer=text if at is None else at)
            for prompt, choices, text, at in columns
        ]
        with self.progress.stage("comparing texts"):
            suite = Benchmark("run", tuple(known)), Benchmark("new", tuple(plain))
            clusters = find_clusters(suite).cluster.tolist()
        first = {cluster: f"item {row} of the run" for row, cluster in enumerate(clusters[: len(known)])}
        for draft, cluster in zip(drafts, clusters[len(known) :], strict=True):
            if cluster in first and draft in new:
                draft.refuse("repeats", f"it repeats {first[cluster]}")
            first.setdefault(cluster, draft.item.id)

    def _read(self, before: Sequence[_Draft], new: Sequence[_Draft]) -> None:
        """Read items with the run's model and SAE; the model answers them in the same pass where it can be asked."""
        records = [record_of(draft.item) for draft in new]
        self._readings = read_records(self.run, records, self.progress, benchmark=self.entry, ask=self.asks)
        self._row = {draft.item.id: row for row, draft in enumerate(new)}
        times, without = [], np.ones(len(new), bool)
        for membership in self.target.memberships:
            values = membership.measure(self._readings)
            reached = values / membership.threshold if membership.threshold > 0 else 1 + np.maximum(values, 0)
            times.append(np.where(values >= membership.threshold, reached, 0.0))
            without &= values < membership.floor
        columns = self._readings.items.select("score", "n_span_tokens", "excluded").iter_rows()
        for row, (draft, (score, length, excluded)) in enumerate(zip(new, columns, strict=True)):
            of = [lens_times[row] for lens_times in times]
            draft.target, draft.weight = int(np.argmax(of)), float(max(of))
            draft.without, draft.length = bool(without[row]), float(length)
            draft.score = np.nan if score is None else score
            if excluded is not None:
                draft.refuse("unread", f"the run's model cannot read it: {excluded['text']}")
            elif draft.control != (draft.weight == 0):
                reason = "it activates the slice less than the slice's own items"
                draft.refuse("elsewhere", "it activates the slice" if draft.control else reason)

    def _alike(self, before: Sequence[_Draft], new: Sequence[_Draft]) -> None:
        """Refuse items that say nearly what another says, by sentence embeddings where these are installed."""
        if not has_default_model():
            return
        rows = np.flatnonzero(np.any(self.target.members, axis=0))
        rows = np.random.default_rng(0).permutation(rows if len(rows) >= 20 else np.flatnonzero(self.home))[
            : MAX_READ[0]
        ]
        with self.progress.stage("comparing meanings"):
            texts = ["\n".join((draft.item.prompt, *(draft.item.choices or ()))) for draft in (*before, *new)]
            vectors = embed_texts([*questions(self.run.items[rows]), *texts])
        like = vectors @ vectors.T
        np.fill_diagonal(like, -1)
        bound = np.clip(np.quantile(like[: len(rows), : len(rows)].max(axis=1), 0.95), *DUPLICATE_COSINES)
        distinct = np.arange(len(like)) < len(rows) + len(before)
        for row, draft in enumerate(new, len(rows) + len(before)):
            distinct[row] = like[row, distinct].max() < bound
            if not distinct[row]:
                draft.refuse("alike", "it is too similar to another item")

    def _agree(self, before: Sequence[_Draft], new: Sequence[_Draft]) -> None:
        """Refuse items whose key two answers do not give, to which every option stands at another letter."""
        asked = {f"{draft.item.id}-{attempt}": draft for draft in new for attempt in (1, 2)}
        orders, requests = dict[str, list[int]](), []
        for id, draft in asked.items():
            choices, kind = draft.item.choices or (), dict[str, Any](type="string")
            order = random.Random(draft.item.id).sample(range(len(choices)), len(choices))
            orders[id] = order if id.endswith("1") else [*order[1:], *order[:1]]
            shown = {LETTERS[at]: choices[choice] for at, choice in enumerate(orders[id])}
            content = {"question": draft.item.prompt, "attempt": id[-1], "options": shown}
            requests.append(
                _request(id, "answer", content, {"answer": {**kind, "enum": list(shown)} if shown else kind}, 60)
            )
        answers = self._answered(requests, _Answered)
        for id, draft in asked.items():
            if answers.get(id) is None:
                draft.refuse("key", "its key could not be checked: the language model gave no usable answer")
            elif not self._is_key(draft.item, answers[id].answer.strip(), orders[id]):
                draft.refuse("key", "the language model, asked again, did not answer with its key")

    def _is_key(self, item: Item, text: str, order: Sequence[int]) -> bool:
        if item.choices:
            letter = LETTERS.find(text[:1].upper() or "?")
            return 0 <= letter < len(order) and order[letter] == item.answer
        if self.scorer == "none":
            return text.casefold() == str(item.answer).casefold()
        return self._scorer(item).score(item, Output(text=text)).value == 1

    def _choose(self, fine: list[_Draft]) -> None:
        """Keep the wanted number: of three times as many that excite their slice most, those that differ most."""
        best = sorted(fine, key=lambda draft: -draft.weight)[: 3 * self.n]
        rows = np.array([self._row[draft.item.id] for draft in best])
        profiles = unit(cas_of(self._readings.by_concept, rows, np.arange(self.run.width)).T.sqrt().toarray())
        chosen, most = [0], profiles @ profiles[0]
        while len(chosen) < self.n:
            most[chosen] = np.inf
            chosen.append(int(most.argmin()))
            most = np.maximum(most, profiles @ profiles[chosen[-1]])
        kept = {best[at].item.id for at in chosen}
        for draft in fine:
            if draft.item.id not in kept:
                draft.refuse("enough", "others activate the slice as much and are more varied")

    # Results

    def plan(self) -> str:
        """What a command would pay at most."""
        if self.llm is None:
            return "No language model would be asked."
        requests, most = self._requests(0, self.n), plural((ROUNDS - 1) * 2 * self.n, "request")
        text = f"{estimate(requests, len(requests), self.llm)} Then two short answers to each item that passes, and "
        return f"{text}{most} more, at most, if too few pass."

    def result(self, plan: str | None = None) -> Drafts:
        """What came of it; unless it is a plan, it is written."""
        fresh, precision = None if plan else self._fresh(), self.target.memberships[0].precision
        rows = [draft.row(self.target.names) for draft in self.drafts if draft.code is not None or not draft.control]
        items = pl.DataFrame(rows, schema=ROWS)
        drafts = Drafts(self.target.title, self.target.benchmark, self.folder, items, precision, fresh, plan)
        if not plan:
            task = lm_eval_task(self.folder, self.scorer, self.config.options)
            records = [{**record_of(draft.item), "source": draft.source} for draft in self._fine()]
            write_lines(self.folder / "items.jsonl", records)
            write_lines(self.folder / "refused.jsonl", drafts.refused.to_dicts())
            write_lines(self.folder / f"{task['task']}.yaml", [task])
            write_drafts(drafts)
        return drafts

    def _fresh(self) -> Fresh | None:
        """What the run's model makes of all that passed, needed or not, beside those without the slice."""
        written = any(draft.control for draft in self.drafts)
        inside = [draft.code in (None, "enough") and not draft.control for draft in self.drafts]
        others = [
            draft.without and (draft.control and draft.code is None if written else draft.by_chance)
            for draft in self.drafts
        ]
        scores, length = (
            np.array([getattr(draft, key) for draft in self.drafts], float) for key in ("score", "length")
        )
        return fresh_gap(scores, np.array(inside, bool), np.array(others, bool), length, self.target.expected)


class _Written(pydantic.BaseModel):
    question: str
    right: str
    wrong: list[str] = []


class _Answered(pydantic.BaseModel):
    answer: str


def _request(id: str, step: str, content: Mapping[str, Any], fields: Mapping[str, Any], most: int) -> Request:
    """A request whose answer is a JSON object of these fields."""
    system = files("competency_gaps.improve").joinpath(f"prompts/{step}.txt").read_text(encoding="utf-8").strip()
    return Request(id, system, json.dumps(content, ensure_ascii=False), object_schema(fields), step, most)


def _stream(path: Path) -> Iterator[_Draft]:
    """Questions of a corpus; those that are no items are refused."""
    for number, record in enumerate(read_files(FileSource(path=path))):
        draft = _Draft(Item(f"new-{number}", ""), path.name)
        try:
            item = make_item(record, number, {}, None)
            draft.item = replace(item, id=f"new-{number}-{item.id}"[:80], score=None, response=None)
        except UserError as error:
            draft.refuse("form", str(error))
        yield draft
