"""Write the two reference pages, commands and Python API, from the commands' help and the public docstrings.

Called by make_site.py. mkdocstrings would render the second page into HTML alone; here it is Markdown as every page is,
so that it can be read, searched and tested as one.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import competency_gaps as cg
from competency_gaps.cli.app import app

SECTION = re.compile(r"^([A-Z][a-z]+(?: [A-Z][a-z]+)?)\n-{3,}\n", re.MULTILINE)
ROLE = re.compile(r":\w+:`~?(?:[^`<]*<)?([\w.]+)>?`")
KINDS = {Path: "PATH", int: "N", float: "X", str: "TEXT"}


def plain(text: str) -> str:
    """A docstring's text as Markdown on one line: roles and literals become code."""
    text = ROLE.sub(lambda found: f"`{found[1].removeprefix('competency_gaps.')}`", text)
    return " ".join(text.replace("``", "`").split())


def table(head: str, rows: list[tuple[str, str]]) -> str:
    """Two columns, the first of them code; nothing without rows."""
    cells = [f"| {code} | {text.replace('|', chr(92) + '|')} |" for code, text in rows]
    return "\n".join([f"| {head} | |", "| --- | --- |", *cells, ""]) if rows else ""


def code(text: str) -> str:
    """Code in a table's cell, where a bare bar would end the cell."""
    return f"<code>{text.replace('<', '&lt;').replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def entries(section: str) -> list[tuple[str, str]]:
    """A numpydoc section's entries: what stands at the margin, and the indented text below it."""
    parts = re.split(r"^(?=\S)", section.strip("\n"), flags=re.MULTILINE)
    heads = [part.partition("\n") for part in parts if part.strip()]
    return [(head.strip(), plain(textwrap.dedent(text))) for head, _, text in heads]


def docstring(doc: str) -> Iterator[str]:
    """A numpydoc docstring as Markdown: paragraphs, tables, examples."""
    first, *rest = SECTION.split(inspect.cleandoc(doc))
    yield from (plain(part) + "\n" for part in re.split(r"\n\s*\n", first.strip()))
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        if title == "Examples":
            yield f"```pycon\n{body.strip()}\n```\n"
        elif title in ("Notes", "References"):
            yield plain(body) + "\n"
        elif title == "Returns":
            yield from (f"**Returns** {code(head)}{': ' * bool(text)}{text}\n" for head, text in entries(body))
        else:
            yield table(title, [(code(head.split(" : ")[0]), describe(head, text)) for head, text in entries(body)])


def describe(head: str, text: str) -> str:
    """An entry's text, after its type where the docstring has one."""
    kind = head.partition(" : ")[2]
    return f"{plain(kind)}. {text}" if kind else text


def signature(value: Any) -> str:
    """The signature without types, which the text has; long ones over several lines."""
    if hasattr(value, "model_rebuild"):
        value.model_rebuild()  # a configuration knows its own signature only when it is built
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return "()"
    bare = [p.replace(annotation=p.empty) for p in parameters if p.name != "self"]
    text = re.sub(r"<(factory|built-in [^>]*)>", "...", str(inspect.Signature(bare)))
    return text if len(text) < 72 else "(\n    " + ",\n    ".join(text[1:-1].split(", ")) + ",\n)"


def fields(kind: type) -> list[tuple[str, str]]:
    """Public fields of a class that say what they are, by the text below each."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body  # type: ignore[attr-defined]
    return [
        (code(field.target.id), plain(text.value.value))
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    ]


def members(kind: type) -> list[tuple[str, Any]]:
    """Public methods and properties of a class, in the order in which they are written, inherited ones last."""
    public: dict[str, Any] = {}
    for base in kind.__mro__:
        if base.__module__.startswith("competency_gaps"):
            own = {field.name for field in dataclasses.fields(base)} if dataclasses.is_dataclass(base) else set()
            public |= {n: v for n, v in vars(base).items() if not n.startswith("_") and n not in {*public, *own}}
    return list(public.items())


def python_page() -> str:
    """The Python API: functions, then classes, each with its signature, text and tables."""
    names = sorted(cg.__all__, key=str.lower)
    lines = ["# Python", "`import competency_gaps as cg` gives these names, each read from its docstring.\n"]
    lines.append(table("Name", [(f"[`{n}`](#{n})", summary(getattr(cg, n))) for n in names]))
    for name in names:
        value = getattr(cg, name)
        lines += entry(2, name, f"cg.{name}", value)
        if isinstance(value, type):
            lines.append(table("Field", fields(value)))
        for member, of in members(value) if value is cg.Run else []:
            lines += entry(3, f"{name}.{member}", f"{name.lower()}.{member}", of)
    return "\n".join(lines)


def entry(level: int, name: str, call: str, value: Any) -> list[str]:
    """A heading, whose anchor is the name, the signature, and the docstring."""
    typed = f"{call}{signature(value) if callable(value) else ''}"
    heading = f"{'#' * level} {name} {{ #{name} }}"
    return [f"{heading}\n", f"```python\n{typed}\n```\n", *docstring(value.__doc__ or "")]


def summary(value: Any) -> str:
    """A docstring's first paragraph."""
    return plain(inspect.cleandoc(value.__doc__ or "").split("\n\n")[0])


def commands_page() -> str:
    """Every command with its arguments and options, under the questions of the help."""
    root: Any = typer.main.get_command(app)
    lines = ["# Commands", f"{root.epilog} Every command prints its help with `--help`.\n"]
    panel = None
    for name, command in root.commands.items():
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            lines.append(f"## {panel}\n")
        below = getattr(command, "commands", None)
        for words, leaf in [(f"{name} {sub}", of) for sub, of in below.items()] if below else [(name, command)]:
            lines += command_entry(words, leaf)
    return "\n".join(lines)


def command_entry(words: str, command: Any) -> list[str]:
    """A command's heading, usage, text and table."""
    types = typing.get_type_hints(command.callback)
    rows, usage = [], [f"cgaps {words}"]
    for param in command.params:
        kind = types.get(param.name)
        kind = next((one for one in typing.get_args(kind) if one in KINDS), kind)
        if param.param_type_name == "argument":
            shown = param.metavar or param.name.upper()
            usage.append(shown if param.required else f"[{shown}]")
        else:
            value = "" if param.is_flag else f" {param.metavar or KINDS.get(kind, 'TEXT')}"
            shown = ", ".join([*param.opts, *param.secondary_opts]) + value
        if not param.hidden and param.name != "help":
            rows.append((code(shown), param.help or ""))
    usage += ["[OPTIONS]"] if any(param.param_type_name == "option" for param in command.params) else []
    text = inspect.cleandoc(command.help or "")
    heading = f"### cgaps {words}\n"
    return [heading, f"```bash\n{' '.join(usage)}\n```\n", text + "\n", table("Argument or option", rows)]
