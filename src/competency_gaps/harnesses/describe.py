"""What was read of other tools' logs, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from competency_gaps.harnesses.lm_eval.log_files import model_commit
from competency_gaps.harnesses.model_name import same_model
from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.item import LeftOut, SourceReport
from competency_gaps.items.remark import Remark
from competency_gaps.text import plural, shorten, visible

NO_MODEL = Remark("no_model")
_LIMIT = 300
_COMMIT = re.compile("[0-9a-f]{40}")


def report_lines(report: SourceReport) -> Iterator[str]:
    """One part of a log: what was read, chosen, averaged and left out. The names in it are foreign and made visible."""
    counts = [plural(report.records, "record"), plural(report.items, "item")]
    if report.averaged:
        counts.append(f"{report.averaged:,} records averaged into {plural(report.averaged_items, 'item')}")
    counts.append(f"{report.unscored:,} unscored")
    yield _line(f"{report.benchmark}: {report.format}, {', '.join(counts)}")
    yield _line(f"    model: {report.model or f'not said ({NO_MODEL})'}")
    for name in ("metric", "filter", "scorer"):
        value = getattr(report, name)
        others = [other for other in report.available.get(name, ()) if other != value]
        if value is not None or others:
            also = f" (could be: {', '.join(others)})" if others else ""
            yield _line(f"    {name}: {value or 'none'}{also}")
    for way, count in report.own_text.items():
        yield _line(f"    own text: {way}: {plural(count, 'item')}")
    for counted in report.left_out:
        yield _line(f"    left out: {plural(counted.count, 'record')}: {counted.reason}")
    for counted in report.unscored_because:
        yield _line(f"    without a score: {plural(counted.count, 'record')}: {counted.reason}")
    for warning in report.warnings:
        yield _line(f"    note: {warning}")


def model_warnings(reports: Sequence[SourceReport], model: str, revision: str | None = None) -> Iterator[Remark]:
    """A warning for each log whose model does not seem to be the model of the run.

    Parameters
    ----------
    revision
        Commit of the run's model on the hub; None: not known.
    """
    for name in dict.fromkeys(report.model for report in reports if report.model is not None):
        if not same_model(name, model):
            yield Remark("other_model", quotes=(visible(shorten(name, 120)), model))
    for theirs in dict.fromkeys(model_commit(report.files) for report in reports if report.format == "lm_eval"):
        if theirs and revision and _COMMIT.fullmatch(revision) and theirs != revision:
            yield Remark("other_revision", quotes=(theirs[:12], revision[:12]))


def with_model_warnings(
    benchmark: Benchmark, model: str, revision: str | None = None
) -> tuple[Benchmark, tuple[Remark, ...]]:
    """The benchmark, its reports with what ``model_warnings`` says, so that it is kept; and these warnings.

    A log that names no model gets a note of that.
    """
    warnings = tuple(model_warnings(benchmark.reports, model, revision))
    reports = [
        replace(
            report,
            warnings=(
                *report.warnings,
                *model_warnings([report], model, revision),
                *([NO_MODEL] if report.model is None else []),
            ),
        )
        for report in benchmark.reports
    ]
    return replace(benchmark, reports=tuple(reports)), warnings


def left_out_lines(benchmark: str, left_out: Sequence[LeftOut]) -> Iterator[str]:
    """What became no item, a line for each reason."""
    places: dict[Remark, list[str]] = {}
    for left in left_out:
        places.setdefault(left.reason, []).append(left.where)
    for reason, where in places.items():
        first = where[0] if len(where) == 1 else f"{len(where):,} records, the first {where[0]}"
        yield _line(f"{benchmark}: left out {first}: {reason}")


def _line(text: str) -> str:
    return shorten(visible(" ".join(text.split("\n"))), _LIMIT)
