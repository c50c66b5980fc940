"""Build a dictionary of an SAE's concepts (exemplars, labels, atlas), and measure their base rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl

from competency_gaps.concepts import atlas as atlases
from competency_gaps.concepts.collect import (
    ExemplarSettings,
    PassCounts,
    collect_exemplars,
    run_pieces,
    write_directions,
)
from competency_gaps.concepts.folder import check_same_sae, is_dictionary, open_dictionary, write_dictionary
from competency_gaps.concepts.imports import ImportedLabels
from competency_gaps.concepts.imports import import_labels as read
from competency_gaps.concepts.labelling import Step
from competency_gaps.concepts.labelling.automatic import label_automatically
from competency_gaps.concepts.labelling.labeller import Taken, ask_about, important
from competency_gaps.items.config import LLMConfig, ModelConfig, RunConfig, SAEConfig, parse_config, sae_place
from competency_gaps.model.embed import embed_texts
from competency_gaps.reading.profiles import cas_of
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.sae.gate import LatentStatistics
from competency_gaps.sae.load import LoadedPair, load_pair, load_sae
from competency_gaps.sae.measure import embedder, read_texts
from competency_gaps.sae.texts import PIECE_TOKENS, TokenPiece, cut_pieces, read_documents
from competency_gaps.slices.make import questions
from competency_gaps.slices.regions import located, named_by_model, named_by_words
from competency_gaps.util.errors import UserError, argument
from competency_gaps.util.lock import hold
from competency_gaps.util.progress import Progress


@dataclass(frozen=True)
class MadeExemplars:
    """What :func:`make_exemplars` wrote into a dictionary."""

    collected: PassCounts | None
    """Counts of texts, tokens and windows; None: no text was read."""
    promoted_tokens: int | None
    """Number of concepts with promoted tokens; None: the SAE does not write to the residual stream."""
    similar_concepts: int
    """Number of concepts with a list of similar concepts."""


def make_exemplars(
    dictionary: Path | str,
    texts: Sequence[Path | str] = (),
    *,
    run: Path | str | None = None,
    model: str | None = None,
    sae: str | None = None,
    tokens: int = 2_000_000,
    progress: Progress | None = None,
) -> MadeExemplars:
    """Write each concept's exemplars, promoted tokens and similar concepts into a dictionary's folder.

    Parameters
    ----------
    dictionary
        The folder; created if missing.
    texts
        Parquet, JSONL or plain-text files. Without texts or a run, only promoted tokens and similar concepts are
        written.
    run
        A run whose items are read instead of texts, by its own model and SAE.
    model, sae
        Names: a hub id, folder or ``embedded:NAME``; of the SAE also ``RELEASE/ID`` of SAELens' directory.
    tokens
        Maximum number of tokens to read.
    progress
        None: quiet.

    Returns
    -------
    MadeExemplars
        Counts of what was written.

    Raises
    ------
    UserError
        If texts and run, or run and model, are given together; neither run nor model is given; the folder is the
        dictionary of another SAE; or another process writes to it.
    """
    if texts and run is not None:
        raise UserError(f"give texts or {argument('run')}, not both.")
    progress, folder = progress or Progress(quiet=True), Path(dictionary)
    with hold(folder):
        opened = open_folder(Path(run)) if run is not None else None
        pair = _pair(opened, model, sae, progress)
        collected = None
        if texts or opened is not None:
            pieces = _pieces(pair, texts) if opened is None else run_pieces(opened)
            collected = collect_exemplars(pair, pieces, folder, ExemplarSettings(tokens=tokens), progress)
        return MadeExemplars(collected, *write_directions(pair, folder, progress))


def _pair(run: RunFolder | None, model: str | None, sae: str | None, progress: Progress) -> LoadedPair:
    """Return the model and SAE of the run, or those named; raises UserError unless exactly one of these is given."""
    names = f"{argument('model')} and {argument('sae')}"
    if run is not None:
        if model or sae:
            raise UserError(f"{argument('run')} already names a model and an SAE: leave out {names}.")
        config = parse_config(RunConfig, run.manifest["settings"], f"the settings in {run.path}")
        pair = load_pair(config.model, config.sae, progress=progress)
        if run.manifest["sae"]["content_sha256"] != pair.sae.identity["content_sha256"]:
            raise UserError(f"the SAE {pair.sae.name!r} is no longer that of the run {str(run.path)!r}.")
        return pair
    if model is None or sae is None:
        raise UserError(f"give {names}, or {argument('run')}, which names both.")
    return load_pair(ModelConfig(name=model), SAEConfig(**sae_place(sae)), progress=progress)


def _pieces(pair: LoadedPair, texts: Sequence[Path | str]) -> Iterator[TokenPiece]:
    """Return the texts in files as pieces that the pair's model reads."""
    documents = read_documents(map(Path, texts))
    return cut_pieces(documents, pair.lm.tokenizer, context=PIECE_TOKENS, bos_id=pair.bos_id)


