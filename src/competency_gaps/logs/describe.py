"""Accounts of other tools' logs in words, and whether a log is of the run's model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.item import LeftOut, Reason, SourceReport
from competency_gaps.logs.lm_eval import model_commit, pretrained_model
from competency_gaps.text import plural, shorten, visible

NO_MODEL = Reason(
    "no_model",
    "the log names no model, so nobody can check that its scores and the run's concepts belong to the same model",
)
_LIMIT = 300
_COMMIT = re.compile("[0-9a-f]{40}")
_SPELLING = re.compile(r"[^\w]|_")
_ARGUMENT = re.compile(r"(?:^|,)\s*(?:peft|delta|pretrained|model|path|engine)=([^,]+)")
_CACHE = re.compile(r"(?:^|.*[/\\])models--(.+?)(?:[/\\]snapshots[/\\][^/\\]+)?")
_META = re.compile(r"^meta(?=llama)")
_GENERIC = re.compile(
    r"(checkpoint|ckpt|step|epoch|iter|global[-_]?step)[-_]?\d*|\d+|v\d+|\d+(\.\d+)?[bm]|final|last|latest|best|main|"
    r"model|models|merged|weights|output|hf|default"
)
"""Last parts of a path that many models share."""


def report_lines(report: SourceReport) -> Iterator[str]:
    """What was read, chosen, averaged and left out of one part of a log, with control characters made visible."""
    counts = [plural(report.records, "record"), plural(report.items, "item")]
    if report.averaged:
        counts.append(f"{report.averaged:,} records averaged into {plural(report.averaged_items, 'item')}")
    counts.append(f"{report.unscored:,} unscored")
    yield _line(f"{report.benchmark}: {report.format}, {', '.join(counts)}")
    yield _line(f"    model: {report.model or f'not recorded ({NO_MODEL})'}")
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


def model_warnings(reports: Sequence[SourceReport], model: str, revision: str | None = None) -> Iterator[Reason]:
    """A warning for each log whose model does not seem to be the model of the run.

    Parameters
    ----------
    revision
        Commit of the run's model on the hub; None: unknown.
    """
    for name in dict.fromkeys(report.model for report in reports if report.model is not None):
        if not same_model(name, model):
            yield Reason(
                "other_model",
                f"the log is of the model {visible(shorten(name, 120))!r}, the activations come "
                f"from {model!r}. If these are two models, the concepts say what the items are "
                "about, not what goes on in the scored model.",
            )
    for theirs in dict.fromkeys(model_commit(report.files) for report in reports if report.format == "lm_eval"):
        if theirs and revision and _COMMIT.fullmatch(revision) and theirs != revision:
            yield Reason(
                "other_revision",
                f"the log is of the model's revision {theirs[:12]}, the activations come from "
                f"{revision[:12]}. If the weights differ, scores and concepts belong to different "
                "models.",
            )


def with_model_warnings(
    benchmark: Benchmark, model: str, revision: str | None = None
) -> tuple[Benchmark, tuple[Reason, ...]]:
    """The benchmark with ``model_warnings`` in its reports, so that they are kept; and these warnings.

    The report of a log that names no model says so.
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
    """Lines about the records that became no item, one per reason."""
    places: dict[Reason, list[str]] = {}
    for left in left_out:
        places.setdefault(left.reason, []).append(left.where)
    for reason, where in places.items():
        first = where[0] if len(where) == 1 else f"{len(where):,} records, the first {where[0]}"
        yield _line(f"{benchmark}: left out {first}: {reason}")


def _line(text: str) -> str:
    return shorten(visible(" ".join(text.split("\n"))), _LIMIT)


def same_model(theirs: str, ours: str) -> bool:
    """Compare two names by their last part, without case, punctuation and organisation.

    ``pretrained=Org/Name,dtype=float16``, ``hf/Org/Name``, ``Org__Name`` (a folder of lm-eval), ``/models/Name/``,
    ``embedded:name`` and a hub cache's folder (``models--Org--Name``) all are ``name``. Where many models share the
    last part (``checkpoint-500``, ``final``, ``8b``), the part before it is compared too. All other differences count,
    also a final ``-it`` or ``-Instruct`` and a tag (``name:8b``). [ours]
    """
    theirs, ours = _bare(theirs), _bare(ours)
    if _core(theirs) == _core(ours):
        return True
    # A name in the form of lm-eval's folders is compared with one in another form; two such names stay as they are.
    unfolded = [name.replace("__", "/") if "/" not in name else name for name in (theirs, ours)]
    one_folder = (unfolded[0] == theirs) != (unfolded[1] == ours)
    return one_folder and _core(unfolded[0]) == _core(unfolded[1])


def transformers_model(reports: Iterable[SourceReport]) -> str | None:
    """Hub id or folder of the model of some logs, if transformers can load it and all logs name the same.

    lm-eval records it as ``pretrained=NAME``, Inspect as ``hf/NAME``. None: no log names one, or the logs differ.
    """
    names = {_transformers_model(report) for report in reports}
    return names.pop() if len(names) == 1 else None


def _transformers_model(report: SourceReport) -> str | None:
    if report.format == "lm_eval":
        return pretrained_model(report.files)
    if report.format == "inspect" and report.model:
        provider, _, name = report.model.partition("/")
        # Inspect calls a model of a folder hf/local, whatever the folder.
        return name if provider == "hf" and name not in ("", "local") else None
    return None


def _bare(name: str) -> str:
    match = _ARGUMENT.search(name)
    name = (match[1] if match else name).strip().removesuffix(":latest").rstrip("/\\")
    name = name.removeprefix("cgaps/").removeprefix("embedded:")  # "cgaps/" is Inspect's prefix of a run's model
    cached = _CACHE.fullmatch(name)
    return cached[1].replace("--", "/") if cached else name.replace("\\", "/")


def _core(name: str) -> tuple[str, ...]:
    """The last part that is not generic, and the parts after it."""
    parts = [part for part in name.lower().removesuffix(".gguf").split("/") if part not in ("", ".", "..")]
    first = next((i for i in range(len(parts) - 1, -1, -1) if not _GENERIC.fullmatch(parts[i])), 0)
    return tuple(_META.sub("", _SPELLING.sub("", part)) for part in parts[first:])
