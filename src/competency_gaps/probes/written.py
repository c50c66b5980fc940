"""Probe concepts with items that a language model writes: Examiner, Questioner, measurement, answers, Assessor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import pydantic

from competency_gaps.config import AskConfig, BenchmarkConfig, ObjectsSource, RunConfig
from competency_gaps.dictionary.folder import dictionary_of
from competency_gaps.endpoint import Answer, Failure, Request, parse
from competency_gaps.endpoint.asking import Asking
from competency_gaps.errors import UserError, argument
from competency_gaps.probes.concept import Criterion, Probed, conclude, folder_name, fresh_run
from competency_gaps.probes.kept import FOLDER
from competency_gaps.probes.roles import Questions, Topics, examiner, questioner, record_of, windows_of
from competency_gaps.probes.targets import ProbedConcept
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.settings import run_config
from competency_gaps.text import plural

T = TypeVar("T", bound=pydantic.BaseModel)
KIND = "written"
SHORT = 64
"""Tokens of an answer that a judge grades: the Questioner asks for one to five words."""
_POLICIES = {"choice": "choice", "number": "numeric", "text": "exact"}


@dataclass(frozen=True)
class Pending:
    """A probe through batch files that waits for a role's answers."""

    role: Literal["Examiner", "Questioner"]
    """Who has to answer."""
    exported: Path | None
    """The file with the requests; None: they have to be exported first."""


@dataclass(frozen=True)
class _Roles:
    """The roles of a probe, and where their answers are kept."""

    way: Asking
    folder: Path
    progress: Progress

    def ask(self, requests: list[Request], kind: type[T]) -> dict[str, T] | None:
        """Usable answers by id of the request, kept and new ones; None: the requests were exported."""

        def usable(answer: Answer) -> bool:
            return not isinstance(parse(answer, kind), Failure)

        store = self.folder / "answers"
        answers = {name: answer for name, answer in self.way.kept(requests, store).items() if usable(answer)}
        missing = [request for request in requests if request.id not in answers]
        if missing:
            new = self.way.answers(missing, store, self.progress, usable)
            if new is None:
                return None
            self.way.keep(new.values(), store, usable)
            answers |= new
        values: dict[str, T] = {}
        for name, answer in answers.items():
            value = parse(answer, kind)
            if isinstance(value, Failure):
                self.progress.say(f"{name}: {value.reason}")
            else:
                values[name] = value
        return values


def probe_written(
    run: RunFolder,
    wanted: Sequence[ProbedConcept],
    ask: AskConfig,
    criterion: Criterion,
    progress: Progress,
    *,
    topics: int = 3,
    count: int = 10,
    judge: bool = False,
    command: str = "",
) -> Probed | Pending:
    """Probe concepts with items that a language model writes.

    Parameters
    ----------
    ask
        The model that plays both roles.
    topics, count
        Topics of each concept, and questions with (and as many without) the concept on each.
    judge
        Whether the model also scores answers in words; else they must equal the Questioner's answer (policy ``exact``).

    Raises
    ------
    UserError
        If no usable question came back, or a judge cannot be asked.
    """
    way = Asking.of(ask)
    if judge and way.endpoint is None:
        raise UserError(
            f"{argument('judge')} needs {argument('base_url')} with {argument('model')}: a judge is asked while the "
            "items are answered."
        )
    folder = run.path / FOLDER / folder_name(KIND, [target.concept for target in wanted])
    folder.mkdir(parents=True, exist_ok=True)
    config = run_config(run)
    roles = _Roles(way, folder, progress)
    dictionary = dictionary_of(run)
    windows = {target.concept: windows_of(target, dictionary) for target in wanted}
    asked = _plan(run, wanted, windows, roles, topics, count)
    if asked is None:
        return Pending("Examiner", ask.export)
    written = roles.ask([request for _, request in asked.values()], Questions)
    if written is None:
        return Pending("Questioner", ask.export)
    if not written and ask.imports:
        return Pending("Questioner", None)
    benchmarks, unfit = _benchmarks(asked, written, judge, 2 * count)
    dropped = _dropped(unfit, len(asked.keys() - written.keys()), progress)
    if not benchmarks:
        raise UserError(f"the Questioner wrote no usable question. At an endpoint {argument('again')} asks once more.")
    settings = {**config.model_dump(), "benchmarks": [*benchmarks.values()], "judge": way.config if judge else None}
    fresh = fresh_run(run, RunConfig.model_validate(settings), progress, command)
    able = {concept for concept, _ in benchmarks}
    planned = {target.concept for target, _ in asked.values()}
    return conclude(
        run,
        fresh,
        [target for target in wanted if target.concept in able],
        criterion,
        progress,
        folder=folder,
        left_out={
            target.concept: "no usable question was written"
            if target.concept in planned
            else "the Examiner gave no usable answer"
            for target in wanted
            if target.concept not in able
        },
        unfit=dropped,
        benchmarks_of=lambda target: [
            benchmark.name for (concept, _), benchmark in benchmarks.items() if concept == target.concept
        ],
    )


