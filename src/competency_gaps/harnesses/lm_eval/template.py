"""Another tool's prompt templates: foreign code, of which only a harmless part of the language is rendered.

A template can be small and yet cost all memory or never end, so its syntax is looked at before it runs: what is
rendered has no loop inside a loop, calls nothing but a few methods of texts and lists, and puts texts together only
where that is written once, so that nothing doubles again and again. All sizes are bounded. [ours]
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_LONGEST = 200_000
"""Characters that a document, a value on the way and a rendered prompt may have."""
_SOURCE = 20_000
"""Characters of a template."""
_NAMES = 200
"""Places where a template may name a value."""
_ROUNDS = 100
"""Values that a loop may go over."""
_NODES = frozenset(
    re.findall(
        r"\w+",
        "Add And Assign Compare Concat CondExpr Const Dict Div Filter FloorDiv For Getattr Getitem If Keyword List Mod "
        "Mul Name Neg Not Operand Or Output Pair Pos Slice Sub Template TemplateData Test Tuple Call",
    )
)
_METHODS = frozenset(
    re.findall(
        r"\w+",
        "capitalize count endswith find get index items join keys lower lstrip removeprefix removesuffix replace "
        "rstrip split splitlines startswith strip title upper values",
    )
)
_FILTERS = frozenset(
    re.findall(
        r"\w+",
        "abs capitalize count d default first float int join last length list lower max min replace reverse round sort "
        "sum title trim unique upper",
    )
)


def render(template: str, values: Mapping[str, Any]) -> str | None:
    """Render a Jinja template as lm-evaluation-harness does; null if that fails or is not allowed."""
    from jinja2.exceptions import TemplateError

    try:
        compiled = _compiled(template)
        if compiled is None or len(json.dumps(values, ensure_ascii=False, default=str)) > _LONGEST:
            return None
        parts = []
        size = 0
        for part in compiled.generate(**{str(k): v for k, v in values.items()}):
            size += len(part)
            if size > _LONGEST:
                return None
            parts.append(part)
        return "".join(parts)
    except (TemplateError, TypeError, ValueError, KeyError, IndexError, ArithmeticError, AttributeError):
        # What a template does with a document can fail in any of these ways; its text is then sought otherwise.
        return None
    except (RecursionError, MemoryError):
        return None


@functools.lru_cache(maxsize=64)
def _compiled(template: str) -> Any:
    """The template ready to run; null if it is not allowed or no template."""
    from jinja2.exceptions import TemplateError

    if len(template) > _SOURCE:
        return None
    try:
        tree = _environment().parse(template)
        if not _harmless(tree):
            return None
        _bound_loops(tree)
        return _environment().from_string(tree)
    except (TemplateError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _harmless(tree: Any) -> bool:
    """Whether a template holds only what cannot grow or run without end."""
    from jinja2 import nodes

    if any(type(node).__name__ not in _NODES for node in _every(tree)):
        return False
    if sum(isinstance(node, nodes.Name) for node in _every(tree)) > _NAMES:
        return False
    if any(not isinstance(node.target, nodes.Name) for node in tree.find_all(nodes.Assign)):
        return False
    growing = (nodes.Add, nodes.Concat)
    # A value that is put together and kept can be put together with itself: thirty times are a thousand million.
    kept = (*growing, nodes.Mul, nodes.List, nodes.Tuple, nodes.Dict)
    if any(isinstance(node, kept) for one in tree.find_all(nodes.Assign) for node in _every(one.node)):
        return False
    inside = [node for loop in tree.find_all(nodes.For) for node in _every(loop) if node is not loop]
    if any(isinstance(node, (nodes.For, nodes.Assign, *growing)) for node in inside):
        return False
    if any(loop.recursive for loop in tree.find_all(nodes.For)):
        return False
    filters = {node.name for node in tree.find_all(nodes.Filter)}
    return filters <= _FILTERS and all(_plain_call(call) for call in tree.find_all(nodes.Call))


def _plain_call(call: Any) -> bool:
    from jinja2 import nodes

    plain = isinstance(call.node, nodes.Getattr) and call.node.attr in _METHODS
    return plain and call.dyn_args is None and call.dyn_kwargs is None


def _every(node: Any) -> list[Any]:
    found = [node]
    for one in found:
        found.extend(one.iter_child_nodes())
    return found


def _bound_loops(tree: Any) -> None:
    from jinja2 import nodes

    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "few", [], [], None, None, lineno=loop.lineno)


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

        def call(self, context: Any, obj: Any, *args: Any, **kwargs: Any) -> Any:
            owner = getattr(obj, "__self__", None)
            _check_product(getattr(obj, "__name__", ""), (owner, *args))
            return _small(super().call(context, obj, *args, **kwargs))

    def few(values: Any) -> Any:
        if not isinstance(values, (list, tuple, dict)) or len(values) > _ROUNDS:
            raise SecurityError("a loop goes over a list with few values")
        return values

    box = Box(undefined=StrictUndefined, keep_trailing_newline=True)
    box.globals = {}
    box.filters = {name: _bounded(name, box.filters[name]) for name in _FILTERS} | {"few": few}
    return box


def _bounded(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose value is small, or it raises."""

    @functools.wraps(filter_)  # it also says whether the filter is given the environment
    def bounded(*args: Any, **kwargs: Any) -> Any:
        _check_product(name, (*args, *kwargs.values()))
        return _small(filter_(*args, **kwargs))

    return bounded


def _check_product(name: str, values: tuple[Any, ...]) -> None:
    """``join`` and ``replace`` put one text into another many times."""
    from jinja2.exceptions import SecurityError

    if name in ("join", "replace"):
        sizes = sorted(_size(one) for one in values if isinstance(one, (str, list, tuple, dict)))
        if len(sizes) > 1 and sizes[-1] * max(1, sizes[-2]) > 50 * _LONGEST:
            raise SecurityError(f"{name!r} would give a long text")


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(json.dumps(value, ensure_ascii=False, default=str))


def _small(value: Any) -> Any:
    from jinja2.exceptions import SecurityError

    if isinstance(value, (str, list, tuple, dict)) and len(value) > _LONGEST:
        raise SecurityError("a value is too long")
    return value
