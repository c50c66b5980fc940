"""Other tools' logs in a run: reports in words, warnings about other models, and the inspection of logs before a
run."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.item import Benchmark, LeftOut, Reason, SourceReport
from competency_gaps.logs.find import log_entries
from competency_gaps.logs.lm_eval import pretrained_model
from competency_gaps.logs.reader import mean_score
from competency_gaps.runs.scores import MatchedModel
from competency_gaps.sae.find import SaeEntry, find_saes, read_model_name
from competency_gaps.util.errors import UserError, argument
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import plural, shorten, visible

NO_MODEL = Reason(
    "no_model",
    "the log names no model, so nobody can check that its scores and the run's concepts belong to the same model",
)
_MAX_LINE_LENGTH = 300
_OWN_TEXT = "own text of"
_ARGUMENT = re.compile(r"(?:^|,)\s*(?:peft|delta|pretrained|model|path|engine)=([^,]+)")


class _Note(NamedTuple):
    """A remark on one log."""

    head: str
    kind: str
    """Notes of several logs with the same head and kind become one line."""
    text: str
    amount: int = 0
    """Number of items or records, added up over logs; 0: the note counts none."""


def report_lines(reports: Sequence[SourceReport]) -> Iterator[str]:
    """Yield lines on what was read of each log, and on what to know about it, made safe to print."""
    for report in reports:
        counts = [plural(report.records, "record"), plural(report.items, "item"), f"{report.unscored:,} unscored"]
        score = [f"score {score_name(report)}"] if score_name(report) else []
        yield _line(", ".join([f"{report.benchmark}: {report.format}", *counts, *score]))
    unnamed = f"not recorded ({NO_MODEL})"
    yield from _merged(reports, lambda report: [_Note("model:", str(report.model), report.model or unnamed)])
    yield from report_notes(reports)


def score_name(report: SourceReport) -> str:
    """Return the metric, filter and scorer behind the scores, as ``metric/filter/scorer``; empty if none is named."""
    return "/".join(part for part in (report.metric, report.filter, report.scorer) if part not in (None, "none"))


def report_notes(reports: Sequence[SourceReport]) -> Iterator[str]:
    """Yield a line for each kind of note on the logs: alternatives, averaged and omitted records, warnings."""
    return _merged(reports, _notes)


def _notes(report: SourceReport) -> Iterator[_Note]:
    """Yield the notes on one log."""
    for name in ("metric", "filter", "scorer"):
        value = getattr(report, name)
        others = [other for other in report.available.get(name, ()) if other != value]
        if others:
            option = argument("scorer" if name == "filter" else name)
            text = f"{value or 'none'}; with {option}: {', '.join(others)}"
            yield _Note(f"{name}:", text, text)
    for way, count in report.body_text.items():
        yield _Note(_OWN_TEXT, way, way, count)
    if report.averaged:
        text = f"{report.averaged / report.averaged_items:.3g} per item, averaged into its score"
        yield _Note("epochs:", text, text)
    for what, records in (("left out:", report.left_out), ("without a score:", report.unscored_because)):
        yield from (_Note(what, counted.reason.code, str(counted.reason), counted.count) for counted in records)
    yield from (_Note("note:", warning.code, str(warning)) for warning in report.warnings)


def _merged(reports: Sequence[SourceReport], notes: Callable[[SourceReport], Iterable[_Note]]) -> Iterator[str]:
    """Yield the notes on several logs as lines, one per kind, with the text of the first."""
    kinds: dict[tuple[str, str], list[tuple[str, _Note]]] = {}
    for report in reports:
        for note in notes(report):
            kinds.setdefault((note.head, note.kind), []).append((report.benchmark, note))
    for alike in kinds.values():
        first = alike[0][1]
        logs = list(dict.fromkeys(name for name, _ in alike))
        others = f" and {len(logs) - 1} more" if len(logs) > 1 else ""
        where = f"{logs[0]}{others}: " if len(logs) < len(reports) else ""
        amount = sum(note.amount for _, note in alike)
        counted = f" {plural(amount, 'item' if first.head == _OWN_TEXT else 'record')}:" if amount else ""
        more = f" (the first of {len(alike)} such notes)" if len({note.text for _, note in alike}) > 1 else ""
        yield f"{_line(f'{where}{first.head}{counted} {first.text}')}{more}"


def model_warnings(reports: Sequence[SourceReport], model: str) -> Iterator[Reason]:
    """Yield a warning for each model of the logs that does not seem to be the run's."""
    for name in dict.fromkeys(report.model for report in reports if report.model is not None):
        if not same_model(name, model):
            yield Reason(
                "other_model",
                f"the log is of the model {visible(shorten(name, 120))!r}, the activations come "
                f"from {model!r}. If these are two models, the concepts say what the items are "
                "about, not what goes on in the scored model.",
            )


