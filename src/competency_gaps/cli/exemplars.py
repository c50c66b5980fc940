"""``cgaps exemplars``: the texts that represent each concept, the tokens that it promotes, and concepts like it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from competency_gaps.cli.options import (
    MODEL_HELP,
    SAE_HELP,
    ContextOption,
    HookOption,
    JsonOption,
    QuietOption,
)
from competency_gaps.cli.output import print_facts, print_json, terminal


def exemplars(
    out: Annotated[Path, typer.Option(help="The dictionary's folder.")],
    texts: Annotated[list[Path] | None, typer.Argument(help="Parquet, JSONL or plain-text files.")] = None,
    run: Annotated[Path | None, typer.Option(help="Read a run's items instead of texts.")] = None,
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    sae: Annotated[str | None, typer.Option(help=SAE_HELP)] = None,
    hook_name: HookOption = None,
    ranking: Annotated[
        Literal["activation", "reconstruction"],
        typer.Option(help="By activation, or by how much the reconstruction error rises without the concept."),
    ] = "activation",
    tokens: Annotated[int, typer.Option(min=1, help="Read at most so many tokens.")] = 2_000_000,
    top: Annotated[int, typer.Option(min=1, help="Strongest windows of each concept.")] = 20,
    spread: Annotated[int, typer.Option(min=0, help="Windows spread over its range of activations.")] = 20,
    negatives: Annotated[int, typer.Option(min=0, help="Near windows in which it is silent.")] = 10,
    context: ContextOption = 256,
    seed: Annotated[int, typer.Option(help="Seed of the sampled windows.")] = 0,
    logits_only: Annotated[
        bool, typer.Option("--logits-only", help="Only promoted tokens and similar concepts: no text is needed.")
    ] = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Collect each concept's windows (strongest, spread, near silent ones), promoted tokens, and similar concepts."""
    from competency_gaps import make_exemplars
    from competency_gaps.dictionary.exemplars import ExemplarSettings

    made = make_exemplars(
        out,
        texts or (),
        run=run,
        model=model,
        sae=sae,
        hook_name=hook_name,
        settings=ExemplarSettings(ranking, tokens, top, spread, negatives, seed=seed),
        context=context,
        logits_only=logits_only,
        progress=terminal(quiet),
    )
    facts: dict[str, str | int] = {"dictionary": str(out)}
    if (read := made.collected) is not None:
        facts |= {"texts": read.texts, "tokens": read.tokens, "windows": read.windows}
        facts["concepts"] = f"{read.concepts} of {made.similar_concepts}"
    promoted = made.promoted_tokens
    facts["promoted_tokens"] = (
        "none: the SAE does not write to the residual stream" if promoted is None else f"of {promoted} concepts"
    )
    facts["similar_concepts"] = f"of {made.similar_concepts} concepts"
    if json_:
        print_json(facts)
    else:
        print_facts(facts)
