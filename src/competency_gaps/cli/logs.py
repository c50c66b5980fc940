"""``cgaps logs``: what a run would read from another tool's log."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from competency_gaps.cli import options, output
from competency_gaps.errors import UserError
from competency_gaps.text import decimal, shorten, visible

if TYPE_CHECKING:
    from competency_gaps.stages.logs import InspectedBenchmark, InspectedLog

MODEL, SAE = "MODEL", "SAE"
"""Placeholders in a printed command for an unknown model or SAE."""
_SAMPLES = 3
_BEFORE, _OWN, _AFTER = 160, 500, 160
"""Characters shown of what stands before, in and after an item's own text."""


def logs(
    path: Annotated[str, typer.Argument(help="Log file or output folder of another tool.")],
    metric: options.MetricOption = None,
    scorer: options.ScorerOption = None,
    field: options.FieldOption = None,
    json_: options.JsonOption = False,
) -> None:
    """Show what a run would read from another tool's log."""
    from competency_gaps.stages.logs import inspect_logs

    log = inspect_logs(
        path,
        metric=metric,
        scorer=scorer,
        fields=field or [],
        progress=output.terminal(quiet=json_),
    )
    given = {"metric": metric, "scorer": scorer, "field": field}
    command = _command(path, log, given)
    if json_:
        documents = [_document(benchmark) for benchmark in log.benchmarks]
        output.print_json({"path": path, "benchmarks": documents, "command": command})
    else:
        for benchmark in log.benchmarks:
            _show(benchmark)
        for line in [*_hints(path, log), command] if command else []:
            output.print_line(line)
    if not log.readable:
        errors = [str(benchmark.error) for benchmark in log.benchmarks]
        raise UserError(errors[0] if len(errors) == 1 else f"none of the {len(errors)} logs can be read as it is.")


def _command(path: str, log: InspectedLog, given: Mapping[str, str | list[str] | None]) -> str | None:
    """The run to type, with placeholders for an unknown model or SAE; None where nothing can be read."""
    if not log.readable:
        return None
    name = log.benchmarks[0].name if len(log.benchmarks) == 1 else Path(path).name
    sae = log.sae.name if log.sae else SAE
    return output.run_command(log.model or MODEL, sae, _log_options(log.logs, given), output.run_folder(name))


def _log_options(logs: Sequence[str], options: Mapping[str, str | Sequence[str] | None]) -> list[str]:
    """``--log`` for each log, with the options that were given; None and empty lists are left out."""
    words = [word for log in logs for word in ("--log", log)]
    for name, value in options.items():
        for text in [value] if isinstance(value, str) else value or []:
            words += [f"--{name}", text]
    return words


def _hints(path: str, log: InspectedLog) -> Iterator[str]:
    """What to know before the run is typed."""
    unread = len(log.benchmarks) - len(log.readable)
    if unread:
        todo = "take them out of the folder first." if log.logs == (path,) else "the run leaves them out."
        yield f"{unread} of {len(log.benchmarks)} logs cannot be read as they are: {todo}"
    listing = shlex.join(["cgaps", "sae", log.model or MODEL])
    if log.model is None:
        yield f"{MODEL} stands for the model of this log: a hub id, a folder or a .gguf file."
    if log.no_sae:
        yield f"{SAE} stands for the folder of an SAE of your own: {log.no_sae}"
    elif log.sae is None:
        yield f"{SAE} stands for an SAE of this model: {listing}"
    elif log.sae.relation == "same":
        yield f"Other SAEs of this model: {listing}"
    else:
        yield f"The SAE was trained on {log.sae.model}, a relative of {log.model}; the run checks whether it fits."
    yield "To run it:"


def _document(benchmark: InspectedBenchmark) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "error": benchmark.error,
        "mean_score": benchmark.mean_score,
        "reports": [asdict(report) for report in benchmark.reports],
        "left_out": [asdict(left) for left in benchmark.left_out],
        "sample": [
            {
                "id": item.id,
                "own_text": item.prompt,
                "seen": item.seen.text if item.seen else None,
                "messages": item.messages,
                "own": item.seen.own if item.seen else item.own,
                "score": item.score,
                "response": item.response,
                "answer": item.answer,
                "identity": item.identity,
            }
            for item in benchmark.items[:_SAMPLES]
        ],
    }


def _show(benchmark: InspectedBenchmark) -> None:
    from competency_gaps.stages.logs import report_lines

    if benchmark.error is not None:
        _print(f"{benchmark.name}: cannot be read as it is: {benchmark.error}")
        return
    for report in benchmark.reports:
        for line in report_lines(report):
            _print(line)
    if benchmark.mean_score is not None:
        scored = sum(item.score is not None for item in benchmark.items)
        _print(f"    mean score: {benchmark.mean_score:.4f} over {scored:,} scored items")
    for left in benchmark.left_out[:_SAMPLES]:
        _print(f"    left out, for example: {left.where}: {left.reason}")
    for item in benchmark.items[:_SAMPLES]:
        output.print_line("")
        _print(f"  item {item.id}: score {decimal(item.score)}" + (f", group {item.group}" if item.group else ""))
        Console().print(Text.assemble("  ", *_pieces(item)), soft_wrap=True)
        if item.response is not None:
            _print(f"  response: {shorten(item.response, 200)}")
    output.print_line("")


def _pieces(item: Any) -> Iterator[tuple[str, str]]:
    """What the model read around the item's own text, which is emphasised (and stands in ⟦ ⟧ without colours)."""
    if item.seen is not None:
        text, (start, end) = item.seen.text, item.seen.own
    elif item.messages is not None:
        content = next(m["content"] for m in reversed(item.messages) if m["role"] == "user")
        earlier = "".join(f"[{m['role']}] {m['content']}\n" for m in item.messages[:-1]) + "[user] "
        start, end = item.own or (0, len(content))
        text, start, end = earlier + content, start + len(earlier), end + len(earlier)
    else:
        text, start, end = item.prompt, 0, len(item.prompt)
    before, after = text[:start], text[end:]
    if len(before) > _BEFORE:
        before = f"({len(before) - _BEFORE:,} characters) …{before[-_BEFORE:]}"
    yield _indented(before), "dim"
    yield f"⟦{_indented(shorten(text[start:end], _OWN))}⟧", "bold"
    yield _indented(shorten(after, _AFTER)), "dim"


def _print(text: str) -> None:
    output.print_line(" ".join(text.split("\n")))


def _indented(text: str) -> str:
    return visible(text).replace("\n", "\n  ")
