"""Compare a benchmark of a run with what it claims to test, and keep the outcome with the run.

Labelled concepts (``candidates``), those of them that belong to the claim and that the benchmark lacks (``scope``),
verdicts of a model where one is asked (``confirm``), the file (``kept``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from competency_gaps.config import LLMConfig
from competency_gaps.errors import UserError
from competency_gaps.matching.candidates import with_labels_of
from competency_gaps.matching.confirm import ask_verdicts, judges_of
from competency_gaps.matching.embedding import embedding
from competency_gaps.matching.kept import keep_scope, keeping
from competency_gaps.matching.null import shown_draws
from competency_gaps.matching.scope import ALPHA, ScopeFindings, apply_scope_verdicts, confirm_scope_requests, scope
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder

SHOWN = 20
"""Concepts that the kept document lists, by default."""


@dataclass(frozen=True)
class RunScope:
    """What a benchmark lacks of its scope."""

    findings: ScopeFindings
    judges: list[str]
    """Names of the models that judged labels; empty: none was asked, or the requests were only written down."""


def scope_run(
    run: RunFolder,
    benchmark: str,
    description: Sequence[str] = (),
    *,
    kinds: Sequence[str] = (),
    alpha: float = ALPHA,
    limit: int = SHOWN,
    embedder: str | None = None,
    seed: int = 0,
    llm: LLMConfig | None = None,
    progress: Progress | None = None,
) -> RunScope:
    """Rank the concepts that a benchmark lacks by how much they belong to what it claims to test.

    Parameters
    ----------
    benchmark
        A benchmark of the run.
    description
        What it claims to test; empty: its ``scope`` in the run's configuration.
    kinds
        Kinds of labels that count, of ``candidates.KINDS``; empty: all.
    alpha
        Share of unrelated labels that would be in scope.
    limit
        Concepts that the kept document lists, at least; all that are in scope are listed.
    embedder
        sentence-transformers model, a hub id or a folder; None: the packaged all-MiniLM-L6-v2.
    seed
        Seed of the shuffled labels.
    llm
        A language model that confirms what is in scope; None: none is asked.
    progress
        Shows the progress; None: quiet.

    Raises
    ------
    UserError
        If there is no such benchmark, or its scope is neither given nor stated in the configuration.
    MissingExtraError
        If the embedding model's package is not installed.
    """
    progress = progress or Progress(quiet=True)
    known = {entry["name"]: entry.get("scope") for entry in run.manifest["benchmarks"]}
    stated = list(description) or ([known[benchmark]] if known.get(benchmark) else [])
    if not stated and benchmark in known:
        raise UserError(f"the configuration states no scope of {benchmark!r}: describe it.")
    with shown_draws(progress) as on_draw:
        findings = scope(
            with_labels_of(kinds, run.concepts),
            run.concept_benchmarks,
            benchmark,
            stated or [""],
            embedding(embedder),
            seed=seed,
            alpha=alpha,
            on_draw=on_draw,
        )
    answers = ask_verdicts(llm, confirm_scope_requests(findings), "scope", run.path, progress)
    findings = apply_scope_verdicts(findings, answers)
    judges = judges_of(answers)
    facts = {"kinds": list(kinds) or None, "embedder": embedder, "seed": seed, "judges": judges}
    with keeping():
        keep_scope(run, limit, facts, findings)
    return RunScope(findings, judges)
