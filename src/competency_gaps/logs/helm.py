"""Runs of HELM: ``scenario_state.json`` with ``per_instance_stats.json`` in one folder.

Read are runs of which one prompt is one question (generation, and multiple choice with the options in the prompt).
Runs that ask for every option by itself, for the likelihood of a text, or that come with pictures are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from competency_gaps.benchmarks.item import Item
from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.logs.chat import chat_messages
from competency_gaps.logs.lines import files_under, json_file, score_in_unit
from competency_gaps.logs.options import refuse_options
from competency_gaps.logs.own_text import last_occurrence, whole
from competency_gaps.logs.part import LogEntry, LogPart
from competency_gaps.logs.tally import Tally
from competency_gaps.model.prompts import Text

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
"""Statistics that are scores, the one to take first where several are there."""
INPUT = "the instance's input, at its last place in the prompt"
_Key = tuple[str, int]


def find(path: Path) -> list[LogPart]:
    """Every run folder of HELM at a path (also where one of its files is named)."""
    if path.is_file():
        path = path.parent if path.name in (STATE, STATS, SPEC, "display_predictions.json", "instances.json") else path
    parts = []
    for stats in files_under(path, STATS) if path.is_dir() else []:
        state = stats.with_name(STATE)
        spec = stats.with_name(SPEC)
        if state.is_file():
            named = json_file(spec) if spec.is_file() else {}
            adapter = named.get("adapter_spec") if isinstance(named, dict) else None
            model = adapter.get("model") if isinstance(adapter, dict) else None
            name = str(named.get("name", stats.parent.name)) if isinstance(named, dict) else stats.parent.name
            parts.append(LogPart("helm", _without_model(name), (state, stats), model=model))
    return parts


def _without_model(name: str) -> str:
    """``mmlu:subject=anatomy,model=openai_gpt2`` without the model, which is kept apart."""
    head, colon, arguments = name.partition(":")
    kept = [one for one in arguments.split(",") if one and not one.startswith(("model=", "model_deployment="))]
    return head + (colon + ",".join(kept) if kept else "")


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one run: an instance without perturbation is an item, its train trials are averaged.

    Raises
    ------
    UserError
        If the run's method asks more than one prompt per question, or no statistic is a score.
    """
    refuse_options(source, part, "filter", "scorer")
    state = json_file(part.files[0])
    adapter = state.get("adapter_spec") if isinstance(state, dict) else None
    method = adapter.get("method") if isinstance(adapter, dict) else None
    if method not in _METHODS:
        raise UserError(
            f"{part.files[0]}: runs of the method {method!r} are not read, since one question is not one prompt there; "
            f"read are {', '.join(_METHODS)}."
        )
    stats = _statistics(part.files[1])
    usable = _usable(stats)
    metric = _metric(source.metric, usable, stats, part)
    tally = Tally(part, metric=metric, available={"metric": usable})
    tally.model = state["adapter_spec"].get("model")
    tally.warn("HELM's log holds prompts as they were before a deployment's own chat template, if it has one")
    trials: dict[str, list[tuple[dict[str, Any], float | None]]] = {}
    for number, request in enumerate(state.get("request_states", []), start=1):
        tally.records += 1
        fault = _fault(request)
        if fault is not None:
            yield tally.drop(f"{STATE}, request {number}", fault)
            continue
        instance = str(request["instance"]["id"])
        score = score_in_unit(stats.get((instance, int(request.get("train_trial_index", 0))), {}).get(metric))
        if score.reason == "the score is outside [0, 1]":
            raise UserError(f"{STATS}, instance {instance}: {metric!r} is outside [0, 1]. Choose another 'metric'.")
        trials.setdefault(instance, []).append((request, score.value))
    for instance, asked in trials.items():
        item, way = _item(instance, asked, metric)
        if item.score is None:
            tally.unscored_because("no statistic of this name, or no number")
        yield tally.item(item, way, records=len(asked))
    yield tally.report()


