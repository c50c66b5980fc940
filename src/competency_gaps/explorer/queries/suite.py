"""Questions about the run as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from competency_gaps.explorer.parts.records.run import Counts, Probe, Thresholds, Verdict
from competency_gaps.explorer.parts.settings import named, without_judge
from competency_gaps.explorer.queries.arguments import Nothing, Suggested
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import (
    SENTENCE,
    AtMost,
    Command,
    Number,
    QueryAnswer,
    Sentence,
    Sentences,
    Text300,
)
from competency_gaps.findings.answer import Statement
from competency_gaps.presentation.facts import Fact, command_text


class FindingStatement(QueryAnswer):
    """A statement of the run's answer about a finding; None: about none."""

    finding: int | None
    tone: str
    sentence: Sentence


class BenchmarkScore(QueryAnswer):
    """A benchmark by its score."""

    benchmark: str
    mean_score: Number
    scored: int
    kept: int
    notes: Sentences


class Overview(QueryAnswer):
    """The run in short."""

    opening: Sentence
    trust: Sentences
    findings: list[FindingStatement]
    findings_in_all: int
    benchmarks_by_score: list[BenchmarkScore]
    scope: Sentences
    confidence: Sentences
    warnings: Sentences
    title: Sentence
    scored_model: Sentence
    read_by: Sentence
    whose_scores: Sentence
    sae: Sentence
    created: str
    width: int
    items: int
    unit: Sentence
    benchmarks: int
    counts: Counts
    evidence: Thresholds


class SuggestionLine(QueryAnswer):
    """One thing to do next."""

    kind: str
    title: Sentence
    reason: Sentence
    command: Command
    benchmark: str | None
    finding: int | None
    concepts: list[int]
    concepts_in_all: int


class SuggestionList(QueryAnswer):
    """What to do next."""

    total: int
    suggestions: list[SuggestionLine]


class Robustness(QueryAnswer):
    """Whether the findings hold up."""

    tested: bool
    verdicts: Annotated[list[Verdict], AtMost(SENTENCE)]
    probes: Annotated[list[Probe], AtMost(SENTENCE)]
    notes: list[str]


class SettingLine(QueryAnswer):
    """A setting of the run."""

    setting: str
    value: Text300


class RunCard(QueryAnswer):
    """How the run was made."""

    card: Annotated[list[Fact], AtMost(SENTENCE)]
    command: Command
    versions: dict[str, str]
    settings: list[SettingLine]


def overview(subject: Subject, arguments: Nothing) -> Overview:
    """Summarise the run: its findings in sentences with numbers, and the counts behind them."""
    info, answer = subject.info, subject.info.answer
    facts = {
        "opening": answer.opening.text,
        "trust": _texts(answer.trust),
        "findings": [
            FindingStatement(finding=statement.finding, tone=statement.tone, sentence=statement.text)
            for statement in answer.findings
        ],
        "findings_in_all": len(info.findings),
        "benchmarks_by_score": [
            BenchmarkScore.model_validate({**vars(benchmark), "notes": _texts(benchmark.notes)})
            for benchmark in answer.benchmarks
        ],
        "scope": _texts(answer.scope),
        "confidence": _texts(answer.confidence),
        "warnings": [caution.text for caution in info.cautions],
        "benchmarks": len(info.benchmarks),
        "scored_model": info.scored.model,
        "read_by": info.scored.reader,
        "whose_scores": info.scored.sentence,
    }
    return Overview.model_validate({**vars(info), **facts})


def _texts(statements: Sequence[Statement]) -> list[str]:
    return [statement.text for statement in statements]


def suggestions(subject: Subject, arguments: Suggested) -> SuggestionList:
    """What to do next, each with its reason and the command to run."""
    info = subject.info
    lines = [
        SuggestionLine.model_validate(
            {
                **vars(suggestion),
                "benchmark": None if suggestion.benchmark is None else info.benchmarks[suggestion.benchmark].name,
                "concepts": suggestion.concepts[:20],
                "concepts_in_all": len(suggestion.concepts),
            }
        )
        for suggestion in info.suggestions
        if arguments.kind in (None, suggestion.kind)
    ]
    return SuggestionList(total=len(lines), suggestions=lines)


def robustness(subject: Subject, arguments: Nothing) -> Robustness:
    """Verdicts of the robustness tests, and of probes of single concepts."""
    verdicts = subject.info.verdicts
    return Robustness(
        tested=verdicts is not None,
        verdicts=list(verdicts or ()),
        probes=list(subject.info.probes),
        notes=[] if verdicts else ["Robustness was not tested: 'cgaps robustness RUN' does it."],
    )


def run_card(subject: Subject, arguments: Nothing) -> RunCard:
    """How the run was made: model, SAE, gate, span, versions, command, settings.

    Settings that quote texts are left out: this answer may go to another model than the audited one. The judge's
    address and key are always left out.
    """
    info = subject.info
    # An absent command stays absent; otherwise the whole one is parsed again, since a cut command may not parse.
    command = info.command and command_text(without_judge(subject.run.manifest["command"]))
    return RunCard(
        card=list(info.card),
        command=command,
        versions=dict(info.versions),
        settings=[SettingLine(setting=name, value=value) for name, value in named(info.settings)],
    )
