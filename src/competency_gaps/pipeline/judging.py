"""The judging stage: a language model scores the model's stored answers.

The judge's answers are stored in the run folder as they arrive, so that a resumed run pays for nothing twice. A run
without a judge uses the answers that an earlier run stored.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from competency_gaps.items.config import LLMConfig
from competency_gaps.items.item import Reason
from competency_gaps.items.scorer import Score
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.pipeline.extraction import Extraction
from competency_gaps.pipeline.items import benchmark_figures, why_unscored
from competency_gaps.scoring.answer_json import Failure, after_thinking
from competency_gaps.scoring.judge import JudgedScorer
from competency_gaps.scoring.llm import FILE, AnswerStore, LLMAnswer, LLMRequest, ask, check_installed
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import plural

FOLDER = "judging"
THINKS_ON = Reason("thinks_on", "the response ends inside the model's thinking")
"""Why a response without an answer is not judged: thinking is not an answer, and no judge sees it."""


@dataclass(frozen=True)
class _Case:
    """One item to be judged."""

    benchmark: str
    row: int
    prepared: PreparedItem
    scorer: JudgedScorer
    response: str
    """The model's answer without its thinking."""
    requests: tuple[LLMRequest, ...]
    """Questions to the judge."""
    refused: Reason | None
    """Why there are no questions; None: there are some."""


def check_judge(config: LLMConfig | None, folder: Path) -> LLMConfig | None:
    """Return the judge's configuration; if none is configured, that of the judge whose answers the folder has, or None.

    Called before work that takes hours.

    Raises
    ------
    UserError
        If no judge is configured and the run folder has answers of several.
    MissingExtraError
        If a package that is needed to reach the judge's endpoint is missing.
    """
    if config is not None:
        if config.base_url is not None:
            check_installed()
        return config
    models = AnswerStore(folder / FOLDER / FILE).models
    if len(models) > 1:
        raise UserError(
            f"{str(folder)!r} has answers of several judges, {', '.join(map(repr, models))}: name one with judge.model."
        )
    return LLMConfig(model=models[0]) if models else None


def judge_responses(
    folder: Path, config: LLMConfig | None, read: Mapping[str, Extraction], progress: Progress
) -> tuple[dict[str, pl.DataFrame], dict[str, Any] | None, dict[str, dict[str, Any]]]:
    """Ask the judge about every item whose scorer needs one, and score the items.

    Parameters
    ----------
    config
        As :func:`check_judge` gives it.

    Returns
    -------
    responses
        Per benchmark, the responses with ``score``, ``unscored`` and ``details`` of judged items filled in.
    entry
        For the manifest: the judge, the number of answered requests, and per benchmark the items, those scored, the
        judge's unusable answers and why; None: no item of the run is judged.
    figures
        Per benchmark and scorer, results of the whole benchmark.
    """
    cases = list(_cases(read))
    judged = {name: extraction.responses for name, extraction in read.items()}
    entry = None
    if cases:
        answers, who, why = _answers(cases, config, folder / FOLDER, progress)
        counts = {}
        for name in dict.fromkeys(case.benchmark for case in cases):
            cases_of = [case for case in cases if case.benchmark == name]
            scores = {case.row: _score(case, answers, why) for case in cases_of}
            judged[name] = _with_scores(judged[name], scores)
            counts[name] = _count(cases_of, answers, scores)
            _say(name, counts[name], why, progress)
        asked = [request.id for case in cases for request in case.requests]
        entry = {
            "judge": who,
            "where": config and config.base_url,
            "requests": len(asked),
            "answered": sum(id in answers and answers[id].error is None for id in asked),
            "benchmarks": counts,
        }
    elif config is not None:
        progress.say("A judge is configured but not used: no benchmark has a scorer that needs one.")
    figures = {name: values for name in judged if (values := benchmark_figures(read[name].items, judged[name]))}
    return judged, entry, figures


