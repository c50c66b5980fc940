"""The span: which of an item's tokens count [ours]."""

from __future__ import annotations

import numpy as np

from competency_gaps.config import Span
from competency_gaps.model.prompts import Tokens

NEEDS_RESPONSE = frozenset({"response", "all"})
"""Spans that hold what the model wrote."""

TEXT_ONLY = frozenset({"question", "response"})
"""Spans without boundary and template tokens: what a reference of plain text can be set beside."""


def span_mask(span: Span, prompt: Tokens, response: int) -> np.ndarray:
    """Which tokens of prompt and response belong to the span.

    Parameters
    ----------
    prompt
        The tokens of the prompt.
    response
        Number of tokens that follow it.

    Returns
    -------
    ndarray of bool of shape (prompt tokens + response,)
        ``question``: the item's own text; ``prompt``: all but the first token that only marks the
        start; ``prompt+bos``: all; ``response``: what the model wrote; ``all``: prompt and response.
    """
    empty = np.zeros(response, dtype=bool)
    full = np.ones(response, dtype=bool)
    if span == "question":
        return np.concatenate([prompt.own, empty])
    if span == "prompt":
        return np.concatenate([~prompt.bos, empty])
    if span == "prompt+bos":
        return np.concatenate([np.ones_like(prompt.own), empty])
    if span == "response":
        return np.concatenate([np.zeros_like(prompt.own), full])
    return np.concatenate([~prompt.bos, full])
