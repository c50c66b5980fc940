"""What to do next, with the reason and the command for each; and how benchmarks stand to each other."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.names import scored_of
from competency_gaps.explorer.parts.records.run import Added, Overlap, Suggestion
from competency_gaps.findings import short
from competency_gaps.findings.answer import trust_statements
from competency_gaps.findings.words import NAME_LIMIT
from competency_gaps.matching.kept import KeptLack, KeptScope, read_scopes
from competency_gaps.probes.concept import weakest
from competency_gaps.robustness import read_assessment
from competency_gaps.text import integer, plural, shorten

PROBED = 5
"""Concepts that one command probes."""
SHOWN = 24
"""Concepts that a suggestion names."""
TESTED = 4
"""Findings whose test is suggested."""
_MORE = (
    "Take single concepts as questions, not as findings, until more items stand behind them: raise ‘size’ of generated "
    "benchmarks and ‘limit’ of others in the configuration, run it into another folder, and test that run again."
)


def suggestions(context: Context) -> list[Suggestion]:
    """Say what to do next, what matters most first.

    What puts all findings in doubt comes first; then what tests the findings, by their value; then what a benchmark
    lacks of its own scope.
    """
    return [*_robustness(context), *_findings(context), *_lacking(context)]


def _robustness(context: Context) -> list[Suggestion]:
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
    failed = [verdict for verdict in trust_statements(context) if verdict.code == "robustness"]
    if failed:
        unstable = any(verdict["code"] == "subsampling" and verdict["tone"] == "bad" for verdict in verdicts)
        return [_more(context, "The list is not stable" if unstable else "Not all findings hold up", failed[0].text)]
    if verdicts and all(verdict["tone"] == "open" for verdict in verdicts):
        tests = ", ".join(shorten(str(verdict["test"]), NAME_LIMIT) for verdict in verdicts)
        reason = f"No test of robustness could decide with this run's items ({tests})."
        return [_more(context, "Whether the findings hold up is undecided", reason)]
    return []


def _more(context: Context, outcome: str, outcome_text: str) -> Suggestion:
    reason, line = f"{outcome_text} {_MORE}", None
    if context.ranked.weak.height and can_probe(context):
        line, how = probe(context, weakest(context.run, PROBED), "--weak", str(PROBED))
        reason += f" Meanwhile the command probes the surest weak concepts. {how}"
    return Suggestion("robustness", f"{outcome}: ask more items", reason, line)


def _findings(context: Context) -> list[Suggestion]:
    """Tests of the findings: weak ones first, by the size of the gap times the effective sample; doubtful ones last."""
    doubtful = pl.col("holds").fill_null(value=True).not_()
    weak = context.findings.filter(pl.col("verdict") == "weak").sort(doubtful, maintain_order=True)
    suggestions = []
    for row in weak.head(TESTED).iter_rows(named=True):
        line, how = finding_command(context, row)
        benchmarks = row["benchmarks"]
        suggestions.append(
            Suggestion(
                "weak",
                f"{'Test on fresh items' if can_probe(context) else 'Look at its items'}: {short(row)}",
                f"{row['sentence']}. {how}",
                line,
                abs(row["gap"]) * row["n_eff"],
                benchmark=context.place[benchmarks[0]["benchmark"]] if len(benchmarks) == 1 else None,
                finding=int(row["finding"]),
                concepts=tuple(list(row["concepts"])[:SHOWN]),
            )
        )
    return suggestions


def _lacking(context: Context) -> list[Suggestion]:
    """Suggest what to add to benchmarks whose scope was compared, most first.

    Without a stated scope nothing is suggested: that a benchmark does not exercise what it never meant to test is no
    fault of it.
    """
    known = {scope.benchmark: scope for scope in read_scopes(context.run)}
    suggestions = [_of_scope(context, place, known[name]) for place, name in enumerate(context.names) if name in known]
    return sorted((suggestion for suggestion in suggestions if suggestion is not None), key=lambda lack: -lack.value)


def _of_scope(context: Context, place: int, scope: KeptScope) -> Suggestion | None:
    near = [lack for lack in scope.lacking if lack.in_scope and lack.verdict not in ("outside", "borderline")]
    silent = [lack.concept for lack in near if lack.coverage_status == "missing"]
    concepts = [*silent, *(lack.concept for lack in near if lack.coverage_status != "missing")]
    if not concepts:
        return None
    name, has_clauses = shorten(scope.benchmark, 60), any(scope.clauses)
    if has_clauses:
        claim = f"{name} says that it tests “{shorten(scope.clauses[0], 120)}”."
    else:
        claim = f"{name} was compared with a scope that was typed for it and is withheld here."
    belong = f"By {'its label' if len(concepts) == 1 else 'their labels'} {plural(len(concepts), 'concept')} belong"
    reason = (
        f"{claim} {belong}{'s' * (len(concepts) == 1)} to that which it lacks ({integer(len(silent))} altogether) or "
        f"hardly exercises, beside {integer(scope.covered)} that it covers; {_judged(near)}. Of unrelated labels "
        f"{scope.alpha:.0%} come as near."
    )
    title = f"{name} lacks {plural(len(concepts), 'concept')} of its scope"
    options = ["--benchmark", scope.benchmark, "--describe", scope.clauses[0]]
    again = command(context, "scope", options=options) if has_clauses else None
    return Suggestion("missing", title, reason, again, len(concepts), benchmark=place, concepts=tuple(concepts[:SHOWN]))


def _judged(near: list[KeptLack]) -> str:
    """What a model said about the concepts that are lacking."""
    agreed, unread = (sum(lack.verdict == verdict for lack in near) for verdict in ("belongs", "unconfirmed"))
    if agreed:
        return "a model agreed" + (f" on {integer(agreed)} of them" if agreed < len(near) else "")
    if unread:
        some = f" about {integer(unread)} of them" if unread < len(near) else ""
        return f"a model was asked{some}, but no answer of it could be read"
    return "no model was asked"


def command(context: Context, *words: str, options: Iterable[str] = ()) -> str:
    """Write a command on the run, as a shell takes it.

    Parameters
    ----------
    words : str
        The command's words, as ``probe``.
    options : iterable of str
        What follows the run.
    """
    return shlex.join(["cgaps", *words, run_folder(context), *options])


def run_folder(context: Context) -> str:
    """The run's folder as a command names it: as it was given, but who has an export need not know where it lay."""
    run = context.run
    return run.base.resolve().name if context.portable else str(run.path)


