"""``cgaps reference``: base rates of an SAE's concepts over texts of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli.options import ContextOption, HookOption, JsonOption, ModelOption, QuietOption, SaeOption
from competency_gaps.cli.output import print_facts, print_json, terminal


def reference(
    texts: Annotated[list[Path], typer.Argument(help="Parquet, JSONL or plain-text files.")],
    model: ModelOption,
    sae: SaeOption,
    out: Annotated[Path, typer.Option(help="Parquet file, for 'reference' in a run's configuration.")],
    hook_name: HookOption = None,
    tokens: Annotated[int, typer.Option(min=1, help="Read at most so many tokens.")] = 1_000_000,
    context: ContextOption = 256,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Measure how common each concept is in texts: what a benchmark's coverage is set against."""
    from competency_gaps import measure_reference

    statistics = measure_reference(
        texts,
        out,
        model=model,
        sae=sae,
        hook_name=hook_name,
        tokens=tokens,
        context=context,
        progress=terminal(quiet),
    )
    figures = {
        "reference": str(out),
        "tokens": statistics.tokens,
        "l0": statistics.l0,
        "explained_variance": statistics.explained_variance,
        "silent": int((statistics.active == 0).sum()),
    }
    if json_:
        print_json(figures)
    else:
        print_facts(figures)
