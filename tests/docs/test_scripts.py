"""Scripts and tests that the documents name exist, with the options that are printed."""

from __future__ import annotations

import re

import pytest

from core_helpers import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "perf" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TYPED = re.compile(r"\bpython ((?:\w+/)*\w+\.py)((?: [^`\n]*)?)")


def typed(text: str) -> list[tuple[str, list[str]]]:
    """Each script that is called, with its options."""
    lines = text.replace("\\\n", " ").replace("cd validation && python ", "python validation/")
    return [(path, re.findall(r"(?<=[ \[])--[a-z][\w-]*", rest.split(" #")[0])) for path, rest in TYPED.findall(lines)]


@pytest.mark.parametrize("page", [page for page in PAGES if page.exists()], ids=lambda page: page.name)
def test_scripts_and_tests_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    for path, options in typed(text):
        if not path.startswith(("validation/", "perf/", "recipes/", "docs/", "examples/")):
            continue
        source = (ROOT / path).read_text(encoding="utf-8")
        assert not [option for option in options if f'"{option}"' not in source], path
    for path in re.findall(r"`(tests/[\w/]+(?:\.py)?)`", text):
        assert (ROOT / path).exists(), path
