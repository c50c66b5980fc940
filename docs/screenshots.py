"""Take the picture of the page that the documentation shows.

cgaps export demo-run --one-file demo.html && python docs/screenshots.py demo.html
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image


def main(page: Path) -> None:
    """Take the picture of its first screen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=args)
        shown = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        shown.goto(page.resolve().as_uri())
        shown.get_by_test_id("headline").first.wait_for()
        shown.wait_for_timeout(1000)
        with Image.open(BytesIO(shown.screenshot())) as taken:
            place = Path(__file__).parent / "images" / "explorer-answer.webp"
            taken.convert("RGB").save(place, quality=80, method=6)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
