"""Runs of HELM: ``scenario_state.json`` with ``per_instance_stats.json`` in one folder.

Only runs with one prompt per question are read: generation, and multiple choice with the options in the prompt. Runs
that ask each option separately, or for the likelihood of a text, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError
from competency_gaps.harnesses.shared.files import (
    OUTSIDE,
    files_under,
    json_file,
    mapping,
    mean_score,
    score_in_unit,
    sequence,
    text_or_none,
)
from competency_gaps.harnesses.shared.log import NONE, LogEntry, LogPart, Reader, Tally, chosen_metric, mapped
from competency_gaps.harnesses.shared.prompt import LoggedPrompt, read_prompt
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark

STATE, STATS, SPEC = "scenario_state.json", "per_instance_stats.json", "run_spec.json"
_METHODS = ("generation", "multiple_choice_joint", "multiple_choice_joint_chain_of_thought", "chat")
_SCORES = (
    "quasi_exact_match",
    "exact_match",
    "quasi_prefix_exact_match",
    "prefix_exact_match",
    "final_number_exact_match",
    "chain_of_thought_correctness",
    "math_equiv_chain_of_thought",
    "math_equiv",
    "ifeval_strict_accuracy",
    "safety_score",
    "f1_score",
    "rouge_l",
)
"""Statistics that are scores, in order of preference."""
INPUT = "the instance's input, at its last place in the prompt"
_Key = tuple[str, int]


class _Trial(NamedTuple):
    """One request for an instance."""

    instance: str
    number: int
    request: dict[str, Any]
    asked: LoggedPrompt
    score: float | None


def find(path: Path) -> list[LogPart]:
    """Every run folder of HELM at a path, which may also be one of its files."""
    if path.is_file():
        path = path.parent if path.name in (STATE, STATS, SPEC, "display_predictions.json", "instances.json") else path
    parts = []
    for stats in files_under(path, STATS) if path.is_dir() else []:
        state = stats.with_name(STATE)
        spec = stats.with_name(SPEC)
        if state.is_file():
            named = mapping(json_file(spec)) if spec.is_file() else {}
            model = text_or_none(mapping(named.get("adapter_spec")).get("model"))
            name = text_or_none(named.get("name")) or stats.parent.name
            parts.append(LogPart("helm", _without_model(name), (state, stats), model=model))
    return parts


def _without_model(name: str) -> str:
    """``mmlu:subject=anatomy,model=openai_gpt2`` without the model, which is kept separately."""
    head, colon, arguments = name.partition(":")
    kept = [
        argument
        for argument in arguments.split(",")
        if argument and not argument.startswith(("model=", "model_deployment="))
    ]
    return head + (colon + ",".join(kept) if kept else "")


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one run: an instance without perturbation is an item, its train trials are averaged.

    Both files are read whole, as HELM writes them: one JSON value each.

    Raises
    ------
    UserError
        If the run's method asks more than one prompt per question, or no statistic is a score.
    """
    state = mapping(json_file(part.files[0]))
    adapter = mapping(state.get("adapter_spec"))
    if adapter.get("method") not in _METHODS:
        raise UserError(
            f"{part.files[0]}: runs of the method {adapter.get('method')!r} are not read, because they ask several "
            f"prompts per question. Methods that are read: {', '.join(_METHODS)}."
        )
    stats, unknown = _statistics(part.files[1])
    every = sorted({name for entry in stats.values() for name in entry})
    usable = tuple(name for name in _SCORES if name in every)
    metric = chosen_metric(source, part, dict.fromkeys(usable), also=every)
    tally = Tally(part, metric=metric, model=text_or_none(adapter.get("model")), available={"metric": usable})
    tally.warn("prompts_untemplated")
    if unknown:
        tally.warn("unknown_records", unknown)
    trials: dict[str, list[_Trial]] = {}
    for number, request in enumerate(sequence(state.get("request_states")), start=1):
        tally.records += 1
        trial = _trial(request, stats, metric)
        if isinstance(trial, Remark):
            yield tally.drop(f"{STATE}, request {number}", trial)
            continue
        known = trials.setdefault(trial.instance, [])
        if any(other.number == trial.number for other in known):
            yield tally.drop(f"{STATE}, request {number}", Remark("trial_again"))
            continue
        known.append(trial)
    other_examples = 0
    for asked in trials.values():
        first = asked[0]
        where = f"{STATE}, instance {first.instance}"
        item = _item(asked, metric, mapped(source, where, first.request["instance"], first.request))
        if item.score is None:
            tally.unscored_because(Remark("no_statistic"), len(asked))
        other_examples += any(trial.asked[:-1] != first.asked[:-1] for trial in asked)
        yield tally.item(item, first.asked.method, records=len(asked))
    if other_examples:
        tally.warn("other_examples", other_examples)
    yield tally.report()


