"""A task of lm-evaluation-harness as items: its own prompts, few-shot examples and targets."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import TaskSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.harnesses.lm_eval.policy import LENGTHS, LmEval, doc_choices, hashes, samples
from competency_gaps.harnesses.lm_eval.task_index import harness_seeds, load_task, quiet_harness
from competency_gaps.harnesses.shared.folder_digest import folder_digest
from competency_gaps.harnesses.shared.log import LogPart, Tally
from competency_gaps.items.item import Item, LeftOut, Message, SourceReport, Text
from competency_gaps.items.policy import Policy
from competency_gaps.items.remark import Remark

_OF_ALL = frozenset(
    {"f1", "mcc", "brier_score", "likelihood", "bleu", "chrf", "chrf++", "ter", "perplexity", "word_perplexity"}
    | {"byte_perplexity", "bits_per_byte", "acc_all", "bypass"}
)
"""The harness's metrics that are defined only over all items, unless the task takes their mean (as DROP does with its
own ``f1``): they have no value in [0, 1] per item."""


class TaskMetric(NamedTuple):
    """The metric and filter that give the score, and all that the task has."""

    metric: str
    filter: str
    metrics: tuple[str, ...]
    filters: tuple[str, ...]


def read_lm_eval(source: TaskSource) -> Iterator[Item | LeftOut | SourceReport | Policy]:
    """Every document of a task as an item, the policy that scores it, and a report.

    Prompts are the harness's own (``build_all_requests`` with ``simple_evaluate``'s seeds, over all documents, so that
    the few-shot examples are those of a whole evaluation). Where the harness cuts a prompt that is longer than the
    model's context on its left, this package leaves the item out, with its reason. Functions that the task's files name
    are run: they are code of whoever wrote the task.

    Raises
    ------
    MissingExtraError
        If lm-evaluation-harness is not installed.
    UserError
        If there is no such task, its data cannot be loaded, or it asks or scores what has no score per item.
    """
    task = load_task(source)
    where = f"lm_eval:{source.name}"
    _refuse(task, where)
    chosen = choose_metric(task, source, where)
    _refuse_votes(task, chosen, where)
    templated = source.chat_template == "on"
    requests = _requests(task, where, templated)
    part = LogPart("lm_eval", source.name, (), notes=tuple(_warnings(task, source)))
    tally = Tally(part, chosen.metric, chosen.filter, records=len(requests))
    tally.available = {"metric": chosen.metrics, "filter": chosen.filters}
    for doc_id, instances in requests.items():
        made, method = _item(task, doc_id, instances, templated)
        if isinstance(made, LeftOut):
            yield tally.drop(made.where, made.reason)
            continue
        tally.items += 1
        tally.own_text[method] += 1
        identity = {"task": source.name, "doc_id": doc_id, "metric": chosen.metric, "filter": chosen.filter}
        known = hashes(task, instances)
        if templated:
            del known["prompt_hash"]  # the harness hashes the rendered prompt, which does not exist yet
        yield replace(made, identity={**identity, **known})
    asked = {doc_id: tuple(each) for doc_id, each in requests.items()}
    yield LmEval(task, asked, chosen.metric, chosen.filter, _files(source))
    yield tally.report()


def _refuse(task: Any, where: str) -> None:
    """Refuse kinds of tasks that have no score per item."""
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        raise UserError(
            f"{where} measures the likelihood of whole texts (loglikelihood_rolling): its perplexity is no score per "
            "item in [0, 1]. Choose a task with a metric such as acc or exact_match."
        )
    if getattr(task, "MULTIMODAL", False):
        raise UserError(f"{where} shows the model pictures or sounds; only tasks of text can be run.")
    if getattr(task, "UNSAFE_CODE", False):
        raise UserError(
            f"{where} runs code that the model wrote. Run it with lm_eval itself, in a sandbox, with --log_samples, "
            "and read its log."
        )


def _refuse_votes(task: Any, chosen: TaskMetric, where: str) -> None:
    """Refuse scores over several sampled answers, since one answer per item is made."""
    if not _draws(task) or (task.get_config("repeats") or 1) <= 1:
        return
    for kind, name in (("filter", chosen.filter), ("metric", chosen.metric)):
        votes = re.search(r"@(\d+)", name)
        if votes and int(votes[1]) > 1:
            raise UserError(
                f"{where}: the {kind} {name!r} is taken over {votes[1]} sampled answers, but one answer per item is "
                f"made here. Choose another with '{kind}', or run the task with lm_eval itself and read its log."
            )


def _draws(task: Any) -> bool:
    return task.OUTPUT_TYPE == "generate_until" and samples(task.get_config("generation_kwargs") or {})


def _files(source: TaskSource) -> str:
    """Hash of the user's own files that define a task; empty for the harness's tasks."""
    name = Path(source.name)
    folder = source.include_path or (name.parent if name.is_file() else None)
    return folder_digest(folder, (".py", ".yaml", ".yml"), depth=8) if folder is not None else ""


def _requests(task: Any, where: str, templated: bool) -> dict[int, list[Any]]:
    """The harness's requests, by document, in the order of its documents."""
    from lm_eval import simple_evaluate

    multiturn = inspect.signature(simple_evaluate).parameters["fewshot_as_multiturn"].default
    with quiet_harness(), harness_seeds(), _no_bar():
        task.build_all_requests(
            apply_chat_template=templated,
            fewshot_as_multiturn=bool(multiturn) and templated,
            chat_template=_captured if templated else None,
        )
    by_doc: dict[int, list[Any]] = {}
    for instance in task.instances:
        by_doc.setdefault(int(instance.doc_id), []).append(instance)
    for instances in by_doc.values():
        instances.sort(key=lambda instance: instance.idx)
        kinds = {instance.request_type for instance in instances}
        if kinds not in ({"loglikelihood"}, {"generate_until"}) or ("generate_until" in kinds and len(instances) > 1):
            raise UserError(
                f"{where} asks {len(instances)} questions of the kinds {', '.join(sorted(kinds))} about one item; "
                "log-likelihoods of any number of texts, or one answer, can be asked."
            )
    return by_doc


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    """Switch off the harness's progress bar, which has no argument for it; output of a task's code is kept."""
    import lm_eval.api.task as module

    bar = module.tqdm
    module.tqdm = functools.partial(bar, disable=True)
    try:
        yield
    finally:
        module.tqdm = bar


