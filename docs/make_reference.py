"""Write docs/reference.md from the docstrings of everything public.

    python docs/make_reference.py [--check]

``--check`` writes nothing and fails where the page is not what would be written.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Any

import competency_gaps as cg

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# Reference

What `import competency_gaps as cg` gives. This page is written from the docstrings by `python docs/make_reference.py`.
"""


def entry(name: str, value: Any, level: int) -> list[str]:
    """A heading with the signature, and the docstring as it stands."""
    doc = inspect.cleandoc(value.__doc__ or "")
    title = f"{name}{signature(value)}" if callable(value) else name
    lines = [f"{'#' * level} `{title}`", ""]
    if doc:
        lines += ["```text", doc, "```", ""]
    return lines


def signature(value: Any) -> str:
    """The signature without types, which the docstring has."""
    if hasattr(value, "model_rebuild"):
        value.model_rebuild()  # a configuration knows its own signature only when it is built
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return "()"
    bare = [p.replace(annotation=p.empty) for p in parameters if p.name != "self"]
    return str(inspect.Signature(bare))


def members(kind: type) -> list[tuple[str, Any]]:
    """Public methods and properties of a class, in the order in which they are written, inherited ones last."""
    public: dict[str, Any] = {}
    for base in kind.__mro__:
        if base.__module__.startswith("competency_gaps"):
            fields = {field.name for field in dataclasses.fields(base)} if dataclasses.is_dataclass(base) else set()
            public |= {n: v for n, v in vars(base).items() if not n.startswith("_") and n not in {*public, *fields}}
    return list(public.items())


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for name in sorted(cg.__all__, key=str.lower):
        value = getattr(cg, name)
        lines += entry(f"cg.{name}", value, 2)
        if value in (cg.Run, cg.Concept):
            for member, of in members(value):
                lines += entry(f"{name}.{member}", of, 3)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE} is not what the docstrings say: python docs/make_reference.py")


if __name__ == "__main__":
    main()