def import_labels(
    dictionary: Path | str,
    source: str,
    *,
    sae: str | None = None,
    run: Path | str | None = None,
    progress: Progress | None = None,
) -> ImportedLabels:
    """Add other people's labels to a dictionary, and return them with counts of the import.

    Parameters
    ----------
    dictionary
        The folder; a new one needs ``sae`` or ``run``.
    source
        Neuronpedia export, JSON, CSV, TSV, JSONL or Parquet; or ``neuronpedia:MODEL/SOURCE`` to download.
    sae
        For a new dictionary: its SAE, as folder, ``RELEASE/ID`` of SAELens' directory, or ``embedded:NAME``.
    run
        For a new dictionary: a run that uses its SAE.
    progress
        None: quiet.

    Returns
    -------
    ImportedLabels

    Raises
    ------
    UserError
        If the dictionary is missing and neither SAE nor run is given, nothing in the source can be used, or another
        process writes to the dictionary.
    """
    progress, folder = progress or Progress(quiet=True), Path(dictionary)
    with hold(folder):
        _begin(folder, sae, run, progress)
        opened = open_dictionary(folder)
        imported = read(source, sae_identity=opened.sae, progress=progress)
        opened.add_labels(imported.table)
    return imported


def _begin(folder: Path, sae: str | None, run: Path | str | None, progress: Progress) -> None:
    """Create a new dictionary's folder if there is none."""
    either = f"{argument('sae')} or {argument('run')}"
    if sae and run:
        raise UserError(f"give {either}, not both.")
    if run is not None:
        write_dictionary(folder, open_folder(Path(run)).manifest["sae"])
    elif sae is not None:
        with progress.stage("loading the SAE"):
            loaded = load_sae(SAEConfig(**sae_place(sae)), "cpu")
        write_dictionary(folder, loaded.identity)
    elif not is_dictionary(folder):
        raise UserError(f"{str(folder)!r} is not a dictionary yet: give {either} to start one.")


