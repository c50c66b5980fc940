"""Facts from decoder directions, without any text: tokens that a concept promotes, and the most similar concepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from competency_gaps.model.load import LanguageModel
from competency_gaps.sae.load import SparseAutoencoder
from competency_gaps.util.progress import Progress

if TYPE_CHECKING:
    import torch


LOGITS = "logits.parquet"
LOGITS_AT_ONCE = 16_000_000
"""Logits (concepts x vocabulary) in memory at once."""
_FINAL_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f")


def logit_lens(
    lm: LanguageModel, sae: SparseAutoencoder, count: int = 10, progress: Progress | None = None
) -> pl.DataFrame | None:
    """Return the tokens that each concept promotes and suppresses, by the logit lens (nostalgebraist 2020).

    ``logits_c = W_U (gain * d_c / |d_c|)``, less their mean over the vocabulary. The final norm's scale at a token and
    a shift of all logits would not change ranks, so they are left out.

    Returns
    -------
    polars.DataFrame or None
        One row per concept: ``concept`` (int32), ``promoted`` and ``suppressed`` (lists of ``count`` tokens, the
        strongest first; empty for a zero direction), ``promoted_logits`` and ``suppressed_logits`` (float32). None if
        the decoder does not write to the residual stream's width, as that of an attention head's inputs.
    """
    import torch

    head = lm.model.get_output_embeddings()
    decoder = sae.sae.W_dec.detach().float()
    if head is None or decoder.shape[1] != head.weight.shape[1]:
        return None
    unembedding = head.weight.detach().float() * final_gain(lm)
    unembedding = unembedding.to(decoder.device)
    norms = decoder.norm(dim=1, keepdim=True)
    directions = decoder / norms.clamp_min(1e-12)
    vocabulary = min(len(lm.tokenizer), len(unembedding))
    step = max(1, LOGITS_AT_ONCE // len(unembedding))
    parts = []
    stage = (progress or Progress(quiet=True)).stage("finding promoted tokens", total=len(decoder), unit="concepts")
    with torch.inference_mode(), stage as bar:
        for start in range(0, len(directions), step):
            logits = directions[start : start + step] @ unembedding[:vocabulary].T
            logits -= logits.mean(dim=1, keepdim=True)
            high, low = logits.topk(count, dim=1), logits.topk(count, dim=1, largest=False)
            parts.append((high.indices.cpu(), high.values.cpu(), low.indices.cpu(), low.values.cpu()))
            bar.advance(len(logits))
    promoted, up, suppressed, down = (torch.cat(chunks) for chunks in zip(*parts, strict=True))
    alive = norms[:, 0] > 0
    texts = [lm.tokenizer.batch_decode([[i] for i in row]) for row in torch.cat([promoted, suppressed]).tolist()]
    return pl.DataFrame(
        {
            "concept": pl.Series(range(len(directions)), dtype=pl.Int32),
            "promoted": _lists(texts[: len(directions)], alive, pl.String),
            "promoted_logits": _lists(up.tolist(), alive, pl.Float32),
            "suppressed": _lists(texts[len(directions) :], alive, pl.String),
            "suppressed_logits": _lists(down.tolist(), alive, pl.Float32),
        }
    )


def final_gain(lm: LanguageModel) -> torch.Tensor:
    """Return the gain of the norm before the unembedding: float32 of shape (width,); ones without such a norm."""
    import torch

    base = getattr(lm.model, lm.model.base_model_prefix, lm.model)
    for part in (base, *dict(base.named_children()).values()):
        for name in _FINAL_NORMS:
            norm = getattr(part, name, None)
            weight = getattr(norm, "weight", None)
            if isinstance(norm, torch.nn.Module) and weight is not None and weight.ndim == 1:
                gain = weight.detach().float()
                # Gemma's norms store the gain less 1.
                return gain + 1 if type(norm).__name__.startswith("Gemma") and "3n" not in type(norm).__name__ else gain
    return torch.ones(lm.model.get_output_embeddings().weight.shape[1])


SIMILAR = "similar.parquet"
COSINES_AT_ONCE = 16_000_000
"""Cosines (concepts x concepts) in memory at once."""


def similar_concepts(sae: SparseAutoencoder, count: int = 10, progress: Progress | None = None) -> pl.DataFrame:
    """Return each concept's nearest others, by the cosine of their decoder directions.

    All pairs are compared, a block of concepts at a time, on the SAE's device in float32: 65,536 concepts of width 576
    take some 80 seconds on two cores.

    Parameters
    ----------
    count
        Neighbours per concept; fewer if the SAE has fewer concepts.

    Returns
    -------
    polars.DataFrame
        One row per concept, in order: ``concept`` (int32), ``similar`` (list of int32, the nearest first, without
        itself; ties by number) and ``cosine`` (list of float32 in [-1, 1]). A zero direction has no angle: its lists
        are empty, and it is in no list.
    """
    import torch

    decoder = sae.sae.W_dec.detach().float()
    norms = decoder.norm(dim=1)
    alive = norms > 0
    count = min(count, max(int(alive.sum()) - 1, 0))
    norms = norms.clamp_min(1e-30)
    step = max(1, COSINES_AT_ONCE // len(decoder))
    near, cosine = [], []
    stage = (progress or Progress(quiet=True)).stage("finding similar concepts", total=len(decoder), unit="concepts")
    with torch.inference_mode(), stage as bar:
        for start in range(0, len(decoder), step):
            block = decoder[start : start + step]
            # Divided afterwards, to avoid a normalised copy of the decoder.
            cosines = (block / norms[start : start + step, None]) @ decoder.T
            cosines /= norms
            cosines[:, ~alive] = -torch.inf
            cosines.diagonal(start).fill_(-torch.inf)
            values, places = _in_order(*cosines.topk(count, dim=1))
            near.append(places.int().cpu())
            cosine.append(values.clamp(-1, 1).cpu())
            bar.advance(len(block))
    return pl.DataFrame(
        {
            "concept": pl.Series(range(len(decoder)), dtype=pl.Int32),
            "similar": _lists(torch.cat(near).tolist(), alive, pl.Int32),
            "cosine": _lists(torch.cat(cosine).tolist(), alive, pl.Float32),
        }
    )


def _in_order(values: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return values in descending order with their places, ties by place: ``topk`` leaves the order of ties open."""
    places, order = places.sort(dim=1)
    values, again = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    return values, places.gather(1, again)


def _lists(rows: list[list[Any]], alive: torch.Tensor, dtype: type[pl.DataType]) -> pl.Series:
    """Return a column with one list per concept, empty for a zero direction."""
    kept = [row if keep else [] for row, keep in zip(rows, alive.tolist(), strict=True)]
    return pl.Series(kept, dtype=pl.List(dtype))
