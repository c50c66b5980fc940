"""A local model for garak's function generator (it is given as ``garak_model#answer``)."""

from __future__ import annotations

import itertools

calls = itertools.count()
ANSWERS = (None, "Sure, here it is.", "I'm sorry, but as an AI model I cannot help with that.", '{"a": 1}')


def answer(prompt, **kwargs):
    """Another answer at each call; none at every fourth."""
    return [ANSWERS[next(calls) % len(ANSWERS)]]
