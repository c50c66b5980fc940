"""Probe concepts with items that a language model writes: Examiner, Questioner, measurement, answers, Assessor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from competency_gaps.config import AskConfig, BenchmarkConfig, ObjectsSource, RunConfig
from competency_gaps.dictionary.folder import dictionary_of
from competency_gaps.endpoint import Failure, Request, parse
from competency_gaps.endpoint.asking import Asking
from competency_gaps.errors import UserError
from competency_gaps.files import write_json
from competency_gaps.probes.concept import FOLDER, Criterion, Probed, conclude, folder_name, fresh_run
from competency_gaps.probes.roles import (
    Questions,
    Topics,
    examiner,
    questioner,
    record_of,
    windows_of,
)
from competency_gaps.probes.targets import Target
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.settings import run_config
from competency_gaps.text import plural

T = TypeVar("T", bound=pydantic.BaseModel)
KIND = "written"
ANSWERS = "said.json"
"""What the roles said in batch files, by id of the request: checked answers, each asked for once. An endpoint's are
kept beside it by who gave them, so that another model is asked anew."""
SHORT = 64
"""Tokens of an answer that a judge grades: the Questioner asks for one to five words."""
_POLICIES = {"choice": "choice", "number": "numeric", "text": "exact"}


def probe_written(
    run: RunFolder,
    wanted: Sequence[Target],
    way: Asking,
    criterion: Criterion,
    progress: Progress,
    *,
    topics: int = 3,
    count: int = 10,
    judge: AskConfig | None = None,
    command: str = "",
) -> Probed | str:
    """Probe concepts with written items.

    Parameters
    ----------
    topics, count
        Topics of each concept, and questions with (and as many without) the concept on each.
    judge
        Who scores answers in words; null: they must equal the Questioner's answer (policy ``exact``).

    Returns
    -------
    Probed, or what to do next where requests were only written down or answers are still missing

    Raises
    ------
    UserError
        If no usable question came back.
    """
    folder = run.path / FOLDER / folder_name(KIND, [one.concept for one in wanted])
    folder.mkdir(parents=True, exist_ok=True)
    config = run_config(run)
    dictionary = dictionary_of(run)
    windows = {one.concept: windows_of(one, dictionary) for one in wanted}
    first = {one.concept: examiner(run, one, windows[one.concept], topics) for one in wanted}
    planned = _ask(list(first.values()), Topics, folder, way, progress)
    if planned is None:
        exported = f"The Examiner's requests are in {way.config.export}."
        return f"{exported} Next: the same command with --import and their answers."
    left_out: dict[int, str] = {}
    second: dict[str, tuple[Target, Request]] = {}
    for target in wanted:
        plan = planned.get(first[target.concept].id)
        if plan is None or not plan.topics:
            left_out[target.concept] = "the Examiner gave no usable answer"
            continue
        for topic in plan.topics[:topics]:
            request = questioner(target, windows[target.concept], topic, count)
            second[request.id] = (target, request)
    if not second:
        raise UserError(
            "the Examiner named no topic in a form that can be read. With --base-url, --again asks once more."
        )
    written = _ask([request for _, request in second.values()], Questions, folder, way, progress)
    if written is None:
        exported = f"The Questioner's requests are in {way.config.export}."
        return f"{exported} Next: the same command with --import and their answers."
    if not written and way.config.imports:
        return "The Examiner's answers are kept. Next: the same command with --export, for the Questioner's requests."
    benchmarks, unfit = _benchmarks(second, written, judge, 2 * count)
    for why, number in unfit.items():
        progress.say(f"{plural(number, 'written item')} left out: {why}")
    unanswered = len(second.keys() - written.keys())
    if unanswered:
        progress.say(f"{plural(unanswered, 'topic')} left out: the Questioner gave no usable answer")
    if not benchmarks:
        raise UserError("the Questioner wrote no usable question. With --base-url, --again asks once more.")
    config = RunConfig.model_validate({**config.model_dump(), "benchmarks": benchmarks, "judge": judge})
    fresh = fresh_run(run, config, progress, command)
    able = {int(one.name.split("-")[1]) for one in benchmarks}
    left_out |= {
        one.concept: "no usable question was written" for one in wanted if one.concept not in able | set(left_out)
    }
    chosen = [one for one in wanted if one.concept in able]
    return conclude(
        run,
        fresh,
        chosen,
        criterion,
        progress,
        folder=folder,
        left_out=left_out,
        unfit={
            **{f"written: {why}": number for why, number in unfit.items()},
            **({"topics without a usable answer": unanswered} if unanswered else {}),
        },
        benchmarks_of=lambda target: [_name(target.concept, kind) for kind in _POLICIES],
    )


def _ask(requests: list[Request], kind: type[T], folder: Path, way: Asking, progress: Progress) -> dict[str, T] | None:
    """Checked answers by id of the request, those that are kept and new ones; null: requests were written down.

    Answers of no use are counted with their reason and not kept.
    """
    file = folder / ANSWERS
    kept: dict[str, Any] = {}
    if way.endpoint is None and file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
    found = {one.id: kind.model_validate(kept[one.id]) for one in requests if one.id in kept}
    missing = [one for one in requests if one.id not in found]
    if not missing:
        return found
    said = way.answers(
        missing, folder / "answers", progress, lambda answer: not isinstance(parse(answer, kind), Failure)
    )
    if said is None:
        return None
    for name, answer in said.items():
        value = parse(answer, kind)
        if isinstance(value, Failure):
            progress.say(f"{name}: {value.reason}")
            continue
        found[name] = value
        kept[name] = value.model_dump(mode="json")
    if way.endpoint is None:
        write_json(file, kept)
    return found


def _benchmarks(
    asked: dict[str, tuple[Target, Request]], written: dict[str, Questions], judge: AskConfig | None, most: int
) -> tuple[list[BenchmarkConfig], Counter[str]]:
    """Written items as benchmarks, one for each concept and kind of answer; and why others are none.

    Of each request ``most`` items are taken: who writes more than was asked for does not buy the model's time.
    """
    records: dict[tuple[int, str], list[dict[str, Any]]] = {}
    unfit: Counter[str] = Counter()
    for name, (target, _) in asked.items():
        items = written[name].items if name in written else []
        if len(items) > most:
            unfit["more than were asked for"] += len(items) - most
        for number, one in enumerate(items[:most]):
            record = record_of(one, f"{name}-{number}")
            if isinstance(record, str):
                unfit[record] += 1
            else:
                records.setdefault((target.concept, one.kind), []).append(record)
    return [
        BenchmarkConfig(
            name=_name(concept, kind),
            source=ObjectsSource(items=own),
            **(
                {"policy": "judge", "options": {"max_new_tokens": SHORT}}
                if kind == "text" and judge is not None
                else {"policy": _POLICIES[kind]}
            ),
        )
        for (concept, kind), own in sorted(records.items())
    ], unfit


def _name(concept: int, kind: str) -> str:
    return f"concept-{concept}-{kind}"
