"""Spans: the tokens of an item that are pooled [ours]."""

from __future__ import annotations

import numpy as np

from competency_gaps.config import Span
from competency_gaps.model.prompts import Tokens

NEEDS_RESPONSE = frozenset({"response", "all"})
"""Spans that include the model's response."""

TEXT_ONLY = frozenset({"question", "response"})
"""Spans without boundary and template tokens, which are comparable with a reference of plain text."""


def span_mask(span: Span, prompt: Tokens, response: int) -> np.ndarray:
    """Mark the tokens of prompt and response that belong to the span.

    Parameters
    ----------
    prompt
        The tokens of the prompt.
    response
        Number of tokens in the response.

    Returns
    -------
    ndarray of bool of shape (prompt tokens + response,)
        ``question``: the item's own text; ``prompt``: the prompt without its BOS token; ``prompt+bos``: the whole
        prompt; ``response``: the response; ``all``: prompt (without BOS) and response.
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
