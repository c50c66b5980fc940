"""Questions about the run as a whole and about its benchmarks."""

from __future__ import annotations

from typing import Any

import polars as pl

from competency_gaps.explorer.parts.settings import command_text, named, without_judge
from competency_gaps.explorer.queries.arguments import Nothing, Suggested, TwoBenchmarks
from competency_gaps.explorer.queries.concepts import name_of
from competency_gaps.explorer.queries.subject import Subject
from competency_gaps.explorer.queries.values import SENTENCE, fields, foreign, plain

COMMAND = 2000
"""Most characters of a command line [ours]: one that is cut does not run."""
_BENCHMARK = (
    *("name", "items", "kept", "excluded", "scored", "mean_score", "covered", "missing", "alive", "mean_span_tokens"),
    *("tested", "weak", "strong", "policy", "scope", "warnings"),
)
_PAIR = ("jaccard", "cosine", "spearman", "n_concepts")
_SIDE = ("chi_model", "gap", "n_eff")


def overview(subject: Subject, asked: Nothing) -> dict[str, Any]:
    """What the run found, in sentences with their numbers, and the counts behind them."""
    info = subject.info
    answer = info["answer"]
    return {
        "opening": foreign(answer["opening"]["text"], SENTENCE),
        "trust": _texts(answer["trust"]),
        "findings": [
            {**fields(one, ("finding", "tone")), "sentence": foreign(one["text"], SENTENCE)}
            for one in answer["findings"]
        ],
        "findings_in_all": len(info["findings"]),
        "benchmarks_by_score": [
            {**fields(one, ("benchmark", "mean_score", "scored", "kept")), "notes": _texts(one["notes"])}
            for one in answer["benchmarks"]
        ],
        "scope": _texts(answer["scope"]),
        "confidence": _texts(answer["confidence"]),
        "warnings": [foreign(one["text"], SENTENCE) for one in info["cautions"]],
        **fields(info, ("title", "model", "sae", "created", "width", "items", "unit"), limit=SENTENCE),
        "benchmarks": len(info["benchmarks"]),
        **fields(info, ("counts", "evidence")),
    }


def _texts(statements: list[dict[str, Any]]) -> list[str | None]:
    return [foreign(one["text"], SENTENCE) for one in statements]


def benchmarks(subject: Subject, asked: Nothing) -> dict[str, Any]:
    """All benchmarks with their counts and scores, and in which order each adds most concepts to the suite.

    Their counts are over alive concepts, those of the order over ranked ones, so they have names of their own.
    """
    info = subject.info
    names = [foreign(one["name"]) for one in info["benchmarks"]]
    return {
        "benchmarks": [fields(one, _BENCHMARK, limit=200) for one in info["benchmarks"]],
        "redundancy": [
            {
                "benchmark": names[one["benchmark"]],
                "ranked_added": one["adds"],
                "ranked_covered": one["covered"],
                "ranked_cumulative": one["cumulative"],
            }
            for one in info["redundancy"]
        ],
    }


def correlation(subject: Subject, asked: TwoBenchmarks) -> dict[str, Any]:
    """How much two benchmarks cover the same concepts, whether they agree on performance, and where they differ.

    Concepts are set side by side where both benchmarks have enough items for a test (``compared`` of them), by their
    gaps: each is relative to the mean of its own benchmark.
    """
    first, second = (subject.place_of(name) for name in (asked.first, asked.second))
    names = subject.benchmarks[first], subject.benchmarks[second]
    joined = _side_by_side(subject, first, second)
    here = (pl.col("benchmark_a") == names[0]) & (pl.col("benchmark_b") == names[1])
    pair = subject.run.overlap.filter(here).row(0, named=True)
    alive = joined.filter(pl.col("alive"))
    one, other = pl.col("support") > 0, pl.col("support_second") > 0
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
        "covered_by_both": alive.filter(one & other).height,
        "covered_by_first_only": alive.filter(one & ~other).height,
        "covered_by_second_only": alive.filter(~one & other).height,
        "compared": both.height,
        "min_n_eff": least,
        "better_in_first": [_differing(row) for row in above.head(asked.concepts).iter_rows(named=True)],
        "better_in_second": [_differing(row) for row in below.head(asked.concepts).iter_rows(named=True)],
    }


def suggestions(subject: Subject, asked: Suggested) -> dict[str, Any]:
    """What to do next, each with its reason and the command to run."""
    found = [one for one in subject.info["suggestions"] if asked.kind in (None, one["kind"])]
    names = [one["name"] for one in subject.info["benchmarks"]]
    return {
        "total": len(found),
        "suggestions": [
            {
                **fields(one, ("kind", "title", "reason"), limit=SENTENCE),
                "command": foreign(one["command"], COMMAND),
                "benchmark": None if one["benchmark"] is None else foreign(names[one["benchmark"]]),
                "finding": one["finding"],
                "concepts": one["concepts"][:20],
                "concepts_in_all": len(one["concepts"]),
            }
            for one in found
        ],
    }


def robustness(subject: Subject, asked: Nothing) -> dict[str, Any]:
    """Whether the run holds up, and what probes said of single concepts."""
    info = subject.info
    told = [] if info["verdicts"] else ["Robustness was not tested: 'cgaps robustness RUN' does it."]
    return {
        "tested": info["verdicts"] is not None,
        "verdicts": [
            fields(one, ("code", "test", "sentence", "tone"), limit=SENTENCE) for one in info["verdicts"] or []
        ],
        "probes": [
            fields(one, ("concept", "label", "claim", "verdict", "sentence"), limit=SENTENCE) for one in info["probes"]
        ],
        "notes": told,
    }


def run_card(subject: Subject, asked: Nothing) -> dict[str, Any]:
    """How the run was made: model, SAE, gate, span, versions, command, settings.

    Only settings that quote nobody are told: others may be put to the audited model, and this may go to another one.
    Where a judge is, and its key, is told nowhere.
    """
    info = subject.info
    # A command that is left out stays so; else it is read anew, for cut it may be none that can be parsed.
    command = info["command"] and command_text(without_judge(subject.run.manifest["command"]))
    return {
        "card": [fields(one, ("name", "value", "note"), limit=SENTENCE) for one in info["card"]],
        "command": foreign(command, COMMAND),
        "versions": plain(dict(info["versions"])),
        "settings": [
            {"setting": foreign(name), "value": foreign(value, 300)} for name, value in named(info["settings"])
        ],
    }


def _side_by_side(subject: Subject, first: int, second: int) -> pl.DataFrame:
    """Every concept with its numbers in the first benchmark, and those in the second with the ending ``_second``."""
    one, other = (subject.parts.context.benchmark_concepts(place, ("support", *_SIDE)) for place in (first, second))
    facts = subject.concepts.select("concept", "label", "alive", "ranked")
    return pl.concat([facts, one, other.select(pl.all().name.suffix("_second"))], how="horizontal")


def _differing(row: dict[str, Any]) -> dict[str, Any]:
    sides = {f"{key}_{side}": row[key + end] for side, end in (("first", ""), ("second", "_second")) for key in _SIDE}
    return {**name_of(row), **fields({**row, **sides}, ("gap_difference", *sides))}
