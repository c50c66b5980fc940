"""The statements of an answer beside its findings: what failed, the benchmarks, their scope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from competency_gaps.findings.phrases import NAME_LIMIT, covariate_words
from competency_gaps.items.remark import Remark
from competency_gaps.matching.kept import KeptScope, read_scopes
from competency_gaps.robustness import Documents, read_assessment
from competency_gaps.text import integer, percent, plural, share_of, shorten

FAILED = {
    "subsampling": "leave out a fifth of the items, and the list of the weakest concepts changes",
    "held_out_weak": "concepts found weak on half of the items are not weak on the other half",
    "held_out_strong": "concepts found strong on half of the items are not strong on the other half",
    "split_halves": "two halves of the items hardly agree on which concepts are weak",
    "ablation": "without the items that they name, the best and the worst concepts change no more than by chance",
    "prediction": "concepts foretell failures no better than the benchmarks' mean scores do",
}
"""What the failure of a test of robustness means, by the verdict's code; ``against`` names the other run itself."""


class AnsweredRun(Documents, Protocol):
    """What the answer needs of a run."""

    @property
    def items(self) -> pl.DataFrame:
        """One row per item."""

    @property
    def benchmarks(self) -> pl.DataFrame:
        """One row per benchmark."""

    @property
    def concepts(self) -> pl.DataFrame:
        """One row per concept of the SAE."""

    @property
    def findings(self) -> pl.DataFrame:
        """One row per finding, weak ones first."""


@dataclass(frozen=True)
class Statement:
    """One statement, in words and in numbers."""

    code: str
    """What it is about; the functions of this module say which codes there are."""
    text: str
    """A sentence that explains every term it uses."""
    tone: str = ""
    """``weak``, ``strong``, ``good``, ``bad``, ``open`` (undecided) or empty."""
    finding: int | None = None
    """Number of the finding that it states; None: it states no finding."""
    benchmark: str | None = None
    """The benchmark that it is about; None: the whole run, or several."""
    numbers: Mapping[str, float | int | str | None] = field(default_factory=dict)
    """Its numbers by name."""


@dataclass(frozen=True)
class BenchmarkAnswer:
    """One benchmark's score, and what its items share."""

    benchmark: str
    mean_score: float | None
    """Over scored items, in [0, 1]; None: no item is scored."""
    scored: int
    kept: int
    tested: int
    """Concepts tested within the benchmark."""
    weak: int
    strong: int
    notes: tuple[Statement, ...]
    """``trend`` (scores go with a property of the items) and ``shared`` (most tested concepts stand out)."""


def trust_statements(run: AnsweredRun) -> tuple[Statement, ...]:
    """Say what failed: the SAE's gate, a judge, tests of robustness; and what makes scores against peers less sure."""
    statements = []
    gate = run.manifest["gate"]
    if not gate.get("passed"):
        explained = gate.get("explained_variance")
        share = "too little" if explained is None else f"only {percent(explained, 1)}"
        how = " and the run was forced" if gate.get("forced") else ""
        text = (
            f"The SAE did not pass its gate{how}: it explains {share} of what the model computes where it is read, so "
            "what is said of concepts may describe the SAE's faults and not the model."
        )
        statements.append(Statement("gate", text, "bad", numbers={"explained_variance": explained}))
    statements += _judges_by_place(run.manifest["benchmarks"])
    verdicts = (read_assessment(run) or {}).get("verdicts") or []
    failed = [verdict for verdict in verdicts if verdict["tone"] == "bad"]
    if failed:
        failures = "; ".join(_failure(verdict) for verdict in failed)
        text = f"{len(failed)} of {plural(len(verdicts), 'test')} of robustness failed: {failures}."
        statements.append(Statement("robustness", text, "bad", numbers={"failed": len(failed), "tests": len(verdicts)}))
    for stored in run.manifest.get("outcome", {}).get("remarks", ()):
        remark = Remark.of(stored)
        if remark.code == "missing_concepts" and not remark.numbers[2]:
            continue  # none of these concepts is listed
        words = str(remark)
        statements.append(Statement(remark.code, f"{words[0].upper()}{words[1:]}.", "open"))
    return tuple(statements)


def _judges_by_place(benchmarks: Sequence[Mapping[str, Any]]) -> Iterator[Statement]:
    """Say where a judge's verdicts follow the order in which it read two answers."""
    for benchmark in benchmarks:
        for figures in (benchmark.get("figures") or {}).values():
            if not figures.get("by_place"):
                continue
            name, items, agreement = benchmark["name"], figures["both_games"], figures["agreement"]
            first = 0.5 + figures["position_bias"]["value"]
            text = (
                f"The judge of {shorten(name, NAME_LIMIT)} goes by the place of an answer, not by the answer: what it "
                f"reads first gets {percent(first, 1)} of the points, and its verdicts in the two orders agree on only "
                f"{percent(agreement, 1)} of {plural(items, 'item')}. Its scores say little about the model."
            )
            numbers = {"first": first, "agreement": agreement, "items": items}
            yield Statement("judge_by_place", text, "bad", benchmark=name, numbers=numbers)


