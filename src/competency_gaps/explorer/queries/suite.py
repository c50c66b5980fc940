"""Questions about the run as a whole and about its benchmarks."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.explorer.parts.settings import named, without_judge
from competency_gaps.explorer.queries.arguments import Nothing, Suggested, TwoBenchmarks
from competency_gaps.explorer.queries.concepts import name_of
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import SENTENCE, fields, foreign, plain
from competency_gaps.presentation.facts import command_text

COMMAND = 2000
"""Most characters of a command line [ours]: one that is cut does not run."""
_BENCHMARK = (
    *("name", "items", "kept", "excluded", "scored", "mean_score", "covered", "missing", "alive", "mean_span_tokens"),
    *("tested", "weak", "strong", "policy", "scope", "warnings"),
)
_PAIR = ("jaccard", "cosine", "spearman", "n_concepts")
_SIDE = ("chi_model", "gap", "n_eff")


def overview(subject: Subject, arguments: Nothing) -> dict[str, Any]:
    """Summarise the run: its findings in sentences with numbers, and the counts behind them."""
    info = subject.info
    answer = info["answer"]
    return {
        "opening": foreign(answer["opening"]["text"], SENTENCE),
        "trust": _texts(answer["trust"]),
        "findings": [
            {**fields(statement, ("finding", "tone")), "sentence": foreign(statement["text"], SENTENCE)}
            for statement in answer["findings"]
        ],
        "findings_in_all": len(info["findings"]),
        "benchmarks_by_score": [
            {**fields(benchmark, ("benchmark", "mean_score", "scored", "kept")), "notes": _texts(benchmark["notes"])}
            for benchmark in answer["benchmarks"]
        ],
        "scope": _texts(answer["scope"]),
        "confidence": _texts(answer["confidence"]),
        "warnings": [foreign(statement["text"], SENTENCE) for statement in info["cautions"]],
        **fields(info, ("title", "model", "sae", "created", "width", "items", "unit"), limit=SENTENCE),
        "benchmarks": len(info["benchmarks"]),
        **fields(info, ("counts", "evidence")),
    }


def _texts(statements: list[dict[str, Any]]) -> list[str | None]:
    return [foreign(statement["text"], SENTENCE) for statement in statements]


def benchmarks(subject: Subject, arguments: Nothing) -> dict[str, Any]:
    """All benchmarks with their counts and scores, and the order in which each adds most concepts to the suite.

    Counts of benchmarks are of alive concepts, those of the order of ranked concepts, hence the different names.
    """
    info = subject.info
    names = [foreign(entry["name"]) for entry in info["benchmarks"]]
    return {
        "benchmarks": [fields(entry, _BENCHMARK, limit=200) for entry in info["benchmarks"]],
        "redundancy": [
            {
                "benchmark": names[entry["benchmark"]],
                "ranked_added": entry["adds"],
                "ranked_covered": entry["covered"],
                "ranked_cumulative": entry["cumulative"],
            }
            for entry in info["redundancy"]
        ],
    }


def correlation(subject: Subject, arguments: TwoBenchmarks) -> dict[str, Any]:
    """How much two benchmarks cover the same concepts, whether they agree on performance, and where they differ.

    Concepts are set side by side where both benchmarks have enough items for a test (``compared`` of them), by their
    gaps: each is relative to the mean of its own benchmark.
    """
    first, second = (subject.place_of(name) for name in (arguments.first, arguments.second))
    names = subject.benchmarks[first], subject.benchmarks[second]
    joined = _side_by_side(subject, first, second)
    here = (pl.col("benchmark_a") == names[0]) & (pl.col("benchmark_b") == names[1])
    pair = subject.run.overlap.filter(here).row(0, named=True)
    alive = joined.filter(pl.col("alive"))
    in_first, in_second = pl.col("support") > 0, pl.col("support_second") > 0
    least = float(subject.run.manifest["evidence"]["min_n_eff"])
    enough = (pl.col("n_eff") >= least) & (pl.col("n_eff_second") >= least)
    both = joined.filter(pl.col("ranked") & enough)
    # Gaps, not scores: a hard benchmark makes every concept's score low.
    both = both.with_columns(gap_difference=pl.col("gap") - pl.col("gap_second"))
    above = both.filter(pl.col("gap_difference") > 0).sort(["gap_difference", "concept"], descending=[True, False])
    below = both.filter(pl.col("gap_difference") < 0).sort(["gap_difference", "concept"])
    return {
        "first": foreign(names[0]),
        "second": foreign(names[1]),
        **fields(pair, _PAIR),
        "covered_by_both": alive.filter(in_first & in_second).height,
        "covered_by_first_only": alive.filter(in_first & ~in_second).height,
        "covered_by_second_only": alive.filter(~in_first & in_second).height,
        "compared": both.height,
        "min_n_eff": least,
        "better_in_first": [_differing(row) for row in above.head(arguments.concepts).iter_rows(named=True)],
        "better_in_second": [_differing(row) for row in below.head(arguments.concepts).iter_rows(named=True)],
    }


def suggestions(subject: Subject, arguments: Suggested) -> dict[str, Any]:
    """What to do next, each with its reason and the command to run."""
    suggested = [
        suggestion for suggestion in subject.info["suggestions"] if arguments.kind in (None, suggestion["kind"])
    ]
    names = [entry["name"] for entry in subject.info["benchmarks"]]
    return {
        "total": len(suggested),
        "suggestions": [
            {
                **fields(suggestion, ("kind", "title", "reason"), limit=SENTENCE),
                "command": foreign(suggestion["command"], COMMAND),
                "benchmark": None if suggestion["benchmark"] is None else foreign(names[suggestion["benchmark"]]),
                "finding": suggestion["finding"],
                "concepts": suggestion["concepts"][:20],
                "concepts_in_all": len(suggestion["concepts"]),
            }
            for suggestion in suggested
        ],
    }


def robustness(subject: Subject, arguments: Nothing) -> dict[str, Any]:
    """Verdicts of the robustness tests, and of probes of single concepts."""
    info = subject.info
    notes = [] if info["verdicts"] else ["Robustness was not tested: 'cgaps robustness RUN' does it."]
    return {
        "tested": info["verdicts"] is not None,
        "verdicts": [
            fields(verdict, ("code", "test", "sentence", "tone"), limit=SENTENCE) for verdict in info["verdicts"] or []
        ],
        "probes": [
            fields(probe, ("concept", "label", "claim", "verdict", "sentence"), limit=SENTENCE)
            for probe in info["probes"]
        ],
        "notes": notes,
    }


def run_card(subject: Subject, arguments: Nothing) -> dict[str, Any]:
    """How the run was made: model, SAE, gate, span, versions, command, settings.

    Settings that quote texts are left out: this answer may go to another model than the audited one. The judge's
    address and key are always left out.
    """
    info = subject.info
    # An absent command stays absent; otherwise the whole one is parsed again, since a cut command may not parse.
    command = info["command"] and command_text(without_judge(subject.run.manifest["command"]))
    return {
        "card": [fields(line, ("name", "value", "note"), limit=SENTENCE) for line in info["card"]],
        "command": foreign(command, COMMAND),
        "versions": plain(dict(info["versions"])),
        "settings": [
            {"setting": foreign(name), "value": foreign(value, 300)} for name, value in named(info["settings"])
        ],
    }


def _side_by_side(subject: Subject, first: int, second: int) -> pl.DataFrame:
    """Every concept with its numbers in the first benchmark, and those in the second with the ending ``_second``."""
    here, there = (subject.parts.context.benchmark_concepts(place, ("support", *_SIDE)) for place in (first, second))
    facts = subject.concepts.select("concept", "label", "alive", "ranked")
    return pl.concat([facts, here, there.select(pl.all().name.suffix("_second"))], how="horizontal")


def _differing(row: dict[str, Any]) -> dict[str, Any]:
    sides = {f"{key}_{side}": row[key + end] for side, end in (("first", ""), ("second", "_second")) for key in _SIDE}
    return {**name_of(row), **fields({**row, **sides}, ("gap_difference", *sides))}