def _dropped(unfit: Mapping[str, int], unanswered: int, progress: Progress) -> dict[str, int]:
    """Report what was left out of the written items; returns the number of items or topics by reason."""
    for why, number in unfit.items():
        progress.say(f"{plural(number, 'written item')} left out: {why}")
    if unanswered:
        progress.say(f"{plural(unanswered, 'topic')} left out: the Questioner gave no usable answer")
    dropped = {f"written: {why}": number for why, number in unfit.items()}
    return {**dropped, "topics without a usable answer": unanswered} if unanswered else dropped


def _plan(
    run: RunFolder,
    wanted: Sequence[ProbedConcept],
    windows: Mapping[int, Sequence[str]],
    roles: _Roles,
    topics: int,
    count: int,
) -> dict[str, tuple[ProbedConcept, Request]] | None:
    """Ask the Examiner for topics: what the Questioner is asked on each, by id; None: the requests were exported."""
    first = {target.concept: examiner(run, target, windows[target.concept], topics) for target in wanted}
    plans = roles.ask(list(first.values()), Topics)
    if plans is None:
        return None
    asked = {}
    for target in wanted:
        plan = plans.get(first[target.concept].id)
        for topic in plan.topics[:topics] if plan is not None else ():
            request = questioner(target, windows[target.concept], topic, count)
            asked[request.id] = (target, request)
    if not asked:
        raise UserError(f"the Examiner named no topic that can be read. At an endpoint {argument('again')} asks again.")
    return asked


def _benchmarks(
    asked: Mapping[str, tuple[ProbedConcept, Request]], written: Mapping[str, Questions], judge: bool, most: int
) -> tuple[dict[tuple[int, str], BenchmarkConfig], Counter[str]]:
    """Written items as benchmarks, by concept and kind of answer; and why other items are left out.

    At most ``most`` items of each answer are taken.
    """
    records: dict[tuple[int, str], list[dict[str, Any]]] = {}
    unfit: Counter[str] = Counter()
    for name, (target, _) in asked.items():
        questions = written[name].items if name in written else []
        if len(questions) > most:
            unfit["more than were asked for"] += len(questions) - most
        for number, question in enumerate(questions[:most]):
            record = record_of(question, f"{name}-{number}")
            if isinstance(record, Failure):
                unfit[record.reason] += 1
            else:
                records.setdefault((target.concept, question.kind), []).append(record)
    return {
        (concept, kind): BenchmarkConfig(
            name=f"concept-{concept}-{kind}", source=ObjectsSource(items=items), **_policy(kind, judge)
        )
        for (concept, kind), items in sorted(records.items())
    }, unfit


def _policy(kind: str, judge: bool) -> dict[str, Any]:
    """Keys of a benchmark that say how its kind of answer is scored."""
    if kind == "text" and judge:
        return {"policy": "judge", "options": {"max_new_tokens": SHORT}}
    return {"policy": _POLICIES[kind]}
