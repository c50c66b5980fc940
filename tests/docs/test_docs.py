"""What the documents tell people to type exists and runs: commands, options, scripts, Python, links, examples."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import shlex
import sys
from functools import cache

import click
import pytest
import typer.main

import competency_gaps as cg
from competency_gaps.cli.app import app
from core_helpers import ROOT

sys.path.append(str(ROOT / "docs"))
import columns
import make_reference

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
MADE = {"docs/commands.md": make_reference.commands_page(), "docs/python.md": make_reference.python_page()}
MADE["docs/tables.md"] = columns.tables_page()
"""Pages that are made with the site."""
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(cgaps [^`\n]+)`")
TYPED = re.compile(r"\bpython ((?:\w+/)*\w+\.py)((?: [^`\n]*)?)")
PLACEHOLDER = re.compile(r"^[A-Z][A-Z_:/.@=N0-9]*$|^\.\.\.$|^…$")


def typed_commands(text: str) -> list[str]:
    """Lines with our command: in fenced blocks, also of workflows, and between backticks.

    Lines are joined where a backslash goes on.
    """
    found = []
    for language, block in FENCED.findall(text):
        if language in ("", "bash", "sh", "console", "yaml"):
            lines = block.replace("\\\n", " ").splitlines()
            starts = re.compile(r"(- )?(run: )?(\$ )?(\.venv/bin/)?")
            found += [starts.sub("", line.strip(), count=1) for line in lines]
    found += INLINE.findall(FENCED.sub("", text))
    return [line.split("  #")[0].split(" | ")[0].split(" > ")[0] for line in found if line.startswith("cgaps ")]


@cache
def root() -> click.Command:
    return typer.main.get_command(app)


def all_commands(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(command, click.Group) or hasattr(command, "commands"):
        return [path, *(one for name, sub in command.commands.items() for one in all_commands(sub, (*path, name)))]
    return [path]


def check(line: str) -> str | None:
    """What is wrong with a command line as it is printed; None: nothing."""
    words = shlex.split(line, comments=True)[1:]
    command = root()
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if PLACEHOLDER.match(words[0]):
            return None
        if words[0] not in command.commands:
            return f"there is no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    unknown = [word.split("=")[0] for word in words if word.startswith("--") and word.split("=")[0] not in known]
    return f"there is no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("page", TEXTS)
def test_every_command_that_is_printed_exists(page):
    faults = {line: fault for line in typed_commands(TEXTS[page]) if (fault := check(line))}
    assert not faults


@pytest.mark.parametrize("path", all_commands(root()), ids=lambda path: " ".join(path) or "cgaps")
def test_help_of_every_command(path):
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert done.exit_code == 0, done.output
    assert "Usage" in done.output and len(done.output.splitlines()) > 3


@pytest.mark.parametrize("page", TEXTS)
def test_python_that_is_printed_uses_names_that_exist(page):
    for language, block in FENCED.findall(TEXTS[page]):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = {"cg": cg, "competency_gaps": cg, "run": cg.Run}.get(node.value.id)
                fields = getattr(owner, "__dataclass_fields__", {})
                known = owner is None or hasattr(owner, node.attr) or node.attr in fields
                assert known, f"{node.value.id}.{node.attr}"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("competency_gaps"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    own = [re.search(r"\{ #(\S+) \}$", head) for head in heads]
    slugs = [re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads]
    return {mark[1] if mark else slug for mark, slug in zip(own, slugs, strict=True)}


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", FENCED.sub("", TEXTS[page])):
        if not re.match(r"[a-z]+:", target):
            path = (ROOT / page).parent / target if target else ROOT / page
            name = str(path.resolve().relative_to(ROOT))
            made = MADE.get(name) if page.startswith("docs/") else None
            is_exported = name.startswith("docs/gallery/")
            assert made or path.exists() or is_exported, target
            if anchor and not is_exported:
                assert anchor in anchors(made or path.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_files_that_the_architecture_names_exist():
    package = ROOT / "src" / "competency_gaps"
    named = set(re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|tsx?|md|toml))`", TEXTS["docs/architecture.md"]))
    assert len(named) > 20
    places = (ROOT, package, ROOT / "frontend" / "src")
    assert not {name for name in named if not any((place / name).exists() for place in places)}


@pytest.mark.parametrize("page", TEXTS)
def test_scripts_and_tests_that_are_named_exist(page):
    """With the options that are printed."""
    lines = TEXTS[page].replace("\\\n", " ").replace("cd validation && python ", "python validation/")
    for path, rest in TYPED.findall(lines):
        if path.startswith(("validation/", "perf/", "recipes/", "docs/", "examples/")):
            source = (ROOT / path).read_text(encoding="utf-8")
            options = re.findall(r"(?<=[ \[])--[a-z][\w-]*", rest.split(" #")[0])
            assert not [option for option in options if f'"{option}"' not in source], path
    for path in re.findall(r"`(tests/[\w/]+(?:\.py)?)`", TEXTS[page]):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["competency_gaps.api.extend", "competency_gaps.evidence.suite"])
def test_examples_in_docstrings(name):
    from competency_gaps.items.registry import SCORERS, SLICES

    result = doctest.testmod(importlib.import_module(name))
    SCORERS.forget("starts_with")
    SLICES.forget("openings")  # else runs that later tests make in this process have them, too
    assert result.failed == 0 and result.attempted > 0
