"""``cgaps reference``: base rates of an SAE's concepts over texts of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from competency_gaps.errors import UserError


def reference(
    texts: Annotated[list[Path], typer.Argument(help="Parquet, JSONL or plain-text files.")],
    model: Annotated[str, typer.Option(help="Hub id, folder, .gguf file, or embedded:NAME.")],
    sae: Annotated[str, typer.Option(help="SAE folder, RELEASE/ID of SAELens, or embedded:NAME.")],
    out: Annotated[Path, typer.Option(help="Parquet file, for 'reference' in a run's configuration.")],
    hook_name: Annotated[str | None, typer.Option(help="Where the SAE reads; by default its own.")] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Read at most so many tokens.")] = 1_000_000,
    context: Annotated[int, typer.Option(min=2, help="Longest piece that the model reads at once, in tokens.")] = 256,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure how common each concept is in texts: what a benchmark's coverage is set against."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.cli.run import sae_place
    from competency_gaps.config import ModelConfig, SAEConfig
    from competency_gaps.progress import Progress
    from competency_gaps.sae.evaluate import read_texts
    from competency_gaps.sae.pair import load_pair
    from competency_gaps.sae.training.texts import cut_pieces, read_documents

    progress = Progress(quiet=quiet)
    settings = SAEConfig(**sae_place(sae), hook_name=hook_name)
    pair = load_pair(ModelConfig(name=model), settings, progress=progress)
    lm, loaded, hook = pair.lm, pair.sae, pair.hook
    pieces = cut_pieces(read_documents(texts), lm.tokenizer, context=context, bos_id=pair.bos_id)
    statistics, found = read_texts(lm, hook, loaded, pieces, tokens=tokens, progress=progress)
    if not statistics.tokens:
        raise UserError("the texts hold nothing to read: give files with text in them.")
    found.write(out)
    figures = {
        "reference": str(out),
        "tokens": statistics.tokens,
        "l0": statistics.l0,
        "explained_variance": statistics.explained_variance,
        "silent": int((statistics.active == 0).sum()),
    }
    if json_:
        print_json(figures)
        return
    for name, value in figures.items():
        Console().print(f"{name:<20} {value}", highlight=False, markup=False, soft_wrap=True)
