"""The gate stage: measure the SAE on a sample of the run's tokens before anything else is computed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from competency_gaps.activations.extract import NOT_FINITE, Extractor
from competency_gaps.activations.pooling import chunk_tokens
from competency_gaps.checked import digest, read_document, write_document
from competency_gaps.config import Span
from competency_gaps.dictionary.kinds import LatentFacts
from competency_gaps.errors import UserError
from competency_gaps.files import write_atomic
from competency_gaps.items.item import Reason
from competency_gaps.model.forward import read_hook
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.progress import Progress
from competency_gaps.sae.gate import GateFigures, LatentStatistics, judge
from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.stages.setting import Setting, check_unreadable, left_out_line
from competency_gaps.table_files import read_parquet

if TYPE_CHECKING:
    import torch

MOST_UNREADABLE = 0.5
"""Largest share of the sampled items that may be unreadable; they are left out of the sample."""

log = logging.getLogger(__name__)

_TABLE = "table_sha256"
"""In ``gate.json``: the checksum of ``gate.parquet``."""


def pass_gate(setting: Setting, folder: Path, progress: Progress) -> tuple[GateFigures, LatentFacts]:
    """Measure and judge the SAE, or read the kept measurements of a resumed run.

    Returns
    -------
    tuple
        The gate's figures, and the statistics of the SAE's latents on the sampled tokens.

    Raises
    ------
    UserError
        If the SAE does not fit and ``force`` is off, most items have no finite activations, or no item is left to
        measure on.
    """
    config = setting.config
    figures_file, facts_file = folder / "gate.json", folder / "gate.parquet"
    known = _known(figures_file, facts_file)
    if known is not None and (known[0].passed or config.sae.force):
        return known
    prepared = [item for items in setting.prepared.values() for item in items]
    statistics, facts = _measure(setting.extractor, prepared, config.span, config.sae.gate_tokens, progress)
    figures = judge(statistics, setting.sae, force=config.sae.force)
    density, share = facts.density.astype(np.float32), facts.template_share.astype(np.float32)
    table = pl.DataFrame({"density": density, "template_share": pl.Series(share).fill_nan(None)})
    write_atomic(facts_file, table.write_parquet)
    write_document(figures_file, {**asdict(figures), _TABLE: digest(facts_file)})
    return figures, LatentFacts.of_sample(density.astype(np.float64), share.astype(np.float64))


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


def _measure(
    extractor: Extractor, prepared: Sequence[PreparedItem], span: Span, tokens: int, progress: Progress
) -> tuple[LatentStatistics, LatentStatistics]:
    """Statistics over whole prompts of items sampled uniformly from the run, for the verdict and for the kinds.

    All tokens of the prompt are read, so that latents of the template show. The verdict leaves out the BOS token, whose
    activation is an outlier in most models and on which SAEs are not trained; the kinds include it if the span does.
    """
    import torch

    usable = [item for item in prepared if item.excluded is None and len(item.tokens.ids)]
    if not usable:
        raise UserError("every item is excluded, so nothing can be measured: check the reasons above and the span.")
    order = np.random.default_rng(0).permutation(len(usable))
    ends = np.cumsum([len(usable[i].tokens.ids) for i in order])
    chosen = [usable[i].tokens for i in order[: int(np.searchsorted(ends, tokens)) + 1]]
    sae = extractor.sae
    judged = LatentStatistics(sae.d_sae, sae.d_in)
    every = LatentStatistics(sae.d_sae, sae.d_in) if span == "prompt+bos" else judged
    lengths = [len(t.ids) for t in chosen]
    unreadable: list[Reason] = []

    def read(rows: np.ndarray) -> list[torch.Tensor]:
        return list(read_hook(extractor.lm, extractor.hook, [chosen[i].ids for i in rows]))

    with progress.stage("gate", total=sum(lengths), unit="tokens") as bar, torch.inference_mode():
        for batch, made in extractor.attempts.batches("activations", lengths, extractor.read_at_once, read):
            for i, activations in zip(batch, made, strict=True):
                if isinstance(activations, Reason):
                    unreadable.append(activations)
                    continue
                own, bos = chosen[i].own, chosen[i].bos
                counted = ~bos if sae.average_over == 1 else own & ~bos
                parts = [(judged, counted)] + [(every, np.ones(len(own), bool))] * (every is not judged)
                inputs = [sae.inputs(activations, mask) for _, mask in parts]
                if not all(_is_finite(sae, x) for x in inputs):
                    unreadable.append(NOT_FINITE)
                    continue
                for (statistics, mask), x in zip(parts, inputs, strict=True):
                    _add(statistics, sae, x, own[mask])
            bar.advance(sum(lengths[i] for i in batch))
    check_unreadable(unreadable, len(chosen), "the sample for the SAE's check", extractor.lm, share=MOST_UNREADABLE)
    if unreadable:
        progress.say(left_out_line(unreadable, len(chosen)))
    return judged, every


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
