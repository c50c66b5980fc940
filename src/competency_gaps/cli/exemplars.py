"""``cgaps exemplars``: the texts that represent each concept, the tokens that it promotes, and concepts like it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from competency_gaps.progress import Progress
    from competency_gaps.sae.pair import LoadedPair
    from competency_gaps.sae.training.texts import TokenPiece


def exemplars(
    out: Annotated[Path, typer.Option(help="The dictionary's folder.")],
    texts: Annotated[list[Path] | None, typer.Argument(help="Parquet, JSONL or plain-text files.")] = None,
    run: Annotated[Path | None, typer.Option(help="Read a run's items instead of texts.")] = None,
    model: Annotated[str | None, typer.Option(help="Hub id, folder, .gguf file, or embedded:NAME.")] = None,
    sae: Annotated[str | None, typer.Option(help="SAE folder, RELEASE/ID of SAELens, or embedded:NAME.")] = None,
    hook_name: Annotated[str | None, typer.Option(help="Where the SAE reads; by default its own.")] = None,
    ranking: Annotated[
        Literal["activation", "reconstruction"],
        typer.Option(help="By activation, or by how much the reconstruction error rises without the concept."),
    ] = "activation",
    tokens: Annotated[int, typer.Option(min=1, help="Read at most so many tokens.")] = 2_000_000,
    top: Annotated[int, typer.Option(min=1, help="Strongest windows of each concept.")] = 20,
    spread: Annotated[int, typer.Option(min=0, help="Windows spread over its range of activations.")] = 20,
    negatives: Annotated[int, typer.Option(min=0, help="Near windows in which it is silent.")] = 10,
    context: Annotated[int, typer.Option(min=2, help="Longest piece that the model reads at once, in tokens.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the sampled windows.")] = 0,
    logits_only: Annotated[
        bool, typer.Option("--logits-only", help="Only promoted tokens and similar concepts: no text is needed.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Collect each concept's windows (strongest, spread, near silent ones), promoted tokens, and similar concepts."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.dictionary.exemplars import ExemplarSettings
    from competency_gaps.progress import Progress

    if logits_only and (texts or run):
        raise UserError("--logits-only reads no text: leave out texts and --run.")
    if not logits_only and bool(texts) == (run is not None):
        raise UserError("give texts, or --run RUN, or --logits-only.")
    progress = Progress(quiet=quiet)
    pair = _pair(run, model, sae, hook_name, progress)
    settings = ExemplarSettings(ranking, tokens, top, spread, negatives, seed=seed)
    found: dict[str, Any] = {"dictionary": str(out)}
    if not logits_only:
        found |= _collect(pair, texts, run, out, settings, context, progress)
    found["promoted_tokens"] = _logits(pair, out, progress)
    found["similar_concepts"] = _similar(pair, out, progress)
    if json_:
        print_json(found)
        return
    for name, value in found.items():
        Console().print(f"{name:<20} {value}", highlight=False, markup=False, soft_wrap=True)


def _pair(
    run: Path | None, model: str | None, sae: str | None, hook_name: str | None, progress: Progress
) -> LoadedPair:
    from competency_gaps.cli.run import sae_place
    from competency_gaps.config import ModelConfig, RunConfig, SAEConfig, parse_config
    from competency_gaps.runs.open import open_folder
    from competency_gaps.sae.pair import load_pair

    if run is not None:
        if model or sae or hook_name:
            raise UserError("--run brings its model and SAE: leave out --model, --sae and --hook-name.")
        config = parse_config(RunConfig, open_folder(run).manifest["settings"], f"the settings in {run}")
        return load_pair(config.model, config.sae, progress=progress)
    if model is None or sae is None:
        raise UserError("give --model and --sae (or --run, which brings both).")
    settings = SAEConfig(**sae_place(sae), hook_name=hook_name)
    return load_pair(ModelConfig(name=model), settings, progress=progress)


def _collect(
    pair: LoadedPair,
    texts: list[Path] | None,
    run: Path | None,
    out: Path,
    settings: Any,
    context: int,
    progress: Any,
) -> dict[str, Any]:
    from competency_gaps.dictionary.exemplars import collect_exemplars
    from competency_gaps.dictionary.exemplars.texts import run_identity, run_pieces
    from competency_gaps.dictionary.folder import FILE, check_same_sae, read_dictionary, write_dictionary
    from competency_gaps.files import sha256
    from competency_gaps.runs.open import open_folder
    from competency_gaps.sae.training.texts import cut_pieces, read_documents

    if (out / FILE).is_file():
        check_same_sae(read_dictionary(out), pair.sae.identity)
    pieces: Iterable[TokenPiece]
    read: dict[str, Any]
    opened = open_folder(run) if run is not None else None
    if opened is not None:
        if opened.manifest["sae"]["weights_sha256"] != pair.sae.identity["weights_sha256"]:
            raise UserError(f"the SAE {pair.sae.name!r} is no longer the one of the run {str(run)!r}.")
        pieces = run_pieces(opened)
        read = run_identity(opened)
    else:
        pieces = cut_pieces(read_documents(texts or []), pair.lm.tokenizer, context=context, bos_id=pair.bos_id)
        read = {"texts": [sha256(path) for path in texts or [] if path.is_file()]}
    known = {k: pair.sae.identity[k] for k in ("weights_sha256", "settings_sha256")}
    made_of = {
        "sae": known,
        "model": pair.lm.identity["weights_sha256"],
        "hook": {"path": pair.hook.path, "side": pair.hook.side},
        "bos_id": opened.manifest["bos_id"] if opened else pair.bos_id,
        "context": context,
        **read,
    }
    collected = collect_exemplars(pair.lm, pair.hook, pair.sae, pieces, out, settings, made_of, progress)
    facts = {**settings.__dict__, "hook_name": pair.hook.name}
    facts |= {"texts_read": collected.texts, "tokens_read": collected.tokens}
    write_dictionary(out, pair.sae.identity, pair.lm.identity, facts)
    return {
        "texts": collected.texts,
        "tokens": collected.tokens,
        "windows": collected.windows,
        "concepts": f"{collected.concepts} of {pair.sae.d_sae}",
    }


def _logits(pair: LoadedPair, out: Path, progress: Progress) -> str:
    from competency_gaps.dictionary.exemplars.directions import LOGITS, logit_lens
    from competency_gaps.dictionary.folder import write_dictionary
    from competency_gaps.files import write_atomic

    table = logit_lens(pair.lm, pair.sae, progress=progress)
    if table is None:
        return "none: the SAE does not write to the residual stream"
    write_dictionary(out, pair.sae.identity, pair.lm.identity)
    write_atomic(out / LOGITS, table.write_parquet)
    return f"of {table.height} concepts"


def _similar(pair: LoadedPair, out: Path, progress: Any) -> str:
    from competency_gaps.dictionary.exemplars.directions import SIMILAR, similar_concepts
    from competency_gaps.dictionary.folder import write_dictionary
    from competency_gaps.files import write_atomic

    table = similar_concepts(pair.sae, progress=progress)
    write_dictionary(out, pair.sae.identity, pair.lm.identity)
    write_atomic(out / SIMILAR, table.write_parquet)
    return f"of {table.height} concepts"
