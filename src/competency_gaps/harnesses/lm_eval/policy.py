"""Scores by a task of lm-evaluation-harness: its own filters and metrics on this run's outputs."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import inspect
import json
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from competency_gaps.errors import UserError
from competency_gaps.files import finite
from competency_gaps.items.item import Item
from competency_gaps.items.policy import Continuations, Generation, Output, Policy, Request, Score
from competency_gaps.items.remark import Remark

MAX_GEN_TOKS = 256
"""The harness's length of an answer if a task sets none."""
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""The harness's names for the length of an answer, in order of precedence."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True, eq=False)
class LmEval(Policy):
    """The harness's own score of each document.

    The model gets the task's requests verbatim; copies of them get the outputs, as in the harness's evaluator, and the
    task's filters and ``process_results`` score them.
    """

    name: ClassVar[str] = "lm_eval"
    as_plain_text: ClassVar[bool] = True

    task: Any
    """The harness's task object."""
    requests: dict[int, tuple[Any, ...]]
    """Document -> its requests, in order."""
    metric: str
    """The metric that is the score."""
    filter: str
    """The filter after which the metric is taken."""
    files: str = ""
    """Hash of the user's own files that define the task; empty for the harness's tasks."""

    def fingerprint(self) -> str:
        """SHA-256 of the task's configuration with its functions' source, its requests, and its files."""
        parts = [
            _described(self.task.dump_config()),
            _source(type(self.task)),
            self.metric,
            self.filter,
            self.files,
            {
                doc: [[list(instance.args), instance.repeats] for instance in asked]
                for doc, asked in self.requests.items()
            },
        ]
        text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def request(self, item: Item) -> Request:
        instances = self.requests[int(item.id)]
        if instances[0].request_type == "generate_until":
            return _generation(instances[0].args[1])
        prompt = instances[0].args[0]
        contexts = tuple(None if instance.args[0] == prompt else str(instance.args[0]) for instance in instances)
        texts = tuple(str(instance.args[1]) for instance in instances)
        return Continuations(texts, contexts if any(context is not None for context in contexts) else (), verbatim=True)

    def score(self, item: Item, output: Output) -> Score:
        instances = self._answered(item, output)
        if instances is None:
            return Score(None, unscored=Remark("not_finite"))
        metrics, kept = self._metrics(instances)
        response = self._response(instances[0].doc, output)
        details = {"metrics": _plain(metrics), "filtered_resps": _plain(kept)}
        if self.metric not in metrics[self.filter]:
            known = ", ".join(metrics[self.filter])
            raise UserError(f"lm_eval:{self.task.task_name} gives no metric {self.metric!r}; it gives {known}.")
        measured = metrics[self.filter][self.metric]
        value = scalar(measured)
        if value is None or not 0 <= value <= 1:
            reason = Remark("metric_no_number", quotes=(self.metric, type(measured).__name__))
            if value is not None and math.isfinite(value):
                reason = Remark("metric_outside", (value,), (self.metric,))
            return Score(None, response, reason, details)
        return Score(value, response, None, details)

    def _answered(self, item: Item, output: Output) -> list[Any] | None:
        """Copies of an item's requests with the model's responses; None if a likelihood is not finite."""
        asked = self.requests[int(item.id)]
        # The harness repeats a request as the task demands; a greedy answer is the same each time.
        repeats = max(1, int(asked[0].repeats or 1))
        responses: list[Any]
        if asked[0].request_type == "generate_until":
            responses = [output.text]
        else:
            if not len(output.logprobs) == len(output.greedy) == len(asked):
                raise ValueError(f"{len(output.logprobs)} log-probabilities for {len(asked)} requests")
            if not all(math.isfinite(value) for value in output.logprobs):
                return None
            responses = list(zip(output.logprobs, output.greedy, strict=True))
        return [
            dataclasses.replace(instance, resps=[response] * repeats, filtered_resps={})
            for instance, response in zip(asked, responses, strict=True)
        ]

    def _metrics(self, instances: list[Any]) -> tuple[dict[str, dict[str, Any]], dict[str, list[Any]]]:
        """Filter -> metric -> value, and filter -> filtered response per request."""
        view = copy.copy(self.task)
        view._instances = instances
        view.apply_filters()
        metrics, kept = {}, {}
        for name in instances[0].filtered_resps:
            kept[name] = [instance.filtered_resps[name] for instance in instances]
            metrics[name] = dict(view.process_results(instances[0].doc, list(kept[name])))
        return metrics, kept

    def _response(self, doc: Any, output: Output) -> str | None:
        """The answer in words: the text, or the likeliest option."""
        if not output.logprobs:
            return output.text
        choices = doc_choices(self.task, doc) or ()
        values = output.logprobs[: len(choices)]
        return choices[values.index(max(values))] if values else None


