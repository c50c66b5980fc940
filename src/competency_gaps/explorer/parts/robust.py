"""What to do about a run whose findings were not tested, or do not hold up."""

from __future__ import annotations

import re
from typing import Any

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.probing import PROBED, probe
from competency_gaps.explorer.parts.suggestions import Suggestion, command
from competency_gaps.probes.targets import weakest
from competency_gaps.robustness import read_assessment
from competency_gaps.text import integer, plural, shorten

_MORE = (
    "Take single concepts as questions, not as findings, until more items stand behind them: raise ‘size’ of generated "
    "benchmarks and ‘limit’ of others in the configuration, run it into another folder, and test that run again."
)


def robustness(context: Context) -> list[Suggestion]:
    """Suggest the tests where they were not run, and more items where a run did not pass them."""
    if not context.ranked.tested.height:
        return []
    outcome = read_assessment(context.run.path)
    if outcome is None:
        return [
            Suggestion(
                "robustness",
                "Test whether the findings hold up",
                "Robustness was not tested: whether the lists are stable when items are left out, and whether they "
                "carry over to unseen items. It takes minutes and needs no model.",
                command(context, "robustness"),
            )
        ]
    verdicts = list(outcome.get("verdicts") or [])
    failed = [one for one in verdicts if one["tone"] == "bad"]
    if failed:
        unstable = any(one["test"] == "subsampling" for one in failed)
        return [_more(context, "The list is not stable" if unstable else "Not all findings hold up", failed, verdicts)]
    if verdicts and all(one["tone"] == "open" for one in verdicts):
        return [_more(context, "Whether the findings hold up cannot be told", verdicts, verdicts)]
    return []


def _more(context: Context, outcome: str, told: list[dict[str, Any]], verdicts: list[dict[str, Any]]) -> Suggestion:
    said = "; ".join(_opening(str(one["sentence"])) for one in told)
    holds = sum(one["tone"] == "good" for one in verdicts)
    reason, line = f"{said}. Of {plural(len(verdicts), 'test')} of robustness {integer(holds)} passed. {_MORE}", None
    if context.ranked.weak.height:
        line, how = probe(context, weakest(context.run, PROBED), "--weak", str(PROBED))
        reason += f" Meanwhile the command probes the surest weak concepts. {how}"
    return Suggestion("robustness", f"{outcome}: ask more items", reason, line)


def _opening(sentence: str) -> str:
    """What a verdict says, without the figures behind it."""
    return shorten(re.split(r"[:.](?:\s|$)", sentence)[0], 200)
