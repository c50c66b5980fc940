"""A model by rules behind the fake endpoint: it asks tools by the words of a question, and says what they gave."""

from __future__ import annotations

import json
from typing import Any

USAGE = {"prompt_tokens": 1_000, "completion_tokens": 50}


def tool_model(body: dict[str, Any], attempt: int) -> Any:
    """What to do with a request, as :func:`fake_endpoint.serve` takes it.

    The question's words decide: ``weakest`` lists those that go with failure and opens one; ``badly`` asks with bad
    arguments first; ``forever`` never stops asking; ``invent`` adds a number that no tool gave; ``hello`` asks nothing.
    """
    start, question = [(i, turn["content"]) for i, turn in enumerate(body["messages"]) if turn["role"] == "user"][-1]
    results = [json.loads(turn["content"])["result"] for turn in body["messages"][start:] if turn["role"] == "tool"]
    calls = [] if body["tool_choice"] == "none" else _calls(question, results)
    if not calls:
        return ("message", {"role": "assistant", "content": _say(question, results)}, "stop", USAGE)
    listed = [
        {"id": f"c{len(results)}-{i}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for i, (name, given) in enumerate(calls)
    ]
    return ("message", {"role": "assistant", "content": None, "tool_calls": listed}, "tool_calls", USAGE)


def _calls(question: str, results: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    good = [result for result in results if "error" not in result]
    if "forever" in question:
        return [("overview", {})]
    if "badly" in question and not results:
        return [("concepts", {"status": "feeble"}), ("nonsense", {})]
    if "weakest" in question and not good:
        return [("concepts", {"status": "failure", "limit": 3})]
    if "weakest" in question and len(good) == 1:
        return [("concept", {"number": good[0]["rows"][0]["concept"]})]
    return [] if "hello" in question or good else [("overview", {})]


def _say(question: str, results: list[dict[str, Any]]) -> str:
    """What the results give, in sentences."""
    lines = []
    for result in results:
        if "rows" in result:
            lines.append(f"{result['total']} concepts qualify.")
            for row in result["rows"]:
                lines.append(f"- concept {row['concept']}: association {row['association']:+.2f}".replace("-0", "−0"))
        elif "examples" in result:
            lines.append(f"Its score is {result['chi_model']:.1%} over {result['support']:,} items.")
        elif "opening" in result:
            lines.append(result["opening"]["text"])
    if "invent" in question:
        lines.append("By my own reckoning that is 4,711 concepts, with an association of −0.9137.")
    return "\n".join(lines) or "Hello."
