"""What to do about a run whose findings were not tested, or do not hold up."""

from __future__ import annotations

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.probing import PROBED, probe
from competency_gaps.explorer.parts.records.run import Suggestion
from competency_gaps.explorer.parts.suggestion import command
from competency_gaps.findings.answer_parts import NAME_LIMIT, trust_statements
from competency_gaps.probes.targets import weakest
from competency_gaps.robustness import read_assessment
from competency_gaps.text import shorten

_MORE = (
    "Take single concepts as questions, not as findings, until more items stand behind them: raise ‘size’ of generated "
    "benchmarks and ‘limit’ of others in the configuration, run it into another folder, and test that run again."
)


def robustness(context: Context) -> list[Suggestion]:
    """Suggest the tests where they were not run, and more items where a run did not pass them."""
    if not context.ranked.tested.height:
        return []
    outcome = read_assessment(context.run)
    if outcome is None:
        return [
            Suggestion(
                "robustness",
                "Test whether the findings hold up",
                "Robustness was not tested: whether the lists are stable when items are left out, and whether "
                "concepts found on half of the items stand out on the other half. It takes minutes and needs no model.",
                command(context, "robustness"),
            )
        ]
    verdicts = list(outcome.get("verdicts") or [])
    failed = [verdict for verdict in trust_statements(context.view) if verdict.code == "robustness"]
    if failed:
        unstable = any(verdict["code"] == "subsampling" and verdict["tone"] == "bad" for verdict in verdicts)
        return [_more(context, "The list is not stable" if unstable else "Not all findings hold up", failed[0].text)]
    if verdicts and all(verdict["tone"] == "open" for verdict in verdicts):
        tests = ", ".join(shorten(str(verdict["test"]), NAME_LIMIT) for verdict in verdicts)
        reason = f"No test of robustness could tell with this run's items ({tests})."
        return [_more(context, "Whether the findings hold up cannot be told", reason)]
    return []


def _more(context: Context, outcome: str, outcome_text: str) -> Suggestion:
    reason, line = f"{outcome_text} {_MORE}", None
    if context.ranked.weak.height:
        line, how = probe(context, weakest(context.run, PROBED), "--weak", str(PROBED))
        reason += f" Meanwhile the command probes the surest weak concepts. {how}"
    return Suggestion("robustness", f"{outcome}: ask more items", reason, line)
