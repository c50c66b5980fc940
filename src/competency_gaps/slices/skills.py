"""Skills that items ask for: one short phrase per item, from a language model."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pydantic

from competency_gaps.items.config import LLMConfig
from competency_gaps.items.options import asked
from competency_gaps.scoring.answer_json import Failure, parse
from competency_gaps.scoring.llm import FILE, AnswerStore, LLMAnswer, LLMRequest, ask, object_schema
from competency_gaps.slices.family import Family
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import shorten, visible

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder

FOLDER = "skills"
"""Subfolder of a run that stores the model's answers."""
MAX_TEXT_LENGTH = 4000
"""Maximum number of characters of an item that are sent."""
MAX_PHRASE_LENGTH = 100
"""Maximum number of characters of a phrase."""


class _Skill(pydantic.BaseModel):
    """The language model's answer to a request for a skill."""

    skill: str


_SCHEMA = object_schema({"skill": {"type": "string"}})


def phrases(run: RunFolder, rows: np.ndarray, llm: LLMConfig | None, progress: Progress) -> dict[int, str]:
    """Return the skill that each item asks for, by its row in ``items.parquet``.

    Answers are stored in the run's folder, so that no item is asked about twice.

    Parameters
    ----------
    rows
        Rows of the items to ask about.
    llm
        None: no model is asked, and only stored answers are used.

    Returns
    -------
    dict of int to str
        Items without a usable answer are absent.
    """
    folder = run.path / FOLDER
    if llm is None and not (folder / FILE).is_file():
        return {}
    system = files("competency_gaps.slices").joinpath("prompts/skill.txt").read_text(encoding="utf-8").strip()
    requests = {}
    for row, texts in zip(rows.tolist(), run.items[rows].select("prompt", "choices").iter_rows(), strict=True):
        text = shorten(asked(*texts), MAX_TEXT_LENGTH)
        requests[row] = LLMRequest(f"skill-{row}", system, text, _SCHEMA, "skill", 60)
    if llm is None:
        answers = AnswerStore(folder / FILE).answers(requests.values(), None)
    else:
        folder.mkdir(exist_ok=True)
        answers = ask(requests.values(), llm, folder, progress, lambda answer: _phrase(answer) is not None)
    read = {row: _phrase(answers[request.id]) for row, request in requests.items() if request.id in answers}
    return {row: phrase for row, phrase in read.items() if phrase is not None}


def _phrase(answer: LLMAnswer) -> str | None:
    """Return the phrase in an answer; None if there is none."""
    read = parse(answer, _Skill)
    if isinstance(read, Failure):
        return None
    phrase = " ".join(visible(read.skill).split()).strip(" .\"'")
    return phrase[:MAX_PHRASE_LENGTH] or None


def with_central_phrases(tree: Family, phrases: dict[int, str]) -> Family:
    """Return a tree of skills with each node named by the phrase of its most typical item, numbered if not unique."""
    names: list[str] = []
    for typical in tree.typical:
        phrase, number = phrases[typical[0]], 2
        while phrase in names:
            phrase, number = f"{phrases[typical[0]]} ({number})", number + 1
        names.append(phrase)
    return replace(tree, names=names)
