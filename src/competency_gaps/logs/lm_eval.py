"""Logs of lm-evaluation-harness (``--log_samples``): one item per document of the chosen filter.

By default the score is the task's first metric (in the order of its configuration) that is one number in [0, 1] per
document and of which higher is better, after the first filter of the file.
"""

# DOC """lm-evaluation-harness's output folder: samples files, and the results file that belongs to each."""
#

# DOC """A document in an lm-eval log: its prompt, its own text in the prompt, its options, and what the model answered.
#
# Methods to locate the own text, of which the first that works is used:
#
# 1. The task's template (``doc_to_text`` of the results file) rendered from the document, at its last occurrence.
# 2. The range from the first to the last of the document's texts in the prompt, after the last example.
# 3. Without examples and without a chat template, all but the task's description.
# 4. With examples and without a chat template, all after the last delimiter of examples.
# 5. All of it.
# """
#

# DOC """Render prompt templates of lm-evaluation-harness from results files, which are untrusted input.
#
# jinja2's sandbox prevents a template from running Python, but not from exhausting memory or time. Therefore loops,
# assignments and calls are refused, except a few methods and filters whose result is about as long as their input. Each
# part of such a template runs at most once, so the number of parts times the length of the document bounds the work.
# [ours] This covers 98% of the templates in lm-evaluation-harness 0.4.13.
# """
#

from __future__ import annotations

import functools
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.items.item import Item, Message, Reason
from competency_gaps.logs.prompt import (
    SHORTEST,
    LoggedPrompt,
    OwnText,
    chat_messages,
    chat_prompt,
    from_first_to_last,
    last_occurrence,
    last_user,
    text_prompt,
    trimmed,
    whole,
)
from competency_gaps.logs.reader import (
    NONE,
    OUTSIDE,
    LogEntry,
    LoggedScore,
    LogPart,
    Reader,
    Tally,
    chosen_metric,
    files_under,
    first_object,
    json_file,
    log_lines,
    mapped,
    mapping,
    newest,
    score_in_unit,
    sequence,
    text_or_none,
)
from competency_gaps.text import shorten

_GROUPS = ("category", "subject", "topic")
"""Fields of a document that name its sub-topic."""
_HEAD = 200
"""Records that are read to choose a metric."""


