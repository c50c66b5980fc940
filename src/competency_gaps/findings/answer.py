"""The answer that a run gives, in a few sentences: the same for the terminal, the report and the explorer.

Each statement has a code and its numbers beside its words, so that no page has to parse a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from competency_gaps.dictionary.kinds import kind_counts
from competency_gaps.findings.answer_parts import (
    AnsweredRun,
    BenchmarkAnswer,
    Statement,
    benchmark_answers,
    scope_statements,
    trust_statements,
)
from competency_gaps.findings.phrases import alike, kinds_sentence, points, reading_sentence, scored_name
from competency_gaps.findings.pooled import led_groups
from competency_gaps.findings.words import topic
from competency_gaps.robustness import read_assessment
from competency_gaps.runs.covariates import repeats
from competency_gaps.text import percent, plural, share_of, shorten

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

    Weak ones come first. Findings that the other half of the items does not clearly show come later, and so do those
    whose feature is of the same topic as that of an earlier finding.
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
        f"{good} of {plural(findings.height, 'finding')} show on the other half of the items too where one half finds "
        "them again"
    )
    text += f", {bad} not clearly" if bad else ""
    text += f", {open_} undecided" if open_ else ""
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
        return Statement("tests", "Robustness was not tested: ‘cgaps robustness’ does it.", "open")
    passed, failed = (sum(verdict["tone"] == tone for verdict in verdicts) for tone in ("good", "bad"))
    text = f"Of {plural(len(verdicts), 'test')} of robustness {passed} passed and {failed} failed."
    numbers = {"passed": passed, "failed": failed, "tests": len(verdicts)}
    return Statement("tests", text, "bad" if failed else "good", numbers=numbers)