def _failure(verdict: Mapping[str, Any]) -> str:
    if verdict["code"] == "against":
        return f"{shorten(verdict['test'], NAME_LIMIT)}, gaps hardly agree"
    return FAILED[verdict["code"]]


def benchmark_answers(run: AnsweredRun) -> tuple[BenchmarkAnswer, ...]:
    """Give the benchmarks by score, the lowest first, with what their items share."""
    counts = run.manifest["evidence"].get("benchmarks") or {}
    answers = []
    for row in run.benchmarks.sort("mean_score", "benchmark", nulls_last=True).iter_rows(named=True):
        own = counts.get(row["benchmark"], {})
        numbers = {name: int(own.get(name, 0)) for name in ("tested", "weak", "strong")}
        answers.append(
            BenchmarkAnswer(
                row["benchmark"], row["mean_score"], row["scored"], row["kept"], **numbers, notes=_notes(row, own)
            )
        )
    return tuple(answers)


def _notes(row: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[Statement, ...]:
    name = shorten(str(row["benchmark"]), NAME_LIMIT)
    notes = [_trend(name, str(row["benchmark"]), trend) for trend in own.get("trends") or ()]
    if own.get("most_stand_out"):
        tested, out, reason = int(own["tested"]), int(own["weak"]) + int(own["strong"]), own.get("shared_reason")
        most = "" if reason is None else f", most likely {covariate_words(str(reason))},"
        text = (
            f"In {name} {share_of(out, tested)} tested concepts stand out: something that their items share{most} is a "
            "likelier reason than each concept by itself."
        )
        numbers = {"stand_out": out, "tested": tested, "covariate": reason}
        notes.append(Statement("shared", text, "open", benchmark=str(row["benchmark"]), numbers=numbers))
    return tuple(notes)


def _trend(name: str, benchmark: str, trend: Mapping[str, Any]) -> Statement:
    words, first, last = covariate_words(str(trend["covariate"])), float(trend["first"]), float(trend["last"])
    ends = trend.get("categories")
    if ends:
        low, high = (f"{shorten(str(end), 40)!r}" for end in (ends[0], ends[-1]))
        text = f"In {name} scores depend on {words} ({percent(first, 1)} for {low}, {percent(last, 1)} for {high})"
    else:
        # The two ends do not say what lies between them.
        text = (
            f"In {name} scores depend on {words} ({percent(first, 1)} where it is lowest, {percent(last, 1)} where it "
            "is highest)"
        )
    text += "; gaps are taken net of it." if trend.get("controlled") else "; gaps are not taken net of it."
    numbers = {key: trend.get(key) for key in ("covariate", "first", "last", "share", "p")}
    return Statement("trend", text, benchmark=benchmark, numbers=numbers)


def scope_statements(run: AnsweredRun) -> tuple[Statement, ...]:
    """Say what benchmarks lack of what they state to test; without a scope concepts are only counted."""
    scopes = read_scopes(run)
    statements = sorted(
        (_of_scope(scope) for scope in scopes), key=lambda statement: -int(statement.numbers["missing"] or 0)
    )
    looked = {scope.benchmark for scope in scopes}
    stated = [str(entry["name"]) for entry in run.manifest["benchmarks"] if entry.get("scope")]
    left = [name for name in stated if name not in looked]
    if left:
        whose = "lacks of its" if len(left) == 1 else "lack of their"
        text = (
            f"What {plural(len(left), 'benchmark')} {whose} stated scope was not looked up: ‘cgaps scope’ compares it "
            "with the concepts' labels."
        )
        statements.append(Statement("not_looked_up", text, "open", numbers={"benchmarks": len(left)}))
    alive = run.concepts.filter(pl.col("alive"))
    missing = int(alive["missing"].sum())
    if not run.manifest.get("reference"):
        return tuple(statements)
    why = "" if looked or stated else ", which is no finding: no benchmark states its scope"
    text = f"{share_of(missing, alive.height)} concepts are active in no item{why}."
    return (*statements, Statement("counted", text, numbers={"missing": missing, "alive": alive.height}))


def _of_scope(scope: KeptScope) -> Statement:
    near = [
        concept for concept in scope.lacking if concept.in_scope and concept.verdict not in ("outside", "borderline")
    ]
    absent = [concept for concept in near if concept.coverage_status == "missing"]
    name = shorten(scope.benchmark, NAME_LIMIT)
    numbers = {"missing": len(absent), "under": len(near) - len(absent), "covered": scope.covered}
    if not near:
        text = f"{name} lacks nothing of its scope that the concepts' labels show."
        return Statement("scope", text, "good", benchmark=scope.benchmark, numbers=numbers)
    labels = [f"“{shorten(concept.label, NAME_LIMIT)}”" for concept in (absent or near)[:2]]
    text = (
        f"{name} lacks {plural(len(absent), 'concept')} of its scope and hardly exercises "
        f"{integer(len(near) - len(absent))} more ({integer(scope.covered)} are covered), by label: "
        f"{' and '.join(labels)}."
    )
    return Statement("scope", text, benchmark=scope.benchmark, numbers=numbers)
