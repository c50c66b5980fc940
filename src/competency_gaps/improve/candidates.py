"""Candidates for new items: from the run's generators, from a corpus, or from a language model."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pydantic

from competency_gaps.concepts.windows import keep_best
from competency_gaps.improve.membership import Membership
from competency_gaps.items.config import BenchmarkConfig, FileSource, LLMConfig, ReasoningGymSource
from competency_gaps.items.files import read_files
from competency_gaps.items.item import Benchmark, Item
from competency_gaps.items.options import LETTERS, stem
from competency_gaps.items.records import make_item
from competency_gaps.items.scorer import Scorer
from competency_gaps.pipeline.load import assign_scorers, load_benchmark
from competency_gaps.runs.open import RunFolder
from competency_gaps.scoring.answer_json import Failure, parse
from competency_gaps.scoring.llm import LLMAnswer, LLMRequest, ask, estimate, object_schema
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import plural, shorten

MAX_SIMILAR, MAX_RANDOM = 2000, 1000
"""Maximum numbers of a corpus's items that the run's model reads: the most similar in words, and a random sample."""
CANDIDATES_PER_ITEM = 6
"""Generated candidates per wanted item."""
MAX_ROUNDS = 3
"""Maximum number of rounds in which a language model is asked for items."""
EXAMPLES, COUNTEREXAMPLES = 4, 3
"""Items inside and outside the slice that are shown to the language model for each new item."""
MAX_EXAMPLE_LENGTH = 800
"""Maximum number of characters of an item that is shown."""
MIN_SLICE_ITEMS = 10
"""For a slice of fewer items, the words of its name replace those of its items."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Target:
    """What new items are for: one slice, or topics that a benchmark lacks. N items of the run."""

    title: str
    benchmark: str
    """Benchmark whose form new items must have."""
    names: list[str]
    memberships: list[Membership]
    members: list[np.ndarray]
    """bool of shape (N,) for each name: the run's items that belong to it."""
    expected: float | None = None
    """The gap that the run's answer predicts; None: the target is no finding."""

    @property
    def any_member(self) -> np.ndarray:
        """Which items of the run belong to any of the names: bool of shape (N,)."""
        return np.any(self.members, axis=0)


@dataclass
class Candidate:
    """A possible new item, with the results of its tests."""

    item: Item
    source: str
    control: bool = False
    """Whether it was written for a subject outside the target, for comparison."""
    random: bool = True
    """Whether it was drawn regardless of its words."""
    code: str | None = None
    """Code of why it was rejected (see :attr:`~competency_gaps.improve.drafts.Drafts.items`); None: it was not."""
    reason: str | None = None
    target: int = 0
    """Index of the name of the target that it activates most."""
    weight: float = 0.0
    """Its measure of membership, as a multiple of the threshold; 0: below the threshold."""
    inactive: bool = False
    """Whether it is below the floor of every name of the target."""
    score: float = np.nan
    length: float = 0.0
    """Length in tokens."""

    def reject(self, code: str, reason: str) -> None:
        """Record why the candidate is rejected."""
        self.code, self.reason = code, reason


class BenchmarkForm:
    """The form of a benchmark's items: number of options and scorer."""

    def __init__(self, run: RunFolder, benchmark: str) -> None:
        items, settings = run.items, run.manifest["settings"]
        entry = next(entry for entry in settings["benchmarks"] if entry["name"] == benchmark)
        self.config = BenchmarkConfig(**entry)
        self.entry = {key: entry[key] for key in entry.keys() - {"source", "sources", "limit", "sample"}}
        """The benchmark's configuration without its source."""
        self.members = (items["excluded"].is_null() & (items["benchmark"] == benchmark)).to_numpy()
        """bool of shape (N,): items of the run that belong to the benchmark."""
        members = items.filter(pl.Series(self.members))
        self.options = sorted(members["choices"].drop_nulls().list.len().unique().to_list())
        """Numbers of options that occur; empty: open questions."""
        scorer = Counter(members["scorer"].to_list()).most_common(1)[0][0]
        self.asks = bool(settings["ask"]) and scorer not in ("none", "imported")
        """Whether the run's model can answer new items."""
        self.scorer = "choice" if scorer == "none" and self.options else scorer
        self.generates = all(isinstance(source, ReasoningGymSource) for source in self.config.all_sources)

    def scorer_of(self, item: Item) -> Scorer:
        """Return the scorer of an item; raises UserError if the item cannot be scored."""
        alone = Benchmark(self.config.name, (item,))
        return assign_scorers(alone, self.config.scorer, self.config.options, "none")[0]

    def fault(self, item: Item) -> str | None:
        """Return why an item lacks the benchmark's form; None if it has it."""
        choices = item.choices or ()
        low, high = (self.options[0], self.options[-1]) if self.options else (0, 0)
        if not low <= len(choices) <= high:
            return f"it has {plural(len(choices), 'option')}, expected {low} to {high}"
        if len(set(map(str.casefold, choices))) < len(choices) or not item.prompt:
            return "its question is empty, or two of its options are the same"
        if self.scorer not in ("none", item.scorer) and not self.config.scorer:
            return f"it is scored by {item.scorer!r}, expected {self.scorer!r}"
        try:
            self.scorer_of(item)
        except UserError as error:
            return str(error)
        return None


