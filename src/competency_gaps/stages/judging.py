"""The judging stage: a language model or a classifier scores the model's stored answers.

The judge's answers are kept in the run folder as they come, so that a stopped run goes on and pays for nothing twice.
A run without a judge takes the answers that an earlier run kept.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.config import AskConfig
from competency_gaps.endpoint import Answer, Failure, Request
from competency_gaps.endpoint.asking import NAMELESS, Asking, kept_answers
from competency_gaps.endpoint.parse import after_thinking
from competency_gaps.errors import argument
from competency_gaps.files import write_json
from competency_gaps.items.item import Reason
from competency_gaps.items.policy import Score
from competency_gaps.judging.policy import JudgedPolicy
from competency_gaps.judging.prompting import THINKS_ON
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.progress import Progress
from competency_gaps.stages.classifying import Case, classify
from competency_gaps.stages.figures import benchmark_figures
from competency_gaps.stages.items import why_unscored
from competency_gaps.stages.judges import FOLDER, WHO, last_judge, read_judges
from competency_gaps.text import plural


@dataclass(frozen=True)
class Judged:
    """The responses with the judge's scores, and the records of the judging."""

    responses: dict[str, pl.DataFrame]
    """Per benchmark, the responses with ``score``, ``unscored`` and ``details`` of judged items filled in."""
    entry: dict[str, Any] | None
    """For the manifest: the judge, the number of answered requests, and per benchmark the items, those scored, the
    judge's unusable answers and why; None: no item of the run is judged."""
    figures: dict[str, dict[str, Any]]
    """Per benchmark and policy, results of the whole benchmark."""

    def write_into(self, manifest: dict[str, Any]) -> None:
        """Put both into a manifest: ``judging``, and ``figures`` of each benchmark."""
        manifest["judging"] = self.entry
        for benchmark in manifest["benchmarks"]:
            benchmark["figures"] = self.figures.get(benchmark["name"])


@dataclass
class _Count:
    """The outcomes of one benchmark's cases."""

    items: int = 0
    scored: int = 0
    unasked: int = 0
    failed: int = 0
    """Answers of the judge that cannot be used."""
    failures: Counter[str] = field(default_factory=Counter)
    """Why they cannot be used."""


