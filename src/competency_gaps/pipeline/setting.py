"""All that a run needs before its first forward pass, loaded and checked, with every prompt tokenised."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from competency_gaps.concepts.folder import Dictionary, is_dictionary
from competency_gaps.items.config import RunConfig
from competency_gaps.items.item import Benchmark, Reason
from competency_gaps.items.repeats import Repeats, find_clusters
from competency_gaps.model.batches import OUT_OF_MEMORY
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prompts import PreparedItem, prepare
from competency_gaps.pipeline.load import load_suite, scorers_of
from competency_gaps.pipeline.logs import left_out_lines, model_warnings, report_lines, with_model_warnings
from competency_gaps.pipeline.naming import check_dictionary
from competency_gaps.reading.extract import NOT_FINITE, Extractor
from competency_gaps.runs.covariates import check_strata
from competency_gaps.sae.load import LoadedPair, SparseAutoencoder, load_pair
from competency_gaps.sae.reference import FILE as REFERENCE_FILE
from competency_gaps.sae.reference import Reference, read_reference
from competency_gaps.util.errors import MachineError, UserError
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import plural, share_of


def check_unreadable(reasons: Sequence[Reason], items: int, where: str, lm: LanguageModel, *, share: float) -> None:
    """Raise an error if more than a share of the items cannot be read.

    Parameters
    ----------
    reasons
        Why, for each item that cannot be read.
    items
        Number of items that were to be read, readable or not.
    where
        What the items belong to, for the message.
    share
        Maximum share of unreadable items, in [0, 1].

    Raises
    ------
    UserError, MachineError
        If there are more; the message has the most common reason and what to do.
    """
    if len(reasons) <= share * items:
        return
    why = Counter(reason.code for reason in reasons).most_common(1)[0][0]
    alike = [reason for reason in reasons if reason.code == why]
    fault = f"{where}: {share_of(len(reasons), items)} items cannot be read"
    count = "all" if len(alike) == len(reasons) else f"{len(alike):,} of them"
    if why == NOT_FINITE.code:
        raise UserError(
            f"{fault}, {count} because their activations are not finite in {lm.identity['dtype']}: "
            f"set model.dtype to bfloat16 or float32, and use another folder."
        )
    if why == OUT_OF_MEMORY.code:
        raise MachineError(
            f"{fault}, {count} because memory ran out on each alone. Free some memory and repeat the command "
            f"(finished work is kept), or use another folder and a lower model.max_length, which excludes long items."
        )
    raise UserError(
        f"{fault}, {count} because the model failed on them; the first: {alike[0]}. Use an installation and a model "
        f"that can read them, or leave out such items."
    )


def excluded_line(benchmark: str, excluded: Sequence[PreparedItem], items: int) -> str:
    """Return a line on how many of a benchmark's items are excluded, and why the first is."""
    return (
        f"{benchmark}: {len(excluded)} of {items} items excluded, the first {excluded[0].item.id!r}: "
        f"{excluded[0].excluded}"
    )


@dataclass(frozen=True)
class Setting:
    """Everything that is loaded before the first forward pass."""

    config: RunConfig
    suite: list[Benchmark]
    repeats: Repeats
    """Clusters of the suite's items that are not independent evidence."""
    lm: LanguageModel
    sae: SparseAutoencoder
    extractor: Extractor
    bos_id: int | None
    prepared: dict[str, list[PreparedItem]]
    """Name of a benchmark -> its items as the model reads them."""
    reference: Reference | None
    reference_file: Path | None
    dictionary: Dictionary | None
    """Dictionary of the SAE, with labels and atlas; None: there is none."""


def set_up(config: RunConfig, progress: Progress, pair: LoadedPair | None = None) -> Setting:
    """Return all that a run needs, loaded and checked; errors in the input are raised before anything is computed."""
    loaded = load_suite(config.benchmarks, progress)  # first: it takes seconds, a model minutes
    scorers = {entry.name: scorers_of(loaded[entry.name], entry, ask=config.ask) for entry in config.benchmarks}
    pair = pair or load_pair(config.model, config.sae, progress=progress)
    lm, sae, hook, bos_id = pair.lm, pair.sae, pair.hook, pair.bos_id
    suite = _with_warnings(list(loaded.values()), config.model.name, progress)
    check_strata(config.evidence.strata, [item for benchmark in suite for item in benchmark.items])
    repeats = find_clusters(suite, config.near_repeats)
    for line in repeats.lines():
        progress.say(line)
    extractor = Extractor(lm, hook, sae, config.pooling, config.batch_tokens, config.keep_token_activations)
    prepared: dict[str, list[PreparedItem]] = {}
    total = sum(len(benchmark.items) for benchmark in suite)
    with progress.stage("preparing prompts", total=total, unit="items") as bar:
        for benchmark, choice in zip(suite, config.benchmarks, strict=True):
            bar.note(benchmark.name)
            items = prepared[benchmark.name] = []
            for item, scorer in zip(benchmark.items, scorers[benchmark.name], strict=True):
                items.append(prepare(item, scorer, choice, config.model, lm, bos_id))
                bar.advance()
    for name, items in prepared.items():
        if excluded := [item for item in items if item.excluded is not None]:
            progress.say(excluded_line(name, excluded, len(items)))
    beside_sae = sae.folder if sae.folder is not None and is_dictionary(sae.folder) else None
    path = config.sae.dictionary or beside_sae
    dictionary = check_dictionary(path, sae.identity) if path else None
    beside = sae.folder / REFERENCE_FILE if sae.folder is not None else None
    file = config.reference or (beside if beside is not None and beside.is_file() else None)
    reference = read_reference(file, sae.d_sae) if file else None
    return Setting(config, suite, repeats, lm, sae, extractor, bos_id, prepared, reference, file, dictionary)


def _with_warnings(suite: Sequence[Benchmark], model: str, progress: Progress) -> list[Benchmark]:
    """Print reports on other tools' logs and what was left out; return the benchmarks with warnings in their
    reports.
    """
    reports = [report for benchmark in suite for report in benchmark.reports]
    for line in report_lines(reports):
        progress.say(line)
    warnings = list(model_warnings(reports, model))
    for warning in warnings[:1]:
        others = f" The same is true of {plural(len(warnings) - 1, 'further model')}." if len(warnings) > 1 else ""
        logging.getLogger(__name__).warning(f"{warning}{others}")
    for benchmark in suite:
        for line in left_out_lines(benchmark.name, benchmark.left_out):
            progress.say(line)
    return [with_model_warnings(benchmark, model) for benchmark in suite]
