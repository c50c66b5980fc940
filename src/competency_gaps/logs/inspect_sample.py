"""Read a sample of an Inspect log: what the model was asked, what it answered, and its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from competency_gaps.items.item import Reason
from competency_gaps.logs.prompt import (
    ROLES,
    WHOLE,
    Body,
    LoggedPrompt,
    chat_messages,
    chat_prompt,
    content_text,
    last_occurrence,
)
from competency_gaps.logs.reader import NONE, OUTSIDE, LoggedScore, score_in_unit
from competency_gaps.util.errors import UserError, no_such
from competency_gaps.util.jsonl import float_or_none, mapping, sequence
from competency_gaps.util.text import shorten, visible

WITH_OPTIONS = "question and lettered options"
INSIDE = "input inside the last user message"
NOT_INSIDE = "whole last user message (the input does not occur in it, or is short and occurs more than once)"

NOTES = {
    "sample_turns": "had several turns; the text is what precedes the first answer, and the response is that answer",
    "sample_tools": "used tools, whose descriptions the model also read, although the log's messages omit them",
    "sample_begun": "had text after the last user message (an answer begun for the model), which is not read",
    "sample_no_messages": "had no messages in the log (failed early?); the input serves as the prompt",
    "sample_other_prompt": "asked something else in a later epoch; the text is the first epoch's",
}
"""The rest of the warning "N samples ...", by code."""
_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


class Exchange(NamedTuple):
    """What the model was asked and what it answered."""

    asked: LoggedPrompt
    """Ends with the last user message before the model's first answer."""
    response: str | None
    notes: tuple[str, ...]
    """Codes of warnings, which are counted."""


def read_exchange(sample: Mapping[str, Any]) -> Exchange | Reason:
    """Return what the model was asked and answered, or why the sample is no item.

    The prompt ends before the model's own first answer (``source`` is ``generate``); assistant messages before that are
    examples. An agent's later turns are not read: they hold answers, and the item is the question.
    """
    raw = _list_of_messages(sample.get("messages"))
    input_ = _list_of_messages(sample.get("input"))
    notes = [] if raw else ["sample_no_messages"]
    raw = raw or input_
    first = _first_answer(raw, input_)
    users = [i for i in range(first) if raw[i].get("role") == "user"]
    if not users:
        return Reason("no_user_before_answer", "no user message precedes the first answer")
    last = users[-1]
    if last + 1 < first:
        notes.append("sample_begun")
    messages = chat_messages(raw[: last + 1])
    if messages is None:
        return Reason("more_than_text", "the prompt contains more than text (an image, a document, a recording)")
    if any(message["role"] not in ROLES for message in messages):
        return Reason("tool_before_answer", "a tool's message precedes the first answer")
    content = messages[-1]["content"]
    if not content.strip():
        return Reason("prompt_empty", "the prompt is empty")
    after = raw[first:]
    if len(after) > 1:
        notes.append("sample_turns")
    if any(message.get("role") == "tool" or message.get("tool_calls") for message in after):
        notes.append("sample_tools")
    body = _body_text(content, input_, sample.get("choices"))
    asked = chat_prompt(messages, body)
    if asked.prompt == content:
        asked = asked._replace(body=None)
    return Exchange(asked, _response(sample, after), tuple(notes))


def _list_of_messages(value: Any) -> list[dict[str, Any]]:
    """Return a sample's messages; a plain text becomes a user message."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return [message for message in value if isinstance(message, dict)] if isinstance(value, list) else []


def _first_answer(messages: Sequence[Mapping[str, Any]], input_: Sequence[Mapping[str, Any]]) -> int:
    """Return the index of the model's first answer, or the number of messages if there is none."""
    answers = [i for i, message in enumerate(messages) if message.get("role") == "assistant"]
    generated = [i for i in answers if messages[i].get("source") == "generate"]
    if not generated:
        # In logs without the messages' source, those of the dataset's input are no answers.
        brought = [message.get("content") for message in input_ if message.get("role") == "assistant"]
        generated = [
            i for i in answers if messages[i].get("source") != "input" and messages[i].get("content") not in brought
        ]
    return generated[0] if generated else len(messages)


