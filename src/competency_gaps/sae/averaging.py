"""What an SAE encodes of a text: each token's activation, or the average over the tokens around it [ours].

A token's activation in a small model says mostly which token it is. Averaged over a stretch of text, what the tokens
have in common remains: the topic, the task, the way of talking. An SAE trained on averages says so in its metadata
(``average_over``), and everything that is encoded with it is averaged in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def stretch_starts(tokens: int, over: int) -> np.ndarray:
    """Where the stretch of each token begins: the ``over`` tokens around it, moved inside the text at its ends.

    Returns
    -------
    ndarray of int64 of shape (tokens,); all 0 if the text has at most ``over`` tokens
    """
    return np.clip(np.arange(tokens) - over // 2, 0, max(0, tokens - over))


def local_mean(activations: torch.Tensor, over: int) -> torch.Tensor:
    """Average the activations of a text over the stretch around each token.

    Each activation is divided by its norm before: models park attention on single tokens whose activations are some
    hundred times as large as others.

    Parameters
    ----------
    activations : torch.Tensor of shape (tokens, d_in)
        Of one text, in order.
    over
        Tokens of a stretch; 1 leaves the activations as they are.

    Returns
    -------
    torch.Tensor of shape (tokens, d_in)
        Over the stretches that begin at :func:`stretch_starts`; over the whole text if it is shorter than one.
    """
    import torch

    if over == 1 or not len(activations):
        return activations
    starts = torch.from_numpy(stretch_starts(len(activations), over)).to(activations.device)
    return _means(activations, min(over, len(activations)))[starts]


def full_stretches(activations: torch.Tensor, over: int) -> torch.Tensor:
    """Average each whole stretch of a text once: shape (tokens - over + 1, d_in), or none if the text is shorter."""
    if over == 1:
        return activations
    return _means(activations, over) if len(activations) >= over else activations[:0]


def _means(activations: torch.Tensor, over: int) -> torch.Tensor:
    import torch

    unit = torch.nn.functional.normalize(activations.float(), dim=1)
    return torch.nn.functional.avg_pool1d(unit.T[None], over, stride=1)[0].T.to(activations.dtype)
