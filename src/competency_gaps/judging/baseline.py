"""Another model's answers, from a file or a run folder, as the baseline of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from competency_gaps.errors import UserError, nearest
from competency_gaps.jsonl import json_lines


@lru_cache(maxsize=8)
def baseline_answers(path: Path, benchmark: str | None = None) -> Mapping[str, str]:
    """Answers by item id.

    Parameters
    ----------
    path
        JSONL with ``id`` and ``response``; Arena-Hard-Auto's ``model_answer`` file, in its new form (``uid``,
        ``messages``) or its old one (``question_id``, ``choices``); or a run folder.
    benchmark
        Which of a run's benchmarks; None: its only one.

    Raises
    ------
    UserError
        If nothing is there, a line is of none of these forms, or two answers share an id and differ.
    """
    if path.is_dir():
        pairs = _of_run(path, benchmark)
    elif path.is_file():
        pairs = _of_file(path)
    else:
        raise UserError(f"the baseline {str(path)!r} does not exist: expected a JSONL file of answers or a run folder.")
    answers: dict[str, str] = {}
    for id, text in pairs:
        if answers.setdefault(id, text) != text:
            raise UserError(f"the baseline {str(path)!r} has two different answers with the id {id!r}: keep one.")
    if not answers:
        raise UserError(f"the baseline {str(path)!r} holds no answer.")
    return answers


def _of_run(path: Path, benchmark: str | None) -> Iterator[tuple[str, str]]:
    from competency_gaps.runs.open import open_folder

    items = open_folder(path).items
    names = items["benchmark"].unique(maintain_order=True).to_list()
    if benchmark is None and len(names) > 1:
        raise UserError(
            f"the baseline {str(path)!r} is a run of {len(names)} benchmarks ({', '.join(names)}): "
            "name one with the option 'baseline_benchmark'."
        )
    chosen = names[0] if benchmark is None else benchmark
    if chosen not in names:
        raise UserError(
            f"the baseline {str(path)!r} has no benchmark {chosen!r}; it has {', '.join(names)}."
            f"{nearest(chosen, names)}"
        )
    for name, id, response in items.select("benchmark", "item_id", "response").iter_rows():
        if name == chosen and response is not None:
            yield id, response


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        for line in json_lines(file):
            where = f"{str(path)!r}, line {line.number}"
            if line.fault is not None:
                raise UserError(f"{where}: {line.message}. Expected one JSON object per line, in UTF-8.")
            pair = _answer(line.value)
            if pair is None:
                raise UserError(
                    f"{where}: expected 'id' and 'response', or an answer of Arena-Hard-Auto ('uid' and 'messages', or "
                    "'question_id' and 'choices')."
                )
            yield pair


def _answer(value: Mapping[str, Any]) -> tuple[str, str] | None:
    id = next((value[key] for key in ("id", "uid", "question_id") if key in value), None)
    if id is None or isinstance(id, (dict, list)):
        return None
    text: Any = value.get("response")
    try:
        if "messages" in value:
            content = value["messages"][-1]["content"]
            text = content["answer"] if isinstance(content, Mapping) else content
        elif "choices" in value:
            content = value["choices"][0]["turns"][-1]
            text = content["content"] if isinstance(content, Mapping) else content
    except (KeyError, IndexError, TypeError):
        return None
    return (str(id), text) if isinstance(text, str) else None