def with_model_warnings(benchmark: Benchmark, model: str) -> Benchmark:
    """Return the benchmark with warnings about other models, or about logs that name none, in its reports."""
    reports = []
    for report in benchmark.reports:
        more = [NO_MODEL] if report.model is None else model_warnings([report], model)
        reports.append(replace(report, warnings=(*report.warnings, *more)))
    return replace(benchmark, reports=tuple(reports))


def left_out_lines(benchmark: str, left_out: Sequence[LeftOut]) -> Iterator[str]:
    """Yield lines about the records that became no item, one per reason."""
    places: dict[Reason, list[str]] = {}
    for left in left_out:
        places.setdefault(left.reason, []).append(left.where)
    for reason, where in places.items():
        first = where[0] if len(where) == 1 else f"{len(where):,} records, the first {where[0]}"
        yield _line(f"{benchmark}: left out {first}: {reason}")


def matched_line(counts: MatchedModel) -> str:
    """Return a line that counts one model's matched and unmatched scores."""
    items = plural(counts.matched, "item")
    text = f"{counts.model}: scores of {counts.scored:,} of {items} that match the run's"
    if counts.by_prompt:
        text += f" ({counts.by_prompt:,} by their prompt)"
    if counts.unmatched:
        text += f"; {plural(counts.unmatched, 'row')} match no item, such as {', '.join(counts.examples)}"
    if counts.other_text:
        text += f" ({counts.other_text:,} of them have an item's id but another prompt)"
    return f"{text}."


def _line(text: str) -> str:
    """Return a text as one printable line."""
    return shorten(visible(" ".join(text.split("\n"))), _MAX_LINE_LENGTH)


def same_model(theirs: str, ours: str) -> bool:
    """Return whether a log's name of a model means the run's.

    ``pretrained=Org/Name,dtype=float16``, ``hf/Org/Name`` and ``Org__Name`` (a folder of lm-eval) all mean ``name``.
    Any other difference counts, such as a final ``-it`` or ``-Instruct``, a checkpoint, or a tag (``name:8b``). [ours]
    """
    match = _ARGUMENT.search(theirs)
    theirs = (match[1] if match else theirs).removesuffix(":latest")
    known = read_model_name(ours.removesuffix(":latest"))
    return known in (read_model_name(theirs), read_model_name(theirs.replace("__", "/")))


def _transformers_model(report: SourceReport) -> str | None:
    """Return the Hub id or folder of a log's model, if transformers can load it; else None.

    lm-eval records it as ``pretrained=NAME``, Inspect as ``hf/NAME``.
    """
    if report.format == "lm_eval":
        return pretrained_model(report.files)
    if report.format == "inspect" and report.model:
        provider, _, name = report.model.partition("/")
        # Inspect calls a model from a folder hf/local, whatever the folder.
        return name if provider == "hf" and name not in ("", "local") else None
    return None


@dataclass(frozen=True)
class InspectedBenchmark(Benchmark):
    """A benchmark of a log as a run would read it; without items if it cannot be read."""

    error: str | None = None
    """Why it cannot be read without further options; None: it could be read."""

    @property
    def mean_score(self) -> float | None:
        """Mean over the scored items, in [0, 1]; None without any."""
        return mean_score(item.score for item in self.items)