def _cases(read: Mapping[str, Extraction]) -> Iterator[_Case]:
    """Yield the items that need the judge, with the questions about each."""
    for name, extraction in read.items():
        for row, (item, text) in enumerate(zip(extraction.items, extraction.responses["response"], strict=True)):
            if item.excluded is not None or not isinstance(item.scorer, JudgedScorer):
                continue
            answer = after_thinking(text or "")
            asked = THINKS_ON if answer is None else item.scorer.questions(item.item, answer)
            refused = asked if isinstance(asked, Reason) else None
            questions = () if isinstance(asked, Reason) else asked
            requests = tuple(replace(request, id=_id(name, item.item.id, request)) for request in questions)
            yield _Case(name, row, item, item.scorer, answer or "", requests, refused)


def _id(benchmark: str, item: str, request: LLMRequest) -> str:
    """Return an id that depends on the question and the item, so that an answer about another response never
    matches.
    """
    digest = hashlib.sha256("\x00".join((benchmark, item, request.key())).encode("utf-8", "replace")).hexdigest()
    return f"{request.id}-{digest[:24]}"


def _answers(
    cases: Sequence[_Case], config: LLMConfig | None, folder: Path, progress: Progress
) -> tuple[dict[str, LLMAnswer], str | None, Reason]:
    """Return answers by id of the request, the name of the judge, and why other answers are missing."""
    scorers = {request.id: case.scorer for case in cases for request in case.requests}
    requests = [request for case in cases for request in case.requests]
    if config is None or not requests:
        return {}, None, Reason("no_judge", "no judge was asked: the configuration sets no 'judge'")

    def usable(answer: LLMAnswer) -> bool:
        """Whether the scorer can read an answer."""
        return not isinstance(scorers[answer.id].read(answer), Failure)

    received = ask(requests, config, folder, progress, usable)
    why = Reason("judge_capped", "the judge was not asked: max_cost was reached first")
    if config.base_url is None:
        why = Reason("no_judge", "the judge was not asked, and there is no earlier answer")
    return received, config.model, why


def _score(case: _Case, answers: Mapping[str, LLMAnswer], why: Reason) -> Score:
    """Return the score of one item, from the judge's answers."""
    if case.refused is not None:
        return Score(None, case.response, case.refused)
    verdicts = [answers.get(request.id) for request in case.requests]
    if all(answer is None for answer in verdicts):
        return Score(None, case.response, why)
    score = case.scorer.verdict(case.prepared.item, case.response, verdicts)
    # The details keep the answers that came; some of the answers alone give no score.
    return score._replace(value=None, unscored=why) if None in verdicts else score


def _count(cases: Sequence[_Case], answers: Mapping[str, LLMAnswer], scores: Mapping[int, Score]) -> dict[str, Any]:
    """Return counts of one benchmark's judged items, and the most common reasons why answers cannot be used."""
    verdicts = [[answers.get(request.id) for request in case.requests] for case in cases]
    read = (
        case.scorer.read(one)
        for case, of_case in zip(cases, verdicts, strict=True)
        for one in of_case
        if one is not None
    )
    failures = Counter(one.reason for one in read if isinstance(one, Failure))
    return {
        "items": len(cases),
        "scored": sum(score.value is not None for score in scores.values()),
        "unasked": sum(not of_case or None in of_case for of_case in verdicts),
        "failed": failures.total(),
        "failures": dict(failures.most_common(5)),
    }


def _with_scores(table: pl.DataFrame, scores: Mapping[int, Score]) -> pl.DataFrame:
    """Return the table with some rows' scores replaced."""
    columns = {name: table[name].to_list() for name in ("score", "unscored", "details")}
    for row, score in scores.items():
        columns["score"][row] = score.value
        columns["unscored"][row] = why_unscored(score)
        columns["details"][row] = None if score.details is None else json.dumps(score.details, ensure_ascii=False)
    return table.with_columns(pl.Series(name, values, table.schema[name]) for name, values in columns.items())


def _say(name: str, count: Mapping[str, Any], why: Reason, progress: Progress) -> None:
    """Print how many answers are unusable and how many items were not judged."""
    if count["failed"]:
        reason, times = next(iter(count["failures"].items()))
        progress.say(
            f"{name}: {plural(count['failed'], 'answer')} from the judge cannot be used and do not count ({times:,} "
            f"times: {reason}). Repeat the command to ask again; models that think first may need a higher "
            "judge.max_tokens."
        )
    if count["unasked"]:
        progress.say(f"{name}: {plural(count['unasked'], 'item')} not judged: {why}")
