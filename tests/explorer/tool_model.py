"""A model by rules behind the fake endpoint: it chooses tools from the words of a question, and says what they gave."""

from __future__ import annotations

import json
import re
from typing import Any

from competency_gaps.explorer.server.chat import REMINDER

USAGE = {"prompt_tokens": 1_000, "completion_tokens": 50}


def tool_model(body: dict[str, Any], attempt: int) -> Any:
    """What to do with a request, as :func:`fake_endpoint.serve` takes it.

    The question's words decide: ``weakest`` lists weak concepts, ``why`` opens the first of them, ``missing``,
    ``compare "A" and "B"``, ``item 7``, ``themes``; ``invent`` adds numbers that no query gave, ``badly`` asks with bad
    arguments first, ``forever`` never stops asking.
    """
    asked = [
        (i, one["content"])
        for i, one in enumerate(body["messages"])
        if one["role"] == "user" and one["content"] != REMINDER["content"]
    ]
    start, question = asked[-1]
    results = [json.loads(one["content"])["result"] for one in body["messages"][start:] if one["role"] == "tool"]
    calls = [] if body["tool_choice"] == "none" and "forever" not in question else _calls(question, results)
    if not calls:
        return ("message", {"role": "assistant", "content": _say(question, results)}, "stop", USAGE)
    tools = {tool["function"]["name"] for tool in body["tools"]}
    assert {name for name, _ in calls} <= tools | {"nonsense"}
    listed = [
        {"id": f"c{len(results)}-{i}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for i, (name, given) in enumerate(calls)
    ]
    return ("message", {"role": "assistant", "content": None, "tool_calls": listed}, "tool_calls", USAGE)


def _calls(question: str, results: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    if "forever" in question:
        return [("overview", {})]
    if "badly" in question and not results:
        return [("top_concepts", {"status": "feeble"}), ("nonsense", {})]
    good = [result for result in results if "error" not in result]
    if "weakest" in question and "why" in question and len(good) == 1:
        return [("concept", {"concept": good[0]["concepts"][0]["concept"]})]
    if good:
        return []
    if "weakest" in question:
        return [("top_concepts", {"status": "weak", "leaders_only": True, "limit": 3})]
    if "missing" in question:
        return [("top_concepts", {"coverage": "missing", "sort": "chance_seen", "descending": True})]
    if pair := re.findall(r'"([^"]+)"', question):
        return [("correlation", {"first": pair[0], "second": pair[1]}), ("benchmarks", {})]
    if item := re.search(r"item (\d+)", question):
        return [("item", {"item": int(item[1])})]
    if "theme" in question:
        return [("themes", {"limit": 3})]
    return [] if "hello" in question else [("overview", {})]


def _say(question: str, results: list[dict[str, Any]]) -> str:
    """What the results give, in sentences."""
    lines = []
    for result in results:
        if "concepts" in result and "total" in result:
            lines.append(f"{result['total']} concepts qualify.")
            lines += [
                f"- {one['label']} (concept {one['concept']}): gap {_number(one['gap'])}" for one in result["concepts"]
            ]
        elif "examples" in result:
            lines.append(f"Its score is {_percent(result['chi_model_low'])} or more over {result['support']:,} items.")
        elif "spearman" in result:
            lines.append(f"They share {result['covered_by_both']} concepts; Spearman {_number(result['spearman'])}.")
        elif "prompt" in result:
            lines.append(f"Item {result['item']} was asked: {result['prompt']}")
        elif "themes" in result:
            lines += [f"{i}. {one['name']}: gap {_number(one['gap'])}" for i, one in enumerate(result["themes"], 1)]
        elif "counts" in result:
            lines.append(f"{result['counts']['missing']} of {result['counts']['alive']} alive concepts are missing.")
    if "invent" in question:
        lines.append("By my own reckoning that is 4,711 concepts, 99.73% of all, with a gap of −0.9137.")
    return "\n".join(lines) or "Hello."


def _number(value: float | None) -> str:
    return "N/A" if value is None else f"{value:+.2f}".replace("-", "−")


def _percent(value: float | None) -> str:
    return "N/A" if value is None else f"{value:.1%}"