def generated_candidates(run: RunFolder, target: Target, form: BenchmarkForm, count: int) -> list[Candidate]:
    """Return tasks generated with new seeds, in proportion to each generator's share of the target."""
    ids = run.items.filter(pl.Series(target.any_member & form.members))["item_id"]
    prefixes, sources = Counter(id.partition(":")[0] for id in ids), []
    for number, config in enumerate(form.config.all_sources):
        share = prefixes[str(number)] / max(1, len(ids)) if form.config.sources else 1.0
        source, size = config.model_dump(), max(count, round(CANDIDATES_PER_ITEM * count * share))
        sources.append({**source, "seed": source["seed"] + 1_000_003, "size": size})
    benchmark = load_benchmark(BenchmarkConfig(**{**form.entry, "sources": sources}))
    return [Candidate(replace(item, id=f"new-{item.id}"), str(item.group)) for item in benchmark.items]


def corpus_candidates(run: RunFolder, target: Target, corpus: Path) -> list[Candidate]:
    """Return a corpus's questions: those most similar to the target in words, and a random sample."""
    log_odds, rng = _word_log_odds(run, target), random.Random(0)
    best, drawn = list[Any](), list[Any]()
    for number, candidate in enumerate(_read_corpus(corpus)):
        words = set(_WORD.findall(candidate.item.prompt.casefold()))
        similarity = sum(log_odds.get(word, 0.0) for word in words) / max(1, len(words)) ** 0.5
        keep_best(best, (similarity, -number, candidate), MAX_SIMILAR)
        keep_best(drawn, (rng.random(), -number, candidate), MAX_RANDOM)
    sampled = {number: candidate for _, number, candidate in drawn}
    similar = {number: candidate for _, number, candidate in best if number not in sampled}
    for candidate in similar.values():
        candidate.random = len(best) + len(drawn) < MAX_SIMILAR + MAX_RANDOM
    return [candidate for _, candidate in sorted({**sampled, **similar}.items(), reverse=True)]


def _read_corpus(path: Path) -> Iterator[Candidate]:
    """Yield a candidate for each record of a file; those that are no items are rejected."""
    for number, record in enumerate(read_files(FileSource(path=path))):
        candidate = Candidate(Item(f"new-{number}", ""), path.name)
        try:
            item = make_item(record, number, {}, None)
            candidate.item = replace(item, id=f"new-{number}-{item.id}"[:80], score=None, response=None)
        except UserError as error:
            candidate.reject("form", str(error))
        yield candidate


def _word_log_odds(run: RunFolder, target: Target) -> dict[str, float]:
    """Return the log odds of each word in the target's items against others; with too few items, 1 for words of its
    name.
    """
    member, counts = target.any_member, (Counter[str](), Counter[str]())
    if member.sum() < MIN_SLICE_ITEMS:
        return dict.fromkeys(_WORD.findall(" ".join(target.names).casefold()), 1.0)
    for is_member, text in zip(member, run.items["prompt"], strict=True):
        counts[int(is_member)].update(set(_WORD.findall(text.casefold())))
    sizes = (~member).sum(), member.sum()
    outside, inside = (
        {word: (side[word] + 0.5) / (size + 1) for word in counts[1]} for side, size in zip(counts, sizes, strict=True)
    )
    return {word: float(np.log(inside[word] / outside[word])) for word in counts[1]}


class _WrittenItem(pydantic.BaseModel):
    """The language model's answer to a request for an item."""

    question: str
    right: str
    wrong: list[str] = []


class _WrittenAnswer(pydantic.BaseModel):
    """The language model's answer to a question."""

    answer: str


