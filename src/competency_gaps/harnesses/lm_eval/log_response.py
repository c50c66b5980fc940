"""The options of a multiple-choice document, the right one, and what the model answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from competency_gaps.harnesses.lm_eval.log_files import Task


class LoggedOptions(NamedTuple):
    """The options of a multiple-choice document."""

    texts: tuple[str, ...] | None
    """The options; None if every option has the same continuation (and another prompt)."""
    continuations: tuple[str, ...]
    """The options as they follow the prompt."""
    lengths: tuple[int, ...]
    """Characters of each option without the delimiter, at least 1."""
    sizes: tuple[int, ...]
    """The same in bytes of UTF-8."""


def options_of(arguments: Sequence[Sequence[Any]], task: Task) -> LoggedOptions | None:
    """The options of a document; None if it is no multiple choice.

    Arguments without a prompt (the unconditional ones of ``acc_mutual_info``) are not options.
    """
    pairs = [argument for argument in arguments if len(argument) > 1 and isinstance(argument[1], str)]
    texts = [str(argument[1]) for argument in pairs if argument[0]]
    if len(texts) < 2:
        return None
    delimiter = task.config.get("target_delimiter", " ")
    bare = [text.removeprefix(delimiter) if isinstance(delimiter, str) else text for text in texts]
    differ = len(set(texts)) > 1
    return LoggedOptions(
        tuple(text.strip() for text in bare) if differ else None,
        tuple(texts),
        tuple(max(1, len(text)) for text in bare),
        tuple(max(1, len(text.encode())) for text in bare),
    )


def answer_of(target: Any, options: LoggedOptions | None) -> Any:
    """The gold answer: the index of an option if the target is one, else the target itself."""
    if options is None or options.texts is None:
        return target
    text = str(target).strip()
    if text.isdecimal() and int(text) < len(options.texts):
        return int(text)
    return options.texts.index(text) if text in options.texts else target


def chosen(record: dict[str, Any], options: LoggedOptions | None, metric: str | None) -> str | None:
    """What the model answered, before any filter; None if the log does not tell.

    Of options, the one with the highest log-likelihood: per character where ``acc_norm`` is the metric, per byte for
    ``acc_bytes``, less the unconditional one for ``acc_mutual_info`` (lm-evaluation-harness, ``process_results``).
    """
    answers = record.get("resps")
    if not isinstance(answers, list) or not answers:
        return None
    if options is None:
        return _text(answers[0], record)
    likelihoods = [_likelihood(answer) for answer in answers]
    count = len(options.continuations)
    if len(likelihoods) < count or any(value is None for value in likelihoods):
        return None
    values = [float(value) for value in likelihoods if value is not None]
    weigh: dict[str | None, Callable[[int], float]] = {
        "acc_norm": lambda i: values[i] / options.lengths[i],
        "acc_bytes": lambda i: values[i] / options.sizes[i],
    }
    if len(values) == 2 * count:
        weigh["acc_mutual_info"] = lambda i: values[i] - values[count + i]
    best = max(range(count), key=weigh.get(metric, lambda i: values[i]))
    return options.continuations[best].strip() if options.texts is not None else None


def _text(answer: Any, record: dict[str, Any]) -> str | None:
    first = answer[0] if isinstance(answer, list) and answer else answer
    if isinstance(first, str):
        return first if _number(first) is None or _generates(record) else None
    if isinstance(first, list) and len(first) == 2 and str(first[1]) == "True":
        # The only continuation: the model's greedy answer.
        argument = (
            (record.get("arguments") or {}).get("gen_args_0") if isinstance(record.get("arguments"), dict) else {}
        )
        text = (argument or {}).get("arg_1")
        return text.strip() if isinstance(text, str) else None
    return None


def _generates(record: dict[str, Any]) -> bool:
    arguments = record.get("arguments")
    first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
    return isinstance(first, dict) and isinstance(first.get("arg_1"), dict)


def _likelihood(answer: Any) -> float | None:
    while isinstance(answer, list) and answer:
        answer = answer[0]
    return _number(answer)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
