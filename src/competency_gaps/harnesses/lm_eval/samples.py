"""A run's items as the samples that lm-evaluation-harness logs (0.4.13, ``--log_samples``)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from competency_gaps.config import GenerationConfig
from competency_gaps.files import finite
from competency_gaps.harnesses.lm_eval.policy import LmEval
from competency_gaps.items.policy import Continuations, Generation, Sentences
from competency_gaps.items.remark import Remark
from competency_gaps.model.prepare import PreparedItem

METRICS = {"choice": "acc", "exact": "exact_match"}
"""Policies of this package that are a metric of the harness under another name [ours]."""


class Measured(NamedTuple):
    """The metrics of an item after one filter, under their names in the harness's files."""

    filter: str
    metrics: dict[str, Any]
    """Metric -> value; None: unscored."""
    filtered: list[Any] | None
    """Filtered response per request; None: equal to the responses."""


def metric_name(items: Sequence[PreparedItem]) -> str:
    """Name of a benchmark's scores: the metric of its log, else its policy; ``score`` if items differ."""
    policies = [METRICS.get(prepared.policy.name, prepared.policy.name) for prepared in items]
    names = {str(p.item.identity.get("metric") or policy) for p, policy in zip(items, policies, strict=True)}
    return names.pop() if len(names) == 1 else "score"


def measured(prepared: PreparedItem, row: Mapping[str, Any], name: str) -> list[Measured]:
    """An item's metrics, filter by filter: all of its task, else its score."""
    details = json.loads(row["details"]) if row["details"] else None
    if isinstance(prepared.policy, LmEval) and details is not None:
        kept = details["filtered_resps"]
        return [Measured(key, values, kept[key]) for key, values in details["metrics"].items()]
    known = json.loads(row["identity"]) if row["identity"] else {}
    if isinstance(prepared.policy, LmEval):
        name = prepared.policy.metric
    return [Measured(str(known.get("filter") or "none"), {name: row["score"]}, None)]


def sample(
    prepared: PreparedItem, row: Mapping[str, Any], position: int, measured_item: Measured, generation: GenerationConfig
) -> dict[str, Any]:
    """One record of a samples file, with the harness's keys in its order.

    The metric of an item without a score is None, with the reason under ``unscored``. ``doc`` is the task's own
    document, else the item's own fields.
    """
    doc, target, doc_id = _doc(prepared, position)
    arguments = _arguments(prepared, generation)
    responses = _responses(prepared, row)
    filtered = _texts(measured_item.filtered) if measured_item.filtered is not None else [each[0] for each in responses]
    line = {
        "doc_id": doc_id,
        "doc": doc,
        "target": str(target),
        "arguments": {
            f"gen_args_{i}": {f"arg_{j}": value for j, value in enumerate(pair)} for i, pair in enumerate(arguments)
        },
        "resps": responses,
        "filtered_resps": filtered,
        "filter": measured_item.filter,
        "metrics": list(measured_item.metrics),
        "doc_hash": _hash(json.dumps(doc, indent=2, default=_plain, ensure_ascii=False)),
        "prompt_hash": _hash(arguments[0][0]),
        "target_hash": _hash(str(target)),
        **measured_item.metrics,
    }
    reason = row["excluded"] or row["unscored"]
    return {**line, "unscored": str(Remark.of(reason))} if reason else line


def line_of(entry: Mapping[str, Any]) -> str:
    """A sample as a line of JSON; NumPy's scalars as plain ones, null for what is not finite."""
    return json.dumps(finite(dict(entry)), default=_plain, ensure_ascii=False) + "\n"


def _doc(prepared: PreparedItem, position: int) -> tuple[Any, Any, int]:
    """The document, its target, and its number."""
    item = prepared.item
    if isinstance(prepared.policy, LmEval):
        number = int(item.id)
        doc = prepared.policy.requests[number][0].doc
        return doc, prepared.policy.task.doc_to_target(doc), number
    fields = {name: getattr(item, name) for name in ("id", "prompt", "choices", "answer", "group", "metadata")}
    doc = {name: value for name, value in fields.items() if value not in (None, {})}
    number = item.identity.get("doc_id", position)
    return doc, "" if item.answer is None else item.answer, number if isinstance(number, int) else position


def _arguments(prepared: PreparedItem, generation: GenerationConfig) -> list[tuple[Any, ...]]:
    """The requests as the harness's arguments: context and continuation, or prompt and generation options."""
    request, prompt = prepared.request, prepared.text.text
    # The run's settings, not the task's, decide how answers are sampled.
    drawn = generation.temperature if not isinstance(request, Generation) or not request.greedy else 0.0
    if isinstance(prepared.policy, LmEval) and prepared.item.messages is None:
        asked = [tuple(instance.args) for instance in prepared.policy.requests[int(prepared.item.id)]]
        if not isinstance(request, Generation) or request.greedy:
            return asked
        return [(text, {**known, "do_sample": drawn > 0, "temperature": drawn}) for text, known in asked]
    if isinstance(request, Sentences):
        return [("", text) for text in request.texts]
    if isinstance(request, Continuations):
        contexts = request.contexts or (None,) * len(request.texts)
        cut = not request.verbatim and prompt[-1:].isspace()
        texts = [text.lstrip() if cut else text for text in request.texts]
        return [(prompt if c is None else c, text) for c, text in zip(contexts, texts, strict=True)]
    options: dict[str, Any] = {"until": [], "do_sample": drawn > 0}
    if isinstance(request, Generation):
        options |= {"until": list(request.stop), "max_gen_toks": request.max_new_tokens}
        options |= {"temperature": drawn}
    return [(prompt, options)]


def _responses(prepared: PreparedItem, row: Mapping[str, Any]) -> list[list[Any]]:
    """For each request, a list with its response as text: log-likelihood and greediness, or the answer."""
    if row["excluded"] and not row["logprobs"]:
        return []
    if isinstance(prepared.request, (Continuations, Sentences)):
        pairs = zip(row["logprobs"], row["greedy"], strict=True)
        return [[[str(value), str(greedy)]] for value, greedy in pairs]
    return [[row["response"] or ""]]


def _texts(value: Any) -> Any:
    return [_texts(part) for part in value] if isinstance(value, list) else str(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    return value.item() if isinstance(value, np.generic) else str(value)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
