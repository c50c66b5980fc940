"""Read-only questions about a finished run, for the chat of the explorer and for assistants (MCP).

:func:`ask` answers any of :data:`QUERIES` about a :class:`Subject` with bounded plain JSON.
"""

from competency_gaps.explorer.queries.registry import QUERIES, Query, ask
from competency_gaps.explorer.queries.subject import Subject

__all__ = ["QUERIES", "Query", "Subject", "ask"]
