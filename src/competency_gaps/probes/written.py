"""Probe concepts with items that a language model writes. [ours, after AutoDetect's roles]

The Examiner names topics, the Questioner writes questions on them, half of them without the concept. Whether an item
excites the concept is measured afterwards, whatever they say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeVar

import pydantic

from competency_gaps.config import BenchmarkConfig, LLMConfig, ObjectsSource, RunConfig
from competency_gaps.dictionary.folder import Dictionary, dictionary_of
from competency_gaps.dictionary.labelling.labeller import active_tokens, marked, plain
from competency_gaps.errors import UserError
from competency_gaps.llm import FILE, Answer, AnswerStore, Failure, Request, ask, parse
from competency_gaps.probes.concept import FOLDER, Criterion, Probed, ProbedConcept, conclude, fresh_run
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.settings import run_config
from competency_gaps.text import plural, shorten

T = TypeVar("T", bound=pydantic.BaseModel)
WINDOWS, TASKS = 8, 6
LONGEST = 4000
"""Characters of a written question, at most."""
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?", re.ASCII)
_POLICIES = {"choice": "choice", "number": "numeric", "text": "exact"}


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class Topic(_Strict):
    """What to write questions on."""

    topic: str
    why: str


class Topics(_Strict):
    """The Examiner's answer."""

    topics: list[Topic]


class Written(_Strict):
    """A question as the Questioner writes it."""

    question: str
    kind: Literal["choice", "number", "text"]
    options: list[str]
    answer: str
    excites: bool


class Questions(_Strict):
    """The Questioner's answer."""

    items: list[Written]


def probe_written(
    run: RunFolder,
    wanted: Sequence[ProbedConcept],
    llm: LLMConfig,
    criterion: Criterion,
    progress: Progress,
    *,
    topics: int = 3,
    count: int = 10,
    command: str = "",
) -> Probed | None:
    """Probe concepts with items that a language model writes; answers in words must equal its own.

    Parameters
    ----------
    llm
        The model that plays both roles.
    topics, count
        Topics of each concept, and questions with (and as many without) the concept on each.

    Returns
    -------
    Probed or None
        None: a role's requests were only written into a file.

    Raises
    ------
    UserError
        If no usable question came back.
    """
    dictionary = dictionary_of(run)
    windows = {target.concept: _windows(target, dictionary) for target in wanted}
    first = {target.concept: _examiner(run, target, windows[target.concept], topics) for target in wanted}
    plans = _answers(run, list(first.values()), Topics, llm, progress)
    if plans is None:
        return None
    asked = {}
    for target in wanted:
        plan = plans.get(first[target.concept].id)
        for topic in plan.topics[:topics] if plan is not None else ():
            request = _questioner(target, windows[target.concept], topic, count)
            asked[request.id] = (target, request)
    if not asked:
        raise UserError("the Examiner named no topic that can be read. The same command asks again.")
    written = _answers(run, [request for _, request in asked.values()], Questions, llm, progress)
    if written is None:
        return None
    benchmarks, unfit = _benchmarks(asked, written, 2 * count)
    if not benchmarks:
        raise UserError(
            "the Questioner wrote no usable question. The same command asks again; with files, write its requests."
        )
    for why, number in unfit.items():
        progress.say(f"{plural(number, 'written item')} left out: {why}")
    settings = {**run_config(run).model_dump(), "benchmarks": [*benchmarks.values()], "judge": None}
    fresh = fresh_run(run, RunConfig.model_validate(settings), progress, command)
    able = {concept for concept, _ in benchmarks}
    return conclude(
        run,
        fresh,
        [target for target in wanted if target.concept in able],
        criterion,
        progress,
        left_out={t.concept: "no usable question was written" for t in wanted if t.concept not in able},
        unfit={f"written: {why}": number for why, number in unfit.items()},
        benchmarks_of=lambda target: [made.name for (of, _), made in benchmarks.items() if of == target.concept],
    )


def _answers(
    run: RunFolder, requests: Sequence[Request], kind: type[T], llm: LLMConfig, progress: Progress
) -> dict[str, T] | None:
    """Usable answers by id of the request, kept and new ones; None: the requests were written into a file."""
    folder = run.path / FOLDER / "answers"
    folder.mkdir(parents=True, exist_ok=True)

    def usable(answer: Answer) -> bool:
        return not isinstance(parse(answer, kind), Failure)

    kept = AnswerStore(folder / FILE).answers(requests, llm.model)
    whole = all(request.id in kept and usable(kept[request.id]) for request in requests)
    answers = kept if whole else ask(requests, llm, folder, progress, usable)
    if answers is None:
        progress.say(f"The {requests[0].schema_name}'s requests are written. Next: the same command with the answers.")
        return None
    parsed = {name: parse(answer, kind) for name, answer in answers.items()}
    return {name: value for name, value in parsed.items() if not isinstance(value, Failure)}