def find(path: Path) -> list[LogPart]:
    """Every task with samples in a file or folder, the newest file of each."""
    parts = []
    for (_, name), logs in sample_files(path).items():
        stamp, file, older = newest(logs)
        task = read_task_file(file, name, stamp)
        parts.append(
            LogPart(
                format="lm_eval",
                benchmark=name,
                files=(file, *([task.results] if task.results else [])),
                model=task.model,
                stamp=stamp or None,
                notes=(*task.notes, *older),
                details={"task": task},
            )
        )
    return parts


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Items of one samples file.

    Raises
    ------
    UserError
        If no metric is a score, or the requested metric or filter does not exist.
    """
    task = part.details["task"]
    faults = _faults(part.files[0], task)
    metric = chosen_metric(source, part, faults)
    usable = tuple(name for name, fault in faults.items() if fault is None)
    tally = Tally(part, metric=None if metric == NONE and NONE not in faults else metric, filter=source.filter)
    reader = _DocumentReader(task, tally, source)
    filters: Counter[str] = Counter()
    for line in log_lines(part.files[0]):
        tally.records += 1
        if line.fault is not None:
            yield tally.drop(line.where, line.fault)
            continue
        name = str(line.value.get("filter", "none"))
        filters[name] += 1
        if tally.filter is None:
            tally.filter = name
        if name == tally.filter:
            yield reader.entry(line.value, line.where)
        else:
            tally.drop(
                line.where, Reason("other_filter", f"answer of the filter {name!r}, which was not chosen")
            )  # counted, not listed
    tally.available = {"metric": usable, "filter": tuple(filters)}
    if source.filter is not None and source.filter not in filters:
        known = ", ".join(filters) or "none"
        raise UserError(
            f"{part.files[0].name} has no filter {source.filter!r}; there are {known}.{nearest(source.filter, filters)}"
        )
    tally.compare_mean(task.figures.get(f"{tally.metric},{tally.filter}"), str(tally.metric))
    yield tally.report()


class _DocumentReader:
    """Makes items of the records of one file."""

    def __init__(self, task: LoggedTask, tally: Tally, source: LogSource) -> None:
        self.task = task
        self.tally = tally
        self.source = source
        self._seen: set[str] = set()

    def entry(self, record: dict[str, Any], where: str) -> LogEntry:
        """One record of the chosen filter."""
        number = str(record.get("doc_id"))
        if number in self._seen:
            self.tally.warn(
                "document_twice",
                "a document stands in the file more than once for one filter; the first record is used",
            )
            return self.tally.drop(where, Reason("document_again", "the document was read before"))
        document = read_document(record, self.task)
        if isinstance(document, Reason):
            return self.tally.drop(where, document)
        self._seen.add(number)
        for warning in document.warnings:
            self.tally.warn(warning.code, warning.text)
        score = self._score(record, where)
        self.tally.unscored_because(score.reason)
        further = mapped(self.source, where, mapping(record.get("doc")), record)
        return self.tally.item(self._item(record, document, score, further), document.asked.method)

    def _score(self, record: dict[str, Any], where: str) -> LoggedScore:
        metric = self.tally.metric
        if metric is None:
            return LoggedScore(None)
        score = score_in_unit(record.get(metric))
        if isinstance(record.get(metric), (list, dict)):
            raise UserError(f"{where}: the metric {metric!r} is no single number. Choose another with 'metric'.")
        if score.reason == OUTSIDE:
            raise UserError(
                f"{where}: the metric {metric!r} is {record[metric]}, expected a number in [0, 1]. "
                "Choose another with 'metric', or 'none' to use the items without scores."
            )
        return score

    def _item(self, record: dict[str, Any], document: Document, score: LoggedScore, further: dict[str, Any]) -> Item:
        options = options_of(document.arguments, self.task)
        answers = sequence(record.get("resps"))
        repeats = len(answers[0]) if answers and isinstance(answers[0], list) else 1
        if repeats > 1:
            self.tally.warn(
                "asked_repeatedly",
                f"each item was asked {repeats} times; lm-eval's filter made one answer of them, "
                "and the first is kept as the response",
                repeats,
            )
        identity: dict[str, Any] = {
            "tool": "lm_eval",
            "task": self.task.name,
            "doc_id": record.get("doc_id"),
            "filter": record.get("filter"),
            "metric": self.tally.metric,
            "repeats": repeats,
            **{key: record[key] for key in ("doc_hash", "prompt_hash", "target_hash") if key in record},
        }
        doc = mapping(record.get("doc"))
        fields = {
            "choices": options.texts if options else None,
            "answer": answer_of(record.get("target"), options),
            "group": next((doc[key] for key in _GROUPS if isinstance(doc.get(key), str)), None),
            "score": score.value,
            "response": chosen(answers, document.arguments, options, self.tally.metric),
            "identity": identity,
        }
        return document.asked.item(str(record.get("doc_id")), **{**fields, **further})


def _faults(file: Path, task: LoggedTask) -> dict[str, str | None]:
    """Every metric, in the order of the task's configuration, with why it cannot be a score (None: it can)."""
    values: dict[str, list[Any]] = {}
    for line in itertools.islice(log_lines(file), _HEAD):
        for name in sequence(line.value.get("metrics")):
            values.setdefault(str(name), []).append(line.value.get(str(name)))
    order = [str(metric.get("metric")) for metric in map(mapping, sequence(task.config.get("metric_list")))]
    names = [name for name in order if name in values] + [name for name in values if name not in order]
    return {name: _fault(values[name], task.higher_is_better.get(name)) for name in names}


def _fault(values: list[Any], higher_is_better: Any) -> str | None:
    if higher_is_better is False:
        return "is better where it is lower"
    for value in values:
        if value is None or value != value:
            continue
        if not isinstance(value, (bool, int, float)):
            kind = "a list" if isinstance(value, list) else f"a {type(value).__name__}"
            return f"is {kind} per item, which lm-eval aggregates over all items"
        if not 0 <= value <= 1:
            number = f"{value:g}" if isinstance(value, float) else shorten(str(value), 40)
            return f"is {number} in one item, outside [0, 1]"
    if all(value is None or value != value for value in values):
        return f"is null or NaN in the first {len(values)} items"
    return None


LOG = Reader("lm-evaluation-harness: samples_TASK_TIME.jsonl", find, read, ("metric", "filter", "fields"))