def _statistics(file: Path) -> dict[_Key, dict[str, Any]]:
    """Mean per statistic of every unperturbed instance and trial; HELM writes one record per metric class."""
    found: dict[_Key, dict[str, Any]] = {}
    entries = json_file(file)
    try:
        for one in entries:
            if one.get("perturbation") is None:
                entry = found.setdefault((str(one["instance_id"]), int(one.get("train_trial_index", 0))), {})
                for stat in one.get("stats", []):
                    entry[str(stat["name"]["name"])] = stat.get("mean")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}: not HELM's statistics per instance ({type(error).__name__}: {error}).") from error
    return found


def _usable(stats: Mapping[_Key, Mapping[str, Any]]) -> tuple[str, ...]:
    names = Counter(name for one in stats.values() for name in one)
    return tuple(name for name in _SCORES if name in names)


def _metric(wanted: str | None, usable: tuple[str, ...], stats: Mapping[_Key, Mapping[str, Any]], part: LogPart) -> str:
    every = sorted({name for one in stats.values() for name in one})
    if wanted is not None:
        if wanted not in every:
            raise UserError(f"{part.files[1]} has no statistic {wanted!r}.{nearest(wanted, every)}")
        return wanted
    if not usable:
        raise UserError(f"{part.files[1]}: no statistic is known as a score; name one: {', '.join(every)}.")
    return usable[0]


def _fault(request: Any) -> str | None:
    if not isinstance(request, dict):
        return "the request is no object"
    instance = request.get("instance")
    if not isinstance(instance, dict) or instance.get("id") is None:
        return "the request names no instance"
    if instance.get("perturbation") is not None:
        named = instance["perturbation"]
        return f"perturbed instance ({named.get('name') if isinstance(named, dict) else named})"
    if request.get("request_mode") == "calibration":
        return "request for calibration"
    asked = request.get("request")
    if not isinstance(asked, dict) or not (asked.get("prompt") or asked.get("messages")):
        return "the request holds no prompt"
    if asked.get("multimodal_prompt") is not None:
        return "the prompt has pictures or sounds"
    return None


def _item(instance: str, trials: list[tuple[dict[str, Any], float | None]], metric: str) -> tuple[Item, str]:
    first = trials[0][0]
    asked = first["request"]
    messages = chat_messages(asked.get("messages")) if asked.get("messages") else None
    prompt = messages[-1]["content"] if messages else str(asked["prompt"])
    input_ = first["instance"].get("input", {})
    found = last_occurrence(prompt, str(input_.get("text", "") if isinstance(input_, dict) else input_), INPUT)
    found = found or whole(prompt)
    if found is None:
        raise UserError(f"{STATE}, instance {instance}: the prompt is empty.")
    scores = [score for _, score in trials if score is not None]
    references = [one for one in first["instance"].get("references", []) if isinstance(one, dict)]
    right = [_text_of(one) for one in references if "correct" in one.get("tags", [])]
    options = (
        tuple(_text_of(one) for one in references) if first.get("output_mapping") and len(references) > 1 else None
    )
    completions = (first.get("result") or {}).get("completions") or [{}]
    item = Item(
        id=instance,
        prompt=prompt[found.start : found.end],
        messages=messages,
        own=(found.start, found.end) if messages else None,
        seen=None if messages else Text(prompt, ((found.start, found.end),), templated=False),
        choices=options,
        answer=right[0] if right else None,
        group=first["instance"].get("sub_split"),
        policy="imported",
        score=sum(scores) / len(scores) if scores else None,
        response=completions[0].get("text"),
        epochs=len(trials),
        identity={"tool": "helm", "doc_id": instance, "metric": metric, "epochs": len(trials)},
    )
    return item, found.way


def _text_of(reference: Mapping[str, Any]) -> str:
    output = reference.get("output")
    return str(output.get("text", "")) if isinstance(output, dict) else str(output)