def scalar(value: Any) -> float | None:
    """A metric's value of one item as a number; None if it is no finite number (a list, a pair)."""
    if isinstance(value, numbers.Real) or type(value).__name__ == "bool_":
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return None


def samples(options: Mapping[str, Any]) -> bool:
    """Whether generation arguments sample answers, as the harness reads them: by default, they do not."""
    drawn = options.get("do_sample")
    return bool(drawn) if drawn is not None else float(options.get("temperature") or 0) > 0


def doc_choices(task: Any, doc: Any) -> tuple[str, ...] | None:
    """A document's options; None if the task has none."""
    if not hasattr(task, "doc_to_choice") or task.get_config("doc_to_choice") is None:
        return None
    return tuple(str(choice) for choice in task.doc_to_choice(doc))


def hashes(task: Any, instances: Sequence[Any]) -> dict[str, str]:
    """The harness's hashes of a document, of its prompt and of its target, as in its logs."""
    from lm_eval.utils import handle_non_serializable

    doc = json.dumps(instances[0].doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    parts = {"doc": doc, "prompt": instances[0].args[0], "target": str(task.doc_to_target(instances[0].doc))}
    return {f"{name}_hash": hashlib.sha256(str(text).encode("utf-8")).hexdigest() for name, text in parts.items()}


def _generation(options: dict[str, Any]) -> Generation:
    """The harness's generation arguments as a request."""
    longest = next((options[name] for name in LENGTHS if options.get(name) is not None), MAX_GEN_TOKS)
    until = options.get("until") or []
    stop = [until] if isinstance(until, str) else list(until)
    texts = tuple(str(text) for text in stop if text)
    return Generation(int(longest), texts, stop_at_once=True, greedy=not samples(options))


def _described(value: Any) -> Any:
    """A configuration as plain JSON that is the same in every process, with functions as their source."""
    if isinstance(value, Mapping):
        return {str(key): _described(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_described(part) for part in value]
    if isinstance(value, functools.partial):
        return [_described(value.func), _described(value.args), _described(value.keywords)]
    if value is None or isinstance(value, (str, bool, int, float)):
        return _ADDRESS.sub("", value) if isinstance(value, str) else value
    return _source(value) if callable(value) else _ADDRESS.sub("", str(value))


def _source(value: Any) -> str:
    """Source of a function or class, else its name."""
    try:
        return inspect.getsource(value)
    except (TypeError, OSError):
        return _ADDRESS.sub("", str(value))


def _plain(value: Any) -> Any:
    """The same as plain JSON: tuples and arrays as lists, null for what is not finite."""
    from lm_eval.utils import handle_non_serializable

    def tidy(part: Any) -> Any:
        if isinstance(part, dict):
            return {str(key): tidy(inner) for key, inner in part.items()}
        if isinstance(part, (list, tuple)):
            return [tidy(inner) for inner in part]
        if hasattr(part, "tolist"):
            return tidy(part.tolist())
        return part if part is None or isinstance(part, (str, bool, int, float)) else handle_non_serializable(part)

    return finite(tidy(value))
