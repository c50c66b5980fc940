"""Take the pictures of the explorer that the documentation shows.

python docs/screenshots.py demo-run [MODELS-RUN]

With a second run, which has the scores of several models, there is a picture of the view Models too.
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

IMAGES = Path(__file__).parent / "images"
# Name of the picture: address in the page, what must be there. The slice and the item are of the first finding.
VIEWS = {
    "answer": ("answer", "headline"),
    "slice": ("slice/{slice}", "sides"),
    "coverage": ("coverage", "coverage"),
    "concepts": ("concepts", "concept-grid"),
    "atlas": ("atlas", "atlas-canvas"),
    "shares": ("atlas?colour=coverage&face=benchmark", "atlas-canvas"),
    "concept": ("concepts?concept={concept}", "concept-title"),
    "examples": ("concepts?concept={concept}", "concept-examples"),
    "item": ("items?item={item}", "item-text"),
}
# Of the run with several models.
MODELS = {"models": ("models", "models-heat")}
SCROLLED = ("examples", "models")


def main(folders: list[str]) -> None:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    from competency_gaps import open_run

    run = open_run(folders[0])
    finding = run.answer().findings[0]
    facts = {"slice": finding.slice, "item": finding.example, "concept": run.weak()["concept"][0]}
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=args, ignore_default_args=["--hide-scrollbars"]
        )
        pictures(browser, folders[0], VIEWS, facts)
        for folder in folders[1:]:
            pictures(browser, folder, MODELS, {})
        browser.close()


def pictures(browser: Any, folder: str, views: dict[str, tuple[str, str]], facts: dict[str, Any]) -> None:
    """Export a run and take pictures of it."""
    from competency_gaps.explorer.export import export
    from competency_gaps.explorer.opened import open_runs

    with TemporaryDirectory() as place:
        index = export(open_runs([Path(folder)]), Path(place) / "page").path / "index.html"
        for name, (view, test_id) in views.items():
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
            page.goto(f"{index.as_uri()}#//{view.format(**facts)}")
            shown = page.get_by_test_id(test_id).first
            shown.wait_for(timeout=120_000)  # a run with many models takes a while on a busy machine
            if name in SCROLLED:
                shown.evaluate("element => element.scrollIntoView()")
            page.wait_for_timeout(2500)
            with Image.open(BytesIO(page.screenshot())) as taken:
                taken.convert("RGB").save(IMAGES / f"explorer-{name}.webp", quality=80, method=6)
            page.close()


if __name__ == "__main__":
    main(sys.argv[1:])
