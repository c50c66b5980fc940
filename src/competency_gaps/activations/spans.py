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
    none, every = np.zeros_like(prompt.own), np.ones_like(prompt.own)
    without_bos = ~prompt.bos
    of_prompt = {
        "question": prompt.own,
        "prompt": without_bos,
        "prompt+bos": every,
        "response": none,
        "all": without_bos,
    }
    return np.concatenate([of_prompt[span], np.full(response, span in NEEDS_RESPONSE)])
