"""Reading a log in tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import LogSource
from competency_gaps.items.item import Counted, Item, LeftOut, Reason, SourceReport
from competency_gaps.logs.find import read_log


class Log(NamedTuple):
    items: list[Item]
    left_out: list[LeftOut]
    report: SourceReport

    @property
    def mean(self) -> float:
        scores = [item.score for item in self.items if item.score is not None]
        return sum(scores) / len(scores)


def read(path: Path, **choices: Any) -> Log:
    entries = list(read_log(LogSource(path=path, **choices)))
    (report,) = [one for one in entries if isinstance(one, SourceReport)]
    items = [one for one in entries if isinstance(one, Item)]
    left_out = [one for one in entries if isinstance(one, LeftOut)]
    assert (report.items, report.unscored) == (len(items), sum(item.score is None for item in items))
    made_of = report.items - report.averaged_items + report.averaged
    assert report.records == made_of + sum(one.count for one in report.left_out)
    return Log(items, left_out, report)


def counts(counted: Iterable[Counted]) -> dict[str, int]:
    """Codes of reasons -> how many records have them."""
    return {one.reason.code: one.count for one in counted}


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    return path


def sample(number: int, **changes: Any) -> dict[str, Any]:
    """A record of a generated answer as lm-eval writes it, with a test's changes."""
    record = {
        "doc_id": number,
        "doc": {"question": f"How many foxes are there in house {number}?", "answer": str(number)},
        "target": str(number),
        "arguments": {"gen_args_0": {"arg_0": f"How many foxes are there in house {number}?", "arg_1": {"until": []}}},
        "resps": [[f"There are {number}."]],
        "filtered_resps": [str(number)],
        "filter": "none",
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": float(number % 2),
    }
    return {**record, **changes}


def options(number: int, contexts: list[str], texts: list[str], likelihoods: list[float], **changes: Any) -> dict:
    """A record of a multiple choice."""
    pairs = zip(contexts, texts, strict=True)
    return sample(
        number,
        arguments={f"gen_args_{i}": {"arg_0": a, "arg_1": b} for i, (a, b) in enumerate(pairs)},
        resps=[[[str(value), "False"]] for value in likelihoods],
        filtered_resps=[[str(value), "False"] for value in likelihoods],
        **{"metrics": ["acc"], "acc": 1.0, "target": "0", **changes},
    )


def codes(reasons: Iterable[Reason]) -> set[tuple[str, tuple[float, ...]]]:
    """Codes of reasons with their numbers; their words are no matter of tests."""
    return {(reason.code, reason.numbers) for reason in reasons}
