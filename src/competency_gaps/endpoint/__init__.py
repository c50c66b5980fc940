"""A language model over any OpenAI-compatible endpoint, or through batch files: asked once, paid once.

:func:`ask` sends :class:`Request` objects, :class:`AnswerStore` keeps each :class:`Answer`, :func:`parse` reads it.
"""

from competency_gaps.endpoint.answers import AnswerStore
from competency_gaps.endpoint.asking import Asking
from competency_gaps.endpoint.batch import export_batch, import_batch
from competency_gaps.endpoint.budget import Cap, Prices, estimate
from competency_gaps.endpoint.client import ask
from competency_gaps.endpoint.endpoint import Endpoint
from competency_gaps.endpoint.parse import Failure, parse
from competency_gaps.endpoint.request import Answer, Request

__all__ = [
    "Answer",
    "AnswerStore",
    "Asking",
    "Cap",
    "Endpoint",
    "Failure",
    "Prices",
    "Request",
    "ask",
    "estimate",
    "export_batch",
    "import_batch",
    "parse",
]