def _captured(messages: list[Message], add_generation_prompt: bool = True) -> str:
    """Stand in for the chat template: keep the messages, which the pipeline renders once the model is loaded."""
    return json.dumps({"messages": messages, "open": add_generation_prompt}, ensure_ascii=False)


def _item(task: Any, doc_id: int, instances: list[Any], templated: bool) -> tuple[Item | LeftOut, str]:
    """One document's item, and how its own text was found."""
    doc, context = instances[0].doc, instances[0].args[0]
    choices = doc_choices(task, doc)
    own = task.doc_to_text(doc)
    several = isinstance(own, int) and choices is not None  # the options stand in the prompts (as in WinoGrande)
    answer = own if several else _answer(task, doc, choices)
    text = choices[0] if several and choices else str(own)
    fields: dict[str, Any] = {
        "id": str(doc_id),
        "choices": choices if choices is not None and len(choices) > 1 else None,
        "answer": answer,
        "policy": LmEval.name,
    }
    if not text.strip() or not context.strip():
        return LeftOut(f"document {doc_id}", Remark("option_alone")), ""
    if not templated:
        start = context.rfind(text)
        how = "last occurrence in the prompt" if start >= 0 else "not found: the whole prompt counts as its own"
        start, text = (start, text) if start >= 0 else (0, context)
        return Item(prompt=text, seen=Text(context, (start, start + len(text)), templated=False), **fields), how
    captured = json.loads(context)
    if several or not captured["open"]:
        what = "a prompt per option" if several else "an answer begun for the model (gen_prefix)"
        raise UserError(
            f"lm_eval:{task.task_name} with the chat template: {what} cannot be put into a chat. Leave it off."
        )
    messages = captured["messages"]
    content = messages[-1]["content"]
    start = content.rfind(text)
    how = "last occurrence in the last message" if start >= 0 else "not found: the whole message counts as its own"
    place = None if start < 0 or text == content else (start, start + len(text))
    return Item(prompt=text if start >= 0 else content, messages=tuple(messages), own=place, **fields), how


