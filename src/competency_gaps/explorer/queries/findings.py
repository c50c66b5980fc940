"""Questions about findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from competency_gaps.errors import UserError
from competency_gaps.explorer.parts.records.findings import Finding, FindingExample
from competency_gaps.explorer.queries.arguments import ListFindings, OneFinding
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import (
    SENTENCE,
    AtMost,
    Command,
    NamedConcept,
    Number,
    QueryAnswer,
    Sentence,
    Text120,
    Text160,
    Text300,
)

SHARE = 0.1
"""Least share of a finding's weight in a benchmark for the finding to count as one of that benchmark [ours]."""
_CONCEPTS = 12
"""Most concepts listed of a finding [ours]."""


class FindingLine(QueryAnswer):
    """A finding in a list."""

    sentence: Sentence
    finding: int
    verdict: str
    gap: Number
    gap_low: Number
    gap_high: Number
    items: int
    clusters: int
    mean_score: Number
    q_value: Number
    holds: bool | None


class FindingList(QueryAnswer):
    """``total`` findings qualify; the first of them."""

    total: int
    findings: list[FindingLine]


class FindingShare(QueryAnswer):
    """A benchmark's part of a finding."""

    benchmark: str
    items: int
    share: Number


class ExampleLine(QueryAnswer):
    """An item of a finding."""

    item: int
    benchmark: str
    score: Number
    repeats: int
    prompt: Text300
    response: Text160
    answer: Text120
    choices: Annotated[list[str] | None, AtMost(80)]


class FindingAnswer(FindingLine):
    """All about one finding."""

    support: Annotated[str, AtMost(2 * SENTENCE)]
    n_eff: Number
    unit: Literal["right", "score", "parsed", "peers", "difference"]
    plain_gap: Number
    p_value: Number
    detectable: Number
    feature: str | None
    feature_items: int | None
    feature_score: Number
    other_items: int | None
    other_score: Number
    feature_p: Number
    unseen_gap: Number
    unseen_low: Number
    unseen_high: Number
    unseen_splits: int
    splits: int
    benchmarks: list[FindingShare]
    failing: list[ExampleLine]
    passing: list[ExampleLine]
    concepts: list[NamedConcept]
    concepts_in_all: int
    command: Command


def list_findings(subject: Subject, arguments: ListFindings) -> FindingList:
    """List findings: weak ones before strong ones, the largest effect on the score first."""
    findings = subject.info.findings
    if arguments.verdict is not None:
        findings = [finding for finding in findings if finding.verdict == arguments.verdict]
    if arguments.holds is not None:
        findings = [finding for finding in findings if finding.holds is arguments.holds]
    if arguments.benchmark is not None:
        place = subject.place_of(arguments.benchmark)
        findings = [finding for finding in findings if _share(finding, place) >= SHARE]
    lines = [FindingLine.model_validate(finding) for finding in findings[: arguments.limit]]
    return FindingList(total=len(findings), findings=lines)


def one_finding(subject: Subject, arguments: OneFinding) -> FindingAnswer:
    """Describe one finding: its figures, its benchmarks, failing and passing items, and the concepts behind it."""
    findings = subject.info.findings
    if arguments.finding >= len(findings):
        known = f"expected 0 to {len(findings) - 1}" if findings else "this run has none"
        raise UserError(f"there is no finding {arguments.finding}: {known}.")
    finding = findings[arguments.finding]
    labels = subject.concepts["label"]
    facts = {
        "benchmarks": [
            FindingShare(benchmark=subject.context.names[part.benchmark], items=part.items, share=part.share)
            for part in finding.benchmarks
        ],
        "failing": _examples(subject, finding.failing),
        "passing": _examples(subject, finding.passing),
        "concepts": [NamedConcept(concept=c, label=labels[c]) for c in finding.concepts[:_CONCEPTS]],
        "concepts_in_all": len(finding.concepts),
    }
    return FindingAnswer.model_validate({**vars(finding), **facts})


def _share(finding: Finding, place: int) -> float:
    return max((part.share for part in finding.benchmarks if part.benchmark == place), default=0.0)


def _examples(subject: Subject, examples: Sequence[FindingExample]) -> list[ExampleLine]:
    columns = ("benchmark", "score", "choices", "prompt", "response", "answer")
    rows = subject.item_rows([example.item for example in examples], columns)
    return [
        ExampleLine.model_validate(
            {
                **row,
                "repeats": example.repeats,
                "prompt": _differing(row["prompt"], example),
                "choices": None if row["choices"] is None else row["choices"][:8],
            }
        )
        for row, example in zip(rows, examples, strict=True)
    ]


def _differing(prompt: str | None, example: FindingExample) -> str | None:
    """The parts of an example's prompt that differ from other items of its benchmark."""
    if prompt is None or example.differs is None:
        return prompt
    return " … ".join(prompt[start:end].strip() for start, end in example.differs)
