"""The gate stage: measure the SAE on a sample of the run's items, which are read before all others.

The sample has separate shards (:func:`~competency_gaps.pipeline.extraction.plan_suite`). They are committed once the
SAE fits, so that a folder whose SAE was refused can be used for another run.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from competency_gaps.concepts.kinds import LatentFacts
from competency_gaps.items.item import Reason
from competency_gaps.model.hooks import read_hook, resolve_hook
from competency_gaps.model.prompts import Tokens
from competency_gaps.pipeline.engines import check_share
from competency_gaps.pipeline.extraction import BenchmarkPlan, Content, Shard, ShardReader, plan_suite, unreadable
from competency_gaps.pipeline.setting import Setting, check_unreadable
from competency_gaps.reading.extract import NOT_FINITE
from competency_gaps.reading.pooling import chunk_tokens
from competency_gaps.sae.gate import GateFigures, LatentStatistics, judge
from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.util.checked import digest, read_document, write_document
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import write_atomic
from competency_gaps.util.progress import Progress
from competency_gaps.util.table_files import read_parquet

if TYPE_CHECKING:
    import torch

MAX_UNREADABLE_SHARE = 0.5
"""Maximum share of the sampled items that may be unreadable; these are left out of the sample."""

log = logging.getLogger(__name__)

_TABLE = "table_sha256"
"""Key in ``gate.json`` of the checksum of ``gate.parquet``."""


def pass_gate(setting: Setting, folder: Path, progress: Progress) -> tuple[GateFigures, LatentFacts, int]:
    """Measure and judge the SAE while reading the sample's shards, or use the stored measurements of a resumed run.

    Returns
    -------
    tuple
        The gate's figures; the statistics of the SAE's latents on the sampled tokens; number of items that were read.

    Raises
    ------
    UserError
        If the SAE does not fit and ``force`` is off, most items have no finite activations, or no item is left to
        measure on; or as :func:`~competency_gaps.pipeline.engines.check_share`.
    """
    config = setting.config
    figures_file, facts_file = folder / "gate.json", folder / "gate.parquet"
    known = _known(figures_file, facts_file)
    if known is not None and (known[0].passed or config.sae.force):
        return *known, 0
    plans = plan_suite(setting.prepared, config.sae.gate_tokens)
    sample = [(plan, shard) for plan in plans for shard in plan.shards if shard.sampled]
    if not sample:
        raise UserError("every item is excluded, so nothing can be measured: check the reasons above and the span.")
    sae, prompts = setting.sae, dict[int, "torch.Tensor"]()
    reader = ShardReader(folder, replace(setting, extractor=replace(setting.extractor, prompts=prompts)))
    d_out = sae.sae.W_dec.shape[1]
    judged = LatentStatistics(sae.d_sae, d_out)
    facts = LatentStatistics(sae.d_sae, d_out) if config.span == "prompt+bos" else judged
    target = _target_reader(setting)
    read: list[tuple[BenchmarkPlan, Shard, Content]] = []
    lost: list[Reason] = []
    with progress.stage("gate", total=sum(shard.tokens for _, shard in sample), unit="tokens") as bar:
        for plan, shard in sample:
            content = reader.read(plan, shard, shard.counter(bar.advance))
            read.append((plan, shard, content))
            lost += [why for why in unreadable(content.responses) if why != NOT_FINITE]
            inputs = ((plan.items[i].tokens, prompts.pop(i)) for i in shard.members if i in prompts)
            aims = ((tokens, x, target(tokens, x)) for tokens, x in inputs)
            lost += [NOT_FINITE for tokens, x, aim in aims if not _measure(sae, judged, facts, tokens, x, aim)]
    items = sum(len(shard.members) for _, shard, _ in read)
    check_unreadable(lost, items, "the sample for the SAE's check", setting.lm, share=MAX_UNREADABLE_SHARE)
    figures = judge(judged, sae, force=config.sae.force)
    for plan in plans:
        tables = [content.responses for benchmark, _, content in read if benchmark is plan]
        check_share([why for table in tables for why in unreadable(table)], plan, setting)
    for _, shard, content in read:
        reader.files.commit(reader.write(shard, content))
    density, share = facts.density.astype(np.float32), facts.template_share.astype(np.float32)
    table = pl.DataFrame({"density": density, "template_share": pl.Series(share).fill_nan(None)})
    write_atomic(facts_file, table.write_parquet)
    write_document(figures_file, {**asdict(figures), _TABLE: digest(facts_file)})
    return figures, LatentFacts.of_sample(density.astype(np.float64), share.astype(np.float64)), items


def _known(figures_file: Path, facts_file: Path) -> tuple[GateFigures, LatentFacts] | None:
    """Return the stored measurements; None if there are none, or a file is damaged."""
    if not figures_file.is_file() or not facts_file.is_file():
        return None
    try:
        known = read_document(figures_file)
        if known.pop(_TABLE, None) == digest(facts_file):
            table = read_parquet(facts_file).select("density", "template_share").cast(pl.Float64)
            columns = (column.fill_null(float("nan")).to_numpy() for column in table)
            return GateFigures(**known), LatentFacts.of_sample(*columns)
        why = "does not match the table next to it, or that table is damaged"
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        why = f"cannot be read ({error})"
    log.warning("%s %s: it will be measured again.", figures_file, why)
    return None


def _target_reader(setting: Setting) -> Callable[[Tokens, torch.Tensor], torch.Tensor | None]:
    """Return a function from a prompt's tokens and the SAE's input to the activations that the SAE should reconstruct.

    It returns None where these cannot be read, as for a transcoder without a known output.
    """
    lm, sae = setting.lm, setting.sae
    if not sae.is_transcoder:
        return lambda _, activations: activations
    if sae.output_hook_name is None:
        return lambda *_: None
    hook = resolve_hook(lm.model, sae.output_hook_name)
    return lambda tokens, activations: read_hook(lm, hook, [tokens.ids[: len(activations)]])[0]


def _measure(
    sae: SparseAutoencoder,
    judged: LatentStatistics,
    facts: LatentStatistics,
    tokens: Tokens,
    activations: torch.Tensor,
    target: torch.Tensor | None,
) -> bool:
    """Add a prompt to the statistics for the verdict and for the kinds; return whether all activations are finite.

    All tokens of the prompt count, so that latents of the template show. The verdict leaves out the BOS token, whose
    activation is an outlier in most models and on which SAEs are not trained; the kinds include it if the span does.
    """
    counted = ~tokens.bos if sae.average_over == 1 else tokens.in_body & ~tokens.bos
    every = np.ones(len(tokens.in_body), bool)

    def add(statistics: LatentStatistics, chosen: np.ndarray) -> bool:
        """Add the chosen tokens to some statistics."""
        aim = None if target is None else sae.inputs(target, chosen)
        return _add(statistics, sae, sae.inputs(activations, chosen), aim, tokens.in_body[chosen])

    return add(judged, counted) and (facts is judged or add(facts, every))


def _add(
    statistics: LatentStatistics,
    sae: SparseAutoencoder,
    x: torch.Tensor,
    target: torch.Tensor | None,
    in_body: np.ndarray,
) -> bool:
    """Add tokens to statistics in chunks that fit into memory; return False at the first chunk that is not finite."""
    import torch

    with torch.inference_mode():
        parts = x.to(sae.sae.device, sae.sae.dtype).split(chunk_tokens(sae))
        for start, part in zip(itertools.count(step=chunk_tokens(sae)), parts):
            latents = sae.encode(part)
            if not (part.isfinite().all() and latents.isfinite().all()):
                return False
            here = slice(start, start + len(part))
            aim = None if target is None else target[here].to(part.device, part.dtype)
            statistics.add(aim, latents, sae.rebuild(part, latents), in_body[here])
    return True