@dataclass(frozen=True)
class Writer:
    """A language model that writes items and answers them. Its answers are cached in the folder."""

    run: RunFolder
    target: Target
    form: BenchmarkForm
    count: int
    """Number of items wanted."""
    llm: LLMConfig
    folder: Path
    progress: Progress

    def plan(self) -> str:
        """Return in words the maximum cost of writing."""
        requests, more = self._requests(0, self.count), plural((MAX_ROUNDS - 1) * 2 * self.count, "request")
        text = f"{estimate(requests, len(requests), self.llm)} Then two short answers to each item that passes, and "
        return f"{text}{more} more, at most, if too few pass."

    def write(self, turn: int, missing: int) -> list[Candidate]:
        """Return the candidates written in one round, with the right option at a random position."""
        candidates = []
        for id, written in self._ask(self._requests(turn, missing), _WrittenItem).items():
            candidates.append(Candidate(Item(id, ""), self.llm.model, id.startswith("other")))
            if written is None:
                candidates[-1].reject("unread", "what the language model wrote could not be read")
                continue
            texts = [written.right.strip(), *(text.strip() for text in written.wrong)]
            order = random.Random(id).sample(range(len(texts)), len(texts))
            item = Item(id, written.question.strip(), answer=texts[0], scorer=self.form.scorer)
            if self.form.options:
                item = replace(item, choices=tuple(texts[choice] for choice in order), answer=order.index(0))
            candidates[-1].item = item
        return candidates

    def _requests(self, turn: int, missing: int) -> list[LLMRequest]:
        """Return the requests of a round; the first round also asks for items outside the target, if these can be
        scored.
        """
        size = 2 * missing if turn else missing
        kinds = [("new", number % len(self.target.names)) for number in range(size)]
        kinds += [("other", -1)] * (self.count if self.form.asks and not turn else 0)
        return [
            self._write_request(f"{kind}-{turn}-{number}", name, [number, turn])
            for number, (kind, name) in enumerate(kinds)
        ]

    def _write_request(self, id: str, name: int, seed: list[int]) -> LLMRequest:
        """Return a request for an item about a name of the target; -1: about the first example's subject."""
        rng, items = np.random.default_rng(seed), self.run.items
        outside = np.flatnonzero(self.form.members & ~self.target.any_member)
        inside = outside if name < 0 else np.flatnonzero(self.target.members[name])
        near, far = rng.permutation(inside)[:EXAMPLES], rng.permutation(outside)[:COUNTEREXAMPLES]
        content: dict[str, Any] = {
            "subject": "that of the first example" if name < 0 else self.target.names[name],
            "other_subjects": [shorten(text, MAX_EXAMPLE_LENGTH) for text in items["prompt"].gather(far)],
            "examples": [],
        }
        for prompt, choices, right in items[near].select("prompt", "choices", "answer").iter_rows():
            wrong = [text for text in choices or () if text != right]
            example = {"question": shorten(stem(prompt), MAX_EXAMPLE_LENGTH), "right": right, "wrong": wrong}
            content["examples"].append({key: value for key, value in example.items() if value})
        fields: dict[str, Any] = {"question": {"type": "string"}, "right": {"type": "string"}}
        if options := self.form.options:
            bounds = {"minItems": options[0] - 1, "maxItems": options[-1] - 1}
            fields["wrong"] = {"type": "array", "items": {"type": "string"}, **bounds}
        return _request(id, "write", content, fields, 500)

    def answers(self, candidates: Sequence[Candidate]) -> list[list[str | int | None]]:
        """Return two answers of the model to each candidate, with the options in two orders: choice index or text.

        None: the answer is unusable; -1: it is no option.
        """
        orders, requests = dict[str, list[int]](), []
        for candidate in candidates:
            id, choices = candidate.item.id, candidate.item.choices or ()
            order = random.Random(id).sample(range(len(choices)), len(choices))
            for attempt, shuffled in (("1", order), ("2", [*order[1:], *order[:1]])):
                orders[f"{id}-{attempt}"] = shuffled
                shown = {letter: choices[choice] for letter, choice in zip(LETTERS, shuffled, strict=False)}
                content = {"question": candidate.item.prompt, "attempt": attempt, "options": shown}
                field = {"type": "string", **({"enum": list(shown)} if shown else {})}
                requests.append(_request(f"{id}-{attempt}", "answer", content, {"answer": field}, 60))
        written = self._ask(requests, _WrittenAnswer)

        def answer(id: str) -> str | int | None:
            """Return one answer as the index of its choice, or as text."""
            if written.get(id) is None:
                return None
            text, order = written[id].answer.strip(), orders[id]
            if not order:
                return text
            letter = LETTERS.find(text[:1].upper() or "?")
            return order[letter] if 0 <= letter < len(order) else -1

        return [[answer(f"{candidate.item.id}-{attempt}") for attempt in (1, 2)] for candidate in candidates]

    def _ask(self, requests: Sequence[LLMRequest], form: type[Any]) -> dict[str, Any]:
        """Return the language model's parsed answers by id; None: it could not be parsed."""

        def usable(answer: LLMAnswer) -> bool:
            """Whether an answer parses."""
            return not isinstance(parse(answer, form), Failure)

        answers = ask(requests, self.llm, self.folder, self.progress, usable)
        arrived = (answers[request.id] for request in requests if request.id in answers)
        return {
            answer.id: parse(answer, form) if usable(answer) else None for answer in arrived if answer.text is not None
        }


def _request(id: str, step: str, content: Mapping[str, Any], fields: Mapping[str, Any], max_tokens: int) -> LLMRequest:
    """Return a request whose answer is a JSON object of these fields."""
    system = files("competency_gaps.improve").joinpath(f"prompts/{step}.txt").read_text(encoding="utf-8").strip()
    return LLMRequest(id, system, json.dumps(content, ensure_ascii=False), object_schema(fields), step, max_tokens)
