"""The built site: every public name with its text, and each page as Markdown too."""

from __future__ import annotations

import html
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import competency_gaps as cg
from core_helpers import ROOT

sys.path.append(str(ROOT / "docs"))
import make_reference

pytest.importorskip("zensical")


@pytest.fixture(scope="module")
def site() -> Path:
    """The site, built as make site does."""
    done = subprocess.run([sys.executable, "docs/make_site.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "site"


def text_of(page: str) -> str:
    """A page's words, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page)).split())


def test_every_public_name_has_its_text_and_parameters(site):
    page = (site / "python.html").read_text(encoding="utf-8")
    heads = [(found[1], found.start()) for found in re.finditer(r'<h2 id="([^"]+)"', page)]
    ends = [start for _, start in heads[1:]] + [len(page)]
    shown = {name: text_of(page[start:end]) for (name, start), end in zip(heads, ends, strict=True)}
    assert set(shown) == set(cg.__all__)
    for name, section in shown.items():
        value = getattr(cg, name)
        plain = make_reference.summary(value).replace("`", "").split("*")[0]
        assert plain[:60] in section, name
        getattr(value, "model_rebuild", lambda: None)()  # a configuration knows its fields when it is built
        assert [one for one in inspect.signature(value).parameters if one not in section] == [], name
    assert "Returns Comparison: answer" in shown["compare"] and "UserError If a path is" in shown["compare"]


def test_every_page_is_there_as_markdown_too(site):
    listed = re.findall(r"\]\((\S+)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    pages = {path.stem for path in site.glob("*.html")} - {"404"}
    assert {Path(name).stem for name in listed} == pages  # the navigation has every page
    whole = (site / "llms-full.txt").read_text(encoding="utf-8")
    assert all((site / name).read_text(encoding="utf-8") in whole for name in listed)
    assert "<!--" not in whole and "### cgaps show\n" in whole and "\n## compare\n" in whole