def make_atlas(
    dictionary: Path | str,
    run: Path | str,
    *,
    llm: LLMConfig | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Build an atlas from a run's items, a map of topics in three levels, and add it to a dictionary.

    The items of every run that later gets the dictionary are located in this atlas. Use a run whose benchmarks cover as
    many kinds of text as questions may ask about; name the benchmark of text that no benchmark asks about ``ordinary
    text``.

    Parameters
    ----------
    dictionary
        Folder of the dictionary; an older atlas in it is replaced.
    run
        A run with the dictionary's SAE.
    llm
        Language model that names the regions by reading their items; earlier answers are reused. None: regions are
        named by labels and distinctive words.
    progress
        None: quiet.

    Returns
    -------
    dict
        Number of ``items`` and ``benchmarks``, of ``regions`` by level, and of names by ``kinds``.

    Raises
    ------
    UserError
        If a folder is of the wrong kind, the two belong to different SAEs, there are too few items, or another process
        writes to the dictionary.
    MissingExtraError
        If scikit-learn or onnxruntime is missing.
    """
    progress, folder = progress or Progress(quiet=True), Path(dictionary)
    with hold(folder):
        texts = open_folder(Path(run))
        open_dictionary(folder, texts.manifest["sae"])
        kept = texts.items["excluded"].is_null()
        names, seed = texts.items["benchmark"].filter(kept), int(texts.manifest["evidence"]["seed"])
        rows = kept.arg_true().cast(pl.Int64).to_numpy()
        if len(rows) < (least := atlases.least_items()):
            raise UserError(f"an atlas needs at least {least:,} items; the run has {len(rows):,}.")
        with progress.stage("making the atlas"):
            cas = cas_of(texts.by_concept, rows, np.arange(texts.width))
            embeddings = embed_texts(questions(texts.items[rows]))
            atlas = atlases.make_atlas(cas, embeddings, names.to_list(), seed=seed)
        with progress.stage("naming its regions"):
            places = located(atlas, texts.by_concept, kept.to_numpy())
            atlas = replace(atlas, regions=named_by_words(atlas.regions, places, texts))
        if llm is not None:
            atlas = replace(atlas, regions=named_by_model(atlas, texts, rows, llm, folder / "answers", progress))
        atlases.write_atlas(folder, atlas)
    regions = atlas.regions
    return {
        "items": len(rows),
        "benchmarks": names.n_unique(),
        "regions": regions["level"].value_counts().sort("level")["count"].to_list(),
        "kinds": dict(regions["kind"].value_counts().sort("kind").iter_rows()),
    }


def label_concepts(
    dictionary: Path | str,
    step: Step,
    *,
    runs: Sequence[Path | str] = (),
    llm: LLMConfig | None = None,
    progress: Progress | None = None,
) -> Taken:
    """Label the concepts of a dictionary, or score their labels, and return counts of what was stored.

    Parameters
    ----------
    dictionary
        Folder of the dictionary.
    step
        ``automatic``: labels from exemplars' words, without a model. ``explain``: a language model reads exemplars and
        labels concepts. ``detection``: a language model scores labels.
    runs
        Take the 600 most important concepts of these runs; empty: all concepts.
    llm
        The language model, for the steps that ask one.
    progress
        None: quiet.

    Returns
    -------
    Taken
        Numbers of labels or scores stored and of abstentions, and the concepts whose answer failed.

    Raises
    ------
    UserError
        If there is no such step, there is nothing to ask, ``llm`` does not suit the step, or another process writes to
        the dictionary.
    """
    if step not in get_args(Step):
        raise UserError(f"step {step!r}: expected one of {', '.join(get_args(Step))}.")
    if (llm is None) != (step == "automatic"):
        what = "needs a language model: give" if llm is None else "uses no language model: leave out"
        raise UserError(f"the step {step!r} {what} {argument('llm')}.")
    progress, folder = progress or Progress(quiet=True), Path(dictionary)
    with hold(folder):
        opened = open_dictionary(folder)
        opened_runs = [open_folder(Path(path)) for path in runs]
        for run in opened_runs:
            check_same_sae(opened.sae, run.manifest["sae"])
        chosen = important(opened_runs) if opened_runs else None
        if llm is None:
            total = len(opened.exemplars.concepts) if opened.has_exemplars else 0
            with progress.stage("labelling", total=total, unit="concepts") as bar:
                return label_automatically(opened, chosen, bar.advance)
        return ask_about(opened, step, chosen, llm, progress)  # type: ignore[arg-type]


def measure_reference(
    texts: Sequence[Path | str],
    out: Path | str,
    *,
    model: str,
    sae: str,
    tokens: int = 1_000_000,
    progress: Progress | None = None,
) -> LatentStatistics:
    """Measure how common each concept is in ordinary texts, and how much it depends on single tokens.

    The first is the baseline for a benchmark's coverage; the second decides the kinds of concepts. The results are
    written to a file.

    Parameters
    ----------
    texts
        Parquet, JSONL or plain-text files.
    out
        Parquet file to write, for ``reference`` in a run's configuration.
    model, sae
        Names: a hub id, folder or ``embedded:NAME``; of the SAE also ``RELEASE/ID`` of SAELens' directory.
    tokens
        Maximum number of tokens to read.
    progress
        None: quiet.

    Returns
    -------
    LatentStatistics
        Statistics of the SAE on these texts.

    Raises
    ------
    UserError
        If model or SAE cannot be loaded, or the texts are empty.
    MissingExtraError
        If torch is not installed.
    """
    progress = progress or Progress(quiet=True)
    pair = _pair(None, model, sae, progress)
    pieces = _pieces(pair, texts)
    statistics, rates = read_texts(pair, pieces, tokens=tokens, embed=embedder(progress), progress=progress)
    if not statistics.tokens:
        raise UserError("the files contain no text: give files with text in them.")
    rates.write(Path(out))
    return statistics
