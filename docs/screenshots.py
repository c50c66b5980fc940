"""Take the pictures of the explorer that the documentation shows.

python docs/screenshots.py demo-run [MODELS-RUN]

The second run has the scores of several models (docs/real-models.md says how it is made); without it the picture of
the view Models stays as it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

IMAGES = Path(__file__).parent / "images"
# Name of the picture: address in the page, what must be there, colours. Concept and item are of the first finding.
VIEWS = {
    "overview": ("overview", "findings", "light"),
    "finding": ("finding/0", "finding-sides", "light"),
    "concepts": ("concepts", "concept-grid", "light"),
    "map": ("map", "map-canvas", "light"),
    "concept": ("concepts?concept={concept}", "concept-title", "light"),
    "examples": ("concepts?concept={concept}", "concept-examples", "light"),
    "item": ("items?item={item}&concept={concept}", "item-text", "light"),
}
# Of the run with several models.
MODELS = ("models?kind=peers", "models-heat", "light")


def main(folders: list[str]) -> None:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    from competency_gaps import open_run

    run = open_run(folders[0])
    finding = run.findings.row(0, named=True)
    facts = {"concept": finding["leader"], "item": finding["failing"][0]}
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=args, ignore_default_args=["--hide-scrollbars"]
        )
        pictures(browser, folders[:1], VIEWS, facts)
        if len(folders) > 1:
            pictures(browser, folders[1:], {"models": MODELS}, {})
        browser.close()


def pictures(browser: Any, folders: list[str], views: dict[str, tuple[str, str, str]], facts: dict[str, int]) -> None:
    """Start an explorer of some runs, take pictures of it, end it."""
    command = [sys.executable, "-c", "from competency_gaps.cli.app import main; main()", "explore", *folders]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+/", line)))
        try:
            for name, view in views.items():
                picture(browser, url, name, *view, facts=facts)
        finally:
            server.terminate()


def picture(browser: Any, url: str, name: str, view: str, test_id: str, scheme: str, facts: dict[str, int]) -> None:
    """Take one picture."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page.goto(url)
    page.get_by_role("heading", level=1).first.wait_for()
    page.evaluate("address => { location.hash = address }", f"#//{view.format(**facts)}")
    shown = page.get_by_test_id(test_id).first
    shown.wait_for(timeout=120_000)  # a run with many models takes a while on a busy machine
    if name in ("examples", "models"):
        shown.evaluate("element => element.scrollIntoView()")
    page.wait_for_timeout(2500)
    with Image.open(BytesIO(page.screenshot())) as taken:
        taken.convert("RGB").save(IMAGES / f"explorer-{name}.webp", lossless=True, method=6)
    page.close()


if __name__ == "__main__":
    main(sys.argv[1:])
