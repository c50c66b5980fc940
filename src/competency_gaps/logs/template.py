"""Another tool's prompt templates, rendered in a box: they are foreign code."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 1_000_000
"""Characters that a rendered prompt may have."""
_ROUNDS = 10_000
"""Numbers that ``range`` gives in a template."""


def render(template: str, values: Mapping[str, Any]) -> str | None:
    """Render a Jinja template as lm-evaluation-harness does; null if that fails or is not allowed."""
    from jinja2.exceptions import TemplateError

    try:
        parts = []
        size = 0
        for part in _environment().from_string(template).generate(**{str(k): v for k, v in values.items()}):
            size += len(part)
            if size > _LONGEST:
                return None
            parts.append(part)
        return "".join(parts)
    except (TemplateError, TypeError, ValueError, KeyError, IndexError, ArithmeticError, AttributeError, re.error):
        # What a template does with a document can fail in any of these ways; its text is then sought otherwise.
        return None
    except (RecursionError, MemoryError):
        return None


@functools.cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Box(ImmutableSandboxedEnvironment):
        """Neither attributes of Python objects nor texts blown up by multiplication."""

        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if not (isinstance(left, (int, float)) and isinstance(right, (int, float))) or operator == "**":
                raise SecurityError(f"{operator!r} is for numbers only")
            return super().call_binop(context, operator, left, right)

    def few(*arguments: int) -> range:
        numbers = range(*arguments)
        if len(numbers) > _ROUNDS:
            raise SecurityError("range is too long")
        return numbers

    box = Box(undefined=StrictUndefined, keep_trailing_newline=True)
    box.globals = {"range": few, "dict": dict, "namespace": box.globals["namespace"]}
    box.filters["regex_replace"] = lambda string, pattern, repl, count=0: re.sub(pattern, repl, string, count=count)
    return box
