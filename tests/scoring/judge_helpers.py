"""A judge that follows a rule, as a fake endpoint, and a small open-ended benchmark."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

from core_helpers import write_lines
from fake_endpoint import question_of, usage_of

OPEN = [f"Write a line about {word} number {i}." for i, word in enumerate(["fox", "dog", "city", "March"] * 3)]


def tagged(text: str, tag: str) -> str:
    """What stands between a judge prompt's tags."""
    found = re.search(rf"<{tag}-[0-9a-f]{{10}}>\n(.*?)\n</{tag}-", text, re.DOTALL)
    assert found is not None, text
    return found[1]


def liking(answer: str) -> int:
    """How much the rule likes an answer: any fixed order will do."""
    return zlib.crc32(answer.encode())


def ruled(body: dict[str, Any]) -> dict[str, Any]:
    """The rule's verdict on a call."""
    user = question_of(body)
    if "<answer-a-" in user:
        a, b = liking(tagged(user, "answer-a")), liking(tagged(user, "answer-b"))
        if a == b:
            return {"reasoning": "same", "verdict": "A=B"}
        mark = ">>" if abs(a - b) > 2**31 else ">"
        return {"reasoning": "rule", "verdict": f"A{mark}B" if a > b else f"B{mark}A"}
    verdicts = body["response_format"]["json_schema"]["schema"]["properties"]["verdict"]["enum"]
    return {"reasoning": "rule", "verdict": verdicts[liking(tagged(user, "answer")) % len(verdicts)]}


def answering(body: dict[str, Any], attempt: int = 0) -> Any:
    """A plan for the fake endpoint: what the rule says."""
    message = {"role": "assistant", "content": json.dumps(ruled(body))}
    return ("message", message, "stop", usage_of(body))


def open_file(folder: Path, count: int = len(OPEN)) -> Path:
    return write_lines(folder / "open.jsonl", [{"id": f"o{i}", "prompt": OPEN[i]} for i in range(count)])


def baseline_file(folder: Path, count: int = len(OPEN)) -> Path:
    return write_lines(folder / "baseline.jsonl", [{"id": f"o{i}", "response": f"base {i}"} for i in range(count)])