def _answer(task: Any, doc: Any, choices: tuple[str, ...] | None) -> Any:
    """The gold: an option's index where there are options, else the target as text or list of texts."""
    target = task.doc_to_target(doc)
    if choices is not None and isinstance(target, str) and target in choices:
        return choices.index(target)
    if isinstance(target, (list, tuple)):
        return [alternative if isinstance(alternative, (int, float)) else str(alternative) for alternative in target]
    return target if isinstance(target, int) else str(target)


def _warnings(task: Any, source: TaskSource) -> Iterator[Remark]:
    own, asked = task.get_config("num_fewshot"), source.num_fewshot
    if asked is not None and own != asked:
        yield Remark("shots_unused", (asked, own or 0))
    repeats = task.get_config("repeats") or 1
    if task.OUTPUT_TYPE != "generate_until":
        return
    if repeats > 1 and _draws(task):
        yield Remark("sampled_repeatedly", (repeats,))
    elif repeats > 1:
        yield Remark("greedy_repeatedly", (repeats,))
    options = dict(task.get_config("generation_kwargs") or {})
    if _draws(task):
        yield Remark("samples_answers")
    for name in sorted(set(options) - {"until", "do_sample", "temperature", *LENGTHS}):
        yield Remark("option_unused", quotes=(name, repr(options[name])))


def choose_metric(task: Any, source: TaskSource, where: str) -> TaskMetric:
    """The requested metric and filter, else the first metric that is a score per item, and the first filter.

    Raises
    ------
    UserError
        If there is no such metric or filter, or the metric is no score per item, or lower is better.
    """
    metrics = tuple(dict.fromkeys(str(name) for name in task.aggregation()))
    filters = tuple(ensemble.name for ensemble in task._filters)
    better = task.higher_is_better()
    if source.scorer is not None:
        raise UserError(f"{where}: 'scorer' is for Inspect. Choose with 'metric' and 'filter'.")
    if source.filter is not None and source.filter not in filters:
        raise UserError(
            f"{where} has no filter {source.filter!r}; it has {', '.join(filters)}.{nearest(source.filter, filters)}"
        )
    whole = _of_all(task)
    fit = [name for name in metrics if name not in whole and better.get(name) is not False]
    asked = source.metric
    if asked is not None:
        # A task's own function may give metrics that its configuration does not list: these are accepted.
        if asked not in metrics and not callable(task.get_config("process_results")):
            raise UserError(f"{where} has no metric {asked!r}; it has {', '.join(metrics)}.{nearest(asked, metrics)}")
        if better.get(asked) is False:
            raise UserError(f"{where}: the metric {asked!r} is better where it is lower. Choose one of {_listed(fit)}.")
        if asked in whole:
            raise UserError(f"{where}: the metric {asked!r} has no value per item. Choose one of {_listed(fit)}.")
    elif not fit:
        raise UserError(
            f"{where} has no metric that scores each item in [0, 1]; it has {', '.join(metrics) or 'none'}. "
            "Choose another task."
        )
    return TaskMetric(asked or fit[0], source.filter or filters[0], metrics, filters)


def _of_all(task: Any) -> frozenset[str]:
    """The metrics of a task that are defined only over all of its items."""
    from lm_eval.api.registry import get_aggregation

    mean = get_aggregation("mean")
    return _OF_ALL - {str(name) for name, function in task.aggregation().items() if function is mean}


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "another task's: this one has none"
