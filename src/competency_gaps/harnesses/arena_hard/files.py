"""The files of an Arena-Hard-Auto benchmark: questions, answers, and what the judge was asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.harnesses.shared.lines import log_lines
from competency_gaps.harnesses.shared.shapes import sequence
from competency_gaps.items.remark import Remark
from competency_gaps.judging.verdicts import canonical

_QUESTION = "<|User Prompt|>\n"
_START = "<|The Start of Assistant {}'s Answer|>\n"
_END = "\n<|The End of Assistant {}'s Answer|>"
_LABEL = re.compile(r"\[\[([AB=<>]{3,4})\]\]")


class ArenaQuestion(NamedTuple):
    """A line of ``question.jsonl``."""

    text: str | None
    category: str | None
    fault: Remark | None
    """Why there is no text; None if there is."""


class ArenaAnswer(NamedTuple):
    """A line of ``model_answer``."""

    text: str | None
    system: str | None
    """The system prompt that the model read; None: none."""


class JudgePrompt(NamedTuple):
    """What stands in a judge's prompt."""

    question: str
    answer: str
    """The judged model's."""


def item_id(value: Mapping[str, Any]) -> str | None:
    """``uid``, or ``question_id`` in the old form."""
    id = value.get("uid", value.get("question_id"))
    return str(id) if isinstance(id, (str, int)) else None


def read_questions(path: Path) -> dict[str, ArenaQuestion]:
    """Id -> question; lines that cannot be read are as if they were not there."""
    questions = {}
    for line in log_lines(path):
        name = item_id(line.value)
        if name is not None:
            questions[name] = _question(line.value)
    return questions


def _question(value: Mapping[str, Any]) -> ArenaQuestion:
    category = value.get("category") or value.get("cluster")
    kind = str(category) if isinstance(category, str) else None
    content = value.get("prompt")
    if content is None:
        turns = sequence(value.get("turns")) or [None]
        if len(turns) > 1:
            return ArenaQuestion(None, kind, Remark("question_turns"))
        content = turns[0].get("content") if isinstance(turns[0], Mapping) else turns[0]
    if not isinstance(content, str):
        return ArenaQuestion(None, kind, Remark("question_more_than_text"))
    return ArenaQuestion(content, kind, None)


def read_answers(path: Path) -> dict[str, ArenaAnswer]:
    """Id -> the model's answer, new form (``messages``) or old (``choices``)."""
    answers = {}
    for line in log_lines(path):
        name = item_id(line.value)
        if name is not None:
            answers[name] = ArenaAnswer(_answer(line.value), _system(line.value.get("messages")))
    return answers


def _answer(value: Mapping[str, Any]) -> str | None:
    try:
        if "messages" in value:
            content = value["messages"][-1]["content"]
        else:
            content = value["choices"][0]["turns"][-1]["content"]
    except (KeyError, IndexError, TypeError):
        return None  # no line of a form that is known
    if isinstance(content, Mapping):
        content = content.get("answer")
    return content if isinstance(content, str) else None


def _system(messages: Any) -> str | None:
    if isinstance(messages, list) and messages and isinstance(messages[0], Mapping):
        content = messages[0].get("content")
        return content if messages[0].get("role") == "system" and isinstance(content, str) else None
    return None


def asked_of_judge(games: Sequence[Any]) -> JudgePrompt | None:
    """Question and the model's answer as they stand in Arena-Hard's judge prompt; None if it has another form.

    In game 0 the model's answer is B, in game 1 it is A.
    """
    for place, game in enumerate(games):
        text = _judge_prompt(game)
        begin = text.find(_QUESTION)
        split = text.find("\n\n" + _START.format("A"), begin)
        second = text.rfind(_START.format("B"))
        if begin < 0 or split < 0 or second < split:
            continue
        question = text[begin + len(_QUESTION) : split]
        if place == 0:
            answer = text[second + len(_START.format("B")) : text.rfind(_END.format("B"))]
        else:
            start = split + 2 + len(_START.format("A"))
            answer = text[start : text.rfind(_END.format("A"), start, second)]
        return JudgePrompt(question, answer)
    return None


def _judge_prompt(game: Any) -> str:
    if not isinstance(game, Mapping):
        return ""
    if isinstance(game.get("user_prompt"), str):
        return game["user_prompt"]
    for message in sequence(game.get("prompt")):
        if isinstance(message, Mapping) and message.get("role") == "user" and isinstance(message.get("content"), str):
            return message["content"]
    return ""


def label_of(game: Any) -> str | None:
    """A game's verdict; None where it has none.

    A game without a ``score``, or a game that is a plain text, is an old form: the last label in the judgement counts.
    """
    if isinstance(game, Mapping):
        if "score" in game:
            return canonical(game["score"])
        game = game.get("judgment")
        if isinstance(game, Mapping):
            game = game.get("answer")
    labels = _LABEL.findall(game.upper()) if isinstance(game, str) else []
    return canonical(labels[-1]) if labels else None
