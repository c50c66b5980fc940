"""From a sample of Inspect's log to what the model was asked, and to its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from competency_gaps.errors import UserError, nearest
from competency_gaps.logs.lines import Number, score_in_unit
from competency_gaps.logs.lm_eval_metric import NONE
from competency_gaps.logs.own_text import WHOLE, last_occurrence
from competency_gaps.logs.shapes import mapping, sequence
from competency_gaps.model.prompts import Message

WITH_OPTIONS = "question and lettered options"
INSIDE = "input inside the last user message"
NOT_INSIDE = "whole last user message (the input does not stand in it)"

SEVERAL_TURNS = "went on over several turns; the text is that before the first answer, the response is that answer"
TOOLS = "used tools, whose descriptions the model also read but which are not among the log's messages"
BEGUN = "had text after the last user message (an answer begun for the model), which is not read"
NO_MESSAGES = "had no messages in the log (failed early?); the input is taken for the prompt"

_VALUES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_ROLES = ("system", "user", "assistant")


class Asked(NamedTuple):
    """What the model was asked and what it answered."""

    messages: tuple[Message, ...]
    """Up to the last user message before the model's first answer."""
    own: tuple[int, int] | None
    """Where the item's own text stands in the last of them; null: it is all of it."""
    way: str
    """How the own text was found."""
    response: str | None
    notes: tuple[str, ...]
    """What is worth counting, as the end of a sentence that begins "N samples"."""

    @property
    def prompt(self) -> str:
        """The item's own text."""
        content = self.messages[-1]["content"]
        return content if self.own is None else content[self.own[0] : self.own[1]]


def asked(sample: Mapping[str, Any]) -> Asked | str:
    """What the model was asked, or why the sample is no item.

    The model's own answers (``source`` is ``generate``) end the prompt; an assistant's messages before them are
    examples. An agent's later turns are not read: they hold answers, and the item is the question.
    """
    raw = _list_of_messages(sample.get("messages"))
    given = _list_of_messages(sample.get("input"))
    notes = [] if raw else [NO_MESSAGES]
    raw = raw or given
    first = _first_answer(raw, given)
    users = [i for i in range(first) if raw[i].get("role") == "user"]
    if not users:
        return "no user message stands before the first answer"
    last = users[-1]
    if last + 1 < first:
        notes.append(BEGUN)
    messages: list[Message] = []
    for message in raw[: last + 1]:
        text = _text(message.get("content"))
        if text is None:
            return "the prompt holds more than text (an image, a document)"
        if message.get("role") not in _ROLES:
            return "a tool's message stands before the first answer"
        messages.append({"role": message["role"], "content": text})
    content = messages[-1]["content"]
    if not content.strip():
        return "the prompt is empty"
    after = raw[first:]
    if len(after) > 1:
        notes.append(SEVERAL_TURNS)
    if any(message.get("role") == "tool" or message.get("tool_calls") for message in after):
        notes.append(TOOLS)
    own, way = _own_text(content, given, sample.get("choices"))
    return Asked(tuple(messages), own, way, _response(sample, after), tuple(notes))


def _list_of_messages(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    return [message for message in value if isinstance(message, dict)] if isinstance(value, list) else []


def _first_answer(messages: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]) -> int:
    """Index of the model's first answer; the number of messages if there is none."""
    answers = [i for i, message in enumerate(messages) if message.get("role") == "assistant"]
    generated = [i for i in answers if messages[i].get("source") == "generate"]
    if not generated:
        # Logs that do not say who wrote a message: what the dataset brought is no answer.
        brought = [message.get("content") for message in given if message.get("role") == "assistant"]
        generated = [
            i for i in answers if messages[i].get("source") != "input" and messages[i].get("content") not in brought
        ]
    return generated[0] if generated else len(messages)


def _text(content: Any) -> str | None:
    """A message's content as one text, its parts joined as Inspect joins them; null if it holds anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
    return "\n".join(parts) if all(isinstance(part, str) for part in parts) else None  # type: ignore[arg-type]


def _own_text(content: str, given: Sequence[Mapping[str, Any]], choices: Any) -> tuple[tuple[int, int] | None, str]:
    """Where the question, with the options that ``multiple_choice`` puts behind it, stands in the last message."""
    question = next((_text(m.get("content")) for m in reversed(given) if m.get("role") == "user"), None)
    found = last_occurrence(content, question or "", INSIDE)
    if found is None:
        return None, NOT_INSIDE
    start, end, way = found
    options = lettered(choices) if isinstance(choices, list) else ""
    place = content.find(options, end) if options else -1
    if place >= 0:
        end, way = place + len(options), WITH_OPTIONS
    if content[:start].strip() or content[end:].strip():
        return (start, end), way
    return None, WHOLE if way == INSIDE else way


def lettered(choices: Sequence[Any]) -> str:
    """Options as Inspect's ``multiple_choice`` writes them: ``A) first``, one a line; after Z come numbers from 1."""
    names = [chr(ord("A") + i) if i < 26 else str(i - 25) for i in range(len(choices))]
    return "\n".join(f"{name}) {choice}" for name, choice in zip(names, choices, strict=True))


