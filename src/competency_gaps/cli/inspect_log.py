"""``cgaps inspect-log``: what would be read of another tool's log, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from competency_gaps.errors import UserError
from competency_gaps.text import decimal, shorten, visible

_SAMPLES = 3
_BEFORE, _OWN, _AFTER = 160, 500, 160
"""Characters shown of what stands before, in and after an item's own text."""


def inspect_log(
    path: Annotated[str, typer.Argument(help="Log file or output folder of another tool.")],
    metric: Annotated[str | None, typer.Option(help="Which metric is the score; 'none': without scores.")] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help="Which of lm-eval's filters.")] = None,
    scorer: Annotated[str | None, typer.Option(help="Which of Inspect's scorers.")] = None,
    format_: Annotated[str | None, typer.Option("--format", help="Whose log it is; found out if left out.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="Table: OURS=COLUMN, e.g. prompt=question; may be repeated.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what would be read of a log: items, score, what is left out and why, and three items."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.logs.entries import log_entries

    entries = log_entries([path], metric=metric, filter_=filter_, scorer=scorer, format_=format_, fields=field or [])
    console = Console()
    parts = []
    for entry in entries:
        part = _read(entry)
        parts.append(part)
        if not json_:
            _show(part, console)
    if json_:
        print_json({"path": path, "benchmarks": [_document(part) for part in parts]})
    if all(part["error"] is not None for part in parts):
        raise UserError(
            parts[0]["error"] if len(parts) == 1 else f"none of the {len(parts)} logs can be read as it is."
        )


def _read(entry: dict[str, Any]) -> dict[str, Any]:
    """One benchmark as a run would read it; a fault of one does not hide the others."""
    from competency_gaps.benchmarks import load_benchmark
    from competency_gaps.config import BenchmarkConfig, parse_config

    config = parse_config(BenchmarkConfig, {**entry, "policy": "imported"}, "options")
    try:
        read = load_benchmark(config)
    except UserError as error:
        return {"name": config.name, "error": str(error), "reports": (), "items": (), "left_out": ()}
    return {
        "name": config.name,
        "error": None,
        "reports": read.reports,
        "items": read.items,
        "left_out": read.left_out,
    }


def _document(part: dict[str, Any]) -> dict[str, Any]:
    scores = [item.score for item in part["items"] if item.score is not None]
    return {
        "name": part["name"],
        "error": part["error"],
        "mean_score": sum(scores) / len(scores) if scores else None,
        "reports": [asdict(report) for report in part["reports"]],
        "left_out": [asdict(left) for left in part["left_out"]],
        "sample": [
            {
                "id": item.id,
                "own_text": item.prompt,
                "seen": item.seen.text if item.seen else None,
                "messages": item.messages,
                "own": item.seen.own[0] if item.seen else item.own,
                "score": item.score,
                "response": item.response,
                "answer": item.answer,
                "identity": item.identity,
            }
            for item in part["items"][:_SAMPLES]
        ],
    }


def _show(part: dict[str, Any], console: Console) -> None:
    from competency_gaps.logs.describe import report_lines

    if part["error"] is not None:
        _print(console, f"{part['name']}: cannot be read as it is: {part['error']}")
        return
    for report in part["reports"]:
        for line in report_lines(report):
            _print(console, line)
    scores = [item.score for item in part["items"] if item.score is not None]
    if scores:
        _print(console, f"    mean score: {sum(scores) / len(scores):.4f} over {len(scores):,} scored items")
    for left in part["left_out"][:_SAMPLES]:
        _print(console, f"    left out, for example: {left.where}: {left.reason}")
    for item in part["items"][:_SAMPLES]:
        console.print()
        _print(
            console, f"  item {item.id}: score {decimal(item.score)}" + (f", group {item.group}" if item.group else "")
        )
        console.print(Text.assemble("  ", *_pieces(item)), soft_wrap=True)
        if item.response is not None:
            _print(console, f"  response: {shorten(item.response, 200)}")
    console.print()


def _pieces(item: Any) -> Iterator[tuple[str, str]]:
    """What the model read around the item's own text, which is emphasised (and stands in ⟦ ⟧ without colours)."""
    if item.seen is not None:
        text, (start, end) = item.seen.text, item.seen.own[0]
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
    yield _safe(before), "dim"
    yield f"⟦{_safe(shorten(text[start:end], _OWN))}⟧", "bold"
    yield _safe(shorten(after, _AFTER)), "dim"


def _safe(text: str) -> str:
    return visible(text).replace("\u2028", "<U+2028>").replace("\n", "\n  ")


def _print(console: Console, text: str) -> None:
    console.print(visible(" ".join(text.split("\n"))), markup=False, highlight=False, soft_wrap=True)
