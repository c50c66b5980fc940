"""Concepts that a benchmark lacks of what its stated scope says it tests (``cgaps scope``)."""

from __future__ import annotations

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.records.run import Suggestion
from competency_gaps.explorer.parts.suggestion import SHOWN, command
from competency_gaps.matching.clauses import described
from competency_gaps.matching.kept import KeptLack, KeptScope, read_scopes
from competency_gaps.text import integer, plural, shorten

NAMED = 3
"""Benchmarks that are named where several are meant."""


def lacking(context: Context) -> list[Suggestion]:
    """Suggest what to add to benchmarks whose scope was compared, most first, then to compare the others.

    Without a stated scope nothing is suggested: that a benchmark does not exercise what it never meant to test is no
    fault of it.
    """
    known = {scope.benchmark: scope for scope in read_scopes(context.run)}
    suggestions = [_of_scope(context, place, known[name]) for place, name in enumerate(context.names) if name in known]
    lacks = sorted((suggestion for suggestion in suggestions if suggestion is not None), key=lambda lack: -lack.value)
    return [*lacks, *_unknown(context, set(known))]


def _unknown(context: Context, known: set[str]) -> list[Suggestion]:
    """Suggest to compare the scopes that benchmarks state and that were not compared with labels."""
    entries = context.manifest["benchmarks"]
    wanted = [name for name, entry in zip(context.names, entries, strict=True) if entry.get("scope")]
    wanted = [name for name in wanted if name not in known]
    if not wanted or context.concepts["label"].null_count() == context.concepts.height:
        return []
    names = ", ".join(shorten(name, 60) for name in wanted[:NAMED])
    more = len(wanted) - NAMED
    reason = (
        f"{names}{f' and {integer(more)} more' if more > 0 else ''} state{'s' * (len(wanted) == 1)} what "
        f"{'it tests' if len(wanted) == 1 else 'they test'}. The command compares the first such statement with the "
        "concepts' labels and lists what the benchmark lacks of its own subject."
    )
    title = "Look up what benchmarks lack of their stated scope"
    line = command(context, "scope", options=["--benchmark", wanted[0]])
    return [
        Suggestion("missing", title, reason, line, benchmark=context.place[wanted[0]] if len(wanted) == 1 else None)
    ]


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
        claim = f"{name} was compared with a scope that was typed for it and is not told here."
    belong = f"By {'its label' if len(concepts) == 1 else 'their labels'} {plural(len(concepts), 'concept')} belong"
    reason = (
        f"{claim} {belong}{'s' * (len(concepts) == 1)} to that which it lacks ({integer(len(silent))} altogether) or "
        f"hardly exercises, beside {integer(scope.covered)} that it covers; {_judged(near)}. Of unrelated labels "
        f"{scope.alpha:.0%} come as near."
    )
    title = f"{name} lacks {plural(len(concepts), 'concept')} of its scope"
    texts = [word for clause in described(scope.clauses) for word in ("--describe", clause)]
    again = command(context, "scope", options=["--benchmark", scope.benchmark, *texts]) if has_clauses else None
    return Suggestion("missing", title, reason, again, len(concepts), benchmark=place, concepts=tuple(concepts[:SHOWN]))


def _judged(near: list[KeptLack]) -> str:
    """What a model said of the concepts that are lacking."""
    agreed, unread = (sum(lack.verdict == verdict for lack in near) for verdict in ("belongs", "unconfirmed"))
    if agreed:
        return "a model agreed" + (f" on {integer(agreed)} of them" if agreed < len(near) else "")
    if unread:
        some = f" about {integer(unread)} of them" if unread < len(near) else ""
        return f"a model was asked{some}, but no answer of it could be read"
    return "no model was asked"