def _response(sample: Mapping[str, Any], after: Sequence[Mapping[str, Any]]) -> str | None:
    if len(after) > 1:
        return _answer_text(after[0].get("content"))
    output = mapping(sample.get("output"))
    if sequence(output.get("choices")) and isinstance(output.get("completion"), str):
        return str(output["completion"])
    return _answer_text(after[0].get("content")) if after else None


def _answer_text(content: Any) -> str | None:
    """What the model said, without its hidden reasoning; null if it only called tools."""
    if isinstance(content, list):
        content = "\n".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return content if isinstance(content, str) and content else None


def number(value: Any) -> Number:
    """A value of Inspect's as a score in [0, 1], as its metrics convert it.

    ``C`` is 1, ``P`` 0.5, ``I`` and ``N`` 0; yes, no, true and false in any case; numbers, also as texts. What Inspect
    itself would count as 0 because it cannot be read is unscored here.
    """
    if not isinstance(value, str):
        return score_in_unit(value)
    if value in _VALUES:
        return Number(_VALUES[value], None)
    if value.lower() in _WORDS:
        return Number(_WORDS[value.lower()], None)
    try:
        return score_in_unit(float(value))
    except ValueError:
        return Number(None, "the value is a text that is no score")


@dataclass
class Scores:
    """Takes the score of one scorer, and of one of its keys, from each sample."""

    scorer: str | None
    """As asked for; null: the first scorer of the first sample that has one."""
    metric: str | None
    """Key of a mapping, or position in a list; null: the values are single ones; ``none``: no scores are wanted."""
    counts_errors: bool = False
    """The evaluation scored samples that failed (``score_on_error``)."""
    metrics: tuple[str, ...] = ()
    """Names under which Inspect itself averages single values."""
    scorers: dict[str, None] = field(default_factory=dict)
    keys: dict[str, None] = field(default_factory=dict)

    def of(self, sample: Mapping[str, Any]) -> Number:
        """The sample's score.

        Raises
        ------
        UserError
            If the value is a mapping or a list and no key is chosen, or a key is chosen and it is neither.
        """
        scores = mapping(sample.get("scores"))
        if not scores and isinstance(sample.get("score"), dict):
            scores = {"score": sample["score"]}  # logs of before there could be several scorers
        self.scorers.update(dict.fromkeys(scores))
        if self.metric == NONE:
            return Number(None, "no score was asked for")
        if sample.get("error") and not (scores and self.counts_errors):
            return Number(None, "the sample failed")
        if sample.get("invalidation"):
            return Number(None, "the sample was declared invalid")
        if not scores:
            return Number(None, "no score")
        if self.scorer is None:
            self.scorer = next(iter(scores))
        if self.scorer not in scores:
            return Number(None, f"no score by {self.scorer}")
        return self._value(scores[self.scorer])

    def _value(self, score: Any) -> Number:
        value = score.get("value") if isinstance(score, dict) else None
        parts = value if isinstance(value, dict) else dict(_numbered(value)) if isinstance(value, list) else None
        if parts is None:
            known = (*self.metrics, self.scorer)
            if self.metric is not None and not self.keys and value is not None and self.metric not in known:
                raise UserError(
                    f"the scorer {self.scorer!r} gives one value a sample, so there is no metric {self.metric!r} to "
                    f"choose. Leave 'metric' out, or name another scorer ({', '.join(self.scorers)})."
                )
            return number(value)
        self.keys.update(dict.fromkeys(parts))
        if self.metric is None:
            raise UserError(
                f"the scorer {self.scorer!r} gives several values a sample. Choose one with 'metric' "
                f"({', '.join(self.keys)}), or another scorer with 'scorer' ({', '.join(self.scorers)})."
            )
        return number(parts[self.metric]) if self.metric in parts else Number(None, f"no value {self.metric}")

    def check(self, wanted: str | None) -> None:
        """Refuse, once all is read, a scorer or a key that was never there."""
        if wanted is not None and wanted not in self.scorers:
            known = ", ".join(self.scorers) or "none"
            raise UserError(f"no sample was scored by {wanted!r}; scorers are {known}.{nearest(wanted, self.scorers)}")
        if self.metric is not None and self.keys and self.metric not in self.keys:
            raise UserError(
                f"the scorer {self.scorer!r} has no value {self.metric!r}; there are {', '.join(self.keys)}."
                f"{nearest(self.metric, self.keys)}"
            )


def _numbered(values: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(str(position), value) for position, value in enumerate(values)]
