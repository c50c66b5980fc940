"""What an SAE encodes of a text: each token's activation, or its average with those of the tokens before [ours].

A token's activation in a small model says mostly which token it is. Averaged over a stretch of text, what the tokens
have in common remains: the topic, the task, the way of talking. An SAE trained on averages says so in its metadata
(``average_over``), and everything that is encoded with it is averaged in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def trailing_mean(activations: torch.Tensor, over: int) -> torch.Tensor:
    """Average the activations of a text over stretches of tokens.

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
        Of the ``over`` tokens that end at each; of the first ``over`` for those before (of all, if there are fewer).
    """
    import torch

    if over == 1 or not len(activations):
        return activations
    means = _means(activations, min(over, len(activations)))
    return torch.cat([means[:1].expand(len(activations) - len(means), -1), means])


def full_stretches(activations: torch.Tensor, over: int) -> torch.Tensor:
    """Average whole stretches only: shape (tokens - over + 1, d_in), or none if the text is shorter."""
    return activations if over == 1 else _means(activations, over)


def _means(activations: torch.Tensor, over: int) -> torch.Tensor:
    import torch

    unit = torch.nn.functional.normalize(activations.float(), dim=1)
    if len(unit) < over:
        return activations[:0]
    return torch.nn.functional.avg_pool1d(unit.T[None], over, stride=1)[0].T.to(activations.dtype)