def _statistics(file: Path) -> tuple[dict[_Key, dict[str, Any]], int]:
    """Mean per statistic of every unperturbed instance and trial (HELM writes one record per metric class), and the
    number of records in an unknown form."""
    means: dict[_Key, dict[str, Any]] = {}
    unknown = 0
    for record in sequence(json_file(file)):
        number = _trial_index(record)
        if number is None or mapping(record).get("instance_id") is None:
            unknown += 1
        elif record.get("perturbation") is None:
            entry = means.setdefault((str(record["instance_id"]), number), {})
            for stat in map(mapping, sequence(record.get("stats"))):
                name = mapping(stat.get("name")).get("name")
                if isinstance(name, str):
                    entry[name] = stat.get("mean")
    return means, unknown


def _trial_index(entry: Any) -> int | None:
    """Number of the train trial, 0 by default; None if it is not an integer."""
    value = mapping(entry).get("train_trial_index")
    if value is None:
        return 0 if isinstance(entry, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _trial(request: Any, stats: Mapping[_Key, Mapping[str, Any]], metric: str) -> _Trial | Remark:
    """One request as a trial of its instance, or why it is none.

    Raises
    ------
    UserError
        If the statistic is outside [0, 1].
    """
    fault = _fault(request)
    if fault is not None:
        return fault
    number, name, sent = _trial_index(request), str(request["instance"]["id"]), request["request"]
    if number is None:
        return Remark("trial_no_number")
    input_ = request["instance"].get("input")
    own = text_or_none(mapping(input_).get("text", input_))
    asked = read_prompt(sent.get("messages") or sent.get("prompt"), own or "", INPUT)
    if asked is None:
        return Remark("no_prompt")
    score = score_in_unit(stats.get((name, number), {}).get(metric))
    if score.reason == OUTSIDE:
        raise UserError(
            f"{STATS}, instance {name}: {metric!r} is outside [0, 1]. Choose another 'metric', or {NONE!r} to use the "
            "items without scores."
        )
    return _Trial(name, number, request, asked, score.value)


def _fault(request: Any) -> Remark | None:
    if not isinstance(request, dict):
        return Remark("request_no_object")
    instance = request.get("instance")
    if not isinstance(instance, dict) or instance.get("id") is None:
        return Remark("no_instance")
    if instance.get("perturbation") is not None:
        named = instance["perturbation"]
        return Remark("perturbed", quotes=(str(named.get("name") if isinstance(named, dict) else named),))
    if request.get("request_mode") == "calibration":
        return Remark("calibration")
    asked = request.get("request")
    if not isinstance(asked, dict):
        return Remark("no_prompt")
    if asked.get("multimodal_prompt") is not None:
        return Remark("more_than_text")
    return None


def _item(trials: Sequence[_Trial], metric: str, further: Mapping[str, Any]) -> Item:
    first = trials[0]
    instance = first.request["instance"]
    references = [reference for reference in sequence(instance.get("references")) if isinstance(reference, dict)]
    right = [_text_of(reference) for reference in references if "correct" in sequence(reference.get("tags"))]
    options = tuple(_text_of(reference) for reference in references)
    completions = [mapping(c) for c in sequence(mapping(first.request.get("result")).get("completions"))]
    fields = {
        "choices": options if first.request.get("output_mapping") and len(options) > 1 else None,
        "answer": right[0] if right else None,
        "group": text_or_none(instance.get("sub_split")),
        "score": mean_score(trial.score for trial in trials),
        "response": text_or_none(completions[0].get("text")) if completions else None,
        "epochs": len(trials),
        "identity": {"tool": "helm", "doc_id": first.instance, "metric": metric, "epochs": len(trials)},
    }
    return first.asked.item(first.instance, **{**fields, **further})


def _text_of(reference: Mapping[str, Any]) -> str:
    output = reference.get("output")
    return str(output.get("text", "")) if isinstance(output, dict) else str(output)


LOG = Reader("HELM: scenario_state.json with per_instance_stats.json", find, read, ("metric", "fields"))
