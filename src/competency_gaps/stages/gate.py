"""The gate stage: measure the SAE on a sample of the run's items, which are read before all others.

The sample has shards of its own (:func:`~competency_gaps.stages.extraction.plan_suite`). They count once the SAE is
found to fit, so that a folder whose SAE is refused is free.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from competency_gaps.activations.extract import NOT_FINITE
from competency_gaps.activations.pooling import chunk_tokens
from competency_gaps.checked import digest, read_document, write_document
from competency_gaps.dictionary.kinds import LatentFacts
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.items.item import Reason
from competency_gaps.model.prompts import Tokens
from competency_gaps.progress import Progress
from competency_gaps.sae.gate import GateFigures, LatentStatistics, judge
from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.stages.engines import check_share
from competency_gaps.stages.extraction import BenchmarkPlan, Shard, ShardReader, plan_suite, unreadable
from competency_gaps.stages.setting import Setting, check_unreadable, left_out_line
from competency_gaps.table_files import read_parquet

if TYPE_CHECKING:
    import torch

MOST_UNREADABLE = 0.5
"""Largest share of the sampled items that may be unreadable; they are left out of the sample."""

log = logging.getLogger(__name__)

_TABLE = "table_sha256"
"""In ``gate.json``: the checksum of ``gate.parquet``."""


def pass_gate(setting: Setting, folder: Path, progress: Progress) -> tuple[GateFigures, LatentFacts, int]:
    """Measure and judge the SAE and read the sample's shards, or take the kept measurements of a resumed run.

    Returns
    -------
    tuple
        The gate's figures; the statistics of the SAE's latents on the sampled tokens; number of items that were read.

    Raises
    ------
    UserError
        If the SAE does not fit and ``force`` is off, most items have no finite activations, or no item is left to
        measure on; or as :func:`~competency_gaps.stages.engines.check_share`.
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
    measured = Sample(setting)
    reader, read = ShardReader(folder, replace(setting, extractor=measured.extractor)), []
    with progress.stage("gate", total=sum(shard.tokens for _, shard in sample), unit="tokens") as bar:
        for plan, shard in sample:
            content = reader.read(plan, shard, shard.counter(bar.advance))
            measured.add(plan, shard, content.responses)
            read.append((shard, content))
    items = sum(len(shard.members) for shard, _ in read)
    lost = measured.unreadable
    check_unreadable(lost, items, "the sample for the SAE's check", setting.lm, share=MOST_UNREADABLE)
    if lost:
        progress.say(left_out_line(lost, items))
    figures = judge(measured.judged, setting.sae, force=config.sae.force)
    for plan in plans:
        check_share(
            [why for shard, content in read if shard in plan.shards for why in unreadable(content.responses)],
            plan,
            setting,
        )
    for shard, content in read:
        reader.files.commit(reader.write(shard, content))
    facts = measured.every
    density, share = facts.density.astype(np.float32), facts.template_share.astype(np.float32)
    table = pl.DataFrame({"density": density, "template_share": pl.Series(share).fill_nan(None)})
    write_atomic(facts_file, table.write_parquet)
    write_document(figures_file, {**asdict(figures), _TABLE: digest(facts_file)})
    return figures, LatentFacts.of_sample(density.astype(np.float64), share.astype(np.float64)), items


def _known(figures_file: Path, facts_file: Path) -> tuple[GateFigures, LatentFacts] | None:
    """What was measured before; None: nothing was, or its figures or the table that belongs to them are damaged."""
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


class Sample:
    """Statistics over whole prompts of sampled items, for the verdict and for the kinds.

    All tokens of the prompt are read, so that latents of the template show. The verdict leaves out the BOS token, whose
    activation is an outlier in most models and on which SAEs are not trained; the kinds include it if the span does.
    """

    def __init__(self, setting: Setting) -> None:
        self.sae = sae = setting.sae
        self.prompts: dict[int, torch.Tensor] = {}
        self.extractor = replace(setting.extractor, prompts=self.prompts)
        """Reads the sample."""
        self.judged = LatentStatistics(sae.d_sae, sae.d_in)
        with_bos = setting.config.span == "prompt+bos"
        self.every = LatentStatistics(sae.d_sae, sae.d_in) if with_bos else self.judged
        self.unreadable: list[Reason] = []

    def add(self, plan: BenchmarkPlan, shard: Shard, responses: pl.DataFrame) -> None:
        """Add the prompts of a shard that was read, in the order of its items."""
        import torch

        why = dict(responses.select("item", "excluded").iter_rows())
        with torch.inference_mode():
            for i in shard.members:
                activations, tokens = self.prompts.pop(i, None), plan.items[i].tokens
                if activations is None:
                    self.unreadable += [Reason.of(why[i])] if why[i] else []
                elif not self._added(activations, tokens):
                    self.unreadable.append(NOT_FINITE)

    def _added(self, activations: torch.Tensor, tokens: Tokens) -> bool:
        """Add a prompt, unless it has activations or latents that are not finite."""
        own, bos, sae = tokens.own, tokens.bos, self.sae
        counted = ~bos if sae.average_over == 1 else own & ~bos
        parts = [(self.judged, counted)] + [(self.every, np.ones(len(own), bool))] * (self.every is not self.judged)
        inputs = [sae.inputs(activations, mask) for _, mask in parts]
        is_finite = all(_is_finite(sae, x) for x in inputs)
        for (statistics, mask), x in zip(parts if is_finite else [], inputs, strict=False):
            _add(statistics, sae, x, own[mask])
        return is_finite


def _add(statistics: LatentStatistics, sae: SparseAutoencoder, x: torch.Tensor, own: np.ndarray) -> None:
    """Add tokens in chunks that fit into memory."""
    start = 0
    for part in _chunks(sae, x):
        latents = sae.encode(part)
        statistics.add(part, latents, sae.sae.decode(latents), own[start : start + len(part)])
        start += len(part)


def _is_finite(sae: SparseAutoencoder, x: torch.Tensor) -> bool:
    """Whether activations and their latents are finite; the SAE may have another precision than the model."""
    return bool(x.isfinite().all()) and all(bool(sae.encode(part).isfinite().all()) for part in _chunks(sae, x))


def _chunks(sae: SparseAutoencoder, x: torch.Tensor) -> Sequence[torch.Tensor]:
    return x.to(sae.sae.device, sae.sae.dtype).split(chunk_tokens(sae))