_NAME = re.compile(r"samples_(?P<task>.+?)(?:_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl")
_RESULTS = re.compile(r"results_(?P<stamp>\d{4}-\d\d-\d\dT[\d.:-]+)\.json")
_MODEL_KEYS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Model arguments that name the model, in lm-eval's own order."""


@dataclass(frozen=True)
class LoggedTask:
    """A task according to the results file; everything but the name is empty without one."""

    name: str
    results: Path | None = None
    model: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """The task's configuration, functions as their source text."""
    higher_is_better: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    """``METRIC,FILTER`` -> lm-eval's own aggregate."""
    shots: int | None = None
    """Few-shot examples before each item; None: unknown."""
    bos: str | None = None
    """The token that starts an input; None: none, or unknown."""
    chat_template: bool | None = None
    """Whether a chat template rendered the prompts; None: unknown."""
    system: str | None = None
    notes: tuple[Reason, ...] = ()


def sample_files(path: Path) -> dict[tuple[Path, str], list[tuple[str, Path]]]:
    """Folder and task -> time and path of each samples file; for a results file, samples of its time beside it."""
    time = _RESULTS.fullmatch(path.name) if path.is_file() else None
    if time is None:
        files = files_under(path, "samples_*.jsonl")
    else:
        files = [file for file in path.parent.glob(f"samples_*_{time['stamp']}.jsonl") if file.is_file()]
    dated: dict[tuple[Path, str], list[tuple[str, Path]]] = {}
    for file in sorted(files):
        match = _NAME.fullmatch(file.name)
        if match and {"doc_id", "doc"} <= first_object(file).keys():
            dated.setdefault((file.parent, match["task"]), []).append((match["stamp"] or "", file))
    return dated


def results_without_samples(path: Path) -> bool:
    """Whether there are results files of lm-eval here, whose samples were not logged."""
    return any(_is_results(_results(file)) for file in files_under(path, "results*.json")[:20])


def read_task_file(samples: Path, task: str, stamp: str) -> LoggedTask:
    """Read what the results file beside a samples file records about a task.

    The results file of the same time is used, else the newest in the folder that contains the task, with a note.
    """
    beside = sorted(samples.parent.glob("results*.json"), reverse=True)
    exact = [file for file in beside if stamp and stamp in file.name]
    for file in [*exact, *(other for other in beside if other not in exact)]:
        results = _results(file)
        if _is_results(results) and task in results["configs"]:
            note = Reason("other_results_file", f"{file.name} is of another time than {samples.name}, but is used")
            return _task(task, file, results, () if file in exact else (note,))
    model = samples.parent.name if "__" in samples.parent.name else None
    return LoggedTask(
        task,
        model=model.replace("__", "/") if model else None,
        notes=(
            Reason(
                "no_results_file",
                "there is no results file beside the samples: few-shot examples, metrics' "
                "direction and the model are not known",
            ),
        ),
    )


def _task(name: str, file: Path, results: Mapping[str, Any], notes: tuple[Reason, ...]) -> LoggedTask:
    facts = {key: mapping(results.get(key)).get(name) for key in ("configs", "higher_is_better", "results", "n-shot")}
    bos = results.get("tokenizer_bos_token")
    return LoggedTask(
        name,
        results=file,
        model=_model(results),
        config=mapping(facts["configs"]),
        higher_is_better=mapping(facts["higher_is_better"]),
        figures=mapping(facts["results"]),
        shots=facts["n-shot"] if isinstance(facts["n-shot"], int) else None,
        bos=text_or_none(bos[0]) or None if isinstance(bos, list) and bos else None,
        chat_template=bool(results["chat_template"]) if "chat_template" in results else None,
        system=text_or_none(results.get("system_instruction")) or None,
        notes=notes,
    )


def _model(results: Mapping[str, Any]) -> str | None:
    arguments = _arguments(results)
    named = next((str(arguments[key]) for key in _MODEL_KEYS if arguments.get(key)), None)
    return text_or_none(results.get("model_name")) or named


def model_commit(files: Sequence[str]) -> str | None:
    """The model's commit on the hub, from the results file among a report's files; None: unknown."""
    return text_or_none(mapping(_results_among(files).get("config")).get("model_sha")) or None


