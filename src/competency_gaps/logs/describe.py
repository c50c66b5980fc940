"""What was read of other tools' logs, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from competency_gaps.benchmarks.item import SourceReport
from competency_gaps.logs.model_name import same_model
from competency_gaps.text import plural, shorten, visible

_LIMIT = 300


def report_lines(report: SourceReport) -> Iterator[str]:
    """One part of a log: what was read, chosen, averaged and left out. The names in it are foreign and made visible."""
    counts = [plural(report.records, "record"), plural(report.items, "item")]
    if report.averaged:
        counts.append(f"{report.averaged:,} records averaged")
    counts.append(f"{report.unscored:,} unscored")
    yield _line(f"{report.benchmark}: {report.format}, {', '.join(counts)}")
    yield _line(f"    model: {report.model or 'not said'}")
    for name in ("metric", "filter", "scorer"):
        value = getattr(report, name)
        others = [one for one in report.available.get(name, ()) if one != value]
        if value is not None or others:
            also = f" (could be: {', '.join(others)})" if others else ""
            yield _line(f"    {name}: {value or 'none'}{also}")
    for way, count in report.own_text.items():
        yield _line(f"    own text: {way}: {plural(count, 'item')}")
    for reason, count in report.left_out.items():
        yield _line(f"    left out: {plural(count, 'record')}: {reason}")
    for warning in report.warnings:
        yield _line(f"    note: {warning}")


def model_warnings(benchmark: str, reports: Sequence[SourceReport], model: str) -> Iterator[str]:
    """A warning for each log whose model does not seem to be the model of the run."""
    for name in dict.fromkeys(report.model for report in reports if report.model is not None):
        if not same_model(name, model):
            yield visible(
                f"{benchmark}: the log is of the model {shorten(name, 120)!r}, the activations come from {model!r}. "
                "If these are two models, scores and concepts belong to different models and the gaps mean nothing."
            )


def _line(text: str) -> str:
    return shorten(visible(" ".join(text.split("\n"))), _LIMIT)