def _body_text(content: str, input_: Sequence[Mapping[str, Any]], choices: Any) -> Body:
    """Return where the question, with the options that ``multiple_choice`` appends, stands in the last message.

    Options may repeat the question, so they are located first, and then the question before them. A short question that
    occurs more than once cannot be distinguished from an instruction's own words (a bare ``no``).
    """
    question = next((content_text(m.get("content")) for m in reversed(input_) if m.get("role") == "user"), None)
    question = (question or "").strip()
    if question == content.strip():
        return Body(0, len(content), WHOLE)
    options = lettered(choices) if isinstance(choices, list) else ""
    position = content.rfind(options) if options else -1
    body = _before_options(content, question, position) if position >= 0 else None
    if body is not None:
        body = Body(body.start, position + len(options), WITH_OPTIONS)
    else:
        body = last_occurrence(content, question, INSIDE)
    if body is None:
        return Body(0, len(content), NOT_INSIDE)
    if content[: body.start].strip() or content[body.end :].strip():
        return body
    return Body(0, len(content), body.method)


def _before_options(content: str, question: str, options: int) -> Body | None:
    """Return where the question stands before the options: directly before them, else its last occurrence."""
    start = len(content[:options].rstrip()) - len(question)
    joined = start > 0 and question[:1].isalnum() and content[start - 1].isalnum()
    if question and start >= 0 and content.startswith(question, start) and not joined:
        return Body(start, start + len(question), INSIDE)
    return last_occurrence(content, question, INSIDE, before=options)


def lettered(choices: Sequence[Any]) -> str:
    """Return options as Inspect's ``multiple_choice`` writes them: ``A) first``, one per line; after Z from 1."""
    names = [chr(ord("A") + i) if i < 26 else str(i - 25) for i in range(len(choices))]
    return "\n".join(f"{name}) {choice}" for name, choice in zip(names, choices, strict=True))