@dataclass(frozen=True)
class InspectedLog:
    """All benchmarks at a path, and the model, SAE and logs for a run with them."""

    benchmarks: tuple[InspectedBenchmark, ...]
    model: str | None
    """The log's model, by a name that transformers can load; None: the log names none, or several."""
    sae: SaeEntry | None
    """An SAE for the model; None: the model or an SAE for it is unknown."""
    logs: tuple[str, ...]
    """Logs to make a run from, each ``PATH`` or ``NAME=PATH``; empty if nothing can be read."""

    @property
    def compared(self) -> tuple[str, str] | None:
        """Paths of the logs of two models to compare, the newer first; None if no two models can be compared.

        These are the last two models, by the numbers in their names, that share scored items and each have a log, or a
        folder of logs, that holds no other model.
        """
        read = [(benchmark, report) for benchmark in self.readable for report in benchmark.reports if report.model]
        if len({report.model for _, report in read}) < 2:
            return None
        root = Path(os.path.commonpath([report.files[0] for _, report in read]))
        places, asked = defaultdict[str, set[Path]](set), defaultdict[str, set[tuple[str, str]]](set)
        for benchmark, report in read:
            places[str(report.model)].add(root / Path(report.files[0]).relative_to(root).parts[0])
            task = report.benchmark.partition("@")[0]
            asked[str(report.model)].update((task, item.prompt) for item in benchmark.items if item.score is not None)
        holders = Counter(path for paths_of in places.values() for path in paths_of)
        alone = [model for model, paths_of in places.items() if len(paths_of) == 1 and holders[min(paths_of)] == 1]
        pairs = itertools.combinations(sorted(alone, key=_by_number, reverse=True), 2)
        pair = next((pair for pair in pairs if not asked[pair[0]].isdisjoint(asked[pair[1]])), None)
        return pair and (str(min(places[pair[0]])), str(min(places[pair[1]])))

    @property
    def readable(self) -> tuple[InspectedBenchmark, ...]:
        """The benchmarks that could be read."""
        return tuple(benchmark for benchmark in self.benchmarks if benchmark.error is None)


def inspect_logs(
    path: str,
    *,
    metric: str | None = None,
    scorer: str | None = None,
    fields: Sequence[str] = (),
    progress: Progress | None = None,
) -> InspectedLog:
    """Return what a run would read from a log, without torch or the tool that wrote it.

    Parameters
    ----------
    path
        File or output folder of another tool, or ``NAME=PATH``.
    metric, scorer
        Metric and scorer (or filter of lm-eval) that give the score; None: each format's default.
    fields
        ``OURS=COLUMN`` for tables.
    progress
        None: quiet.

    Raises
    ------
    UserError
        If there is no log at the path, or an option fits no log. If one of several benchmarks cannot be read, its
        ``error`` says why.
    """
    progress = progress or Progress(quiet=True)
    with progress.stage("looking for benchmarks in the log"):
        entries = log_entries([path], metric=metric, scorer=scorer, fields=fields)
    benchmarks = []
    with progress.stage("reading the log", total=len(entries), unit="benchmarks") as bar:
        for entry in entries:
            bar.note(entry["name"])
            benchmarks.append(_read(entry))
            bar.advance()
    readable = [benchmark for benchmark in benchmarks if benchmark.error is None]
    models = {_transformers_model(report) for benchmark in readable for report in benchmark.reports}
    model, sae = models.pop() if len(models) == 1 else None, None
    if model is not None:
        with contextlib.suppress(UserError):  # none is known, or sae-lens is not installed
            sae = find_saes(model).proposed()
    logs: tuple[str, ...] = (path,) if readable else ()
    if 0 < len(readable) < len(benchmarks):
        logs = _each(readable) or logs
    return InspectedLog(tuple(benchmarks), model, sae, logs)


def _by_number(name: str) -> list[str]:
    """Return a sort key that puts ``step-900`` before ``step-1000``."""
    return [part.zfill(12) for part in re.split(r"(\d+)", name)]


def _read(entry: Mapping[str, Any]) -> InspectedBenchmark:
    """Return one benchmark, with its error if it cannot be read, so that it does not hide the others."""
    from competency_gaps.items.config import BenchmarkConfig, parse_config
    from competency_gaps.pipeline.load import load_benchmark

    config = parse_config(BenchmarkConfig, {**entry, "scorer": "imported"}, "options")
    try:
        read = load_benchmark(config)
    except UserError as error:
        return InspectedBenchmark(config.name, (), error=str(error))
    return InspectedBenchmark(**vars(read))


def _each(readable: Sequence[InspectedBenchmark]) -> tuple[str, ...]:
    """Return ``NAME=FILE`` for each benchmark; empty if a file holds several."""
    logs = tuple(f"{benchmark.name}={benchmark.reports[0].files[0]}" for benchmark in readable)
    return logs if all(len(log_entries([log])) == 1 for log in logs) else ()
