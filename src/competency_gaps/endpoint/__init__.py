"""A language model over any OpenAI-compatible endpoint, or through batch files: asked once, paid once.

:func:`ask` sends :class:`Request` objects, :class:`AnswerStore` keeps each :class:`Answer`, :func:`parse` reads it.
"""

from competency_gaps.config.asking import Structured
from competency_gaps.endpoint.answers import AnswerStore
from competency_gaps.endpoint.asking import Asking
from competency_gaps.endpoint.batch import BatchAnswers, Matched, export_batch, import_batch, match_batch
from competency_gaps.endpoint.budget import Cap, CostEstimate, Prices, estimate
from competency_gaps.endpoint.client import ask
from competency_gaps.endpoint.endpoint import Endpoint
from competency_gaps.endpoint.parse import Failure, parse
from competency_gaps.endpoint.request import Answer, Request

__all__ = [
    "Answer",
    "AnswerStore",
    "Asking",
    "BatchAnswers",
    "Cap",
    "CostEstimate",
    "Endpoint",
    "Failure",
    "Matched",
    "Prices",
    "Request",
    "Structured",
    "ask",
    "estimate",
    "export_batch",
    "import_batch",
    "match_batch",
    "parse",
]
