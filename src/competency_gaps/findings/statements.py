"""The answer that a run gives, in a few sentences: the same for the terminal, the report and the explorer.

Each statement has a code and its numbers beside its words, so that no page has to parse a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import polars as pl

from competency_gaps.dictionary.kinds import kind_counts
from competency_gaps.findings.groups import led_groups
from competency_gaps.findings.words import (
    NAME_LIMIT,
    alike,
    covariate_words,
    kinds_sentence,
    points,
    reading_sentence,
    scored_name,
    topic,
)
from competency_gaps.items.item import Reason
from competency_gaps.matching.kept import KeptScope, read_scopes
from competency_gaps.runs.assessment import Documents, read_assessment
from competency_gaps.runs.covariates import repeats
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
        remark = Reason.of(stored)
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
            name, items, agreement = benchmark["name"], figures["items"], figures["agreement"]
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
        text = f"What {plural(len(left), 'benchmark')} {whose} stated scope: see ‘cgaps coverage’."
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


MOST = 5
"""Findings of the answer, at most."""
MOST_STRONG = 2
"""Strong ones among them, at most."""


@dataclass(frozen=True)
class RunAnswer:
    """What a run says, in the order in which it is read."""

    opening: Statement
    """Model, mean score and size of the suite."""
    trust: tuple[Statement, ...]
    """What failed and therefore comes first: ``gate``, ``judge_by_place``, ``robustness``; empty where nothing did."""
    findings: tuple[Statement, ...]
    """At most :data:`MOST`, weak ones first; a single one of code ``no_finding`` where nothing stands out; empty where
    no item is scored."""
    benchmarks: tuple[BenchmarkAnswer, ...]
    """The lowest score first, unscored ones last."""
    scope: tuple[Statement, ...]
    """What benchmarks lack of their stated scope, most first; then what is only counted (``counted``)."""
    confidence: tuple[Statement, ...]
    """How far to trust it: ``unseen``, ``kinds``, ``repeats``, ``vanished``, ``rate``, ``gate``, ``tests``."""

    @property
    def notes(self) -> list[Statement]:
        """The notes of all benchmarks: those that put findings in doubt, then trends, the strongest first."""
        every = [note for benchmark in self.benchmarks for note in benchmark.notes]
        return sorted(every, key=lambda note: (note.code != "shared", -float(note.numbers.get("share") or 0.0)))


def answer(run: AnsweredRun) -> RunAnswer:
    """Sum up a finished run.

    Parameters
    ----------
    run : AnsweredRun
        A finished run.

    Returns
    -------
    RunAnswer
    """
    return RunAnswer(
        opening=_opening(run),
        trust=trust_statements(run),
        findings=_findings(run),
        benchmarks=benchmark_answers(run),
        scope=scope_statements(run),
        confidence=confidence_statements(run),
    )


def answer_dict(given: RunAnswer) -> dict[str, Any]:
    """Give an answer as a JSON object: the fields of :class:`RunAnswer`."""
    return asdict(given)


def _opening(run: AnsweredRun) -> Statement:
    kept = run.items.filter(pl.col("excluded").is_null())
    scores = kept["score"].drop_nulls()
    model = shorten(scored_name(run.manifest), 80)
    suite = plural(run.benchmarks.height, "benchmark")
    mean = float(scores.to_numpy().mean()) if scores.len() else None
    numbers = {
        "items": run.items.height,
        "kept": kept.height,
        "scored": scores.len(),
        "benchmarks": run.benchmarks.height,
        "mean_score": mean,
    }
    if mean is None:
        text = f"{model}: no item of {suite} is scored, so this run says only what the items exercise."
    else:
        text = (
            f"{model}: mean score {percent(mean, 1)} on {scores.len():,} of {plural(run.items.height, 'item')} in "
            f"{suite}."
        )
    return Statement("opening", f"{text} {reading_sentence(run.manifest)}".rstrip(), numbers=numbers)


def chosen(findings: pl.DataFrame) -> pl.DataFrame:
    """Choose the findings with which an answer begins.

    Weak ones come first. Findings that half-samples do not clearly show on the items left out come later, and so do
    those whose feature is of the same topic as that of an earlier finding.
    """
    topics: set[str] = set()
    repeated = []
    for code, holds in findings.select("feature", "holds").iter_rows():
        about = None if code is None else topic(code)
        repeated.append(about in topics)
        if about is not None and holds is not False:
            topics.add(about)
    doubtful = pl.col("holds").fill_null(value=True).not_()
    put_off = 2 * doubtful.cast(pl.Int8) + pl.Series(repeated, dtype=pl.Boolean).cast(pl.Int8)
    weak, strong = (
        findings.with_columns(put_off=put_off)
        .filter(pl.col("verdict") == verdict)
        .sort("put_off", maintain_order=True)
        .drop("put_off")
        for verdict in ("weak", "strong")
    )
    first = weak.head(MOST - min(1, strong.height))
    return pl.concat([first, strong.head(min(MOST_STRONG, MOST - first.height))])


def finding_statement(row: Mapping[str, Any]) -> Statement:
    """Give a finding as a statement of code ``finding``."""
    kept = ("items", "clusters", "mean_score", "gap", "gap_low", "gap_high", "plain_gap", "q_value", "unseen_gap")
    benchmarks = row["benchmarks"] or []
    return Statement(
        "finding",
        shorten(str(row["sentence"]), 400),
        str(row["verdict"]),
        finding=int(row["finding"]),
        benchmark=str(benchmarks[0]["benchmark"]) if len(benchmarks) == 1 else None,
        numbers={name: row[name] for name in kept},
    )


def _findings(run: AnsweredRun) -> tuple[Statement, ...]:
    if run.items.filter(pl.col("excluded").is_null())["score"].drop_nulls().is_empty():
        return ()
    if run.findings.height:
        return tuple(finding_statement(row) for row in chosen(run.findings).iter_rows(named=True))
    return (_nothing(run),)


def _nothing(run: AnsweredRun) -> Statement:
    """Say that nothing stands out, with the smallest gap that could have been seen."""
    tested = run.concepts.filter(pl.col("ranked") & pl.col("q_value").is_not_null())
    seen = tested["detectable"].drop_nulls()
    least, middle = (None, None) if seen.is_empty() else (float(seen.min()), float(seen.median()))  # type: ignore[arg-type]
    numbers = {
        "tested": tested.height,
        "detectable": least,
        "detectable_median": middle,
    }
    if not tested.height:
        floor = f"{run.manifest['evidence']['min_n_eff']:g}"
        text = (
            f"No group of items could be tested: no concept is active in enough of them (the worth of {floor} "
            "different ones) with scores that vary."
        )
        return Statement("no_finding", text, "open", numbers=numbers)
    text = f"No group of items does reliably worse or better than the others: {tested.height:,} concepts were tested."
    if least is not None and middle is not None:
        text += (
            f" The smallest gap that could have been seen is {points(least)} of 100, and {points(middle)} for the "
            "median concept."
        )
    return Statement("no_finding", text, "open", numbers=numbers)


def confidence_statements(run: AnsweredRun) -> tuple[Statement, ...]:
    """Say how far to trust the findings.

    Codes: ``unseen``, ``kinds``, ``repeats``, ``vanished``, ``rate``, ``gate``, ``tests``.
    """
    statements = (
        _unseen(run.findings),
        _kinds(run),
        _repeats(run.items),
        _vanished(run),
        _rate(run),
        _gate(run),
        _tests(run),
    )
    return tuple(statement for statement in statements if statement is not None)


def _unseen(findings: pl.DataFrame) -> Statement | None:
    if findings.is_empty():
        return None
    holds = findings["holds"]
    good, bad = int((holds == True).sum()), int((holds == False).sum())  # noqa: E712
    open_ = findings.height - good - bad
    text = (
        f"Half-samples of the items find {good} of {plural(findings.height, 'finding')} again with a clear gap on the "
        "items left out"
    )
    text += f", {bad} without a clear one" if bad else ""
    text += f", {open_} too seldom to tell" if open_ else ""
    text += ". They were chosen on all items, so this is no test on new ones."
    numbers = {"hold": good, "fail": bad, "open": open_}
    return Statement("unseen", text, "bad" if bad else "good" if good else "open", numbers=numbers)


def _kinds(run: AnsweredRun) -> Statement | None:
    text = kinds_sentence(run.concepts)
    return Statement("kinds", text, numbers=kind_counts(run.concepts)) if text else None


def _repeats(items: pl.DataFrame) -> Statement | None:
    kept = items.filter(pl.col("excluded").is_null())
    different = kept["cluster"].n_unique()
    if different == kept.height:
        return None
    same = items.filter(pl.Series(repeats(items)) & pl.col("excluded").is_null())
    again = same.height - same["cluster"].n_unique()
    together = kept.filter(pl.col("cluster").is_duplicated()).join(same, on="cluster", how="anti")
    clauses = []
    if again:
        clauses.append(f"{share_of(again, kept.height)} items repeat another one, word for word or nearly")
    if together.height:
        clauses.append(
            f"{share_of(together.height, kept.height)} items belong together in "
            f"{plural(together['cluster'].n_unique(), 'cluster')}, such as questions on one passage"
        )
    text = f"{'; '.join(clauses)}. Each cluster counts once: {kept.height:,} items count as {different:,}."
    numbers = {"items": kept.height, "clusters": different, "repeats": again, "together": together.height}
    return Statement("repeats", text, numbers=numbers)


def _vanished(run: AnsweredRun) -> Statement | None:
    count = int(run.concepts.filter(pl.col("ranked"))["vanishes"].sum())
    among = alike(run.manifest["evidence"])
    if not count or not among:
        return None
    what = "concept stands" if count == 1 else "concepts stand"
    text = f"{count:,} {what} out among all items but not {among}, and {'is' if count == 1 else 'are'} not counted."
    return Statement("vanished", text, numbers={"concepts": count})


def _rate(run: AnsweredRun) -> Statement | None:
    if run.findings.is_empty():
        return None
    q = float(run.manifest["evidence"]["q"])
    left = len(led_groups(run.concepts)) - run.findings.height
    text = f"Findings are chosen so that on average at most {percent(q, 1)} of them are accidents"
    if left > 0:
        groups = "group of weak or strong concepts does" if left == 1 else "groups of weak or strong concepts do"
        text += f"; {left:,} further {groups} not pass this, and {'is' if left == 1 else 'are'} no finding"
    return Statement("rate", text + ".", numbers={"q": q, "findings": run.findings.height, "left_out": left})


def _gate(run: AnsweredRun) -> Statement | None:
    """Say that the SAE passed its gate; one that failed stands among what comes first."""
    gate = run.manifest["gate"]
    explained = gate.get("explained_variance")
    if not gate.get("passed") or explained is None:
        return None
    text = f"The SAE passed its gate: it explains {percent(explained, 1)} of what the model computes where it is read."
    return Statement("gate", text, "good", numbers={"explained_variance": explained})


def _tests(run: AnsweredRun) -> Statement:
    verdicts = (read_assessment(run) or {}).get("verdicts") or []
    if not verdicts:
        return Statement("tests", "Robustness was not tested: ‘cgaps check’ does it.", "open")
    passed, failed = (sum(verdict["tone"] == tone for verdict in verdicts) for tone in ("good", "bad"))
    text = f"Of {plural(len(verdicts), 'test')} of robustness {passed} passed and {failed} failed."
    numbers = {"passed": passed, "failed": failed, "tests": len(verdicts)}
    return Statement("tests", text, "bad" if failed else "good", numbers=numbers)
