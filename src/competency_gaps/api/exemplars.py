"""Exemplars, promoted tokens and similar concepts collected into a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from competency_gaps.config import ModelConfig, RunConfig, SAEConfig, parse_config, sae_place
from competency_gaps.errors import UserError, argument
from competency_gaps.lock import hold
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder, open_folder

if TYPE_CHECKING:
    from competency_gaps.dictionary.collect import ExemplarSettings, PassCounts
    from competency_gaps.sae.load import LoadedPair


@dataclass(frozen=True)
class MadeExemplars:
    """What was written into a dictionary."""

    collected: PassCounts | None
    """Texts, tokens and windows; None: no text was read."""
    promoted_tokens: int | None
    """Concepts whose promoted tokens are known; None: the SAE does not write to the residual stream."""
    similar_concepts: int
    """Concepts that were compared with all others."""


def make_exemplars(
    dictionary: Path | str,
    texts: Sequence[Path | str] = (),
    *,
    run: Path | str | None = None,
    model: str | None = None,
    sae: str | None = None,
    hook_name: str | None = None,
    settings: ExemplarSettings | None = None,
    context: int = 256,
    logits_only: bool = False,
    progress: Progress | None = None,
) -> MadeExemplars:
    """Collect each concept's exemplars, promoted tokens and similar concepts into a dictionary's folder.

    Parameters
    ----------
    dictionary
        The folder; made where it is missing.
    texts
        Parquet, JSONL or plain-text files.
    run
        A run whose items are read instead, by its own model and SAE.
    model, sae
        Names of the two: a hub id, folder or ``embedded:NAME``; of the SAE also ``RELEASE/ID`` of SAELens' directory.
    hook_name
        Where the SAE reads; None: its own hook.
    settings
        Ranking and numbers of windows; None: :class:`~competency_gaps.dictionary.collect.ExemplarSettings` as it is.
    context
        Longest piece that the model reads at once, in tokens.
    logits_only
        Read no text: promoted tokens and similar concepts alone.
    progress
        None: quiet.

    Raises
    ------
    UserError
        If texts, run or model are given together or not at all, the folder is the dictionary of another SAE, or
        another process writes to it.
    """
    from competency_gaps.dictionary.collect import ExemplarSettings

    if logits_only and (texts or run is not None):
        raise UserError(f"{argument('logits_only')} reads no text: leave out texts and {argument('run')}.")
    if not logits_only and bool(texts) == (run is not None):
        raise UserError(f"give texts, or {argument('run')}, or {argument('logits_only')}.")
    progress, folder = progress or Progress(quiet=True), Path(dictionary)
    with hold(folder):
        opened = open_folder(Path(run)) if run is not None else None
        pair = _pair(opened, model, sae, hook_name, progress)
        collected = None
        if not logits_only:
            files = [Path(path) for path in texts]
            collected = _collect(pair, files, opened, folder, settings or ExemplarSettings(), context, progress)
        return MadeExemplars(collected, *_compare_directions(pair, folder, progress))


def _pair(
    run: RunFolder | None, model: str | None, sae: str | None, hook_name: str | None, progress: Progress
) -> LoadedPair:
    from competency_gaps.sae.load import load_pair

    names = (argument("model"), argument("sae"), argument("hook_name"))
    if run is not None:
        if model or sae or hook_name:
            raise UserError(f"{argument('run')} brings its model and SAE: leave out {', '.join(names)}.")
        config = parse_config(RunConfig, run.manifest["settings"], f"the settings in {run.path}")
        return load_pair(config.model, config.sae, progress=progress)
    if model is None or sae is None:
        raise UserError(f"give {names[0]} and {names[1]}, or {argument('run')}, which brings both.")
    return load_pair(ModelConfig(name=model), SAEConfig(**sae_place(sae), hook_name=hook_name), progress=progress)


def _collect(
    pair: LoadedPair,
    texts: Sequence[Path],
    run: RunFolder | None,
    folder: Path,
    settings: ExemplarSettings,
    context: int,
    progress: Progress,
) -> PassCounts:
    from competency_gaps.dictionary.collect import collect_exemplars, run_identity, run_pieces
    from competency_gaps.dictionary.folder import write_dictionary
    from competency_gaps.files import sha256
    from competency_gaps.sae.texts import cut_pieces, read_documents

    identity = pair.sae.identity
    if run is not None and run.manifest["sae"]["content_sha256"] != identity["content_sha256"]:
        raise UserError(f"the SAE {pair.sae.name!r} is no longer that of the run {str(run.path)!r}.")
    if run is not None:
        pieces, bos_id, source = run_pieces(run), run.manifest["bos_id"], run_identity(run)
    else:
        bos_id = pair.bos_id
        pieces = cut_pieces(read_documents(texts), pair.lm.tokenizer, context=context, bos_id=bos_id)
        source = {"texts": [sha256(path) for path in texts if path.is_file()]}
    made_of = {
        "sae": {key: identity[key] for key in ("content_sha256", "settings_sha256")},
        "model": {key: pair.lm.identity[key] for key in ("content_sha256", "settings_sha256", "tokenizer")},
        "hook": {"path": pair.hook.path, "side": pair.hook.side},
        "bos_id": bos_id,
        "context": context,
        **source,
    }
    write_dictionary(folder, identity, pair.lm.identity)
    return collect_exemplars(pair.lm, pair.hook, pair.sae, pieces, folder, settings, made_of, progress)


def _compare_directions(pair: LoadedPair, folder: Path, progress: Progress) -> tuple[int | None, int]:
    """Write each concept's promoted tokens and similar concepts; gives the numbers of concepts."""
    from competency_gaps.dictionary import directions
    from competency_gaps.dictionary.folder import write_dictionary

    promoted = directions.logit_lens(pair.lm, pair.sae, progress=progress)
    alike = directions.similar_concepts(pair.sae, progress=progress)
    tables = {directions.SIMILAR: alike.write_parquet}
    if promoted is not None:
        tables[directions.LOGITS] = promoted.write_parquet
    write_dictionary(folder, pair.sae.identity, pair.lm.identity, tables=tables)
    return None if promoted is None else promoted.height, alike.height