def _windows(target: ProbedConcept, dictionary: Dictionary | None) -> list[str]:
    """Exemplars of a concept with its tokens marked; empty without a dictionary's exemplars."""
    if dictionary is None or not dictionary.has_exemplars:
        return []
    windows = dictionary.exemplars.of(target.concept, "top", "spread")
    return [marked(window, active_tokens(window)) for window in windows[:WINDOWS]]


def _examiner(run: RunFolder, target: ProbedConcept, windows: Sequence[str], topics: int) -> Request:
    """Ask which topics excite a concept."""
    order: Literal["worst", "best"] = "worst" if target.claim == "weak" else "best"
    shown = run.concept_items(target.concept, order=order, limit=TASKS)
    tasks = [
        {"text": shorten(plain((row["text"] or "")[row["own_start"] : row["own_end"]]), 600), "score": row["score"]}
        for row in shown.iter_rows(named=True)
    ]
    content = {"tasks": tasks, "claim": target.claim, "topics": topics}
    return _request("examiner", target, windows, content, 1500)


def _questioner(target: ProbedConcept, windows: Sequence[str], topic: Topic, count: int) -> Request:
    """Ask for questions on a topic, half of them without the concept."""
    content = {"topic": shorten(plain(topic.topic), 300), "with": count, "without": count}
    return _request("questioner", target, windows, content, 400 * count)


def _request(role: str, target: ProbedConcept, windows: Sequence[str], content: dict[str, Any], tokens: int) -> Request:
    label = plain(target.label) if target.label else None
    text = json.dumps({"label": label, "windows": list(windows), **content}, ensure_ascii=False)
    # The id says what was asked, so that an answer to other windows or another topic is known as such.
    digest = hashlib.sha256((_prompt(role) + text).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    schema = (Topics if role == "examiner" else Questions).model_json_schema()
    return Request(f"{role}-{target.concept}-{digest}", _prompt(role), text, schema, role, tokens)


@cache
def _prompt(name: str) -> str:
    return files("competency_gaps.probes").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8")


def _benchmarks(
    asked: Mapping[str, tuple[ProbedConcept, Request]], written: Mapping[str, Questions], most: int
) -> tuple[dict[tuple[int, str], BenchmarkConfig], Counter[str]]:
    """Written items as benchmarks, by concept and kind of answer; and why other items are left out.

    At most ``most`` items of each answer are taken.
    """
    records: dict[tuple[int, str], list[dict[str, Any]]] = {}
    unfit: Counter[str] = Counter()
    for name, (target, _) in asked.items():
        if name not in written:
            unfit["a topic without a usable answer"] += 1
            continue
        for number, question in enumerate(written[name].items[:most]):
            record = _record(question, f"{name}-{number}")
            if isinstance(record, Failure):
                unfit[record.reason] += 1
            else:
                records.setdefault((target.concept, question.kind), []).append(record)
    made = {}
    for (concept, kind), items in sorted(records.items()):
        source, name = ObjectsSource(items=items), f"concept-{concept}-{kind}"
        made[concept, kind] = BenchmarkConfig(name=name, source=source, policy=_POLICIES[kind])
    return made, unfit


def _record(written: Written, id: str) -> dict[str, Any] | Failure:
    """A question as a benchmark's record."""
    question, answer = written.question.strip(), written.answer.strip()
    if not question or not answer:
        return Failure("without a question or an answer")
    if len(question) + len(answer) + sum(map(len, written.options)) > LONGEST:
        return Failure(f"a question of more than {LONGEST:,} characters, options and answer included")
    record: dict[str, Any] = {"id": id, "prompt": question}
    if written.kind == "choice":
        options = [option.strip() for option in written.options]
        if not 2 <= len(options) <= 10 or len({option.casefold() for option in options}) < len(options):
            return Failure("options that are not 2 to 10 different ones")
        if answer not in options:
            return Failure("an answer that is none of its options")
        return {**record, "choices": options, "answer": options.index(answer)}
    if written.kind == "number" and not _NUMBER.fullmatch(answer):
        return Failure("an answer that is no number")
    return {**record, "answer": answer}
