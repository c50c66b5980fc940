"""The built site: strict, every public name with its text, each page as Markdown, nothing wider than its window."""

from __future__ import annotations

import html
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import competency_gaps as cg
from core_helpers import ROOT

sys.path.append(str(ROOT / "docs"))
import make_reference
import make_site

pytest.importorskip("zensical")
LOCAL = ("file:", "data:", "blob:", "about:")
CHROMIUM = os.environ.get("CGAPS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


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


@pytest.mark.parametrize("link", ["no-such-page.md", "method.md#no-such-heading"])
def test_a_broken_link_fails(site, tmp_path, link):
    shutil.copytree(ROOT / "build" / "docs", tmp_path / "build" / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "build" / "docs" / "index.md").open("a") as page:
        page.write(f"\n[a link]({link})\n")
    done = subprocess.run([*make_site.BUILD], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "does not exist" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium: install it, or name it in CGAPS_CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def window(browser):
    """A window in which nothing may fail, and nothing be asked of another machine."""
    page, faults = browser.new_page(), []
    page.on("requestfailed", lambda sent: faults.append(sent.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(LOCAL) else faults.append(sent.url))
    yield page
    page.close()
    assert not [fault for fault in faults if not fault.endswith("/search.js")]  # the search needs a server


@pytest.mark.slow
def test_no_page_scrolls_sideways(site, window):
    for file in sorted({*site.glob("*.html")} - {site / "404.html"}):  # a server's page, with paths from its root
        for width in (1400, 390):
            window.set_viewport_size({"width": width, "height": 900})
            window.goto(file.as_uri())
            wide = window.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{file.name} at {width} px is {wide} px too wide"
            assert window.locator("h1").first.is_visible()


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "demo-run" / "manifest.json").is_file(), reason="needs the demo's run: make gallery")
@pytest.mark.parametrize("link", re.findall(r"\((gallery/[^)]+)\)", (ROOT / "docs" / "gallery.md").read_text("utf-8")))
def test_the_gallery_opens_from_disk(site, window, link):
    name, _, view = link.partition("#")
    window.goto(f"{(site / name).as_uri()}#{view}")
    window.locator("main h1, main h2").first.wait_for(timeout=20_000)
    said = window.inner_text("main")
    assert "could not be shown" not in said
    assert {"demo": "Weaker", "improve": "look broken"}.get(Path(name).stem, "2,420") in said