class JudgingStage:
    """Judges a run's responses.

    Raises
    ------
    UserError
        If the judge cannot be asked as it is configured; raised before anything else is done.
    """

    def __init__(self, folder: Path, config: AskConfig | None, progress: Progress) -> None:
        self.folder, self.config, self.progress = folder / FOLDER, config, progress
        self.judges = read_judges(self.folder / WHO)
        self.last = last_judge(config, self.judges, self.folder)
        self.way = None
        if config is not None and config.way is not None:
            self.way = Asking.of(config, answerer=self.last.get("model") or NAMELESS, section="judge.")
            self.way.check(progress)
        self.answer_tokens = None if config is None else config.answer_tokens
        if self.answer_tokens is None and (self.way is None or self.way.endpoint is None):
            # Ids of requests depend on the answer length, so earlier answers are found only with the same length.
            self.answer_tokens = self.last.get("answer_tokens")

    def run(self, prepared: Mapping[str, Sequence[PreparedItem]], responses: Mapping[str, pl.DataFrame]) -> Judged:
        """Ask the judge about every item whose policy needs one, and score the items."""
        cases = list(_cases(prepared, responses, self.answer_tokens))
        judged = dict(responses)
        entry = None
        if cases:
            scores, entry = self._judge(cases)
            for name in judged:
                judged[name] = _with_scores(judged[name], {row: s for (b, row), s in scores.items() if b == name})
            for name, count in entry["benchmarks"].items():
                known = judged[name]["score"]
                count["scored"] = sum(known[case.row] is not None for case in cases if case.benchmark == name)
        elif self.config is not None:
            self.progress.say("A judge is configured but not asked: no benchmark has a policy that needs one.")
        figures = {name: values for name in judged if (values := benchmark_figures(prepared[name], judged[name]))}
        return Judged(judged, entry, figures)

    def _judge(self, cases: Sequence[Case]) -> tuple[dict[tuple[str, int], Score], dict[str, Any]]:
        scores = classify(
            [case for case in cases if case.policy.classifier and case.fault is None],
            self.folder,
            self.progress,
        )
        asked = [case for case in cases if case.requests]
        answers, who, why = self._answers(asked)
        counts: dict[str, _Count] = {}
        for case in cases:
            count = counts.setdefault(case.benchmark, _Count())
            count.items += 1
            score = scores.get((case.benchmark, case.row)) or self._score(case, answers, why, count)
            if score is not None:
                scores[case.benchmark, case.row] = score
        self._say(counts, why)
        requests = sum(len(case.requests) for case in asked)
        return scores, {
            "judge": who,
            "where": None if self.way is None else self.way.where,
            "classifiers": sorted({case.policy.classifier for case in cases if case.policy.classifier}),
            "requests": requests,
            "answered": sum(answers[r.id].answered for case in asked for r in case.requests if r.id in answers),
            "benchmarks": {
                name: vars(count) | {"failures": dict(count.failures.most_common(5))} for name, count in counts.items()
            },
        }

    def _score(self, case: Case, answers: Mapping[str, Answer], why: Reason | None, count: _Count) -> Score | None:
        """The judge's score of one item; None: the item keeps the score that it has."""
        if not case.requests:
            reason = case.fault or case.policy.unasked(case.prepared.item)
            count.unasked += reason is not None
            return None if reason is None else Score(None, case.response, reason)
        given = [answers.get(request.id) for request in case.requests]
        for answer in given:
            read = None if answer is None else case.policy.read(answer)
            if isinstance(read, Failure):
                count.failed += 1
                count.failures[read.reason] += 1
        if all(answer is None for answer in given):
            count.unasked += 1
            assert why is not None
            return case.policy.unjudged(case.prepared.item, case.response, why)
        score = case.policy.verdict(case.prepared.item, case.response, given)
        if any(answer is None for answer in given):
            # The details keep the answers that came; some of the answers alone give no score.
            count.unasked += 1
            return score._replace(value=None, unscored=why)
        return score

    def _answers(self, cases: Sequence[Case]) -> tuple[dict[str, Answer], str | None, Reason | None]:
        """Answers by id of the request, the judge that gave them, and why the others are missing."""
        requests = [request for case in cases for request in case.requests]
        if not requests:
            return {}, None, None
        if self.way is None:
            who = self.last.get("model")
            kept = {} if who is None else kept_answers(requests, self.folder, who)
            return (
                kept,
                who,
                Reason("no_judge", "no judge was asked: give judge.base_url and judge.model, or judge.export"),
            )
        who = self.way.answerer or NAMELESS
        if (file := self.way.config.export) is not None:
            kept = self.way.kept(requests, self.folder)
            todo = [request for request in requests if request.id not in kept]
            self._record(who, asked=False)
            self.way.answers(todo, self.folder, self.progress, lambda answer: True)
            self.progress.say(
                f"{plural(len(todo), 'request')} for the judge written to {file}. Let a model answer them, then run "
                f"the same again with {argument('judge.imports')} in place of {argument('judge.export')}."
            )
            return (
                kept,
                who,
                Reason(
                    "judge_exported",
                    f"no judge was asked: the requests were written to {file.name}, to be read back later",
                ),
            )
        policies = {request.id: case.policy for case in cases for request in case.requests}

        def usable(answer: Answer) -> bool:
            return not isinstance(policies[answer.id].read(answer), Failure)

        self._record(who, asked=True)
        received = self.way.answers(requests, self.folder, self.progress, usable)
        assert received is not None
        if self.way.endpoint is not None:
            return (
                received,
                who,
                Reason("judge_capped", "the judge was not asked: the cap on what it may use was reached first"),
            )
        self.way.keep(received.values(), self.folder, usable)
        # A failed answer in the files does not replace a usable one that was kept before.
        received |= self.way.kept(requests, self.folder)
        return received, who, Reason("judge_not_imported", "the judge's answers that were read do not hold this one")

    def _record(self, who: str, *, asked: bool) -> None:
        """Record the judge before the first answer is paid for, so that a stopped run finds its answers."""
        before = next((judge for judge in self.judges if judge["model"] == who), {})
        assert self.way is not None
        entry = {
            "model": who,
            "where": self.way.where,
            "answer_tokens": self.answer_tokens,
            "asked": asked or bool(before.get("asked")),
        }
        self.judges = [*(judge for judge in self.judges if judge["model"] != who), entry]
        write_json(self.folder / WHO, {"judges": self.judges})

    def _say(self, counts: Mapping[str, _Count], why: Reason | None) -> None:
        for name, count in counts.items():
            if count.failed:
                reason, times = count.failures.most_common(1)[0]
                self.progress.say(
                    f"{name}: {plural(count.failed, 'answer')} of the judge cannot be used and do not count "
                    f"({times:,} times: {reason})"
                )
            if count.unasked:
                self.progress.say(f"{name}: {plural(count.unasked, 'item')} not judged{f': {why}' if why else ''}")


def _cases(
    prepared: Mapping[str, Sequence[PreparedItem]], responses: Mapping[str, pl.DataFrame], tokens: int | None
) -> Iterable[Case]:
    for name, items in prepared.items():
        texts = responses[name]["response"]
        for row, item in enumerate(items):
            if item.excluded is not None or not isinstance(item.policy, JudgedPolicy):
                continue
            answer = after_thinking(texts[row] or "")
            case = Case(name, row, item, item.policy, answer or "")
            if answer is None:
                case.fault = THINKS_ON
            elif item.policy.classifier is None:
                wanted = item.policy.questions(item.item, case.response)
                if tokens is not None:
                    wanted = tuple(replace(request, max_tokens=tokens) for request in wanted)
                case.requests = tuple(replace(request, id=_id(name, item.item.id, request)) for request in wanted)
                if not wanted and item.policy.unasked(item.item) is None:
                    continue  # scored without the judge
            yield case


def _id(benchmark: str, item: str, request: Request) -> str:
    """An id that depends on the question and the item, so that an answer to another response is not taken for it."""
    body = json.dumps(request.body("", "json_schema"), sort_keys=True)
    digest = hashlib.sha256("\x00".join((benchmark, item, body)).encode("utf-8", "replace")).hexdigest()
    return f"{request.id}-{digest[:24]}"


def _with_scores(table: pl.DataFrame, scores: Mapping[int, Score]) -> pl.DataFrame:
    """The table with some rows' scores replaced; the stored shards are not changed."""
    columns = {name: table[name].to_list() for name in ("score", "unscored", "details")}
    for row, score in scores.items():
        columns["score"][row] = score.value
        columns["unscored"][row] = why_unscored(score)
        columns["details"][row] = None if score.details is None else json.dumps(score.details, ensure_ascii=False)
    return table.with_columns(pl.Series(name, values, table.schema[name]) for name, values in columns.items())