def pretrained_model(files: Sequence[str]) -> str | None:
    """Hub id or folder of the model, from the results file among a report's files; None: it names no model.

    Only models that lm-eval loaded itself (``hf``, ``vllm``) have ``pretrained`` among their arguments. With an adapter
    or a weight difference, it names only a part of the model.
    """
    arguments = _arguments(_results_among(files))
    name, whole = arguments.get("pretrained"), not arguments.get("peft") and not arguments.get("delta")
    return str(name) if name and whole else None


def _results_among(files: Sequence[str]) -> Mapping[str, Any]:
    paths = (Path(file) for file in files)
    return next((_results(path) for path in paths if path.suffix == ".json" and path.is_file()), {})


def _arguments(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """lm-eval's model arguments: ``pretrained=NAME,dtype=float16`` or a mapping."""
    arguments = mapping(results.get("config")).get("model_args")
    if isinstance(arguments, str):
        return dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    return mapping(arguments)


def _is_results(results: Mapping[str, Any]) -> bool:
    return isinstance(results.get("results"), dict) and isinstance(results.get("configs"), dict)


def _results(file: Path) -> Mapping[str, Any]:
    return _parsed(file, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _parsed(file: Path, _changed: int) -> Mapping[str, Any]:
    # One file serves all tasks of an evaluation, so it is parsed once and not once per task.
    try:
        return mapping(json_file(file))
    except UserError:
        return {}


TEMPLATE = "the task's template, rendered"
FIELDS = "the document's texts in the prompt"
REST = "all but the task's description"
LAST = "all after the last example"
_DIGITS = 19
"""Digits from which on a number is none of ours; Python refuses to read some thousands."""


class Document(NamedTuple):
    """What a record says about its document."""

    asked: LoggedPrompt
    arguments: list[list[Any]]
    warnings: tuple[Reason, ...]
    """Codes of warnings."""


class LoggedOptions(NamedTuple):
    """The options of a multiple-choice document."""

    texts: tuple[str, ...] | None
    """The options; None if every option has the same continuation (and another prompt)."""
    continuations: tuple[str, ...]
    """The options as they follow the prompt."""
    bare: tuple[str, ...]
    """The continuations without the delimiter."""


_PROMPTS_OF_OPTIONS = Reason(
    "prompts_of_options",
    "options have prompts of their own; the first option's is taken as what the model read",
)
_NOT_ONLY_TEXT = Reason("not_only_text", "items come with images or sounds, which are not read")
_BEGUN_ANSWER = Reason(
    "begun_answer", "the beginning of the answer, which the log prefilled for the model, is left out"
)
_CHAT_RENDERED = Reason(
    "chat_rendered", "the log holds chat messages: the model's own chat template makes the text of them"
)


def read_document(record: dict[str, Any], task: LoggedTask) -> Document | Reason:
    """A record's prompt and own text, or the reason why they cannot be read."""
    arguments = _requests(record.get("arguments"))
    prompts = [argument[0] for argument in arguments if argument and argument[0]]
    if not prompts:
        if arguments and any(len(argument) > 1 and isinstance(argument[1], str) for argument in arguments):
            return Reason(
                "context_empty",
                "the context is empty: the options are the texts; run it as a task or give it as a table",
            )
        return Reason("no_prompt", "the record holds no prompt")
    warnings = []
    if any(prompt != prompts[0] for prompt in prompts):
        warnings.append(_PROMPTS_OF_OPTIONS)
    if any(
        isinstance(extra, dict) and {"visual", "audio"} & set(extra) for argument in arguments for extra in argument
    ):
        warnings.append(_NOT_ONLY_TEXT)
    chat = _messages(prompts[0])
    if chat is None:
        if not isinstance(prompts[0], str):
            return Reason("prompt_no_text", "the prompt is not a text")
        own = own_text(prompts[0], mapping(record.get("doc")), record.get("target"), task)
        asked = text_prompt(prompts[0], own, task.bos) if own else None
    else:
        last = last_user(chat)
        if last is None or not chat[last]["content"].strip():
            return Reason("no_user_text", "the chat messages hold no text by a user")
        if len(chat) > last + 1:
            warnings.append(_BEGUN_ANSWER)
        warnings.append(_CHAT_RENDERED)
        own = own_text(chat[last]["content"], mapping(record.get("doc")), record.get("target"), task)
        asked = chat_prompt(chat[: last + 1], own) if own else None
    return (
        Reason("prompt_empty", "the prompt is empty") if asked is None else Document(asked, arguments, tuple(warnings))
    )


def own_text(prompt: str, doc: dict[str, Any], target: Any, task: LoggedTask) -> OwnText | None:
    """The document's own text in a prompt, by the first method that finds it; None if the prompt is blank."""
    question = _rendered(task.config.get("doc_to_text"), doc)
    if question is not None and not question.strip().isdecimal():
        position = last_occurrence(prompt, question, TEMPLATE, closes=True)
        if position is not None:
            return position
    before = f"{task.system or ''}{_rendered(task.config.get('description'), doc) or ''}"
    texts = [text for text in _texts(doc) if len(text.strip()) >= SHORTEST and text != target]
    # A question is a field of its own, options are in lists; only a question shows where the item begins.
    alone = [text for text in texts if text in doc.values()]
    ranked = sorted(alone, key=len, reverse=True) + sorted(texts, key=len, reverse=True)
    anchor = next((position for text in ranked if (position := last_occurrence(prompt, text, FIELDS))), None)
    if anchor is not None:
        start = _after_examples(prompt, anchor.start, task, texts)
        if prompt.startswith(before) and anchor.start >= len(before):
            start = max(start, len(before))
        return from_first_to_last(prompt, texts, FIELDS, start=start) or anchor
    if task.shots and task.chat_template is False:
        delimiter = _delimiter(task)
        at = prompt.rstrip().rfind(delimiter) if delimiter else -1
        if at >= 0:
            return trimmed(prompt, at + len(delimiter or ""), len(prompt), LAST)
    if task.shots == 0 and task.chat_template is False and prompt.startswith(before):
        return trimmed(prompt, len(before), len(prompt), REST if before else "all of a prompt without examples")
    return whole(prompt)


def _after_examples(prompt: str, anchor: int, task: LoggedTask, texts: Sequence[str]) -> int:
    """The earliest start of the item's part of the prompt.

    That is after the last delimiter before its longest text, or after an earlier delimiter if the block in between
    holds one of its texts that does not occur later: a passage before the question.
    """
    if task.shots == 0:
        return 0
    delimiter = _delimiter(task)
    if delimiter is None:
        return anchor
    at = prompt.rfind(delimiter, 0, anchor)
    start = 0 if at < 0 else at + len(delimiter)
    while at >= 0:
        at = prompt.rfind(delimiter, 0, at)
        begins = 0 if at < 0 else at + len(delimiter)
        block = prompt[begins:start]
        if not any(text.strip() in block and text.strip() not in prompt[start:] for text in texts):
            break
        start = begins
    return start


def _delimiter(task: LoggedTask) -> str | None:
    """The delimiter of examples; None if it is no text or only spaces."""
    delimiter = task.config.get("fewshot_delimiter", "\n\n")
    return delimiter if isinstance(delimiter, str) and delimiter.strip(" ") else None


def _rendered(template: Any, doc: dict[str, Any]) -> str | None:
    if not isinstance(template, str) or not template:
        return None
    if template in doc:
        return text_or_none(doc[template])
    return render(template, doc)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Texts in a document, also those in lists and mappings."""
    if isinstance(value, str):
        yield value
    elif depth < 4:
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from _texts(part, depth + 1)


def _requests(value: Any) -> list[list[Any]]:
    """Arguments per request: ``{"gen_args_0": {"arg_0": ..., "arg_1": ...}}``, in older logs a list of lists."""
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value, key=_number)]
    if not isinstance(value, list):
        return []
    return [
        [request[key] for key in sorted(request, key=_number)] if isinstance(request, dict) else request
        for request in value
        if isinstance(request, (dict, list))
    ]


def _number(key: str) -> int:
    digits = key.rpartition("_")[2]
    return int(digits) if digits.isdecimal() and len(digits) < _DIGITS else 0


def _messages(prompt: Any) -> tuple[Message, ...] | None:
    """Chat messages of an API model (``["<JSON>"]``); None if the prompt holds none."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        try:
            prompt = json.loads(prompt[0])
        except ValueError:
            return None
    return chat_messages(prompt)


def options_of(arguments: Sequence[Sequence[Any]], task: LoggedTask) -> LoggedOptions | None:
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
        tuple(bare),
    )


def answer_of(target: Any, options: LoggedOptions | None) -> Any:
    """The gold answer: the index of an option if the target is one, else the target itself."""
    if options is None or options.texts is None:
        return target
    text = str(target).strip()
    if text.isdecimal() and len(text) < _DIGITS and int(text) < len(options.texts):
        return int(text)
    return options.texts.index(text) if text in options.texts else target


def chosen(
    answers: list[Any], arguments: Sequence[Sequence[Any]], options: LoggedOptions | None, metric: str | None
) -> str | None:
    """What the model answered, before any filter; None if the log does not record it.

    Of options, the one with the highest log-likelihood: per character where ``acc_norm`` is the metric, per byte for
    ``acc_bytes``, less the unconditional one for ``acc_mutual_info`` (lm-evaluation-harness, ``process_results``).
    """
    if not answers:
        return None
    if options is None:
        return _text(answers[0], arguments)
    likelihoods = [_likelihood(answer) for answer in answers]
    count = len(options.continuations)
    if len(likelihoods) < count or any(value is None for value in likelihoods):
        return None
    values = [float(value) for value in likelihoods if value is not None]
    weigh: dict[str | None, Callable[[int], float]] = {
        "acc_norm": lambda i: values[i] / max(1, len(options.bare[i])),
        "acc_bytes": lambda i: values[i] / max(1, len(options.bare[i].encode())),
    }
    if len(values) == 2 * count:
        weigh["acc_mutual_info"] = lambda i: values[i] - values[count + i]
    best = max(range(count), key=weigh.get(metric, lambda i: values[i]))
    return options.continuations[best].strip() if options.texts is not None else None


def _text(answer: Any, arguments: Sequence[Sequence[Any]]) -> str | None:
    first = answer[0] if isinstance(answer, list) and answer else answer
    second = arguments[0][1] if len(arguments[0]) > 1 else None
    if isinstance(first, str):
        generated = isinstance(second, dict)
        return first if generated or _float(first) is None else None
    if isinstance(first, list) and len(first) == 2 and str(first[1]) == "True" and isinstance(second, str):
        return second.strip()  # the only continuation is the model's greedy answer
    return None


def _likelihood(answer: Any) -> float | None:
    while isinstance(answer, list) and answer:
        answer = answer[0]
    return _float(answer)


def _float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


_LONGEST_TEMPLATE = 20_000
"""Longest template that is rendered, in characters."""
_MOST_WORK = 10_000_000
"""Limit on the parts of a template times the characters of the document."""
_NODES = frozenset(
    [
        "Add",
        "And",
        "Compare",
        "CondExpr",
        "Const",
        "Getattr",
        "Getitem",
        "If",
        "Name",
        "Neg",
        "Not",
        "Operand",
        "Or",
        "Output",
        "Slice",
        "TemplateData",
        "Test",
    ]
)
_METHODS = frozenset({"capitalize", "endswith", "lower", "lstrip", "rstrip", "startswith", "strip", "title", "upper"})
_FILTERS = frozenset({"capitalize", "default", "first", "last", "length", "lower", "title", "trim", "upper"})


class _Compiled(NamedTuple):
    template: Any
    parts: int


def render(template: str, document: Mapping[str, Any]) -> str | None:
    """Render a template as lm-evaluation-harness does; None if it may not be rendered, or fails on this document."""
    from jinja2.exceptions import TemplateError

    compiled = _compiled(template)
    try:
        if compiled is None or compiled.parts * len(json.dumps(document, ensure_ascii=False)) > _MOST_WORK:
            return None
        return str(compiled.template.render(document))
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None


@functools.lru_cache(maxsize=64)
def _compiled(template: str) -> _Compiled | None:
    """Compile a template; None if it is malformed, nested too deeply, or could grow."""
    from jinja2 import StrictUndefined, nodes
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if len(template) > _LONGEST_TEMPLATE:
        return None
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.globals.clear()
    try:
        tree = environment.parse(template)
        parts = list(tree.find_all(nodes.Node))
        return _Compiled(environment.from_string(tree), len(parts)) if all(map(_cannot_grow, parts)) else None
    except (TemplateError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _cannot_grow(part: Any) -> bool:
    from jinja2 import nodes

    if isinstance(part, nodes.Call):
        return isinstance(part.node, nodes.Getattr) and part.node.attr in _METHODS
    if isinstance(part, nodes.Filter):
        return part.name in _FILTERS
    return type(part).__name__ in _NODES
