"""Load models for several runs, and measure an SAE's latents on texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.config import ModelConfig, SAEConfig, parse_config, sae_place
from competency_gaps.errors import UserError
from competency_gaps.progress import Progress

if TYPE_CHECKING:
    from competency_gaps.model.load import LanguageModel
    from competency_gaps.sae.gate import LatentStatistics


def load_model(name: str, *, progress: Progress | None = None, **options: Any) -> LanguageModel:
    """Load a language model for several runs.

    Parameters
    ----------
    name
        ``embedded``, a folder, or a name on the hub.
    progress
        Shows a download; None: quiet.
    options
        Other keys of :class:`~competency_gaps.config.ModelConfig`: ``dtype``, ``device``, ``revision``, ...

    Raises
    ------
    UserError
        If an option is unknown or there is no such model.
    MissingExtraError
        If torch or transformers is not installed.
    """
    from competency_gaps.model import load

    return load.load_model(parse_config(ModelConfig, {"name": name, **options}, "model"), progress=progress)


def measure_reference(
    texts: Sequence[Path | str],
    out: Path | str,
    *,
    model: str,
    sae: str,
    hook_name: str | None = None,
    tokens: int = 1_000_000,
    progress: Progress | None = None,
) -> LatentStatistics:
    """Measure how common each concept is in ordinary texts, and how much it depends on single tokens.

    The first is the baseline for a benchmark's coverage; the second decides the kinds of concepts.

    Parameters
    ----------
    texts
        Parquet, JSONL or plain-text files.
    out
        Parquet file, for ``reference`` in a run's configuration.
    model, sae
        Names of the two: a hub id, folder or ``embedded:NAME``; of the SAE also ``RELEASE/ID`` of SAELens' directory.
    hook_name
        Where the SAE reads; None: its own hook.
    tokens
        Most tokens to read.

    Raises
    ------
    UserError
        If model or SAE cannot be loaded, or the texts are empty.
    MissingExtraError
        If torch is not installed.
    """
    from competency_gaps.sae.load import load_pair
    from competency_gaps.sae.measure import embedder, read_texts
    from competency_gaps.sae.texts import PIECE, cut_pieces, read_documents

    progress = progress or Progress(quiet=True)
    settings = SAEConfig(**sae_place(sae), hook_name=hook_name)
    pair = load_pair(ModelConfig(name=model), settings, progress=progress)
    documents = read_documents([Path(path) for path in texts])
    pieces = cut_pieces(documents, pair.lm.tokenizer, context=PIECE, bos_id=pair.bos_id)
    statistics, rates = read_texts(
        pair.lm,
        pair.hook,
        pair.sae,
        pieces,
        tokens=tokens,
        embed=embedder(),
        progress=progress,
    )
    if not statistics.tokens:
        raise UserError("the files contain no text: give files with text in them.")
    rates.write(Path(out))
    return statistics
