"""Read another tool's log as a run would, and propose a run of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.items.benchmark import Benchmark
from competency_gaps.logs.describe import transformers_model
from competency_gaps.logs.find import log_entries
from competency_gaps.progress import Progress
from competency_gaps.sae.find import SaeEntry, find_saes


@dataclass(frozen=True)
class InspectedBenchmark(Benchmark):
    """A benchmark of a log as a run would read it; without items if it cannot be read."""

    error: str | None = None
    """Why it cannot be read without further options; None: it was read."""

    @property
    def mean_score(self) -> float | None:
        """Mean over the scored items, in [0, 1]; None without any."""
        scores = [item.score for item in self.items if item.score is not None]
        return sum(scores) / len(scores) if scores else None


@dataclass(frozen=True)
class InspectedLog:
    """All benchmarks at a path, and the model, SAE and logs for a run of them."""

    benchmarks: tuple[InspectedBenchmark, ...]
    model: str | None
    """The log's model, as transformers can load it; None: the log names none, or several."""
    sae: SaeEntry | None
    """An SAE for the model; None: the model or an SAE for it is unknown."""
    no_sae: str | None
    """Why no SAE was found for the model; None: there is one, sae-lens is not installed, or the model is unknown."""
    logs: tuple[str, ...]
    """The logs of a run, each ``PATH`` or ``NAME=PATH``; empty if nothing can be read."""

    @property
    def readable(self) -> tuple[InspectedBenchmark, ...]:
        """The benchmarks that were read."""
        return tuple(benchmark for benchmark in self.benchmarks if benchmark.error is None)


def inspect_logs(
    path: str,
    *,
    metric: str | None = None,
    filter_: str | None = None,
    scorer: str | None = None,
    format_: str | None = None,
    fields: Sequence[str] = (),
    progress: Progress | None = None,
) -> InspectedLog:
    """Read a log as a run would, without torch or the tool.

    Parameters
    ----------
    path
        File or output folder of another tool, or ``NAME=PATH``.
    metric, filter_, scorer, format_
        Which metric, filter and scorer give the score, and whose log it is; None: each format's default.
    fields
        ``OURS=COLUMN`` for tables.
    progress
        None: quiet.

    Raises
    ------
    UserError
        If there is no log at the path, or an option fits no log. An error in one of several benchmarks is kept in its
        ``error``.
    """
    progress = progress or Progress(quiet=True)
    with progress.stage("looking for benchmarks in the log"):
        entries = log_entries([path], metric=metric, filter_=filter_, scorer=scorer, format_=format_, fields=fields)
    benchmarks = []
    with progress.stage("reading the log", total=len(entries), unit="benchmarks") as bar:
        for entry in entries:
            bar.note(entry["name"])
            benchmarks.append(_read(entry))
            bar.advance()
    readable = [benchmark for benchmark in benchmarks if benchmark.error is None]
    model = transformers_model(report for benchmark in readable for report in benchmark.reports)
    sae, no_sae = _sae(model) if model is not None else (None, None)
    logs: tuple[str, ...] = (path,) if readable else ()
    if 0 < len(readable) < len(benchmarks):
        logs = _each(readable, format_) or logs
    return InspectedLog(tuple(benchmarks), model, sae, no_sae, logs)


def _read(entry: Mapping[str, Any]) -> InspectedBenchmark:
    """Read one benchmark, keeping its error, so that it does not hide the others."""
    from competency_gaps.config import BenchmarkConfig, parse_config
    from competency_gaps.stages.load import load_benchmark

    config = parse_config(BenchmarkConfig, {**entry, "policy": "imported"}, "options")
    try:
        read = load_benchmark(config)
    except UserError as error:
        return InspectedBenchmark(config.name, (), error=str(error))
    return InspectedBenchmark(**vars(read))


def _sae(model: str) -> tuple[SaeEntry | None, str | None]:
    try:
        return find_saes(model).proposed(), None
    except MissingExtraError:
        return None, None
    except UserError as error:
        return None, str(error)


def _each(readable: Sequence[InspectedBenchmark], format_: str | None) -> tuple[str, ...]:
    """``NAME=FILE`` for each benchmark; empty if a file holds several."""
    logs = tuple(f"{benchmark.name}={benchmark.reports[0].files[0]}" for benchmark in readable)
    return logs if all(len(log_entries([log], format_=format_)) == 1 for log in logs) else ()