def probe(context: Context, concepts: Sequence[int], *options: str) -> tuple[str, str]:
    """Give the command that probes concepts, and a sentence on what it does.

    Parameters
    ----------
    concepts : sequence of int
        Those that will be probed.
    options : str
        How the command names them: ``--concept 5,17`` or ``--weak 5``.
    """
    if not can_probe(context):
        return (
            command(context, "findings"),
            f"It lists the findings. Fresh items would be asked of {scored_of(context.run).reader}, which reads the "
            "items, so they cannot test what is said of another model's scores.",
        )
    if _can_generate(context, concepts):
        return (
            command(context, "probe", options=options),
            "It makes new items of the run's generated benchmarks and says whether it holds there.",
        )
    return (
        command(context, "probe", options=[*options, "--llm", "llm.yaml"]),
        "No new items can be generated for them: a language model, which llm.yaml names, writes items, and it says "
        "whether it holds there.",
    )


def can_probe(context: Context) -> bool:
    """Whether fresh items would be asked of the model whose scores are shown, and not only of the one that reads."""
    run = context.run
    return run.kind == "score" and run.scored_model == run.manifest["model"]["name"]


def finding_command(context: Context, row: Mapping[str, Any]) -> tuple[str, str]:
    """Give the command that tests a finding further, and a sentence on what it does.

    Parameters
    ----------
    row
        Of ``Context.findings``.
    """
    concepts = list(row["concepts"])[:PROBED]
    return probe(context, concepts, "--concept", ",".join(str(concept) for concept in concepts))


def _can_generate(context: Context, concepts: Sequence[int]) -> bool:
    """Whether most of some concept's activation lies in benchmarks of which new items can be generated."""
    families = {entry["name"] for entry in context.run.manifest["benchmarks"] if entry.get("generated")}
    if not families:
        return False
    kept = dict(context.run.benchmarks.select("benchmark", "kept").iter_rows())
    inside, whole = [0.0] * len(concepts), [0.0] * len(concepts)
    for place, name in enumerate(context.names):
        column = context.benchmark_concepts(place, ["chi_bench"])["chi_bench"]
        for number, concept in enumerate(concepts):
            amount = (column[concept] or 0.0) * kept[name]
            whole[number] += amount
            inside[number] += amount * (name in families)
    return any(part > 0.5 * total for part, total in zip(inside, whole, strict=True) if total)


class Suite:
    """What is compared between benchmarks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @cached_property
    def covered(self) -> np.ndarray:
        """bool of shape (benchmarks, concepts): ranked concepts that each benchmark covers."""
        ranked = self._context.concepts["ranked"].to_numpy()
        rows = [
            (self._context.benchmark_concepts(place, ["chi_bench"])["chi_bench"].fill_null(0.0) > 0).to_numpy() & ranked
            for place in range(len(self._context.names))
        ]
        return np.stack(rows) if rows else np.zeros((0, len(ranked)), bool)

    @cached_property
    def order(self) -> list[Added]:
        """Benchmarks in the order of what they add."""
        return redundancy(self.covered, self._context.names)

    @cached_property
    def overlap(self) -> Overlap:
        """How far two benchmarks cover the same concepts."""
        place, size = self._context.place, len(self._context.names)
        jaccard, cosine, spearman = ([[None] * size for _ in range(size)] for _ in range(3))
        matrices = Overlap(jaccard, cosine, spearman, [[0] * size for _ in range(size)])
        # A pair may be listed once or in both orders.
        for row in self._context.run.overlap.iter_rows(named=True):
            a, b = place[row["benchmark_a"]], place[row["benchmark_b"]]
            for name, matrix in vars(matrices).items():
                matrix[a][b] = matrix[b][a] = row[name]
        return matrices


def redundancy(covered: np.ndarray, names: list[str]) -> list[Added]:
    """Order benchmarks so that each adds most of what those before it leave uncovered. Ties go by name.

    Parameters
    ----------
    covered : ndarray of bool of shape (benchmarks, concepts)
        Which concepts each benchmark covers, among those that count.
    names : list of str
    """
    left = sorted(range(len(names)), key=lambda place: names[place])
    seen = np.zeros(covered.shape[1], bool)
    order = []
    while left:
        adds = [int((covered[place] & ~seen).sum()) for place in left]
        best = int(np.argmax(adds))  # the first of several that add as much
        place = left.pop(best)
        seen |= covered[place]
        order.append(Added(place, adds[best], int(covered[place].sum()), int(seen.sum())))
    return order