def _response(sample: Mapping[str, Any], after: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the model's answer: the first of several turns, else the sample's output; None if there is none."""
    if len(after) > 1:
        return _answer_text(after[0].get("content"))
    output = mapping(sample.get("output"))
    if sequence(output.get("choices")) and isinstance(output.get("completion"), str):
        return str(output["completion"])
    return _answer_text(after[0].get("content")) if after else None


def _answer_text(content: Any) -> str | None:
    """Return the model's answer without its hidden reasoning, or None if it only called tools."""
    if isinstance(content, list):
        content = "\n".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return content if isinstance(content, str) and content else None


def number(value: Any) -> LoggedScore:
    """Return a value as a score in [0, 1], converted as Inspect's metrics do.

    ``C`` is 1, ``P`` 0.5, ``I`` and ``N`` 0; yes, no, true and false in any case; numbers, also as texts. Values that
    Inspect cannot convert, and counts as 0, are unscored here.
    """
    if not isinstance(value, str):
        return score_in_unit(value)
    known = _VALUES.get(value, _WORDS.get(value.lower()))
    if known is not None:
        return LoggedScore(known)
    score = float_or_none(value)
    if score is None:
        return LoggedScore(None, Reason("score_text", "the value is a text that is not a score"))
    return score_in_unit(score)


class SampleScores(NamedTuple):
    """The scores of one epoch of a sample, by all scorers."""

    where: str
    """Names the sample, for messages."""
    values: dict[str, Any]
    """Values by scorer, as Inspect wrote them."""
    fault: Reason | None
    """Why none of the values counts; None if they do."""


@dataclass
class Scores:
    """Picks each sample's score by one scorer (and one key of it), after all samples are read."""

    scorer: str | None
    """The requested scorer; with None :meth:`choose` sets it."""
    metric: str | None
    """Key of a mapping or position in a list; None for single values; ``none`` if no scores are requested."""
    counts_errors: bool
    """Whether the evaluation scored samples that failed (``score_on_error``)."""
    metrics: tuple[str, ...]
    """Names under which Inspect itself averages single values."""
    named: tuple[str, ...]
    """Scorers in the log's own order."""
    scorers: dict[str, None] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)

    def judged(self, sample: Mapping[str, Any]) -> SampleScores:
        """Return the scores of a sample, and remember their scorers."""
        scores = mapping(sample.get("scores"))
        if not scores and isinstance(sample.get("score"), dict):
            scores = {"score": sample["score"]}  # old logs have one scorer
        self.scorers.update(dict.fromkeys(scores))
        fault = None
        if sample.get("error") and not (scores and self.counts_errors):
            fault = Reason("sample_failed", "the sample failed")
        elif sample.get("invalidation"):
            fault = Reason("sample_invalid", "the sample was marked invalid")
        elif not scores:
            fault = Reason("no_score", "no score")
        values = {name: mapping(score).get("value") for name, score in scores.items()}
        return SampleScores(f"sample {shorten(repr(sample.get('id')), 80)}", values, fault)

    def choose(self) -> None:
        """Set the scorer to the log's first that scored any sample, unless one was requested.

        Raises
        ------
        UserError
            If no sample was scored by the requested scorer.
        """
        if self.scorer is not None and self.scorer not in self.scorers:
            raise no_such("no sample was scored by", self.scorer, self.scorers)
        if self.scorer is None and self.metric != NONE:
            self.scorer = next((name for name in (*self.named, *self.scorers) if name in self.scorers), None)

    def of(self, judged: SampleScores) -> LoggedScore:
        """Return the sample's score by the chosen scorer and key.

        Raises
        ------
        UserError
            If the value is a mapping or a list and no key is chosen, or a key is chosen and it is neither; or if it
            is a number outside [0, 1]: on a scale from 0 to 10, leaving those out would leave only bad answers scored.
        """
        if self.metric == NONE:
            return LoggedScore(None, Reason("score_unwanted", "no score was asked for"))
        if judged.fault is not None:
            return LoggedScore(None, judged.fault)
        if self.scorer not in judged.values:
            return LoggedScore(None, Reason("not_by_scorer", f"no score by {self.scorer}"))
        number, value = self._value(judged.values[self.scorer])
        if number.reason == OUTSIDE:
            raise UserError(
                f"{judged.where}: the score by {self.scorer!r} is {shorten(visible(str(value)), 40)}, expected a "
                f"number in [0, 1]. Choose another with 'scorer' ({', '.join(self.scorers)}) or 'metric', or give "
                f"{NONE!r} as 'metric' to use the items without scores."
            )
        return number

    def _value(self, value: Any) -> tuple[LoggedScore, Any]:
        """Return the score, and the logged value that it comes from."""
        parts = {str(i): part for i, part in enumerate(value)} if isinstance(value, list) else value
        if not isinstance(parts, dict):
            known = (*self.metrics, self.scorer)
            if self.metric is not None and not self.keys and value is not None and self.metric not in known:
                raise UserError(
                    f"the scorer {self.scorer!r} gives one value per sample, so there is no metric {self.metric!r} to "
                    f"choose. Leave 'metric' out, or name another scorer ({', '.join(self.scorers)})."
                )
            return number(value), value
        self.keys.update(dict.fromkeys(parts))
        if self.metric is None:
            raise UserError(
                f"the scorer {self.scorer!r} gives several values per sample. Choose one with 'metric' "
                f"({', '.join(self.keys)}), or another scorer with 'scorer' ({', '.join(self.scorers)})."
            )
        if self.metric not in parts:
            return LoggedScore(None, Reason("no_value", f"no value {self.metric}")), None
        return number(parts[self.metric]), parts[self.metric]

    def check(self) -> None:
        """Raise UserError if no sample has the chosen key."""
        if self.metric is not None and self.keys and self.metric not in self.keys:
            raise no_such(f"the scorer {self.scorer!r} has no value", self.metric, self.keys)
